//! A measured value over time, one point after another: a user metric of one subject.
//!
//! Owns what is kept of it: its timeline, the newest points as they were, the detector of
//! anomalies and its newest alarms. All bounded. Knows nothing of reports.

mod detector;
mod samples;
mod tail;

pub use detector::{Alarm, Detector, SURPRISE};
pub(crate) use samples::{Equal, Samples};

use crate::bucket::{Count, Gauge, Measure};
use crate::sketch::Observation;
use crate::timeline::Timeline;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Alarms kept, the newest.
const ALARMS_MAX: usize = 256;

/// One stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) timeline: Timeline,
    pub(crate) samples: Samples,
    detector: Detector,
    pub(crate) alarms: VecDeque<Alarm>,
}

impl Stream {
    /// A stream that begins now.
    pub(crate) fn new(time_ms: u64) -> Self {
        Self {
            timeline: Timeline::new(time_ms),
            samples: Samples::default(),
            detector: Detector::default(),
            alarms: VecDeque::new(),
        }
    }

    /// Takes in a point.
    pub(crate) fn add(&mut self, time_ms: u64, point: Observation, surprise: f64) {
        let value = point.value();
        self.timeline.count(time_ms, Count::Events);
        self.timeline.set(time_ms, Gauge::Busy, value);
        self.timeline.measure(time_ms, Measure::Latency, point);
        self.samples.add(time_ms, value);
        if let Some(alarm) = self.detector.see(time_ms, value, surprise) {
            self.alarms.push_back(alarm);
            if self.alarms.len() > ALARMS_MAX {
                self.alarms.pop_front();
            }
        }
    }

    /// Bytes that it takes, about.
    pub(crate) fn weight(&self) -> usize {
        self.timeline.weight()
            + self.samples.weight()
            + Detector::WEIGHT
            + self.alarms.len() * size_of::<Alarm>()
    }
}
