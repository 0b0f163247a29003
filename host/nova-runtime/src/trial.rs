//! The numbers of a canary: what both sides have shown since it began, and which call goes to which.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use nova_core::ports::Call;
use nova_core::strategy::canary::{Arm, Canary, Comparison, StickyBy};
use parking_lot::Mutex;

/// Calls whose times are kept for the quantile, of each side.
const WINDOW: usize = 1024;
/// Parts that the calls are dealt in.
const PARTS: u64 = 10_000;

/// Whether the next call is of a share: dealt by a step that has no divisor in common with the parts,
/// even in every stretch of calls.
pub(crate) fn dealt(calls: &AtomicU64, percent: f64) -> bool {
    calls.fetch_add(1, Relaxed).wrapping_mul(6_181) % PARTS < share(percent)
}

fn share(percent: f64) -> u64 {
    (percent * (PARTS as f64 / 100.0)).round() as u64
}

/// Whose numbers are counted; none = nobody's yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Pair {
    /// The revision on trial.
    pub(crate) canary: Option<u64>,
    /// Plugin and revision of the default.
    pub(crate) others: Option<(Arc<str>, u64)>,
}

/// A canary that runs, with the numbers of one pair of revisions.
pub(crate) struct Trial {
    pub(crate) canary: Canary,
    pair: Pair,
    begun_anew: u64,
    calls: AtomicU64,
    canary_side: Mutex<Side>,
    others: Mutex<Side>,
}

#[derive(Default)]
struct Side {
    calls: u64,
    failed: u64,
    rated: u64,
    objective_sum: f64,
    /// The last timed calls' microseconds, in a ring.
    window_us: Vec<u32>,
    /// Place of the oldest time once the ring is full.
    oldest: usize,
}

impl Trial {
    pub(crate) fn new(canary: Canary) -> Self {
        Self {
            canary,
            pair: Pair::default(),
            begun_anew: 0,
            calls: AtomicU64::new(0),
            canary_side: Mutex::default(),
            others: Mutex::default(),
        }
    }

    /// The same canary with numbers of another pair; none = they are of this one. What is not there now is
    /// waited for, with the numbers as they are. Calls that are under way count for the numbers that were
    /// there when they began.
    pub(crate) fn of(&self, pair: Pair) -> Option<Self> {
        let pair = Pair {
            canary: pair.canary.or(self.pair.canary),
            others: pair.others.or_else(|| self.pair.others.clone()),
        };
        if pair == self.pair {
            return None;
        }
        let had_any = self.canary_side.lock().calls + self.others.lock().calls > 0;
        Some(Self {
            pair,
            begun_anew: self.begun_anew + u64::from(had_any),
            calls: AtomicU64::new(self.calls.load(Relaxed)),
            ..Self::new(self.canary.clone())
        })
    }

    /// Whether a call goes to the canary.
    pub(crate) fn takes(&self, call: &Call) -> bool {
        let hash = |what: &str| {
            let mut hasher = DefaultHasher::new();
            // Another canary takes other subjects.
            (self.canary.started_at.millis(), what).hash(&mut hasher);
            hasher.finish() % PARTS
        };
        match (self.canary.sticky_by, &call.subject) {
            (StickyBy::Domain, _) => hash(call.domain.as_str()) < share(self.canary.percent),
            (StickyBy::Subject, Some(subject)) => {
                let part = hash(&format!("{}/{subject}", call.domain.as_str()));
                part < share(self.canary.percent)
            }
            (StickyBy::Call | StickyBy::Subject, _) => dealt(&self.calls, self.canary.percent),
        }
    }

    /// Counts a call of one side: `took` of one that was made, none of one that its open breaker kept from it;
    /// `objective` is that of its answer, where it has one.
    pub(crate) fn record(
        &self,
        is_canary: bool,
        took: Option<Duration>,
        failed: bool,
        objective: Option<f64>,
    ) {
        let side = if is_canary {
            &self.canary_side
        } else {
            &self.others
        };
        let mut side = side.lock();
        if let Some(took) = took {
            let us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
            if side.window_us.len() < WINDOW {
                side.window_us.push(us);
            } else {
                let oldest = side.oldest;
                side.window_us[oldest] = us;
                side.oldest = (oldest + 1) % WINDOW;
            }
        }
        side.calls += 1;
        side.failed += u64::from(failed);
        if let Some(objective) = objective {
            side.rated += 1;
            side.objective_sum += objective;
        }
    }

    /// What both sides have shown; `obstacle` is why the canary gets no calls.
    pub(crate) fn comparison(&self, obstacle: Option<String>) -> Comparison {
        let others = self.pair.others.as_ref().map(|(_, number)| *number);
        Comparison {
            canary: self.canary_side.lock().arm(self.pair.canary),
            others: self.others.lock().arm(others),
            begun_anew: self.begun_anew,
            obstacle,
        }
    }
}

impl Side {
    fn arm(&self, revision: Option<u64>) -> Arm {
        let mut window = self.window_us.clone();
        window.sort_unstable();
        let rank = (0.99 * window.len() as f64).ceil() as usize;
        Arm {
            revision,
            calls: self.calls,
            failed: self.failed,
            p99_us: window
                .get(rank.saturating_sub(1))
                .map_or(0.0, |us| f64::from(*us)),
            rated: self.rated,
            objective: if self.rated > 0 {
                self.objective_sum / self.rated as f64
            } else {
                0.0
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nova_core::domain::Timestamp;

    use super::*;

    fn trial(percent: f64, sticky_by: StickyBy) -> Trial {
        Trial::new(Canary {
            plugin: "next".into(),
            revision: None,
            percent,
            sticky_by,
            max_duration_s: 60.0,
            promote_if: None,
            abort_if: None,
            started_at: Timestamp::from_millis(0),
        })
    }

    fn call(domain: &str, subject: &str) -> Call {
        Call {
            domain: domain.parse().unwrap(),
            strategy: None,
            fallback: true,
            subject: Some(subject.to_owned()),
            parameters: serde_json::Map::new(),
            about: std::sync::Arc::default(),
        }
    }

    #[test]
    fn calls_are_dealt_by_the_share() {
        for (percent, of_1000) in [(10.0, 100), (50.0, 500), (0.5, 5), (100.0, 1000)] {
            let trial = trial(percent, StickyBy::Call);
            let taken = (0..1000).filter(|_| trial.takes(&call("d", "s"))).count();
            assert!(taken.abs_diff(of_1000) <= 2, "{percent} %: {taken} of 1000");
        }
    }

    #[test]
    fn the_same_subject_stays_on_its_side() {
        for sticky_by in [StickyBy::Subject, StickyBy::Domain] {
            let trial = trial(50.0, sticky_by);
            let mut taken = 0;
            for n in 0..200 {
                let name = format!("n{n}");
                let of = || trial.takes(&call(&name, "s"));
                let first = of();
                assert!((0..5).all(|_| of() == first));
                taken += u32::from(first);
            }
            assert!((50..150).contains(&taken), "{taken} of 200");
        }
    }

    #[test]
    fn both_sides_are_counted() {
        let trial = trial(50.0, StickyBy::Call);
        for us in 1..=100 {
            trial.record(
                true,
                Some(Duration::from_micros(us)),
                us > 90,
                Some(us as f64),
            );
        }
        trial.record(false, Some(Duration::from_micros(7)), false, None);
        let seen = trial.comparison(None);
        assert_eq!((seen.canary.calls, seen.canary.failed), (100, 10));
        assert_eq!((seen.canary.p99_us, seen.canary.objective), (99.0, 50.5));
        assert_eq!((seen.others.calls, seen.others.rated), (1, 0));
    }

    #[test]
    fn calls_without_a_time_leave_the_newest_times_in_the_ring() {
        let trial = trial(50.0, StickyBy::Call);
        let slow = Some(Duration::from_secs(1));
        for _ in 0..WINDOW {
            trial.record(true, slow, false, None);
            trial.record(true, None, true, None);
        }
        for _ in 0..WINDOW {
            trial.record(true, Some(Duration::from_micros(5)), false, None);
            trial.record(true, None, true, None);
        }
        assert_eq!(trial.comparison(None).canary.p99_us, 5.0);
    }

    #[test]
    fn another_revision_on_either_side_begins_the_numbers_anew() {
        let pair = |canary, others: u64| Pair {
            canary,
            others: Some(("heft".into(), others)),
        };
        let took = Duration::from_micros(1);
        let trial = trial(50.0, StickyBy::Call).of(pair(None, 2)).unwrap();
        let trial = trial.of(pair(Some(1), 2)).unwrap();
        assert_eq!(trial.comparison(None).begun_anew, 0, "there were none");
        trial.record(true, Some(took), false, None);
        assert!(trial.of(pair(Some(1), 2)).is_none());
        assert!(trial.of(pair(None, 2)).is_none(), "it may come again");
        let next = trial.of(pair(Some(1), 3)).unwrap();
        trial.record(true, Some(took), false, None);
        let seen = next.comparison(None);
        assert_eq!((seen.begun_anew, seen.canary.calls), (1, 0));
        assert_eq!(
            (seen.canary.revision, seen.others.revision),
            (Some(1), Some(3))
        );
        next.record(false, Some(took), false, None);
        let again = next.of(pair(Some(4), 3)).unwrap();
        assert_eq!(again.comparison(None).begun_anew, 2);
    }
}
