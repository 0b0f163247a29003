//! A plugin's numbers: what an operator reads in `GET /api/plugins`, and the metrics.
//!
//! Recording is a handful of atomic operations; quantiles are computed when somebody asks.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};
use nova_core::ports::runtime::CallStats;
use nova_core::strategy::Kind;

/// Calls whose durations are kept for the quantiles.
const WINDOW: usize = 1024;

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    Answered,
    Refused,
    Failed,
    TimedOut,
    Unavailable,
}

/// Calls of one plugin since the daemon started, over all its revisions.
pub(crate) struct Stats {
    calls: AtomicU64,
    rejected: AtomicU64,
    errors: AtomicU64,
    recorded: AtomicU64,
    /// The last calls' microseconds, in a ring.
    window_us: Box<[AtomicU32]>,
    seconds: Histogram,
}

/// Revisions of a plugin that have a label of their own in the metrics; the calls of later ones are counted together.
const REVISIONS_LABELLED: u64 = 64;

/// What the metrics count of one revision.
pub(crate) struct Endings([(Ending, Counter); 5]);

impl Endings {
    /// Counters at zero. They go to the recorder that is installed by now.
    pub(crate) fn new(plugin: &str, kind: Kind, revision: u64) -> Self {
        let revision = if revision <= REVISIONS_LABELLED {
            revision.to_string()
        } else {
            "later".to_owned()
        };
        let ending = |ending, name: &'static str| {
            let labels = [
                ("kind", kind.as_str().to_owned()),
                ("plugin", plugin.to_owned()),
                ("revision", revision.clone()),
                ("outcome", name.to_owned()),
            ];
            (ending, counter!("nova_decisions_total", &labels))
        };
        Self([
            ending(Ending::Answered, "ok"),
            ending(Ending::Refused, "refused"),
            ending(Ending::Failed, "failed"),
            ending(Ending::TimedOut, "timeout"),
            ending(Ending::Unavailable, "unavailable"),
        ])
    }

    fn count(&self, ending: Ending) {
        if let Some((_, counter)) = self.0.iter().find(|(e, _)| *e == ending) {
            counter.increment(1);
        }
    }
}

impl Stats {
    /// Counters at zero. The metrics go to the recorder that is installed by now.
    pub(crate) fn new(plugin: &str, kind: Kind) -> Self {
        Self {
            calls: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            recorded: AtomicU64::new(0),
            window_us: (0..WINDOW).map(|_| AtomicU32::new(0)).collect(),
            seconds: histogram!("nova_decision_seconds", "kind" => kind.as_str(), "plugin" => plugin.to_owned()),
        }
    }

    /// Counts a call that ended, of the revision with these counters.
    pub(crate) fn record(&self, endings: &Endings, ending: Ending, took: Duration) {
        endings.count(ending);
        if ending == Ending::Unavailable {
            return; // It never began.
        }
        self.calls.fetch_add(1, Relaxed);
        match ending {
            Ending::Refused => _ = self.rejected.fetch_add(1, Relaxed),
            Ending::Failed | Ending::TimedOut => _ = self.errors.fetch_add(1, Relaxed),
            Ending::Answered | Ending::Unavailable => {}
        }
        self.seconds.record(took.as_secs_f64());
        let place = self.recorded.fetch_add(1, Relaxed) as usize % WINDOW;
        let us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.window_us[place].store(us, Relaxed);
    }

    /// The numbers as of now.
    pub(crate) fn read(&self) -> CallStats {
        let filled = usize::try_from(self.recorded.load(Relaxed))
            .unwrap_or(WINDOW)
            .min(WINDOW);
        let mut window: Vec<u32> = self.window_us[..filled]
            .iter()
            .map(|us| us.load(Relaxed))
            .collect();
        window.sort_unstable();
        // The nearest rank: the smallest value that q of all do not exceed.
        let quantile = |q: f64| {
            let rank = (q * window.len() as f64).ceil() as usize;
            window
                .get(rank.saturating_sub(1))
                .map_or(0.0, |us| f64::from(*us))
        };
        CallStats {
            calls: self.calls.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            errors: self.errors.load(Relaxed),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_last_calls() {
        let stats = Stats::new("p", Kind::FlowOptimizer);
        let endings = Endings::new("p", Kind::FlowOptimizer, 1);
        assert_eq!(stats.read(), CallStats::default());
        for us in 1..=100 {
            stats.record(&endings, Ending::Answered, Duration::from_micros(us));
        }
        assert_eq!((stats.read().p50_us, stats.read().p99_us), (50.0, 99.0));
        for _ in 0..WINDOW {
            stats.record(&endings, Ending::Refused, Duration::from_micros(7));
        }
        stats.record(&endings, Ending::TimedOut, Duration::from_micros(7));
        stats.record(&endings, Ending::Unavailable, Duration::from_secs(9));
        let read = stats.read();
        assert_eq!((read.p50_us, read.p99_us), (7.0, 7.0));
        assert_eq!((read.calls, read.rejected, read.errors), (1125, 1024, 1));
    }
}
