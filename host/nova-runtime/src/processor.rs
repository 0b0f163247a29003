//! Live analytics processors: one for each plugin and domain, caught up before it answers; another for a revision
//! on trial beside the serving one.
//!
//! Each is an actor behind its own lock: one question at a time, and none of them waits for
//! another's. What a processor knows comes from recorded events alone, so that it can be dropped
//! at any time (a trap, too many of them) and is rebuilt by the next question. A new revision takes over
//! the state of the one before it, where it can read it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use nova_core::domain::Domain;
use nova_core::ports::runtime::ProcessorStatus;
use nova_core::ports::{Datastore, DatastoreExt, ReadCost};
use nova_core::strategy::analytics::{AnalyticsQuery, AnalyticsReport};
use parking_lot::Mutex;

use crate::error::Failure;
use crate::invoke::{Asked, Invoker, Unit};
use crate::live::Live;
use crate::registry::Revision;

/// Events handed over in one guest call.
const BATCH: usize = 2000;

/// Why a processor has no report.
#[derive(Debug)]
pub(crate) enum Trouble {
    Guest(Failure),
    Datastore(nova_core::Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Guest(failure)
    }
}

/// Plugin, domain, and the revision where it is one beside the serving one.
type Key = (Arc<str>, Domain, Option<u64>);

/// The processors alive now; at most so many.
pub(crate) struct Processors {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    limit: usize,
    /// By plugin, since the daemon started.
    begun: Mutex<HashMap<Arc<str>, Begun>>,
    /// Counts questions, to know which processor was asked least recently.
    clock: AtomicU64,
}

/// How processors began.
#[derive(Clone, Copy, Default)]
struct Begun {
    /// With the state of another revision's.
    carried_over: u64,
    /// With nothing.
    rebuilt: u64,
}

#[derive(Default)]
struct Slot {
    asked: AtomicU64,
    /// Events handed over so far.
    ingested: AtomicU64,
    is_catching_up: AtomicBool,
    /// Taken out while it is asked: what fails, panics or is cut off does not come back.
    live: tokio::sync::Mutex<Option<(Arc<Revision>, Live)>>,
}

/// Says that a processor catches up, for as long as it is held.
struct Progress(Arc<Slot>);

impl Progress {
    fn of(slot: &Arc<Slot>) -> Self {
        slot.is_catching_up.store(true, Relaxed);
        Self(Arc::clone(slot))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.is_catching_up.store(false, Relaxed);
    }
}

impl Processors {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Mutex::default(),
            limit: limit.max(1),
            begun: Mutex::default(),
            clock: AtomicU64::new(0),
        }
    }

    /// Brings the domain's processor up to the newest recorded event, and asks it. A revision beside the serving one
    /// has a processor of its own, so that the two take no state from each other with every question.
    pub(crate) async fn report(
        &self,
        invoker: &Invoker,
        datastore: &dyn Datastore,
        (revision, is_beside): (&Arc<Revision>, bool),
        domain: &Domain,
        query: &AnalyticsQuery,
    ) -> Result<Asked<AnalyticsReport>, Trouble> {
        let unit = &revision.unit;
        let beside = is_beside.then_some(revision.status.revision);
        let slot = self.slot((Arc::clone(&unit.plugin), domain.clone(), beside))?;
        let turn = tokio::time::timeout(
            Duration::from_millis(unit.limits.queue_ms),
            slot.live.lock(),
        );
        let Ok(mut seat) = turn.await else {
            let what = format!("'{}' is still busy with domain '{domain}'", unit.plugin);
            return Err(Failure::Busy(what).into());
        };
        let mut live = match seat.take() {
            Some((of, live)) if Arc::ptr_eq(&of, revision) => live,
            Some((of, live)) => match live.carry_over(invoker, &of.unit, unit).await {
                Some(live) => {
                    self.begun(&unit.plugin, |begun| begun.carried_over += 1);
                    live
                }
                None => self.rebuild(invoker, unit).await?,
            },
            None => self.rebuild(invoker, unit).await?,
        };
        let progress = Progress::of(&slot);
        loop {
            let (of, after) = (domain.clone(), live.covers_seq());
            let read = datastore.read(ReadCost::Scan, move |tx| {
                tx.events_after(Some(&of), after, BATCH)
            });
            let events = read.await.map_err(Trouble::Datastore)?;
            slot.ingested.fetch_add(events.len() as u64, Relaxed);
            if let Err(refusal) = live.ingest(invoker, unit, &events).await? {
                return Ok(Asked {
                    outcome: Ok(Err(refusal)),
                    memory_bytes: live.memory_bytes(),
                });
            }
            if events.len() < BATCH {
                break;
            }
        }
        drop(progress);
        let asked = Asked {
            outcome: live.report(invoker, unit, query).await,
            memory_bytes: live.memory_bytes(),
        };
        if asked.outcome.is_ok() {
            *seat = Some((Arc::clone(revision), live));
        }
        Ok(asked)
    }

    async fn rebuild(&self, invoker: &Invoker, unit: &Unit) -> Result<Live, Failure> {
        let live = Live::start(invoker, unit).await?;
        self.begun(&unit.plugin, |begun| begun.rebuilt += 1);
        Ok(live)
    }

    fn begun(&self, plugin: &Arc<str>, count: impl FnOnce(&mut Begun)) {
        count(self.begun.lock().entry(Arc::clone(plugin)).or_default());
    }

    /// How the processors of a plugin do.
    pub(crate) fn status(&self, plugin: &str) -> ProcessorStatus {
        let begun = self.begun.lock().get(plugin).copied().unwrap_or_default();
        let slots = self.slots.lock();
        let mut status = ProcessorStatus {
            carried_over: begun.carried_over,
            rebuilt: begun.rebuilt,
            ..ProcessorStatus::default()
        };
        for slot in slots.iter().filter(|((of, ..), _)| &**of == plugin) {
            status.alive += 1;
            status.catching_up += u64::from(slot.1.is_catching_up.load(Relaxed));
            status.ingested_events += slot.1.ingested.load(Relaxed);
        }
        status
    }

    /// Drops the processors of a plugin. One that answers now finishes first.
    pub(crate) fn forget(&self, plugin: &str) {
        self.slots.lock().retain(|(of, ..), _| &**of != plugin);
    }

    /// Drops the processors of revisions beside the serving ones that are not on trial any more.
    pub(crate) fn keep_beside(&self, on_trial: impl Fn(&str, u64) -> bool) {
        let stays = |(of, _, beside): &Key| beside.is_none_or(|number| on_trial(of, number));
        self.slots.lock().retain(|key, _| stays(key));
    }

    /// Drops all of them.
    pub(crate) fn clear(&self) {
        self.slots.lock().clear();
    }

    fn slot(&self, key: Key) -> Result<Arc<Slot>, Failure> {
        let mut slots = self.slots.lock();
        if !slots.contains_key(&key) && slots.len() >= self.limit {
            // One that nobody else holds is idle.
            let idle = slots
                .iter()
                .filter(|(_, slot)| Arc::strong_count(slot) == 1);
            let Some(oldest) = idle
                .min_by_key(|(_, slot)| slot.asked.load(Relaxed))
                .map(|(key, _)| key.clone())
            else {
                return Err(Failure::Busy(format!(
                    "all {} analytics processors are busy",
                    self.limit
                )));
            };
            slots.remove(&oldest);
        }
        let slot = slots.entry(key).or_default();
        slot.asked.store(self.clock.fetch_add(1, Relaxed), Relaxed);
        Ok(Arc::clone(slot))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_least_recently_asked_idle_processor_makes_room() {
        let key = |plugin: &str| (Arc::from(plugin), Domain::default(), None);
        let processors = Processors::new(2);
        let busy = processors.slot(key("a")).unwrap();
        drop(processors.slot(key("b")).unwrap());
        drop(processors.slot(key("c")).unwrap());
        let names = || {
            let slots = processors.slots.lock();
            let mut names: Vec<String> = slots
                .keys()
                .map(|(plugin, ..)| plugin.to_string())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["a", "c"]);
        let other = processors.slot(key("c")).unwrap();
        assert!(matches!(processors.slot(key("d")), Err(Failure::Busy(_))));
        drop((busy, other));
        processors.slot(key("d")).unwrap();
        assert_eq!(names(), ["c", "d"]);
        processors.forget("c");
        assert_eq!(names(), ["d"]);
        let beside = ("d".into(), Domain::default(), Some(1));
        drop(processors.slot(beside).unwrap());
        processors.keep_beside(|plugin, number| (plugin, number) == ("d", 1));
        assert_eq!(names(), ["d", "d"], "each has its own");
        processors.keep_beside(|_, _| false);
        assert_eq!(names(), ["d"]);
    }
}
