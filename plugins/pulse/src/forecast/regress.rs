//! Autoregression: a value as a weighted sum of those at chosen lags before it.
//!
//! Owns the fit by ridge least squares (Hoerl, Kennard, Technometrics 1970) on the series or
//! on its differences, and forecasts by iteration. Lags are the nearest ones and those around
//! one and two seasons, which for hourly data is hard to beat (Montero-Manso, Hyndman,
//! "Principles and algorithms for forecasting groups of time series", 2021). Knows nothing of
//! how forecasts are combined.

use crate::stats::dot;

/// Near lags, at most.
const NEAR_MAX: usize = 26;

/// Fitted weights.
#[derive(Clone, Debug)]
pub(super) struct Regression {
    lags: Vec<usize>,
    weights: Vec<f64>,
    intercept: f64,
    /// Steps over which the series is differenced.
    difference: usize,
}

impl Regression {
    /// Fits on differences over `difference` steps; none where the series is too short.
    pub(super) fn fit(
        series: &[f64],
        seasons: &[usize],
        difference: usize,
        ridge: f64,
    ) -> Option<Self> {
        let work = differences(series, difference)?;
        let n = work.len();
        let lags = lags(n, seasons);
        let (count, longest) = (lags.len(), lags.last().copied()?);
        if n < longest + 2 * count + 8 {
            return None;
        }
        // Centred, so that the ridge does not pull at the mean.
        let mean = work.iter().sum::<f64>() / n as f64;
        let centred: Vec<f64> = work.iter().map(|value| value - mean).collect();
        let column = |lag: usize| &centred[longest - lag..n - lag];
        let mut products = vec![0.0; count * count];
        for (i, &one) in lags.iter().enumerate() {
            for (j, &two) in lags.iter().enumerate().skip(i) {
                let product = dot(column(one), column(two));
                products[i * count + j] = product;
                products[j * count + i] = product;
            }
        }
        let trace: f64 = (0..count).map(|i| products[i * count + i]).sum();
        for i in 0..count {
            products[i * count + i] += ridge * trace / count as f64 + 1e-12;
        }
        let aims = lags
            .iter()
            .map(|&lag| dot(column(lag), &centred[longest..]))
            .collect();
        let weights = solve(products, aims)?;
        let kept: f64 = weights.iter().sum();
        let intercept = mean * (1.0 - kept);
        Some(Self {
            lags,
            weights,
            intercept,
            difference,
        })
    }

    /// The expected `horizon` values after `past`.
    pub(super) fn ahead(&self, past: &[f64], horizon: usize) -> Vec<f64> {
        let longest = self.lags.last().copied().unwrap_or(0);
        let from = past.len().saturating_sub(longest + self.difference + 1);
        let mut values = past[from..].to_vec();
        let Some(mut work) = differences(&values, self.difference) else {
            return Vec::new();
        };
        for _ in 0..horizon {
            let terms = self.weights.iter().zip(&self.lags);
            let sum: f64 = terms
                .map(|(weight, lag)| weight * work[work.len() - lag])
                .sum();
            let next = self.intercept + sum;
            work.push(next);
            values.push(match self.difference {
                0 => next,
                over => values[values.len() - over] + next,
            });
        }
        values.split_off(values.len() - horizon)
    }
}

fn differences(series: &[f64], over: usize) -> Option<Vec<f64>> {
    match over {
        0 => Some(series.to_vec()),
        _ if series.len() <= over => None,
        _ => Some(
            series
                .iter()
                .zip(&series[over..])
                .map(|(before, now)| now - before)
                .collect(),
        ),
    }
}

/// The nearest lags, and those around one and two of each season, as the series allows.
fn lags(n: usize, seasons: &[usize]) -> Vec<usize> {
    let mut lags: Vec<usize> = (1..=NEAR_MAX.min(n / 8)).collect();
    for &season in seasons {
        lags.extend([season - 1, season, season + 1]);
        if 6 * season <= n {
            lags.push(2 * season);
        }
    }
    lags.retain(|&lag| lag > 0 && 3 * lag < n);
    lags.sort_unstable();
    lags.dedup();
    lags
}

/// Solves a symmetric positive definite system by Cholesky's method; none for others.
fn solve(mut matrix: Vec<f64>, mut aims: Vec<f64>) -> Option<Vec<f64>> {
    let n = aims.len();
    for j in 0..n {
        for k in 0..j {
            let factor = matrix[j * n + k];
            for i in j..n {
                matrix[i * n + j] -= matrix[i * n + k] * factor;
            }
        }
        let pivot = matrix[j * n + j];
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        let root = pivot.sqrt();
        for i in j..n {
            matrix[i * n + j] /= root;
        }
    }
    for i in 0..n {
        for k in 0..i {
            aims[i] -= matrix[i * n + k] * aims[k];
        }
        aims[i] /= matrix[i * n + i];
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            aims[i] -= matrix[k * n + i] * aims[k];
        }
        aims[i] /= matrix[i * n + i];
    }
    Some(aims)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_system_by_hand() {
        // 4x + 2y = 10, 2x + 3y = 11: x = 1, y = 3.
        let found = solve(vec![4.0, 2.0, 2.0, 3.0], vec![10.0, 11.0]).unwrap();
        assert!((found[0] - 1.0).abs() < 1e-12 && (found[1] - 3.0).abs() < 1e-12);
        assert!(solve(vec![1.0, 2.0, 2.0, 1.0], vec![1.0, 1.0]).is_none());
    }

    #[test]
    fn a_wave_continues() {
        // A sine obeys y(t) = 2 cos(w) y(t-1) - y(t-2) exactly.
        let wave = |k: usize| 5.0 + (0.3 * k as f64).sin();
        let series: Vec<f64> = (0..160).map(wave).collect();
        for difference in [0, 1] {
            let fit = Regression::fit(&series, &[], difference, 1e-9).unwrap();
            for (h, value) in fit.ahead(&series, 30).into_iter().enumerate() {
                assert!(
                    (value - wave(160 + h)).abs() < 0.01,
                    "{difference} {h}: {value}"
                );
            }
        }
        assert!(Regression::fit(&series[..9], &[], 0, 1e-4).is_none());
    }
}
