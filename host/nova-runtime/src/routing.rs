//! Routing: which revision a call goes to, and who stands in for it when it fails.
//!
//! Everything is read off one snapshot, so that a call sees one state of plugins and routes.

use std::sync::Arc;

use nova_core::ports::Call;
use nova_core::ports::runtime::{Readiness, Route};
use nova_core::strategy::{CallError, Kind};

use crate::registry::{Revision, Snapshot};
use crate::shadow;

/// A revision that may be asked, and the rule that picked it.
pub(crate) struct Candidate {
    pub(crate) revision: Arc<Revision>,
    pub(crate) route: Route,
}

impl Snapshot {
    /// The revision that a call goes to.
    ///
    /// # Errors
    /// [`CallError::UnknownStrategy`] where the request names one that does not serve;
    /// [`CallError::Unavailable`] where the routed one does not.
    pub(crate) fn routed(&self, kind: Kind, call: &Call) -> Result<Candidate, CallError> {
        let Some((name, route)) = self.rule(kind, call) else {
            return Err(CallError::Unavailable(format!(
                "no plugin is configured to serve as {kind}"
            )));
        };
        if route == Route::Default
            && let Some(revision) = self.on_trial(kind, call)
        {
            return Ok(Candidate {
                revision,
                route: Route::Canary,
            });
        }
        let plugin = self.plugin(name);
        match plugin.and_then(|plugin| plugin.current.as_ref()) {
            Some(revision) if revision.kind == kind => Ok(Candidate {
                revision: Arc::clone(revision),
                route,
            }),
            _ if route == Route::Request => Err(self.unknown(kind, name)),
            Some(revision) => Err(CallError::Unavailable(format!(
                "'{name}' is to serve as {kind}, but is a {}",
                revision.kind
            ))),
            None => {
                let why = match plugin.and_then(|plugin| plugin.quarantine.as_ref()) {
                    Some(refused) => format!(
                        ": its file was refused ({}: {})",
                        refused.stage, refused.reason
                    ),
                    None => String::new(),
                };
                Err(CallError::Unavailable(format!(
                    "'{name}', which serves as {kind}, is not loaded{why}"
                )))
            }
        }
    }

    /// The canary's revision, when the call is of its share.
    fn on_trial(&self, kind: Kind, call: &Call) -> Option<Arc<Revision>> {
        let trial = self.trials.get(&kind)?;
        let canary = &trial.canary;
        let revision = self.candidate(kind, &canary.plugin, canary.revision).ok()?;
        trial.takes(call).then_some(revision)
    }

    /// Who is asked after those that were: the revision before, of the routed plugin, then the
    /// plugin that the configuration names, then the revision before of that, then the simplest shipped one.
    pub(crate) fn fallback(
        &self,
        kind: Kind,
        call: &Call,
        tried: &[Arc<Revision>],
    ) -> Option<Candidate> {
        let routed = self.rule(kind, call).map(|(name, _)| name);
        let configured = self.configured.get(&kind).map(String::as_str);
        let last = Some(kind.last_resort());
        [routed, configured, last]
            .into_iter()
            .flatten()
            .filter_map(|name| self.plugin(name))
            .flat_map(|plugin| plugin.current.iter().chain(plugin.previous.first()))
            .find(|revision| {
                revision.kind == kind && !tried.iter().any(|t| Arc::ptr_eq(t, revision))
            })
            .map(|revision| Candidate {
                revision: Arc::clone(revision),
                route: Route::Fallback,
            })
    }

    /// The plugin that a call is for, and why that one.
    fn rule<'a>(&'a self, kind: Kind, call: &'a Call) -> Option<(&'a str, Route)> {
        if let Some(name) = &call.strategy {
            return Some((name, Route::Request));
        }
        if let Some(name) = self
            .routes
            .get(&kind)
            .and_then(|route| route.domains.get(&call.domain))
        {
            return Some((name, Route::Domain));
        }
        self.default(kind).map(|name| (name, Route::Default))
    }

    /// The plugin that serves a kind when nothing else is said.
    pub(crate) fn default(&self, kind: Kind) -> Option<&str> {
        let routed = self.routes.get(&kind).and_then(|r| r.default.as_ref());
        routed
            .or_else(|| self.configured.get(&kind))
            .map(String::as_str)
    }

    /// The revision that serves a kind when nothing else is said.
    pub(crate) fn default_revision(&self, kind: Kind) -> Option<&Arc<Revision>> {
        let revision = self.plugin(self.default(kind)?)?.current.as_ref()?;
        (revision.kind == kind).then_some(revision)
    }

    /// The shadow that a call of this route is copied for.
    pub(crate) fn copied_for(&self, kind: Kind, route: Route) -> Option<&Arc<shadow::Run>> {
        let run = self.shadows.get(&kind)?;
        (route == Route::Default && run.takes()).then_some(run)
    }

    /// Whether calls that name no plugin reach this one.
    pub(crate) fn is_routed(&self, kind: Kind, name: &str) -> bool {
        let of_domain = |route: &nova_core::strategy::route::KindRoute| {
            route.domains.values().any(|plugin| plugin == name)
        };
        self.default(kind) == Some(name) || self.routes.get(&kind).is_some_and(of_domain)
    }

    /// Whether this plugin cannot be done without: a route or the configuration names it.
    pub(crate) fn is_needed(&self, kind: Kind, name: &str) -> bool {
        let configured = self.configured.get(&kind).map(String::as_str);
        let on_trial = self.trials.get(&kind).map(|t| t.canary.plugin.as_str());
        self.is_routed(kind, name) || configured == Some(name) || on_trial == Some(name)
    }

    fn unknown(&self, kind: Kind, name: &str) -> CallError {
        let loaded: Vec<&str> = self.of_kind(kind).collect();
        let loaded = if loaded.is_empty() {
            "none".to_owned()
        } else {
            loaded.join(", ")
        };
        CallError::UnknownStrategy(format!("no {kind} is called '{name}'; loaded: {loaded}"))
    }

    /// Kinds of which no decision can be made. Once all that lies in the directory was looked at,
    /// the configured plugin stands in for a default that is not there.
    pub(crate) fn readiness(&self) -> Readiness {
        let serves = |kind: Kind, name: Option<&str>| {
            name.and_then(|name| self.plugin(name))
                .and_then(|plugin| plugin.current.as_ref())
                .is_some_and(|revision| revision.kind == kind)
        };
        let decides = |kind: Kind| {
            let configured = self.configured.get(&kind).map(String::as_str);
            serves(kind, self.default(kind)) || (self.settled && serves(kind, configured))
        };
        Readiness {
            missing: Kind::ALL
                .into_iter()
                .filter(|kind| !decides(*kind))
                .collect(),
        }
    }
}
