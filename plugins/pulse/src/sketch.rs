//! Quantiles of a stream in bounded memory: DDSketch.
//!
//! Owns the sketch of Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile
//! sketch with relative-error guarantees", VLDB 2019: value x > 0 falls into bin
//! ⌈ln x ÷ ln γ⌉ with γ = (1 + α) ÷ (1 − α), and a bin answers with the value that is at
//! most α away, relatively, from everything in it. Negative values have bins of their own,
//! values closer to zero than [`TINY`] a counter. Knows nothing of what is measured.
//!
//! Invariants: bins are sorted and not empty; at most [`BINS_MAX`] a sign, beyond which the
//! two of the smallest magnitude merge (the paper's collapsing, section 2.4), so that high
//! quantiles keep the bound.

use serde::{Deserialize, Serialize};

/// The bound on a quantile's relative error.
pub const RELATIVE_ERROR: f64 = 0.01;
/// ln γ for that bound.
const LN_GAMMA: f64 = 0.020_000_666_706_669_435;
/// Magnitudes below this count as zero.
const TINY: f64 = 1e-9;
/// Bins of one sign: 2048 cover 17 orders of magnitude.
const BINS_MAX: usize = 2048;

/// A value with its bin, found once and put into many sketches.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    value: f64,
    bin: i32,
}

impl Observation {
    /// The value itself.
    pub fn value(self) -> f64 {
        self.value
    }

    /// A finite value; none for others.
    pub fn of(value: f64) -> Option<Self> {
        value.is_finite().then(|| Self {
            value,
            bin: if value.abs() < TINY {
                0
            } else {
                (value.abs().ln() / LN_GAMMA).ceil() as i32
            },
        })
    }
}

/// Count, sum, extremes and quantiles of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sketch {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    zero: u64,
    positive: Vec<(i32, u32)>,
    negative: Vec<(i32, u32)>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            zero: 0,
            positive: Vec::new(),
            negative: Vec::new(),
        }
    }
}

impl Sketch {
    /// Adds one value. O(log bins), plus a move when its bin is new.
    pub fn add(&mut self, observation: Observation) {
        let Observation { value, bin } = observation;
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if value.abs() < TINY {
            self.zero += 1;
        } else if value > 0.0 {
            put(&mut self.positive, bin, 1);
        } else {
            put(&mut self.negative, bin, 1);
        }
    }

    /// Adds everything that another sketch holds.
    pub fn merge(&mut self, other: &Sketch) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.zero += other.zero;
        for &(bin, count) in &other.positive {
            put(&mut self.positive, bin, count);
        }
        for &(bin, count) in &other.negative {
            put(&mut self.negative, bin, count);
        }
    }

    /// Values added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Their mean; none of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// Bins in use, a measure of memory.
    pub fn bins(&self) -> usize {
        self.positive.len() + self.negative.len()
    }

    /// The value of nearest rank ⌈q · n⌉, within [`RELATIVE_ERROR`]; none of nothing.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = |seen: &mut u64, count: u64| {
            *seen += count;
            *seen >= rank
        };
        for &(bin, count) in self.negative.iter().rev() {
            if reached(&mut seen, u64::from(count)) {
                return Some((-value_of(bin)).clamp(self.min, self.max));
            }
        }
        if reached(&mut seen, self.zero) {
            return Some(0.0_f64.clamp(self.min, self.max));
        }
        for &(bin, count) in &self.positive {
            if reached(&mut seen, u64::from(count)) {
                return Some(value_of(bin).clamp(self.min, self.max));
            }
        }
        Some(self.max)
    }
}

/// The answer of a bin: 2 γ^bin ÷ (γ + 1).
fn value_of(bin: i32) -> f64 {
    let gamma = LN_GAMMA.exp();
    2.0 * (f64::from(bin) * LN_GAMMA).exp() / (gamma + 1.0)
}

fn put(bins: &mut Vec<(i32, u32)>, bin: i32, count: u32) {
    match bins.binary_search_by_key(&bin, |&(bin, _)| bin) {
        Ok(at) => bins[at].1 = bins[at].1.saturating_add(count),
        Err(at) => {
            bins.insert(at, (bin, count));
            if bins.len() > BINS_MAX {
                let (_, lowest) = bins.remove(0);
                bins[0].1 = bins[0].1.saturating_add(lowest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sketch(values: impl IntoIterator<Item = f64>) -> Sketch {
        let mut sketch = Sketch::default();
        for value in values {
            sketch.add(Observation::of(value).unwrap());
        }
        sketch
    }

    fn close(found: f64, exact: f64) {
        let error = (found - exact).abs() / exact.abs();
        assert!(error <= RELATIVE_ERROR + 1e-12, "{found} for {exact}");
    }

    #[test]
    fn gamma_belongs_to_the_error() {
        let gamma = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);
        assert!((gamma.ln() - LN_GAMMA).abs() < 1e-15);
    }

    #[test]
    fn quantiles_of_one_to_a_thousand() {
        let sketch = sketch((1..=1000).map(f64::from));
        for (q, exact) in [
            (0.0, 1.0),
            (0.5, 500.0),
            (0.9, 900.0),
            (0.99, 990.0),
            (1.0, 1000.0),
        ] {
            close(sketch.quantile(q).unwrap(), exact);
        }
        assert_eq!((sketch.count(), sketch.mean()), (1000, Some(500.5)));
    }

    #[test]
    fn zero_and_negative_values_keep_their_order() {
        let sketch = sketch([-8.0, -1.0, 0.0, 0.0, 2.0, 4.0]);
        close(sketch.quantile(0.1).unwrap(), -8.0);
        close(sketch.quantile(0.3).unwrap(), -1.0);
        assert_eq!(sketch.quantile(0.6), Some(0.0));
        close(sketch.quantile(0.8).unwrap(), 2.0);
    }

    #[test]
    fn merging_is_adding() {
        let values: Vec<f64> = (1..500_u32).map(|k| f64::from(k * k % 491) + 0.5).collect();
        let (left, right) = values.split_at(170);
        let mut merged = sketch(left.iter().copied());
        merged.merge(&sketch(right.iter().copied()));
        assert_eq!(merged, sketch(values));
    }

    #[test]
    fn memory_is_bounded_and_high_quantiles_stay_exact() {
        let sketch = sketch((0..6000).map(|k| (f64::from(k) * 0.01).exp() * 1e-8));
        assert_eq!(sketch.bins(), BINS_MAX);
        close(sketch.quantile(0.99).unwrap(), (59.39_f64).exp() * 1e-8);
        assert!(Observation::of(f64::NAN).is_none());
    }
}
