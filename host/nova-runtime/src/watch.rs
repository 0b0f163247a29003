//! The watch over the plugin directory: what appears or changes is loaded, what goes is retired.
//!
//! A file is loaded once its bytes have stopped changing, and once per change; whether it is
//! anything new is decided by its digest. Truncation is a change, not a removal. The kernel's
//! notifications only make it fast: a periodic scan finds what they miss.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use nova_core::ports::runtime::ServingFrom;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::component::{Refused, Stage};
use crate::config::RuntimeConfig;
use crate::events::Events;
use crate::files::{Source, Stamp, scan};
use crate::gate::{Gate, Waiting, newest};
use crate::install::{Installed, Promoted};
use crate::kept::Kept;
use crate::loader::{Loader, Outcome};
use crate::orders::{Order, RollBack};
use crate::processor::Processors;
use crate::registry::{Loaded, Registry};

/// Pause after a notification: a copy makes hundreds of them.
const DEBOUNCE: Duration = Duration::from_millis(10);

/// Plugins of a directory; what comes on top is ignored.
const PLUGINS_MAX: usize = 256;

/// Keeps the registry in step with the directory.
pub(crate) struct Watch {
    pub(crate) config: RuntimeConfig,
    pub(crate) registry: Arc<Registry>,
    pub(crate) loader: Arc<Loader>,
    pub(crate) kept: Arc<Kept>,
    pub(crate) processors: Arc<Processors>,
    pub(crate) events: Arc<Events>,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    /// None: nobody is judged.
    pub(crate) gate: Option<Gate>,
    /// Plugins in the directory beyond the limit.
    pub(crate) ignored: usize,
}

/// What is known of one plugin's files.
pub(crate) struct Known {
    seen: Stamp,
    since: Instant,
    /// The state whose load has ended.
    done: Option<Stamp>,
    loading: bool,
    absent_since: Option<Instant>,
    /// The hidden file has been complained about.
    hidden: bool,
}

impl Known {
    pub(crate) fn new(seen: Stamp) -> Self {
        Self {
            seen,
            since: Instant::now(),
            done: None,
            loading: false,
            absent_since: None,
            hidden: false,
        }
    }
}

/// A look at a plugin's files in the directory.
pub(crate) struct Look {
    pub(crate) source: Source,
    /// Their state when it began.
    pub(crate) stamp: Stamp,
    /// The revision that served then: what comes of the look is about its place.
    pub(crate) against: Option<u64>,
}

/// A load that has ended.
pub(crate) enum Ended {
    /// Of the plugin directory's files.
    Directory(Box<Look>, Outcome),
    /// The same, when the gate has judged it.
    Judged(Box<Look>, Outcome),
    /// Of a kept revision that is to serve while the directory's file is judged.
    Waiting(Waiting),
    /// Of a kept revision of the plugin.
    Kept(String, Option<Box<Loaded>>),
    /// Of an earlier revision, to stand in for the serving one.
    Reserve(String, u64, Outcome),
    /// Of a revision that a canary or a shadow wants.
    Aside(String, u64, Box<Outcome>),
    /// Of an earlier revision that is to serve again.
    RolledBack(RollBack, u64, Box<Outcome>),
    /// Of an uploaded file.
    Installed(Box<Installed>),
    /// Of a staged revision that is to serve.
    Promoted(RollBack, Box<Promoted>),
}

pub(crate) type Loads = JoinSet<Ended>;

impl Watch {
    /// Runs until `stop` says so, or its sender is gone.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let dirty = Arc::new(Notify::new());
        let _watcher = notifications(&self.config.plugin_dir, &dirty);
        let mut known: HashMap<String, Known> = HashMap::new();
        let mut loads = Loads::new();
        let mut complaint = String::new();
        let mut settled = false;
        let mut missing = Some(self.kept.names());
        let mut reserved = HashMap::new();
        loop {
            let dir = self.config.plugin_dir.clone();
            let wait = match tokio::task::spawn_blocking(move || scan(&dir)).await {
                Ok(Ok(found)) => {
                    complaint.clear();
                    for name in missing.take().into_iter().flatten() {
                        if !found.contains_key(&name) {
                            self.serve_kept(&name, &mut loads);
                        }
                    }
                    self.look(found, &mut known, &mut loads)
                }
                Ok(Err(error)) => {
                    // Unreadable is not empty: what serves goes on.
                    if complaint != error.to_string() {
                        complaint = error.to_string();
                        tracing::error!(dir = %self.config.plugin_dir.display(), %error, "the plugin directory cannot be read");
                    }
                    self.interval()
                }
                Err(_) => return, // The async runtime is ending.
            };
            if !settled && loads.is_empty() && known.values().all(|k| k.done.is_some()) {
                settled = true;
                self.registry.settled();
            }
            if settled {
                self.load_reserves(&mut reserved, &mut loads);
                self.load_wanted(&mut loads);
            }
            tokio::select! {
                () = dirty.notified() => tokio::time::sleep(DEBOUNCE).await,
                Some(ended) = loads.join_next() => match ended {
                    Ok(Ended::Directory(look, outcome)) => {
                        let ended = self.contest(look, outcome, &mut loads);
                        self.looked_at(ended, &mut known, &mut loads);
                    }
                    Ok(Ended::Waiting(waiting)) => {
                        let ended = self.serve_before(waiting, &mut loads);
                        self.looked_at(ended, &mut known, &mut loads);
                    }
                    Ok(Ended::Judged(look, outcome)) => {
                        self.looked_at(Some((look, outcome)), &mut known, &mut loads);
                    }
                    Ok(Ended::Kept(name, loaded)) => self.kept_loaded(&name, loaded),
                    Ok(Ended::Reserve(name, number, Outcome::Loaded(loaded))) => {
                        self.registry.reserve(&name, number, *loaded);
                    }
                    Ok(Ended::Reserve(name, number, _)) => {
                        tracing::warn!(plugin = name, revision = number, "an earlier revision cannot stand in any more");
                    }
                    Ok(Ended::Aside(name, number, outcome)) => {
                        self.set_aside(&name, number, *outcome);
                    }
                    Ok(Ended::RolledBack(order, number, outcome)) => {
                        self.rolled_back(order, number, Some(*outcome));
                    }
                    Ok(Ended::Installed(installed)) => self.installed(*installed),
                    Ok(Ended::Promoted(order, promoted)) => self.promoted(order, *promoted),
                    Err(error) => tracing::error!(%error, "a load broke off"),
                },
                Some(order) = self.orders.recv() => match order {
                    Order::RollBack(order) => self.roll_back(order, &mut loads),
                    Order::Look => {}
                    Order::Install(order) => self.install(order, &mut loads),
                    Order::Remove { plugin, by, reply } => {
                        let answer = self.remove(&plugin, by);
                        if answer.is_ok() {
                            known.remove(&plugin);
                        }
                        drop(reply.send(answer));
                    }
                },
                () = tokio::time::sleep(wait) => {}
                _ = stop.changed() => return,
            }
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(self.config.scan_interval_ms.max(10))
    }

    /// Compares what is there with what is known; gives the time until the next look.
    fn look(
        &mut self,
        found: BTreeMap<String, (Source, Stamp)>,
        known: &mut HashMap<String, Known>,
        loads: &mut Loads,
    ) -> Duration {
        let mut wait = self.interval();
        for (name, known) in known.iter_mut() {
            let gone = match found.get(name) {
                None => true,
                Some((source, stamp)) => source.is_removed(stamp) && self.serves(name),
            };
            match (gone, known.absent_since) {
                (true, None) => known.absent_since = Some(Instant::now()),
                (false, Some(_)) => known.absent_since = None,
                _ => {}
            }
        }
        let grace = Duration::from_millis(self.config.retire_grace_ms);
        known.retain(|name, known| {
            let Some(since) = known.absent_since.filter(|_| !known.loading) else {
                return true;
            };
            let left = grace.saturating_sub(since.elapsed());
            if left.is_zero() {
                self.retire(name);
                return false;
            }
            wait = wait.min(left);
            true
        });
        let mut ignored = 0;
        for (name, (source, stamp)) in found {
            // Who came first stays: a plugin too many takes nobody's place.
            if known.len() >= PLUGINS_MAX && !known.contains_key(&name) {
                ignored += 1;
                continue;
            }
            let known = known.entry(name).or_insert_with(|| Known::new(stamp));
            self.hidden(&source, known);
            if known.loading || known.absent_since.is_some() || known.done == Some(stamp) {
                continue;
            }
            if known.seen != stamp {
                (known.seen, known.since) = (stamp, Instant::now());
            }
            let quiet = stamp.age().unwrap_or_default().max(known.since.elapsed());
            let left = self.config.settle().saturating_sub(quiet);
            if !left.is_zero() {
                wait = wait.min(left);
                continue;
            }
            known.loading = true;
            self.load(source, stamp, loads);
        }
        if std::mem::replace(&mut self.ignored, ignored) != ignored {
            tracing::warn!(dir = %self.config.plugin_dir.display(), ignored, limit = PLUGINS_MAX, "plugins beyond the limit are ignored");
        }
        wait
    }

    pub(crate) fn serves(&self, name: &str) -> bool {
        self.serving(name).is_some()
    }

    /// The number of the revision that serves.
    pub(crate) fn serving(&self, name: &str) -> Option<u64> {
        let snapshot = self.registry.snapshot();
        let current = snapshot.plugin(name)?.current.as_ref()?;
        Some(current.status.revision)
    }

    fn load(&self, source: Source, stamp: Stamp, loads: &mut Loads) {
        self.registry.loading(&source.name, &source.file());
        let serving = self
            .registry
            .snapshot()
            .plugin(&source.name)
            .and_then(|plugin| plugin.current.clone());
        let (loader, withdrawn) = (Arc::clone(&self.loader), self.kept.withdrawn(&source.name));
        loads.spawn(async move {
            let outcome = loader.load(&source, serving.as_ref(), &withdrawn).await;
            let look = Look {
                source,
                stamp,
                against: serving.map(|serving| serving.status.revision),
            };
            Ended::Directory(Box::new(look), outcome)
        });
    }

    /// Loads the newest good revision that is kept of a plugin, where one is.
    fn serve_kept(&self, name: &str, loads: &mut Loads) {
        let (name, sources) = (name.to_owned(), self.kept.sources(name));
        if sources.is_empty() {
            return;
        }
        let loader = Arc::clone(&self.loader);
        loads.spawn(async move {
            let loaded = newest(&loader, &name, sources).await;
            Ended::Kept(name, loaded)
        });
    }

    /// Loads the revision before the serving one of each plugin, where it is kept and no other is in memory: a
    /// fallback is to be there after a start and after a rollback, too. Each is tried once.
    fn load_reserves(&self, reserved: &mut HashMap<String, u64>, loads: &mut Loads) {
        let snapshot = self.registry.snapshot_full();
        for name in self.kept.names() {
            let plugin = snapshot.plugin(&name).filter(|p| p.previous.is_empty());
            let Some(current) = plugin.and_then(|p| p.current.as_ref()) else {
                continue;
            };
            let current = current.status.revision;
            if reserved.insert(name.clone(), current) == Some(current) {
                continue;
            }
            let Some((number, source)) = self.kept.find(&name, None, current) else {
                continue;
            };
            let loader = Arc::clone(&self.loader);
            loads.spawn(async move {
                Ended::Reserve(name, number, loader.load(&source, None, &[]).await)
            });
        }
    }

    fn kept_loaded(&self, name: &str, loaded: Option<Box<Loaded>>) {
        // A good file that came meanwhile is newer.
        let Some(loaded) = loaded.filter(|_| !self.serves(name)) else {
            return;
        };
        let file = self
            .registry
            .snapshot()
            .plugin(name)
            .map(|p| p.file.clone());
        tracing::warn!(
            plugin = name,
            "a kept revision serves: the plugin directory holds no other that may"
        );
        self.activate(name, &file.unwrap_or_default(), ServingFrom::Kept, *loaded);
        self.registry.held_back(name, self.kept.rolled_back(name));
    }

    /// A file of the directory was loaded or refused; none = it is not known yet.
    pub(crate) fn looked_at(
        &self,
        ended: Option<(Box<Look>, Outcome)>,
        known: &mut HashMap<String, Known>,
        loads: &mut Loads,
    ) {
        let Some((look, outcome)) = ended else {
            return;
        };
        let name = &look.source.name;
        // What was ordered meanwhile is newer than what was found out: the file is looked at again.
        let is_late = self.serving(name) != look.against;
        let outcome = if is_late { Outcome::Moved } else { outcome };
        let refused = matches!(outcome, Outcome::Refused { .. } | Outcome::Withheld);
        self.loaded(&look, outcome, known);
        if refused && !self.serves(name) {
            self.serve_kept(name, loads);
        }
    }

    fn loaded(&self, look: &Look, outcome: Outcome, known: &mut HashMap<String, Known>) {
        let Look { source, stamp, .. } = look;
        let name = source.name.as_str();
        if !known.contains_key(name) {
            return; // Removed by order meanwhile.
        }
        let moved = matches!(outcome, Outcome::Moved);
        match outcome {
            Outcome::Moved => {
                tracing::debug!(plugin = name, "the file, or what serves, changed meanwhile");
            }
            Outcome::Withheld => {
                tracing::debug!(plugin = name, "the file is a revision that was taken back");
            }
            Outcome::Unchanged(unchanged) => self.unchanged(source, unchanged),
            Outcome::Loaded(loaded) => {
                self.activate(name, &source.file(), ServingFrom::Directory, *loaded);
            }
            Outcome::Refused {
                digest,
                kind,
                refused,
            } => self.refuse(source, digest, kind, refused),
        }
        if let Some(known) = known.get_mut(name) {
            known.loading = false;
            if !moved {
                known.done = Some(*stamp);
            }
        }
    }

    /// Says once that a folder hides a lone file of the same name.
    fn hidden(&self, source: &Source, known: &mut Known) {
        if let (Some(hidden), false) = (&source.hidden, known.hidden) {
            let reason = format!(
                "{} is not loaded: the folder of the same name serves; remove one of them",
                hidden.display()
            );
            self.refuse(source, None, None, Refused::new(Stage::Manifest, reason));
        }
        known.hidden = source.hidden.is_some();
    }
}

/// The kernel's notifications, where they can be had.
fn notifications(dir: &Path, dirty: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let wake = Arc::clone(dirty);
    let handler = move |event: notify::Result<notify::Event>| {
        // Our own reading is an access; what fails to arrive is found by the next scan.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            wake.notify_one();
        }
    };
    let watcher = notify::recommended_watcher(handler).and_then(|mut watcher| {
        watcher.watch(dir, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    watcher.inspect_err(|error| tracing::warn!(dir = %dir.display(), %error, "no notifications, the plugin directory is only scanned")).ok()
}
