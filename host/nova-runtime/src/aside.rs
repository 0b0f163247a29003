//! Revisions set aside: a canary or a shadow names them by their number, and no plugin has them in memory.
//!
//! Replaced revisions are in memory for as long as a fallback may ask them. Others (older ones after a
//! restart, and those that a rollback took back) are loaded from the kept ones by the watch once they are
//! wanted, stay for as long as they are, and stand in for nobody.

use std::sync::Arc;

use nova_core::strategy::Kind;

use crate::loader::Outcome;
use crate::registry::{Registry, Revision, Snapshot};
use crate::trial::Pair;
use crate::watch::{Ended, Loads, Watch};

/// How far a revision is that is set aside.
#[derive(Clone)]
pub(crate) enum Aside {
    Loading,
    Loaded(Arc<Revision>),
    /// It cannot be had, and why.
    Gone(String),
}

impl Snapshot {
    /// What is set against the default: a plugin's serving revision, or the one of this number.
    ///
    /// # Errors
    /// Why there is nothing to compare.
    pub(crate) fn candidate(
        &self,
        kind: Kind,
        name: &str,
        number: Option<u64>,
    ) -> Result<Arc<Revision>, String> {
        let Some(plugin) = self.plugin(name) else {
            return Err(format!("'{name}' is not loaded"));
        };
        let found = match number {
            None => plugin.current.clone(),
            Some(number) => match self.numbered(name, number) {
                Some(Aside::Loaded(revision)) => Some(revision),
                Some(Aside::Gone(why)) => return Err(why),
                Some(Aside::Loading) | None => None,
            },
        };
        let Some(revision) = found.filter(|revision| revision.kind == kind) else {
            return Err(number.map_or_else(
                || format!("no revision of '{name}' serves as {kind}"),
                |number| format!("revision {number} of '{name}' is not loaded"),
            ));
        };
        let serving = self.default_revision(kind);
        if serving.is_some_and(|serving| Arc::ptr_eq(serving, &revision)) {
            return Err(format!("'{name}' serves by default now"));
        }
        Ok(revision)
    }

    /// What keeps a candidate from being asked, once all that lay in the directory was looked at and what is
    /// wanted was loaded.
    pub(crate) fn obstacle(&self, kind: Kind, name: &str, number: Option<u64>) -> Option<String> {
        let may_come = number.is_some_and(|number| {
            let found = self.numbered(name, number);
            self.plugin(name).is_some() && matches!(found, Some(Aside::Loading) | None)
        });
        if !self.settled || may_come {
            return None;
        }
        self.candidate(kind, name, number).err()
    }

    /// A revision by its number, in memory anyway or set aside.
    fn numbered(&self, name: &str, number: u64) -> Option<Aside> {
        let in_memory = self.plugin(name).and_then(|p| p.revision(number));
        in_memory
            .map(Aside::Loaded)
            .or_else(|| self.aside.get(&(name.into(), number)).cloned())
    }

    /// Whether a revision is on trial beside the serving one of its plugin.
    pub(crate) fn is_beside(&self, revision: &Revision) -> bool {
        let number = revision.status.revision;
        let on_trial = self.trials.get(&revision.kind).is_some_and(|trial| {
            *trial.canary.plugin == *revision.unit.plugin && trial.canary.revision == Some(number)
        });
        let plugin = self.plugin(&revision.unit.plugin);
        let serving = plugin.and_then(|plugin| plugin.current.as_ref());
        on_trial && serving.is_none_or(|serving| serving.status.revision != number)
    }

    /// The revisions that canaries and shadows name.
    fn wanted(&self) -> impl Iterator<Item = (&str, u64)> {
        let trials = self.trials.values().map(|trial| &trial.canary);
        let trials = trials.map(|canary| (canary.plugin.as_str(), canary.revision));
        let shadows = self.shadows.values().map(|run| &run.order);
        let shadows = shadows.map(|order| (order.plugin.as_str(), order.revision));
        let all = trials.chain(shadows);
        all.filter_map(|(name, number)| Some((name, number?)))
    }

    /// Lets go of what nobody wants any more or is in memory anyway, and begins the numbers of canaries anew
    /// where a side has got another revision.
    pub(crate) fn tidy(&mut self) {
        let still = |name: &str, number: u64| {
            let in_memory = |p: &crate::registry::Plugin| p.revision(number).is_some();
            self.wanted().any(|wanted| wanted == (name, number))
                && self.plugin(name).is_some_and(|p| !in_memory(p))
        };
        let all = self.aside.keys();
        let gone = all.filter(|(name, number)| !still(name, *number));
        let gone: Vec<_> = gone.cloned().collect();
        for key in gone {
            self.aside.remove(&key);
        }
        let number = |revision: &Arc<Revision>| revision.status.revision;
        let pairs: Vec<(Kind, Pair)> = self
            .trials
            .iter()
            .map(|(kind, trial)| {
                let canary = &trial.canary;
                let on_trial = self.candidate(*kind, &canary.plugin, canary.revision).ok();
                let serving = self.default_revision(*kind);
                let pair = Pair {
                    canary: on_trial.as_ref().map(number),
                    others: serving.map(|r| (Arc::clone(&r.unit.plugin), number(r))),
                };
                (*kind, pair)
            })
            .collect();
        for (kind, pair) in pairs {
            let next = self.trials.get(&kind).and_then(|trial| trial.of(pair));
            if let Some(next) = next {
                self.trials.insert(kind, Arc::new(next));
            }
        }
    }
}

impl Registry {
    fn set_aside(&self, name: &str, number: u64, how: impl FnOnce(&Snapshot) -> Aside) {
        self.replace(|next| {
            let how = how(next);
            next.aside.insert((name.into(), number), how);
        });
    }
}

impl Watch {
    /// Loads the revisions that are wanted and not there, where they are kept.
    pub(crate) fn load_wanted(&self, loads: &mut Loads) {
        let snapshot = self.registry.snapshot_full();
        for (name, number) in snapshot.wanted() {
            let serving = snapshot.plugin(name).and_then(|p| p.current.as_ref());
            let known = snapshot.aside.get(&(name.into(), number));
            let in_memory = snapshot.plugin(name).and_then(|p| p.revision(number));
            if serving.is_none() || in_memory.is_some() || matches!(known, Some(Aside::Gone(_))) {
                continue;
            }
            let Some((_, source)) = self.kept.find(name, Some(number), 0) else {
                let why = format!("revision {number} of '{name}' is not kept any more");
                self.registry.set_aside(name, number, |_| Aside::Gone(why));
                continue;
            };
            if known.is_some() {
                continue;
            }
            self.registry.set_aside(name, number, |_| Aside::Loading);
            let (loader, name) = (Arc::clone(&self.loader), name.to_owned());
            loads.spawn(async move {
                let outcome = loader.load(&source, None, &[]).await;
                Ended::Aside(name, number, Box::new(outcome))
            });
        }
    }

    /// A wanted revision was loaded, or could not be.
    pub(crate) fn set_aside(&self, name: &str, number: u64, outcome: Outcome) {
        let gone = |why: &str| {
            tracing::warn!(
                plugin = name,
                revision = number,
                why,
                "an earlier revision cannot be tried out"
            );
            Aside::Gone(format!(
                "revision {number} of '{name}' cannot serve any more{why}"
            ))
        };
        self.registry.set_aside(name, number, |snapshot| {
            let serving = snapshot.plugin(name).and_then(|p| p.current.as_ref());
            match (outcome, serving) {
                (Outcome::Loaded(loaded), Some(serving)) => {
                    let stats = Arc::clone(&serving.stats);
                    let breaker = self.config.breaker;
                    let revision = Revision::new(number, *loaded, stats, breaker, None);
                    Aside::Loaded(Arc::new(revision))
                }
                (Outcome::Refused { refused, .. }, _) => {
                    let stage = refused.stage.as_str();
                    gone(&format!(" ({stage}): {}", refused.reason))
                }
                _ => gone(""),
            }
        });
    }
}
