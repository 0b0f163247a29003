//! The registry: which plugins there are, and which revision of each serves.
//!
//! Readers take one immutable [`Snapshot`] and see one consistent state for the whole call;
//! writers build the next snapshot and put it in place at once. A revision in use lives on
//! for as long as a call holds it: `Loading → Active → Draining → Retired`, or a file is quarantined and the
//! revision before it goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};
use nova_core::domain::{Clock, SystemClock};
use nova_core::ports::runtime::{
    BreakerState, PluginLimits, PluginState, PluginStatus, Quarantine, RevisionStatus, RolledBack,
    ServingFrom,
};
use nova_core::strategy::Kind;
use nova_core::strategy::route::{KindRoute, Routes};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, watch};

use crate::aside::Aside;
use crate::breaker::{Breaker, BreakerConfig};
use crate::invoke::Unit;
use crate::kept::Origin;
use crate::shadow;
use crate::stats::{Endings, Stats};
use crate::trial::Trial;

/// Refused files remembered per plugin.
const REFUSED_MAX: usize = 32;

/// One loaded version of a plugin. Everything but its counters is fixed.
pub(crate) struct Revision {
    /// What calls run.
    pub(crate) unit: Unit,
    pub(crate) kind: Kind,
    pub(crate) status: RevisionStatus,
    pub(crate) summary: String,
    pub(crate) confidence: String,
    pub(crate) settings: Map<String, Value>,
    /// What can be set; none = the component does not say.
    settings_schema: Option<Arc<Value>>,
    /// Calls at a time.
    pub(crate) turns: Arc<Semaphore>,
    /// Calls now.
    pub(crate) in_flight: AtomicU64,
    /// The plugin's numbers, shared by all its revisions.
    pub(crate) stats: Arc<Stats>,
    /// What the metrics count of this revision.
    pub(crate) endings: Endings,
    pub(crate) breaker: Breaker,
    /// When it first served, as far as that is known: what is new is watched.
    pub(crate) since: Option<Instant>,
    /// Calls that it failed and that an earlier revision then answered.
    pub(crate) blamed: AtomicU64,
}

impl Revision {
    pub(crate) fn new(
        number: u64,
        loaded: Loaded,
        stats: Arc<Stats>,
        breaker: BreakerConfig,
        since: Option<Instant>,
    ) -> Self {
        Self {
            kind: loaded.unit.guest.kind(),
            turns: Arc::new(Semaphore::new(loaded.unit.limits.concurrency as usize)),
            in_flight: AtomicU64::new(0),
            stats,
            endings: Endings::new(&loaded.unit.plugin, loaded.unit.guest.kind(), number),
            breaker: Breaker::new(breaker),
            since,
            blamed: AtomicU64::new(0),
            status: RevisionStatus {
                revision: number,
                version: loaded.version,
                digest: loaded.digest,
                activated_at: SystemClock.now(),
                size_bytes: loaded.size_bytes,
                load_ms: loaded.load_ms,
                from_cache: loaded.from_cache,
                breaker: BreakerState::Closed,
                gate: loaded.gate,
            },
            summary: loaded.summary,
            confidence: loaded.confidence,
            settings: loaded.settings,
            settings_schema: loaded.settings_schema,
            unit: loaded.unit,
        }
    }

    /// What an operator sees of it now.
    pub(crate) fn status(&self) -> RevisionStatus {
        RevisionStatus {
            breaker: self.breaker.state(),
            ..self.status.clone()
        }
    }
}

/// What a load made, before it has a number.
pub(crate) struct Loaded {
    pub(crate) unit: Unit,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) confidence: String,
    pub(crate) settings: Map<String, Value>,
    pub(crate) settings_schema: Option<Arc<Value>>,
    pub(crate) digest: String,
    pub(crate) size_bytes: u64,
    pub(crate) load_ms: f64,
    pub(crate) from_cache: bool,
    pub(crate) origin: Origin,
    /// What the gate said of it.
    pub(crate) gate: Option<String>,
}

/// One plugin in a snapshot.
#[derive(Clone)]
pub(crate) struct Plugin {
    name: Arc<str>,
    pub(crate) file: String,
    kind: Option<Kind>,
    pub(crate) current: Option<Arc<Revision>>,
    /// Replaced revisions, newest first: what a fallback or rollback serves.
    pub(crate) previous: Vec<Arc<Revision>>,
    pub(crate) quarantine: Option<Quarantine>,
    refused: Vec<Quarantine>,
    serving_from: ServingFrom,
    rolled_back: Option<RolledBack>,
    stats: Option<Arc<Stats>>,
}

impl Plugin {
    /// One of which nothing is known but its name.
    fn unknown(name: Arc<str>) -> Self {
        Self {
            name,
            file: String::new(),
            kind: None,
            current: None,
            previous: Vec::new(),
            quarantine: None,
            refused: Vec::new(),
            serving_from: ServingFrom::Directory,
            rolled_back: None,
            stats: None,
        }
    }

    /// A revision that is still there, by its number.
    pub(crate) fn revision(&self, number: u64) -> Option<Arc<Revision>> {
        let mut all = self.current.iter().chain(&self.previous);
        all.find(|r| r.status.revision == number).cloned()
    }
}

/// One consistent state of everything.
#[derive(Clone)]
pub(crate) struct Snapshot {
    plugins: BTreeMap<Arc<str>, Arc<Plugin>>,
    /// Which plugin serves a kind by the configuration.
    pub(crate) configured: BTreeMap<Kind, String>,
    /// What an operator said above that.
    pub(crate) routes: Routes,
    /// The canaries that run.
    pub(crate) trials: BTreeMap<Kind, Arc<Trial>>,
    /// The shadows that run.
    pub(crate) shadows: BTreeMap<Kind, Arc<shadow::Run>>,
    /// What these name and no plugin has in memory.
    pub(crate) aside: BTreeMap<(Arc<str>, u64), Aside>,
    /// All that lay in the directory at the start was looked at.
    pub(crate) settled: bool,
}

impl Snapshot {
    /// Plugins that can serve a kind.
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &str> {
        let serving = self
            .plugins
            .values()
            .filter(move |p| p.current.as_ref().is_some_and(|r| r.kind == kind));
        serving.map(|plugin| &*plugin.name)
    }

    /// A plugin by name.
    pub(crate) fn plugin(&self, name: &str) -> Option<&Plugin> {
        self.plugins.get(name).map(|plugin| &**plugin)
    }

    /// What an operator sees of all plugins.
    pub(crate) fn statuses(&self, limits: &PluginLimits) -> Vec<PluginStatus> {
        self.plugins
            .values()
            .map(|plugin| self.status(plugin, limits))
            .collect()
    }

    /// What an operator sees of one. `limits` stand for those of a plugin that never loaded.
    pub(crate) fn status(&self, plugin: &Plugin, limits: &PluginLimits) -> PluginStatus {
        let current = plugin.current.as_ref();
        let state = match current {
            Some(revision) if self.is_routed(revision.kind, &plugin.name) => PluginState::Active,
            Some(revision)
                if self
                    .trials
                    .get(&revision.kind)
                    .is_some_and(|trial| trial.canary.is_of(&plugin.name)) =>
            {
                PluginState::Canary
            }
            Some(revision)
                if self
                    .shadows
                    .get(&revision.kind)
                    .is_some_and(|run| run.order.is_of(&plugin.name)) =>
            {
                PluginState::Shadow
            }
            Some(_) => PluginState::Standby,
            None if plugin.quarantine.is_some() => PluginState::Quarantined,
            None => PluginState::Loading,
        };
        PluginStatus {
            name: plugin.name.to_string(),
            kind: current.map(|revision| revision.kind).or(plugin.kind),
            state,
            summary: current
                .map(|revision| revision.summary.clone())
                .unwrap_or_default(),
            confidence: current
                .map(|revision| revision.confidence.clone())
                .unwrap_or_default(),
            file: plugin.file.clone(),
            serving_from: current.map(|_| plugin.serving_from),
            rolled_back: plugin.rolled_back.clone(),
            staged: None,
            current: current.map(|revision| revision.status()),
            previous: plugin
                .previous
                .iter()
                .map(|revision| revision.status())
                .collect(),
            quarantine: plugin.quarantine.clone(),
            refused: plugin.refused.clone(),
            limits: current.map_or(*limits, |revision| revision.unit.limits),
            settings: current
                .map(|revision| revision.settings.clone())
                .unwrap_or_default(),
            settings_schema: current.and_then(|revision| revision.settings_schema.clone()),
            processors: None,
            stats: plugin
                .stats
                .as_ref()
                .map(|stats| stats.read())
                .unwrap_or_default(),
        }
    }
}

/// A revision that took over.
pub(crate) struct Activated {
    pub(crate) current: Arc<Revision>,
    pub(crate) replaced: Option<Arc<Revision>>,
}

/// The present snapshot, and the ways to the next.
pub(crate) struct Registry {
    snapshot: ArcSwap<Snapshot>,
    /// One writer at a time.
    writing: Mutex<()>,
    /// Wakes who waits for a change.
    changed: watch::Sender<()>,
    kept_revisions: usize,
    breaker: BreakerConfig,
}

impl Registry {
    pub(crate) fn new(
        configured: BTreeMap<Kind, String>,
        kept_revisions: usize,
        breaker: BreakerConfig,
    ) -> Self {
        let empty = Snapshot {
            plugins: BTreeMap::new(),
            configured,
            routes: Routes::new(),
            trials: BTreeMap::new(),
            shadows: BTreeMap::new(),
            aside: BTreeMap::new(),
            settled: false,
        };
        Self {
            snapshot: ArcSwap::from_pointee(empty),
            writing: Mutex::new(()),
            changed: watch::Sender::new(()),
            kept_revisions,
            breaker,
        }
    }

    /// The state now.
    pub(crate) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The state now, to hold on to.
    pub(crate) fn snapshot_full(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Calls from now on are routed by these.
    pub(crate) fn set_routes(&self, routes: Routes) {
        self.replace(|next| {
            let of = |(kind, route): (&Kind, &KindRoute)| {
                let canary = route.canary.as_ref()?;
                let running = next.trials.get(kind).filter(|t| t.canary == *canary);
                let fresh = || Arc::new(Trial::new(canary.clone()));
                Some((*kind, running.map_or_else(fresh, Arc::clone)))
            };
            next.trials = routes.iter().filter_map(of).collect();
            let of = |(kind, route): (&Kind, &KindRoute)| {
                let order = route.shadow.as_ref()?;
                let running = next.shadows.get(kind).filter(|run| run.order == *order);
                let fresh = || Arc::new(shadow::Run::new(*kind, order.clone()));
                Some((*kind, running.map_or_else(fresh, Arc::clone)))
            };
            next.shadows = routes.iter().filter_map(of).collect();
            next.routes = routes;
        });
    }

    /// All that lay in the directory at the start was looked at.
    pub(crate) fn settled(&self) {
        self.replace(|next| next.settled = true);
    }

    /// Puts a changed snapshot in the present one's place.
    pub(crate) fn replace<T>(&self, change: impl FnOnce(&mut Snapshot) -> T) -> T {
        let _writing = self.writing.lock();
        let mut next = Snapshot::clone(&self.snapshot.load());
        let answer = change(&mut next);
        next.tidy();
        self.snapshot.store(Arc::new(next));
        self.changed.send_replace(());
        answer
    }

    /// Is told of every new snapshot.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A file is being loaded: from now on the plugin is seen.
    pub(crate) fn loading(&self, name: &str, file: &str) {
        self.change(name, file, |_| ());
    }

    /// A revision was loaded, got its number and serves from now on. One from the kept revisions
    /// leaves the quarantine of the file that it stands in for.
    pub(crate) fn activate(
        &self,
        name: &str,
        file: &str,
        number: u64,
        from: ServingFrom,
        since: Option<Instant>,
        loaded: Loaded,
    ) -> Activated {
        let (kept, breaker) = (self.kept_revisions, self.breaker);
        self.change(name, file, |plugin| {
            let kind = loaded.unit.guest.kind();
            // Numbers of another kind would be compared with these.
            let stats = match &plugin.stats {
                Some(stats) if plugin.kind == Some(kind) => Arc::clone(stats),
                _ => Arc::new(Stats::new(&plugin.name, kind)),
            };
            let stand = Arc::clone(&stats);
            let revision = Arc::new(Revision::new(number, loaded, stand, breaker, since));
            plugin.serving_from = from;
            plugin.kind = Some(kind);
            plugin.stats = Some(stats);
            if from == ServingFrom::Directory {
                plugin.quarantine = None;
                plugin.rolled_back = None;
            }
            let replaced = plugin.current.replace(Arc::clone(&revision));
            if let Some(replaced) = &replaced {
                plugin.previous.insert(0, Arc::clone(replaced));
            }
            plugin.previous.retain(|r| r.status.revision < number);
            plugin.previous.truncate(kept);
            Activated {
                current: revision,
                replaced,
            }
        })
    }

    /// A replaced revision serves again; none = it is not in memory any more.
    pub(crate) fn restore(&self, name: &str, number: u64) -> Option<Activated> {
        self.replace(|next| {
            let plugin = Arc::make_mut(next.plugins.get_mut(name)?);
            let wanted = |r: &&Arc<Revision>| r.status.revision == number;
            let current = Arc::clone(plugin.previous.iter().find(wanted)?);
            plugin.previous.retain(|r| r.status.revision < number);
            plugin.serving_from = ServingFrom::Kept;
            Some(Activated {
                replaced: plugin.current.replace(Arc::clone(&current)),
                current,
            })
        })
    }

    /// Newer revisions than the serving one were taken back, or not any more.
    pub(crate) fn held_back(&self, name: &str, why: Option<RolledBack>) {
        self.replace(|next| {
            if let Some(plugin) = next.plugins.get_mut(name) {
                Arc::make_mut(plugin).rolled_back = why;
            }
        });
    }

    /// An earlier revision than the serving one, to stand in for it.
    pub(crate) fn reserve(&self, name: &str, number: u64, loaded: Loaded) {
        let breaker = self.breaker;
        self.replace(|next| {
            let Some(plugin) = next.plugins.get_mut(name).map(Arc::make_mut) else {
                return;
            };
            let Some(current) = &plugin.current else {
                return;
            };
            let kind = loaded.unit.guest.kind();
            if kind == current.kind
                && number < current.status.revision
                && plugin.previous.is_empty()
            {
                let stats = Arc::clone(&current.stats);
                let revision = Revision::new(number, loaded, stats, breaker, None);
                plugin.previous.push(Arc::new(revision));
            }
        });
    }

    /// The file is what already serves.
    pub(crate) fn unchanged(&self, name: &str, file: &str) {
        self.change(name, file, |plugin| {
            plugin.quarantine = None;
            plugin.serving_from = ServingFrom::Directory;
        });
    }

    /// A file was refused; what served before goes on.
    pub(crate) fn refuse(
        &self,
        name: &str,
        file: &str,
        kind: Option<Kind>,
        quarantine: Quarantine,
    ) {
        self.change(name, file, |plugin| {
            plugin.kind = plugin.kind.or(kind);
            plugin.refused.insert(0, quarantine.clone());
            plugin.refused.truncate(REFUSED_MAX);
            plugin.quarantine = Some(quarantine);
        });
    }

    /// The plugin is gone; gives what served until now.
    pub(crate) fn retire(&self, name: &str) -> Option<Arc<Revision>> {
        self.replace(|next| next.plugins.remove(name)?.current.clone())
    }

    fn change<T>(&self, name: &str, file: &str, change: impl FnOnce(&mut Plugin) -> T) -> T {
        self.replace(|next| {
            let name: Arc<str> = name.into();
            let mut plugin = match next.plugins.get(&name) {
                Some(plugin) => Plugin::clone(plugin),
                None => Plugin::unknown(Arc::clone(&name)),
            };
            file.clone_into(&mut plugin.file);
            let answer = change(&mut plugin);
            next.plugins.insert(name, Arc::new(plugin));
            answer
        })
    }
}
