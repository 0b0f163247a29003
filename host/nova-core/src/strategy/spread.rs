//! Distributions in a few numbers, told from any number of values in bounded memory.

use serde::Serialize;

/// A distribution in five numbers.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

/// What a distribution is told from: a sum and a maximum over all, and the last values in a ring.
pub(super) struct Values {
    count: u64,
    sum: f64,
    max: u64,
    window: usize,
    last: Vec<u64>,
}

impl Values {
    /// Quantiles of the last `window` values, at least 1.
    pub(super) fn within(window: usize) -> Self {
        Self {
            count: 0,
            sum: 0.0,
            max: 0,
            window,
            last: Vec::new(),
        }
    }

    /// Takes a value in.
    pub(super) fn add(&mut self, value: u64) {
        let place = usize::try_from(self.count).unwrap_or(0) % self.window;
        match self.last.get_mut(place) {
            Some(old) => *old = value,
            None => self.last.push(value),
        }
        self.count += 1;
        self.sum += value as f64;
        self.max = self.max.max(value);
    }

    /// The distribution so far.
    pub(super) fn spread(&self) -> Spread {
        if self.count == 0 {
            return Spread::default();
        }
        let mut values = self.last.clone();
        values.sort_unstable();
        // The nearest rank: the smallest value that q of all do not exceed.
        let quantile = |q: f64| {
            let rank = (q * values.len() as f64).ceil() as usize;
            values[rank.saturating_sub(1).min(values.len() - 1)] as f64
        };
        Spread {
            mean: self.sum / self.count as f64,
            p50: quantile(0.5),
            p99: quantile(0.99),
            max: self.max as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_means_and_maxima_are_of_all() {
        let mut values = Values::within(10);
        assert_eq!(values.spread(), Spread::default());
        for value in [1000, 1000].into_iter().chain(1..=10) {
            values.add(value);
        }
        assert_eq!(values.last.len(), 10);
        let spread = values.spread();
        assert_eq!((spread.p50, spread.p99, spread.max), (5.0, 10.0, 1000.0));
        assert_eq!(spread.mean, 2055.0 / 12.0);
    }
}
