//! One shadow that runs: which calls are copied, and what they have shown.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nova_core::strategy::Kind;
use nova_core::strategy::compare::{Contestant, Tally, Trial};
use nova_core::strategy::decision::{Decision, Outcome};
use nova_core::strategy::objective::score;
use nova_core::strategy::shadow::{
    Compared, Copies, DropReason, LATEST_MAX, Pair, Shadow, ShadowReport, Sight,
};
use parking_lot::Mutex;

use crate::contender::Runner;
use crate::trial::dealt;

/// Compared decisions whose times and memory the quantiles are of.
const WINDOW: usize = 4096;

/// A shadow that runs.
pub(crate) struct Run {
    pub(crate) kind: Kind,
    pub(crate) order: Shadow,
    calls: AtomicU64,
    taken: AtomicU64,
    waiting: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    /// The worker's, and of who looks at it; no call takes it.
    seen: Mutex<Seen>,
}

struct Seen {
    pair: Option<(Pair, Arc<Runner>)>,
    tally: Tally,
    latest: VecDeque<Compared>,
    begun_anew: u64,
}

impl Run {
    pub(crate) fn new(kind: Kind, order: Shadow) -> Self {
        Self {
            kind,
            order,
            calls: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            dropped: [const { AtomicU64::new(0) }; DropReason::ALL.len()],
            seen: Mutex::new(Seen {
                pair: None,
                tally: Tally::within(WINDOW),
                latest: VecDeque::new(),
                begun_anew: 0,
            }),
        }
    }

    /// Whether the next call is of the share.
    pub(crate) fn takes(&self) -> bool {
        dealt(&self.calls, self.order.percent)
    }

    pub(super) fn taken(&self) {
        self.taken.fetch_add(1, Relaxed);
    }

    pub(super) fn waits(&self, more: bool) {
        if more {
            self.waiting.fetch_add(1, Relaxed);
        } else {
            self.waiting.fetch_sub(1, Relaxed);
        }
    }

    pub(super) fn dropped(&self, reason: DropReason) {
        self.dropped[reason as usize].fetch_add(1, Relaxed);
    }

    /// The candidate as it is asked, and whether the numbers are of these two; others begin anew with
    /// [`Run::begin`].
    pub(super) fn runner(
        &self,
        serving: &Contestant,
        candidate: &Contestant,
    ) -> Option<Arc<Runner>> {
        let seen = self.seen.lock();
        let (pair, runner) = seen.pair.as_ref()?;
        (pair.serving == *serving && pair.candidate == *candidate).then(|| Arc::clone(runner))
    }

    /// Numbers of these two from now on.
    pub(super) fn begin(&self, pair: Pair, runner: Arc<Runner>) {
        let mut seen = self.seen.lock();
        let before = seen.pair.replace((pair, runner));
        seen.begun_anew += u64::from(before.is_some());
        seen.tally = Tally::within(WINDOW);
        seen.latest.clear();
        drop(seen);
        // Its processors, where it has some, go without the lock.
        drop(before);
    }

    /// Adds what the two made of a decision; gives how it came out, for the metrics.
    pub(super) fn add(
        &self,
        decision: &Decision,
        serving: &Trial,
        candidate: &Trial,
    ) -> &'static str {
        let of = |trial: &Trial| {
            score(&decision.question, trial.outcome.reply()?).map(|s| (s.measure, s.value))
        };
        let (served, shadowed) = (of(serving), of(candidate));
        let sight = |trial: &Trial, objective: Option<(&'static str, f64)>| Sight {
            outcome: trial.outcome.as_str(),
            reason: trial.outcome.reason(),
            objective: objective.map(|(_, value)| value),
            cpu_us: trial.cpu_us,
            memory_bytes: trial.memory_bytes,
        };
        let mut seen = self.seen.lock();
        let difference = seen.tally.add(decision, false, serving, candidate);
        seen.latest.push_front(Compared {
            decision_id: decision.decision_id,
            at: decision.at,
            domain: decision.domain.clone(),
            differs: difference.differs,
            measure: served.or(shadowed).map(|(measure, _)| measure),
            gain: difference.gain,
            serving: sight(serving, served),
            candidate: sight(candidate, shadowed),
        });
        seen.latest.truncate(LATEST_MAX);
        drop(seen);
        match (&candidate.outcome, difference.gain) {
            (Outcome::Failed { .. } | Outcome::Timeout { .. }, _) => "failed",
            (_, Some(gain)) if difference.differs && gain > 1e-9 => "better",
            (_, Some(gain)) if difference.differs && gain < -1e-9 => "worse",
            (_, _) if difference.differs => "differs",
            _ => "same",
        }
    }

    /// What it has shown so far.
    pub(crate) fn report(&self, obstacle: Option<String>) -> ShadowReport {
        let seen = self.seen.lock();
        let dropped = |reason: DropReason| self.dropped[reason as usize].load(Relaxed);
        ShadowReport {
            pair: seen.pair.as_ref().map(|(pair, _)| pair.clone()),
            comparison: seen.tally.comparison(),
            latest: seen.latest.iter().cloned().collect(),
            copies: Copies {
                taken: self.taken.load(Relaxed),
                waiting: self.waiting.load(Relaxed),
                dropped_queue_full: dropped(DropReason::QueueFull),
                dropped_busy: dropped(DropReason::Busy),
                dropped_stale: dropped(DropReason::Stale),
                dropped_unaskable: dropped(DropReason::Unaskable),
            },
            begun_anew: seen.begun_anew,
            obstacle,
        }
    }
}
