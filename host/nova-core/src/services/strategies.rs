//! Strategies: which plugin serves which kind, changed while the daemon runs.
//!
//! A change is written with its event first, then the runtime takes it over at once, together
//! with what is loaded: a call sees the routes before it or after it, never a mixture.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Ports;
use super::canaries;
use super::foresight::Foresight;
use super::shadows::{self, ShadowView};
use crate::domain::{Domain, EventKind, KeyId, NewEvent, Timestamp};
use crate::error::{Error, Result, object};
use crate::ports::{DatastoreExt, ReadCost};
use crate::strategy::Kind;
use crate::strategy::canary::{Canary, CanaryOrder, Comparison};
use crate::strategy::route::{DOMAIN_ROUTES_MAX, KindRoute, StoredRoute, check_plugin_name};
use crate::strategy::shadow::{Shadow, ShadowOrder, ShadowReport};

/// What is to change of a kind's routes; what is none stays.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RouteChange {
    /// Who serves by default; inner none = whom the configuration names.
    pub default: Option<Option<String>>,
    /// Who serves in single domains, in place of all such routes.
    pub domains: Option<BTreeMap<Domain, String>>,
    /// Who is on trial; inner none = nobody any more.
    pub canary: Option<Option<CanaryOrder>>,
    /// Who is asked the same as the default; inner none = nobody any more.
    pub shadow: Option<Option<ShadowOrder>>,
}

/// The routes of a kind, as an operator sees them.
#[derive(Clone, PartialEq, Debug)]
pub struct RouteView {
    /// Of which kind.
    pub kind: Kind,
    /// Whom the configuration names: the end of every fallback chain. None = nobody.
    pub configured: Option<String>,
    /// Who serves by default. None = nobody.
    pub default: Option<String>,
    /// Who serves in single domains.
    pub domains: BTreeMap<Domain, String>,
    /// Who is on trial.
    pub canary: Option<Canary>,
    /// What that has shown.
    pub seen: Option<Comparison>,
    /// Who is asked the same as the default, and serves nobody.
    pub shadow: Option<Shadow>,
    /// What that has shown.
    pub shadowed: Option<ShadowReport>,
    /// Rises by one with every change; 0 = never changed.
    pub version: u64,
    /// The last change.
    pub updated_at: Option<Timestamp>,
    /// The key that made it; none = nobody, or the daemon.
    pub updated_by: Option<KeyId>,
}

/// Looks at routes and changes them.
pub struct StrategyService {
    pub(super) ports: Ports,
    /// One change at a time: the runtime takes them over in the order in which they were written.
    pub(super) changing: Mutex<()>,
    /// What the runtime was given last.
    pub(super) present: parking_lot::Mutex<Vec<StoredRoute>>,
    /// The last shadow of each kind that ended.
    pub(super) ended: parking_lot::Mutex<BTreeMap<Kind, ShadowView>>,
    /// What the sides of an analytics canary forecast.
    pub(super) foresight: Arc<Foresight>,
}

impl StrategyService {
    pub(super) fn new(ports: Ports, foresight: Arc<Foresight>) -> Self {
        Self {
            ports,
            foresight,
            changing: Mutex::default(),
            present: parking_lot::Mutex::default(),
            ended: parking_lot::Mutex::default(),
        }
    }

    /// Gives the runtime what is stored. To be called once before serving.
    ///
    /// # Errors
    /// The datastore's.
    pub async fn load(&self) -> Result<()> {
        let _changing = self.changing.lock().await;
        let stored = self.stored().await?;
        self.take_over(&stored);
        Ok(())
    }

    /// The routes of every kind.
    ///
    /// # Errors
    /// The datastore's.
    pub async fn list(&self) -> Result<Vec<RouteView>> {
        Ok(self.views(self.stored().await?))
    }

    /// Changes routes, all or none, and gives those of every kind.
    ///
    /// # Errors
    /// [`Error::Validation`] for a plugin that is not loaded, or that decides something else.
    pub async fn change(
        &self,
        by: Option<KeyId>,
        changes: BTreeMap<Kind, RouteChange>,
    ) -> Result<Vec<RouteView>> {
        for (kind, change) in &changes {
            self.check(*kind, change)?;
        }
        let _changing = self.changing.lock().await;
        let configured = self.ports.runtime.configured();
        let shadowed = self.shadowed();
        let seen = shadowed.clone();
        let job = move |tx: &mut dyn crate::ports::WriteTx, at| {
            let mut all = tx.strategy_routes()?;
            for (kind, change) in changes {
                let place = all.iter().position(|r| r.kind == kind);
                let before = place.map_or_else(|| StoredRoute::new(kind), |i| all[i].clone());
                let mut after = before.clone();
                change.apply(&mut after.route, configured.get(&kind), at);
                if after.route == before.route {
                    continue;
                }
                (after.version, after.updated_at, after.updated_by) = (before.version + 1, at, by);
                let mut told = steps(kind, &before.route, &after.route, configured.get(&kind), by);
                told.extend(canaries::steps(kind, &before.route, &after.route, by));
                let seen = seen.get(&kind).map(|(_, report)| report);
                told.extend(shadows::steps(kind, &before.route, &after.route, by, seen));
                for detail in told {
                    let event = NewEvent::new(EventKind::StrategyRouteChanged, 1.0)
                        .with_detail(object(detail));
                    tx.append_daemon_event(at, &event)?;
                }
                tx.put_strategy_route(&after)?;
                match place {
                    Some(i) => all[i] = after,
                    None => all.push(after),
                }
            }
            Ok(all)
        };
        let stored = self.ports.write(job).await?;
        self.take_over(&stored);
        self.keep_ended(shadowed, &stored, "it was ended by order");
        Ok(self.views(stored))
    }

    async fn stored(&self) -> Result<Vec<StoredRoute>> {
        let store = &self.ports.store;
        store.read(ReadCost::Point, |tx| tx.strategy_routes()).await
    }

    /// What the daemon itself changes of a kind's route, with the event of it: `change` gives its detail, or none where
    /// there is nothing left to change. To be called while `changing` is held.
    pub(super) async fn amend(
        &self,
        kind: Kind,
        change: impl FnOnce(&mut KindRoute) -> Option<Value> + Send + 'static,
    ) -> Result<Vec<StoredRoute>> {
        let job = move |tx: &mut dyn crate::ports::WriteTx, at| {
            let mut all = tx.strategy_routes()?;
            let Some(stored) = all.iter_mut().find(|r| r.kind == kind) else {
                return Ok(all);
            };
            let Some(detail) = change(&mut stored.route) else {
                return Ok(all);
            };
            (stored.version, stored.updated_at) = (stored.version + 1, at);
            stored.updated_by = None;
            let event =
                NewEvent::new(EventKind::StrategyRouteChanged, 1.0).with_detail(object(detail));
            tx.append_daemon_event(at, &event)?;
            tx.put_strategy_route(stored)?;
            Ok(all)
        };
        let stored = self.ports.write(job).await?;
        self.take_over(&stored);
        Ok(stored)
    }

    pub(super) fn take_over(&self, stored: &[StoredRoute]) {
        let routes = stored.iter().map(|r| (r.kind, r.route.clone())).collect();
        self.ports.runtime.set_routes(routes);
        let analytics = stored.iter().find(|r| r.kind == Kind::AnalyticsProcessor);
        self.foresight
            .set(analytics.and_then(|r| r.route.canary.clone()));
        *self.present.lock() = stored.to_vec();
    }

    fn views(&self, stored: Vec<StoredRoute>) -> Vec<RouteView> {
        let mut configured = self.ports.runtime.configured();
        let mut stored: BTreeMap<Kind, StoredRoute> =
            stored.into_iter().map(|r| (r.kind, r)).collect();
        let view = |kind| {
            let of = stored
                .remove(&kind)
                .unwrap_or_else(|| StoredRoute::new(kind));
            let configured = configured.remove(&kind);
            RouteView {
                kind,
                default: of.route.default.or_else(|| configured.clone()),
                configured,
                domains: of.route.domains,
                seen: of.route.canary.as_ref().and_then(|_| self.seen(kind)),
                canary: of.route.canary,
                shadowed: of
                    .route
                    .shadow
                    .as_ref()
                    .and_then(|_| self.ports.runtime.shadow(kind)),
                shadow: of.route.shadow,
                version: of.version,
                updated_at: (of.version > 0).then_some(of.updated_at),
                updated_by: of.updated_by,
            }
        };
        Kind::ALL.into_iter().map(view).collect()
    }

    fn check(&self, kind: Kind, change: &RouteChange) -> Result<()> {
        if let Some(Some(name)) = &change.default {
            self.check_plugin(kind, &format!("strategies.{kind}.default"), name)?;
        }
        if let Some(Some(order)) = &change.canary {
            let field = format!("strategies.{kind}.canary");
            order.check(&field)?;
            self.check_candidate(kind, &field, order.plugin.as_ref(), order.revision, change)?;
        }
        if let Some(Some(order)) = &change.shadow {
            let field = format!("strategies.{kind}.shadow");
            order.check(&field)?;
            self.check_candidate(kind, &field, order.plugin.as_ref(), order.revision, change)?;
        }
        let Some(domains) = &change.domains else {
            return Ok(());
        };
        if domains.len() > DOMAIN_ROUTES_MAX {
            return Err(Error::field(
                format!("strategies.{kind}.domains"),
                format!(
                    "at most {DOMAIN_ROUTES_MAX} domains may have a route of their own, got {}",
                    domains.len()
                ),
            ));
        }
        domains.iter().try_for_each(|(domain, name)| {
            self.check_plugin(kind, &format!("strategies.{kind}.domains.{domain}"), name)
        })
    }

    /// Refuses what could not be set against the default now: a plugin that does not serve, a revision that is
    /// not kept, and what serves by default already. Without a plugin, the revision is one of the default's.
    fn check_candidate(
        &self,
        kind: Kind,
        field: &str,
        plugin: Option<&String>,
        revision: Option<u64>,
        change: &RouteChange,
    ) -> Result<()> {
        let default = match &change.default {
            Some(Some(name)) => Some(name.clone()),
            Some(None) => self.ports.runtime.configured().remove(&kind),
            None => self.default_of(kind),
        };
        let Some(name) = plugin.or(default.as_ref()) else {
            let message =
                format!("no plugin serves as {kind}, so that there is nothing to compare");
            return Err(Error::field(field, message));
        };
        self.check_plugin(kind, &format!("{field}.plugin"), name)?;
        if let Some(wanted) = revision {
            let kept = self.ports.runtime.revisions(name);
            if !kept.contains(&wanted) {
                let kept: Vec<String> = kept.iter().map(u64::to_string).collect();
                let kept = kept.join(", ");
                let message = format!("revision {wanted} of '{name}' is not kept; kept: {kept}");
                return Err(Error::field(format!("{field}.revision"), message));
            }
        }
        let serves = |wanted| self.serving_revision(name) == Some(wanted);
        if default.as_ref() == Some(name) && revision.is_none_or(serves) {
            let message = format!("'{name}' serves by default: it would be compared with itself");
            return Err(Error::field(field, message));
        }
        Ok(())
    }

    /// The revision of a plugin that serves; none = it does not serve.
    pub(super) fn serving_revision(&self, plugin: &str) -> Option<u64> {
        Some(self.ports.runtime.plugin(plugin)?.current?.revision)
    }

    /// The plugin that serves a kind by default.
    pub(super) fn default_of(&self, kind: Kind) -> Option<String> {
        let present = self.present.lock();
        let stored = present.iter().find(|r| r.kind == kind);
        let routed = stored.and_then(|r| r.route.default.clone());
        routed.or_else(|| self.ports.runtime.configured().remove(&kind))
    }

    /// Refuses a plugin that could not serve now.
    fn check_plugin(&self, kind: Kind, field: &str, name: &str) -> Result<()> {
        check_plugin_name(field, name)?;
        let plugins = self.ports.runtime.plugins();
        let mut serving = plugins
            .iter()
            .filter(|p| p.kind == Some(kind) && p.is_serving());
        if serving.clone().any(|p| p.name == name) {
            return Ok(());
        }
        let loaded: Vec<&str> = serving.by_ref().map(|p| p.name.as_str()).collect();
        let loaded = if loaded.is_empty() {
            "none".to_owned()
        } else {
            loaded.join(", ")
        };
        Err(Error::field(
            field,
            format!("no {kind} is called '{name}'; loaded: {loaded}"),
        ))
    }
}

impl RouteChange {
    fn apply(self, route: &mut KindRoute, configured: Option<&String>, at: Timestamp) {
        if let Some(default) = self.default {
            route.default = default;
        }
        if let Some(domains) = self.domains {
            route.domains = domains;
        }
        let default = route.default.as_ref().or(configured);
        route.canary = canaries::apply(self.canary, route.canary.take(), default, at);
        route.shadow = shadows::apply(self.shadow, route.shadow.take(), default, at);
    }
}

/// What changed between two states, one detail for each route.
fn steps(
    kind: Kind,
    before: &KindRoute,
    after: &KindRoute,
    configured: Option<&String>,
    by: Option<KeyId>,
) -> Vec<Value> {
    let detail = |domain: Option<&Domain>, from: Option<&String>, to: Option<&String>| {
        json!({
            "kind": kind, "change": "route", "domain": domain, "from": from, "to": to, "plugin": to, "by": by,
        })
    };
    let mut steps = Vec::new();
    if before.default != after.default {
        let of = |route: &KindRoute| route.default.clone().or_else(|| configured.cloned());
        steps.push(detail(None, of(before).as_ref(), of(after).as_ref()));
    }
    let domains: std::collections::BTreeSet<&Domain> =
        before.domains.keys().chain(after.domains.keys()).collect();
    for domain in domains {
        let (from, to) = (before.domains.get(domain), after.domains.get(domain));
        if from != to {
            steps.push(detail(Some(domain), from, to));
        }
    }
    steps
}

/// What runs after an order for `fresh`: what ran before, where that is the same but for when it began, else `fresh`.
pub(super) fn run_on<T: PartialEq>(
    fresh: T,
    before: Option<T>,
    as_of: impl FnOnce(&T, &T) -> T,
) -> T {
    match before {
        Some(before) if as_of(&fresh, &before) == before => before,
        _ => fresh,
    }
}
