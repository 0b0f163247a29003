//! A stretch of time: what was counted, held and measured in it.
//!
//! Owns the contents of a bucket and what sums of buckets say. A gauge is kept as an
//! integral over time, so its mean is exact however rarely it changes. Knows nothing of how
//! buckets follow each other.

use crate::sketch::Sketch;
use serde::{Deserialize, Serialize};

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    /// Events of any kind.
    Events,
    /// Tasks created.
    Created,
    /// Tasks, or attempts of an agent, that succeeded.
    Completed,
    /// Tasks that failed for good.
    Failed,
    /// Attempts that failed and are tried again.
    Retried,
    /// Tasks cancelled.
    Cancelled,
    /// Amounts of a resource granted.
    Granted,
    /// Amounts of a resource released.
    Released,
}
pub(crate) const COUNTS: usize = 8;

/// A value that holds until it is set anew.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gauge {
    /// Tasks in progress; units in use.
    Busy,
    /// Tasks waiting.
    Waiting,
    /// Tasks that can run at a time; units in all.
    Capacity,
}
pub(crate) const GAUGES: usize = 3;

/// What is measured by the event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measure {
    /// Seconds from start to success; of a user metric, the value.
    Latency,
    /// Seconds from ready to start.
    Wait,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) at_start: f64,
    /// Value × milliseconds until `since_ms`.
    pub(crate) integral: f64,
    pub(crate) value: f64,
    pub(crate) since_ms: u64,
    pub(crate) max: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) index: u64,
    pub(crate) counts: [u64; COUNTS],
    pub(crate) gauges: [Cell; GAUGES],
    /// Highest busy ÷ capacity.
    pub(crate) peak: f64,
    pub(crate) measures: [Sketch; 2],
}

/// A stretch of a timeline, summed up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    /// Where it really begins: at a bucket's start, or when the subject was first seen.
    pub(crate) from_ms: u64,
    /// Where it ends.
    pub(crate) to_ms: u64,
    pub(crate) counts: [u64; COUNTS],
    /// Value × milliseconds.
    pub(crate) integrals: [f64; GAUGES],
    /// Highest busy ÷ capacity.
    pub(crate) peak: f64,
    pub(crate) measures: [Sketch; 2],
}

/// A stretch of a timeline in equal steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps {
    /// Start of the first step, a multiple of `step_ms`.
    pub(crate) start_ms: u64,
    /// Length of a step.
    pub(crate) step_ms: u64,
    /// The steps; the first and the last may be partly outside what was seen.
    pub(crate) steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    /// Milliseconds of it that lie between the first sight and the end.
    pub(crate) seen_ms: u64,
    pub(crate) counts: [u64; COUNTS],
    pub(crate) integrals: [f64; GAUGES],
    /// Mean latency, where there was one.
    pub(crate) latency: Option<f64>,
}

impl Cell {
    pub(crate) fn until(&self, end_ms: u64) -> f64 {
        self.integral + self.value * end_ms.saturating_sub(self.since_ms) as f64
    }
}

impl Bucket {
    pub(crate) fn new(index: u64, start_ms: u64, held: &[f64; GAUGES]) -> Self {
        Self {
            index,
            counts: [0; COUNTS],
            gauges: held.map(|value| Cell {
                at_start: value,
                integral: 0.0,
                value,
                since_ms: start_ms,
                max: value,
            }),
            peak: ratio(held[Gauge::Busy as usize], held[Gauge::Capacity as usize]),
            measures: Default::default(),
        }
    }
}

impl Span {
    /// Seconds that it covers, at least one: below that a rate means nothing.
    pub(crate) fn seconds(&self) -> f64 {
        (self.to_ms.saturating_sub(self.from_ms) as f64 / 1000.0).max(1.0)
    }

    /// How often something happened.
    pub(crate) fn count(&self, count: Count) -> u64 {
        self.counts[count as usize]
    }

    /// The values of a measure.
    pub(crate) fn measure(&self, measure: Measure) -> &Sketch {
        &self.measures[measure as usize]
    }

    /// Mean busy ÷ capacity over time; none where there never was capacity.
    pub(crate) fn utilization(&self) -> Option<f64> {
        utilization(&self.integrals)
    }

    pub(crate) fn absorb(&mut self, bucket: &Bucket) {
        for (all, more) in self.counts.iter_mut().zip(bucket.counts) {
            *all += more;
        }
        for (all, more) in self.measures.iter_mut().zip(&bucket.measures) {
            all.merge(more);
        }
        self.peak = self.peak.max(bucket.peak);
    }
}

impl Step {
    /// How often something happened.
    pub(crate) fn count(&self, count: Count) -> u64 {
        self.counts[count as usize]
    }

    /// Mean of a gauge over the seen part; none of nothing.
    pub(crate) fn mean(&self, gauge: Gauge) -> Option<f64> {
        (self.seen_ms > 0).then(|| self.integrals[gauge as usize] / self.seen_ms as f64)
    }

    /// Mean busy ÷ capacity; none where there was no capacity.
    pub(crate) fn utilization(&self) -> Option<f64> {
        utilization(&self.integrals)
    }
}

fn utilization(integrals: &[f64; GAUGES]) -> Option<f64> {
    let capacity = integrals[Gauge::Capacity as usize];
    (capacity > 0.0).then(|| ratio(integrals[Gauge::Busy as usize], capacity))
}

pub(crate) fn ratio(busy: f64, capacity: f64) -> f64 {
    if capacity > 0.0 { busy / capacity } else { 0.0 }
}
