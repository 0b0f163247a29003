//! What one leg of a search brings.

/// See the module.
pub(super) struct Leg {
    /// Documents with the highest scores, in no order.
    pub(super) best: Vec<u32>,
    /// How the scores of all that pass lie.
    pub(super) spread: Spread,
}

/// The mean and the standard deviation of scores.
#[derive(Clone, Copy, Default)]
pub(super) struct Spread {
    mean: f64,
    deviation: f64,
}

impl Spread {
    /// Of so many scores with this sum and this sum of squares.
    pub(super) fn of(count: usize, sum: f64, squares: f64) -> Self {
        let n = count.max(1) as f64;
        let mean = sum / n;
        Self {
            mean,
            deviation: (squares / n - mean * mean).max(0.0).sqrt(),
        }
    }

    /// How many deviations a score lies above the mean; 0 where all are the same.
    pub(super) fn z(self, score: f64) -> f64 {
        if self.deviation > 1e-9 {
            (score - self.mean) / self.deviation
        } else {
            0.0
        }
    }
}
