//! Steps of a series that their past does not explain.
//!
//! Owns the robust z-score of Iglewicz and Hoaglin ("How to detect and handle outliers",
//! 1993, section 3): distance from the median of a trailing window, in robust standard
//! deviations. Knows nothing of time or units.

use crate::stats::{median, robust_scale};

/// The threshold that Iglewicz and Hoaglin recommend.
pub const THRESHOLD: f64 = 3.5;
/// Steps that a value is compared with.
const WINDOW: usize = 30;
/// Fewer steps than this explain nothing.
const WINDOW_LEAST: usize = 8;

/// A value far from what its past suggests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    /// Its place in the series.
    pub index: usize,
    /// The value.
    pub value: f64,
    /// The median of the steps before it.
    pub expected: f64,
    /// Robust deviations between the two, signed.
    pub score: f64,
}

/// The values that stand more than `threshold` robust deviations off the median of up to
/// 30 values before them (at least 8). `floor` gives the least deviation that is taken for
/// real at a median: counts, for example, scatter by their square root whatever the past
/// shows. A window without any deviation and without a floor judges nothing.
pub fn outliers(series: &[f64], threshold: f64, floor: impl Fn(f64) -> f64) -> Vec<Outlier> {
    let mut found = Vec::new();
    for index in WINDOW_LEAST..series.len() {
        let window = &series[index.saturating_sub(WINDOW)..index];
        let Some(expected) = median(&mut window.to_vec()) else {
            continue;
        };
        let scale = robust_scale(window, expected).max(floor(expected));
        let score = (series[index] - expected) / scale;
        if scale > 0.0 && score.abs() > threshold {
            found.push(Outlier {
                index,
                value: series[index],
                expected,
                score,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spike_is_one_outlier() {
        let mut series: Vec<f64> = (0..40).map(|k| 10.0 + f64::from(k % 3)).collect();
        series[25] = 40.0;
        let found = outliers(&series, THRESHOLD, |_| 0.0);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].index, found[0].expected), (25, 11.0));
        // Values 10, 11, 12 in turn: MAD 1, so the score is 29 × 0.6745.
        assert!((found[0].score - 29.0 * 0.6745).abs() < 1e-9);
    }

    #[test]
    fn too_little_past_or_no_scatter_judges_nothing() {
        assert!(outliers(&[1.0, 1.0, 1.0, 99.0], THRESHOLD, |_| 0.0).is_empty());
        let mut flat = [5.0; 20];
        flat[15] = 5.1;
        assert!(outliers(&flat[..16], THRESHOLD, |_| 0.0).is_empty());
        assert!(outliers(&flat, THRESHOLD, |m| 0.05 * m).is_empty());
        assert_eq!(outliers(&flat, THRESHOLD, |m| 0.001 * m).len(), 1);
    }
}
