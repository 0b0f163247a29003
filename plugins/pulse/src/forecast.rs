//! What a series does next: exponential smoothing with prediction intervals.
//!
//! Owns the additive models of Hyndman, Koehler, Ord, Snyder, "Forecasting with Exponential
//! Smoothing", 2008, in their state-space form: simple (A,N,N), Holt's linear (A,A,N), the
//! same damped (A,Ad,N), and Holt–Winters additive (A,N,A), (A,Ad,A) where a season is
//! given. Parameters minimise the sum of squared one-step errors (Nelder–Mead from a few
//! starts), the model minimises AICc (section 7.2), intervals are those of chapter 6, class
//! 1. Knows nothing of time or units: steps only.
//!
//! Invariants: lower ≤ mean ≤ upper, all finite.

use crate::simplex;
use crate::stats::Z95;

/// The coverage of every interval.
pub const LEVEL: f64 = 0.95;
/// Fewer values than this say nothing of the next.
pub const LEAST: usize = 4;

/// The expected next values.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Expected values, one a step.
    pub mean: Vec<f64>,
    /// Lower bounds of the interval.
    pub lower: Vec<f64>,
    /// Upper bounds of the interval.
    pub upper: Vec<f64>,
    /// The model and what it was fitted on, for people.
    pub method: String,
    /// Root mean squared one-step error, corrected for the number of parameters.
    pub sigma: f64,
    /// Mean absolute one-step error ÷ mean absolute value, 0 or more; 0 for a series of
    /// zeros.
    pub relative_error: f64,
}

/// A model's form.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Form {
    trend: bool,
    damped: bool,
    /// Steps of a season; 1 for none.
    season: usize,
}

/// Smoothing parameters in the model's own ranges.
#[derive(Clone, Copy, Debug)]
struct Smoothing {
    alpha: f64,
    beta: f64,
    gamma: f64,
    phi: f64,
}

/// Level, trend and the season's pattern, the oldest entry first.
#[derive(Clone, Debug)]
struct State {
    level: f64,
    slope: f64,
    pattern: Vec<f64>,
}

/// Forecasts `horizon` steps of a series with equal steps; `season` is the length of its
/// season in steps, 0 or 1 where none is known (and it is ignored while less than two
/// seasons were seen). None for fewer than [`LEAST`] values, or values beyond ±1e100.
pub fn forecast(series: &[f64], season: usize, horizon: usize) -> Option<Forecast> {
    let n = series.len();
    if n < LEAST || !series.iter().all(|value| value.abs() <= 1e100) {
        return None;
    }
    let season = if season > 1 && n >= 2 * season {
        season
    } else {
        1
    };
    let forms = [(false, false), (true, false), (true, true)];
    let mut best: Option<(f64, Fit)> = None;
    for (trend, damped) in forms {
        let fit = Fit::new(
            series,
            Form {
                trend,
                damped,
                season,
            },
        );
        let score = fit.aicc(n);
        if best.as_ref().is_none_or(|(lowest, _)| score < *lowest) {
            best = Some((score, fit));
        }
    }
    best.map(|(_, fit)| fit.forecast(series, horizon))
}

/// A model with the parameters that suit a series best.
struct Fit {
    form: Form,
    smoothing: Smoothing,
    last: State,
    squares: f64,
    absolutes: f64,
}

impl Fit {
    fn new(series: &[f64], form: Form) -> Self {
        let start = State::first(series, form);
        let cost = |point: &[f64]| run(series, form, form.smoothing(point), &start, |_| {}).0;
        let (point, squares) = form
            .starts()
            .into_iter()
            .map(|start| simplex::minimise(&start, 0.8, 60 * start.len(), cost))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or_default();
        let smoothing = form.smoothing(&point);
        let mut absolutes = 0.0;
        let (_, last) = run(series, form, smoothing, &start, |error| {
            absolutes += f64::abs(error)
        });
        Self {
            form,
            smoothing,
            last,
            squares,
            absolutes,
        }
    }

    /// Parameters and initial states that were estimated.
    fn parameters(&self) -> f64 {
        let Form {
            trend,
            damped,
            season,
        } = self.form;
        let smoothing = 1 + usize::from(trend) + usize::from(damped) + usize::from(season > 1);
        let states = 1 + usize::from(trend) + (season - 1);
        (smoothing + states) as f64
    }

    /// Akaike's criterion, corrected for short series; lower is better.
    fn aicc(&self, n: usize) -> f64 {
        let (n, k) = (n as f64, self.parameters() + 1.0);
        let fit = n * (self.squares / n).max(f64::MIN_POSITIVE).ln() + 2.0 * k;
        if n - k - 1.0 > 0.0 {
            fit + 2.0 * k * (k + 1.0) / (n - k - 1.0)
        } else {
            // Too short to judge: any simpler model goes first.
            1e9 * k
        }
    }

    fn forecast(&self, series: &[f64], horizon: usize) -> Forecast {
        let n = series.len() as f64;
        let freedom = (n - self.parameters()).max(1.0);
        let sigma = (self.squares / freedom).sqrt();
        let size = series.iter().map(|value| value.abs()).sum::<f64>();
        let Smoothing {
            alpha,
            beta,
            gamma,
            phi,
        } = self.smoothing;
        let season = self.form.season;

        let mut result = Forecast {
            mean: Vec::with_capacity(horizon),
            lower: Vec::with_capacity(horizon),
            upper: Vec::with_capacity(horizon),
            method: self.form.describe(series.len(), self.smoothing),
            sigma,
            relative_error: if size > 0.0 {
                self.absolutes / size
            } else {
                0.0
            },
        };
        // Table 6.1: v_h = σ² (1 + Σ c_j²), c_j = α + β φ_j + γ [m divides j].
        let (mut damping, mut spread) = (0.0, 1.0);
        for h in 1..=horizon {
            damping += phi.powi(h as i32);
            let pattern = self.last.pattern[(h - 1) % season];
            let mean = self.last.level + damping * self.last.slope + pattern;
            let half = Z95 * sigma * f64::sqrt(spread);
            result.mean.push(mean);
            result.lower.push(mean - half);
            result.upper.push(mean + half);
            let seasonal = if season > 1 && h % season == 0 {
                gamma
            } else {
                0.0
            };
            spread += (alpha + beta * damping + seasonal).powi(2);
        }
        result
    }
}

impl Form {
    /// Points from which the search starts, in unbounded coordinates.
    fn starts(self) -> Vec<Vec<f64>> {
        let mut starts = vec![vec![-2.0], vec![0.5]];
        for start in &mut starts {
            if self.trend {
                start.push(-2.5);
            }
            if self.season > 1 {
                start.push(-1.5);
            }
            if self.damped {
                start.push(1.0);
            }
        }
        starts
    }

    /// Bounds of section 2.5.2: 0 < α < 1, 0 < β < α, 0 < γ < 1 − α, 0.8 ≤ φ ≤ 0.98.
    fn smoothing(self, point: &[f64]) -> Smoothing {
        let mut unit = point.iter().map(|x| 1.0 / (1.0 + (-x).exp()));
        let mut next = || unit.next().unwrap_or(0.0);
        let alpha = 0.0001 + 0.9998 * next();
        let beta = if self.trend { alpha * next() } else { 0.0 };
        let gamma = if self.season > 1 {
            (1.0 - alpha) * next()
        } else {
            0.0
        };
        let phi = if self.damped {
            0.8 + 0.18 * next()
        } else {
            1.0
        };
        Smoothing {
            alpha,
            beta,
            gamma,
            phi,
        }
    }

    fn describe(self, n: usize, smoothing: Smoothing) -> String {
        let name = match (self.season > 1, self.trend, self.damped) {
            (false, false, _) => "simple exponential smoothing",
            (false, true, false) => "Holt's linear exponential smoothing",
            (false, true, true) => "Holt's damped exponential smoothing",
            (true, false, _) => "additive seasonal exponential smoothing",
            (true, true, false) => "additive Holt–Winters",
            (true, true, true) => "damped additive Holt–Winters",
        };
        let mut text = format!("{name} fitted on {n} steps (alpha {:.3}", smoothing.alpha);
        if self.trend {
            text += &format!(", beta {:.3}", smoothing.beta);
        }
        if self.damped {
            text += &format!(", phi {:.3}", smoothing.phi);
        }
        if self.season > 1 {
            text += &format!(
                ", gamma {:.3}, season {} steps",
                smoothing.gamma, self.season
            );
        }
        text + ")"
    }
}

impl State {
    /// Initial states by section 2.6.1: the pattern from deviations from a centred moving
    /// average, level and trend from a line through the first values without it.
    fn first(series: &[f64], form: Form) -> Self {
        let season = form.season;
        let pattern = if season > 1 {
            first_pattern(series, season)
        } else {
            vec![0.0]
        };
        let count = series.len().min(10.max(2 * season));
        let adjusted: Vec<f64> = series[..count]
            .iter()
            .enumerate()
            .map(|(k, value)| value - pattern[k % season])
            .collect();
        let (level, slope) = if form.trend {
            line(&adjusted)
        } else {
            (adjusted.iter().sum::<f64>() / count as f64, 0.0)
        };
        Self {
            level,
            slope,
            pattern,
        }
    }
}

/// Mean deviation of each place in the season from the centred moving average, over the
/// first four seasons, summing to 0.
fn first_pattern(series: &[f64], season: usize) -> Vec<f64> {
    let n = series.len().min(4 * season + 1);
    let mut sums = vec![(0.0, 0.0); season];
    let half = season / 2;
    for centre in half..n.saturating_sub(half) {
        let around = &series[centre - half..=centre + half];
        let mut total: f64 = around.iter().sum();
        if season.is_multiple_of(2) {
            total -= (around[0] + around[season]) / 2.0;
        }
        let place = &mut sums[centre % season];
        place.0 += series[centre] - total / season as f64;
        place.1 += 1.0;
    }
    if sums.iter().any(|place| place.1 == 0.0) {
        // Two seasons exactly: deviations from the mean of the first.
        let mean = series[..season].iter().sum::<f64>() / season as f64;
        return series[..season].iter().map(|value| value - mean).collect();
    }
    let means: Vec<f64> = sums.iter().map(|(sum, count)| sum / count).collect();
    let offset = means.iter().sum::<f64>() / season as f64;
    means.iter().map(|mean| mean - offset).collect()
}

/// Level before the first value, and slope, by least squares.
fn line(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let x_mean = (n + 1.0) / 2.0;
    let y_mean = values.iter().sum::<f64>() / n;
    let (mut xy, mut xx) = (0.0, 0.0);
    for (k, y) in values.iter().enumerate() {
        let x = k as f64 + 1.0 - x_mean;
        xy += x * (y - y_mean);
        xx += x * x;
    }
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    (y_mean - slope * x_mean, slope)
}

/// Runs the smoothing over a series: the sum of squared one-step errors, and the last
/// state. `each` sees every error.
fn run(
    series: &[f64],
    form: Form,
    smoothing: Smoothing,
    start: &State,
    mut each: impl FnMut(f64),
) -> (f64, State) {
    let Smoothing {
        alpha,
        beta,
        gamma,
        phi,
    } = smoothing;
    let mut state = start.clone();
    let mut squares = 0.0;
    for (k, value) in series.iter().enumerate() {
        let place = k % form.season;
        let slope = phi * state.slope;
        let error = value - (state.level + slope + state.pattern[place]);
        squares += error * error;
        each(error);
        state.level += slope + alpha * error;
        state.slope = slope + beta * error;
        state.pattern[place] += gamma * error;
    }
    state.pattern.rotate_left(series.len() % form.season);
    (squares, state)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn close(found: f64, expected: f64) {
        let error = (found - expected).abs();
        assert!(
            error <= 1e-6 * expected.abs().max(1.0),
            "{found}, not {expected}"
        );
    }

    #[test]
    fn the_recursion_by_hand() {
        // Holt, level 10, slope 1, α ½, β ¼: errors 1 and 0.25.
        let form = Form {
            trend: true,
            damped: false,
            season: 1,
        };
        let smoothing = Smoothing {
            alpha: 0.5,
            beta: 0.25,
            gamma: 0.0,
            phi: 1.0,
        };
        let start = State {
            level: 10.0,
            slope: 1.0,
            pattern: vec![0.0],
        };
        let (squares, last) = run(&[12.0, 13.0], form, smoothing, &start, |_| {});
        // 12: forecast 11, error 1 → level 11.5, slope 1.25; 13: forecast 12.75, error 0.25.
        close(squares, 1.0 + 0.0625);
        close(last.level, 12.875);
        close(last.slope, 1.3125);
    }

    #[test]
    fn the_interval_is_that_of_table_6_1() {
        let fit = Fit {
            form: Form {
                trend: true,
                damped: false,
                season: 1,
            },
            smoothing: Smoothing {
                alpha: 0.5,
                beta: 0.2,
                gamma: 0.0,
                phi: 1.0,
            },
            last: State {
                level: 7.0,
                slope: 1.0,
                pattern: vec![0.0],
            },
            squares: 16.0,
            absolutes: 1.0,
        };
        // Eight values, four parameters: σ² = 4.
        let result = fit.forecast(&[1.0; 8], 3);
        assert_eq!(result.mean, [8.0, 9.0, 10.0]);
        let variances = [4.0, 4.0 * (1.0 + 0.49), 4.0 * (1.0 + 0.49 + 0.81)];
        for (h, variance) in variances.into_iter().enumerate() {
            close(result.upper[h] - result.mean[h], Z95 * f64::sqrt(variance));
        }
    }

    #[test]
    fn a_line_goes_on_and_a_level_stays() {
        let line: Vec<f64> = (0..30).map(|k| 5.0 + 2.0 * f64::from(k)).collect();
        let result = forecast(&line, 0, 3).unwrap();
        for (h, mean) in result.mean.iter().enumerate() {
            assert!((mean - (65.0 + 2.0 * h as f64)).abs() < 0.01, "{mean}");
        }
        let level = forecast(&[4.0; 12], 0, 2).unwrap();
        assert_eq!(level.mean, [4.0, 4.0]);
        assert_eq!((level.sigma, level.relative_error), (0.0, 0.0));
    }

    #[test]
    fn a_season_comes_again() {
        let pattern = [10.0, 20.0, 5.0, 1.0];
        let series: Vec<f64> = (0..32)
            .map(|k| 100.0 + pattern[k % 4] + 0.5 * k as f64)
            .collect();
        let result = forecast(&series, 4, 8).unwrap();
        for (h, mean) in result.mean.iter().enumerate() {
            let k = 32 + h;
            let expected = 100.0 + pattern[k % 4] + 0.5 * k as f64;
            assert!((mean - expected).abs() < 0.2, "{mean}, not {expected}");
        }
        // The same when the series ends within a season.
        let result = forecast(&series[..30], 4, 2).unwrap();
        assert!((result.mean[0] - series[30]).abs() < 0.2);
        // A season longer than half of the series is not known.
        assert!(!forecast(&series, 17, 1).unwrap().method.contains("season"));
    }

    #[test]
    fn odd_series_stay_finite_and_ordered() {
        let odd: [&[f64]; 6] = [
            &[0.0; 4],
            &[1e-300, 1e100, 1.0, -1e90],
            &[5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0],
            &[1.0, 2.0, 3.0, 4.0],
            &[-1.0, 1.0, -1.0, 1.0, -1.0, 1.0],
            &[1e-12; 9],
        ];
        for series in odd {
            let result = forecast(series, 2, 40).unwrap();
            for h in 0..40 {
                let (low, mean, high) = (result.lower[h], result.mean[h], result.upper[h]);
                assert!(
                    low <= mean && mean <= high,
                    "{series:?}: {low} {mean} {high}"
                );
            }
        }
        assert_eq!(forecast(&[1.0, 2.0, 3.0], 0, 1), None);
        assert_eq!(forecast(&[1.0, f64::NAN, 3.0, 4.0], 0, 1), None);
        assert_eq!(forecast(&[1.0, 1e300, 3.0, 4.0], 0, 1), None);
    }
}
