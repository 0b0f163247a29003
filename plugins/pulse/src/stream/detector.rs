//! Points of a stream that its past does not explain, found as they come.
//!
//! Owns the detector: it looks at how far the mean of the last dozen points stands off that
//! of the last six hundred, and at how far a point stands off the one before it; how rare each
//! of the two is on its side ([`super::tail`]), held for a few points; and raises an alarm when
//! the mean of both reaches a threshold, and is quiet for a while after it. The short mean
//! against the long one is the idea of Numenta's anomaly likelihood (Ahmad, Lavin, Purdy, Agha,
//! "Unsupervised real-time anomaly detection for streaming data", 2017), without its normal
//! distribution. A point costs the same whatever came before.

use super::tail::Tail;
use serde::{Deserialize, Serialize};

/// The threshold that serves the benchmark's files best, each judged by the others.
pub const SURPRISE: f64 = 2.2;
/// Points without another alarm after one.
const QUIET: u32 = 30;
/// What rarity keeps from one point to the next.
const HELD: f64 = 0.8;
/// Points that the short mean and the long one are made of, about.
const SHORT: f64 = 12.0;
const LONG: f64 = 600.0;

/// An alarm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// When, milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// The point.
    pub value: f64,
    /// The long mean before it.
    pub expected: f64,
    /// Mean −log10 of the tail probabilities of what was seen.
    pub surprise: f64,
}

/// What the detector keeps: a few KiB, whatever it has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    short: Mean,
    long: Mean,
    before: Option<f64>,
    /// Of the short mean and of the step, above and below.
    tails: [[Tail; 2]; 2],
    held: [f64; 2],
    quiet: u32,
}

/// An exponentially weighted mean that begins as a plain one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Mean {
    value: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, value: f64, span: f64) {
        self.count = (self.count + 1.0).min(span);
        self.value += (value - self.value) / self.count;
    }
}

impl Detector {
    /// Bytes that one takes, about.
    pub(crate) const WEIGHT: usize = 4 * 128 * size_of::<f32>() + size_of::<Self>();

    /// Takes in the next point, and says whether it is an alarm.
    pub fn see(&mut self, time_ms: u64, value: f64, threshold: f64) -> Option<Alarm> {
        let Some(before) = self.before.replace(value) else {
            self.short.add(value, SHORT);
            self.long.add(value, LONG);
            return None;
        };
        self.short.add(value, SHORT);
        let expected = self.long.value;
        let off = [self.short.value - expected, value - before];
        for ((off, held), [above, below]) in off.iter().zip(&mut self.held).zip(&mut self.tails) {
            let side = if *off >= 0.0 { &*above } else { &*below };
            *held = (*held * HELD).max(side.rarity(off.abs()));
            above.add(off.max(0.0));
            below.add((-off).max(0.0));
        }
        self.long.add(value, LONG);
        if self.quiet > 0 {
            self.quiet -= 1;
            return None;
        }
        let surprise = (self.held[0] + self.held[1]) / 2.0;
        (surprise > threshold).then(|| {
            self.quiet = QUIET;
            Alarm {
                time_ms,
                value,
                expected,
                surprise,
            }
        })
    }
}

impl Alarm {
    /// The surprise as deviations of a normal variable, with the sign of the deviation
    /// (Abramowitz and Stegun 26.2.23, error below 4.5e-4).
    pub(crate) fn deviations(&self) -> f64 {
        let t = (2.0 * std::f64::consts::LN_10 * self.surprise).sqrt();
        let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
        let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
        (t - above / below).copysign(self.value - self.expected)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::noise::Noise;

    /// The places of the alarms in scatter around 0, changed by `change`.
    fn alarms(change: impl Fn(usize, f64) -> f64) -> Vec<usize> {
        let mut noise = Noise::new(5);
        let mut detector = Detector::default();
        (0..2000)
            .filter(|&k| {
                detector
                    .see(k as u64, change(k, noise.normal()), SURPRISE)
                    .is_some()
            })
            .collect()
    }

    #[test]
    fn a_spike_and_a_shift_are_found_at_once_and_once() {
        let calm = alarms(|_, scatter| scatter);
        assert!(calm.len() <= 8, "{calm:?}");
        let new = |found: Vec<usize>| -> Vec<usize> {
            found
                .into_iter()
                .filter(|k| (1490..1540).contains(k))
                .collect()
        };
        assert!(new(calm).is_empty());
        assert_eq!(new(alarms(|k, x| if k == 1500 { 40.0 } else { x })), [1500]);
        let shift = new(alarms(|k, x| if k >= 1500 { x + 6.0 } else { x }));
        assert_eq!(shift.len(), 1);
        assert!(shift[0] <= 1503, "{shift:?}");
        // Another unit and origin change nothing.
        assert_eq!(alarms(|_, x| x), alarms(|_, x| x * 1048576.0));
    }

    #[test]
    fn level_points_raise_nothing() {
        let mut detector = Detector::default();
        assert!((0..5000).all(|k| detector.see(k, 7.0, SURPRISE).is_none()));
        let text = serde_json::to_vec(&detector).unwrap();
        assert!(text.len() < 4000);
    }

    #[test]
    fn surprise_in_deviations() {
        let alarm = |surprise, value| Alarm {
            time_ms: 0,
            value,
            expected: 1.0,
            surprise,
        };
        assert!((alarm(2.0, 3.0).deviations() - 2.326).abs() < 1e-3);
        assert!((alarm(3.0, 0.0).deviations() + 3.090).abs() < 1e-3);
    }
}
