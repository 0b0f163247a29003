//! Exponential smoothing.
//!
//! Owns the additive models of Hyndman, Koehler, Ord, Snyder, "Forecasting with Exponential
//! Smoothing", 2008, in their state-space form: level, optional trend (damped or not), up to
//! two seasons (Taylor, "Short-term electricity demand forecasting using double seasonal
//! exponential smoothing", 2003) and, as he does, optional first-order autocorrelation of the
//! errors. Parameters minimise the sum of squared one-step errors; models compare by AICc
//! (section 7.2). Knows nothing of how forecasts are combined.

use super::decompose::moving_average;
use crate::simplex;

/// The most seasons of a model.
pub(super) const SEASONS_MAX: usize = 2;
/// Evaluations of the search for each parameter, at most.
const EVALUATIONS: usize = 40;
/// Values up to which a search has all of them; a longer series gets fewer, as a pass costs more.
const FULL_SEARCH: usize = 500;
/// A search ends where all that is left differs by this part of the sum of squares: less than what
/// decides between forms, and no forecast is better for it.
const NEAR: f64 = 1e-3;

/// A model's form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Form {
    pub(super) trend: bool,
    pub(super) damped: bool,
    /// Whether an error carries over to the next step.
    pub(super) carried: bool,
    /// Lengths of seasons in steps, rising; at most [`SEASONS_MAX`].
    pub(super) seasons: Vec<usize>,
}

/// Smoothing parameters in the model's own ranges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Smoothing {
    pub(super) alpha: f64,
    pub(super) beta: f64,
    pub(super) phi: f64,
    /// Part of an error that the next one keeps.
    pub(super) rho: f64,
    pub(super) gamma: [f64; SEASONS_MAX],
}

/// A form with the parameters that suit a series best.
#[derive(Clone, Debug)]
pub(super) struct Ets {
    pub(super) form: Form,
    pub(super) smoothing: Smoothing,
    point: Vec<f64>,
    /// Sum of squared one-step errors.
    squares: f64,
    /// Values it was fitted on.
    count: usize,
}

/// Level, trend, the last error, and the seasons' patterns from the next step on.
#[derive(Clone, Debug)]
struct State {
    level: f64,
    slope: f64,
    error: f64,
    patterns: Vec<Vec<f64>>,
}

impl Form {
    /// Parameters and initial states that are estimated, with the errors' variance.
    fn parameters(&self) -> f64 {
        let states = 1 + usize::from(self.trend);
        let seasons: usize = self.seasons.iter().map(|season| season - 1).sum();
        (self.dimensions() + states + seasons + 1) as f64
    }

    fn dimensions(&self) -> usize {
        let flags = [self.trend, self.damped, self.carried];
        1 + flags.into_iter().filter(|flag| *flag).count() + self.seasons.len()
    }

    /// Where the search starts, in unbounded coordinates.
    fn first_point(&self) -> Vec<f64> {
        let mut point = vec![-1.0];
        let flags = [(self.trend, -2.5), (self.damped, 1.5), (self.carried, 0.3)];
        point.extend(flags.into_iter().filter(|flag| flag.0).map(|flag| flag.1));
        point.extend(self.seasons.iter().map(|_| -2.0));
        point
    }

    /// Bounds of section 2.5.2: 0 < α < 1, 0 < β < α, 0 < γ < 1 − α, 0.8 ≤ φ ≤ 0.99.
    fn smoothing(&self, point: &[f64]) -> Smoothing {
        let mut unit = point.iter().map(|x| 1.0 / (1.0 + (-x).exp()));
        let mut next = |wanted: bool| {
            if wanted {
                unit.next().unwrap_or(0.0)
            } else {
                0.0
            }
        };
        let alpha = 0.0001 + 0.9998 * next(true);
        let beta = alpha * next(self.trend);
        let phi = if self.damped {
            0.8 + 0.19 * next(true)
        } else {
            1.0
        };
        let rho = if self.carried {
            1.9 * next(true) - 0.95
        } else {
            0.0
        };
        let mut gamma = [0.0; SEASONS_MAX];
        for (gamma, _) in gamma.iter_mut().zip(&self.seasons) {
            *gamma = (1.0 - alpha) * next(true);
        }
        Smoothing {
            alpha,
            beta,
            phi,
            rho,
            gamma,
        }
    }
}

impl Ets {
    /// The form with the lowest AICc of: without trend, linear (where `linear`), damped.
    pub(super) fn choose(series: &[f64], seasons: &[usize], carried: bool, linear: bool) -> Self {
        let form = |trend, damped| Form {
            trend,
            damped,
            carried,
            seasons: seasons.to_vec(),
        };
        let first = Self::fit(series, form(false, false));
        [(linear, false), (true, true)]
            .into_iter()
            .filter(|(trend, _)| *trend)
            .map(|(trend, damped)| Self::fit(series, form(trend, damped)))
            .fold(first, |best, other| {
                if other.aicc() < best.aicc() {
                    other
                } else {
                    best
                }
            })
    }

    /// The best parameters of a form.
    pub(super) fn fit(series: &[f64], form: Form) -> Self {
        let point = form.first_point();
        Self::search(series, form, &point, 1.0, EVALUATIONS)
    }

    /// The same form on a longer series, searched from the parameters that it has.
    pub(super) fn refit(&self, series: &[f64]) -> Self {
        Self::search(series, self.form.clone(), &self.point, 0.3, EVALUATIONS / 4)
    }

    fn search(series: &[f64], form: Form, from: &[f64], step: f64, evaluations: usize) -> Self {
        let start = State::first(series, &form);
        let cost = |point: &[f64]| start.clone().run(series, &form.smoothing(point), |_| {});
        let fewer = (FULL_SEARCH as f64 / series.len() as f64).min(1.0);
        let budget = (fewer * (evaluations * form.dimensions()) as f64) as usize;
        let (point, squares) = simplex::minimise(from, step, budget, NEAR, cost);
        Self {
            smoothing: form.smoothing(&point),
            point,
            squares,
            count: series.len(),
            form,
        }
    }

    /// Akaike's criterion, corrected for short series; lower is better.
    pub(super) fn aicc(&self) -> f64 {
        let (n, k) = (self.count as f64, self.form.parameters());
        let fit = n * (self.squares / n).max(f64::MIN_POSITIVE).ln() + 2.0 * k;
        if n - k - 1.0 > 0.0 {
            fit + 2.0 * k * (k + 1.0) / (n - k - 1.0)
        } else {
            // Too short to judge: any simpler model goes first.
            1e9 * k
        }
    }

    /// Standard deviation of the one-step errors, corrected for the number of parameters.
    pub(super) fn sigma(&self) -> f64 {
        (self.squares / (self.count as f64 - self.form.parameters() + 1.0).max(1.0)).sqrt()
    }

    /// The expected `horizon` values after `past`.
    pub(super) fn ahead(&self, past: &[f64], horizon: usize) -> Vec<f64> {
        let mut state = State::first(past, &self.form);
        state.run(past, &self.smoothing, |_| {});
        let Smoothing { phi, rho, .. } = self.smoothing;
        let (mut damping, mut factor, mut carried) = (0.0, 1.0, 1.0);
        let steps = (0..horizon).map(|h| {
            factor *= phi;
            damping += factor;
            carried *= rho;
            let seasons = state
                .patterns
                .iter()
                .map(|pattern| pattern[h % pattern.len()]);
            state.level + damping * state.slope + carried * state.error + seasons.sum::<f64>()
        });
        steps.collect()
    }

    /// What an error adds to the standard deviation `h` steps on, from 1, relative to one
    /// step: table 6.1, v_h = σ² (1 + Σ c_j²), c_j = α + β φ_j + γ [m divides j].
    pub(super) fn spread(&self, horizon: usize) -> Vec<f64> {
        let Smoothing {
            alpha,
            beta,
            phi,
            rho,
            gamma,
        } = self.smoothing;
        let (mut damping, mut factor, mut carried, mut variance) = (0.0, 1.0, 1.0, 1.0_f64);
        let mut spread = Vec::with_capacity(horizon);
        for h in 1..=horizon {
            spread.push(variance.sqrt());
            factor *= phi;
            damping += factor;
            carried *= rho;
            let seasons = self.form.seasons.iter().zip(gamma);
            let seasonal: f64 = seasons
                .filter(|(m, _)| h % **m == 0)
                .map(|(_, gamma)| gamma)
                .sum();
            variance += (alpha + beta * damping + seasonal + carried).powi(2);
        }
        spread
    }

    /// Sum of absolute one-step errors over a series.
    pub(super) fn absolutes(&self, series: &[f64]) -> f64 {
        let mut sum = 0.0;
        State::first(series, &self.form)
            .run(series, &self.smoothing, |error| sum += f64::abs(error));
        sum
    }
}

impl State {
    /// Initial states by section 2.6.1: patterns from deviations from a centred moving
    /// average over the first seasons, level and trend from a line through what is left.
    fn first(series: &[f64], form: &Form) -> Self {
        let longest = form.seasons.iter().copied().max().unwrap_or(1);
        let mut rest = series[..series.len().min((4 * longest).max(10))].to_vec();
        let mut patterns = Vec::with_capacity(form.seasons.len());
        for &season in &form.seasons {
            let trend = moving_average(&rest, season);
            let mut places = vec![(0.0, 0.0); season];
            for (k, (value, trend)) in rest.iter().zip(&trend).enumerate() {
                places[k % season].0 += value - trend;
                places[k % season].1 += 1.0;
            }
            let means = places
                .iter()
                .map(|(sum, count)| sum / f64::max(*count, 1.0));
            let mut pattern: Vec<f64> = means.collect();
            let mean = pattern.iter().sum::<f64>() / season as f64;
            pattern.iter_mut().for_each(|value| *value -= mean);
            for (k, value) in rest.iter_mut().enumerate() {
                *value -= pattern[k % season];
            }
            patterns.push(pattern);
        }
        let count = rest.len().min(10.max(2 * longest));
        let (level, slope) = line(&rest[..count], form.trend);
        Self {
            level,
            slope,
            error: 0.0,
            patterns,
        }
    }

    /// Goes through a series: the sum of squared one-step errors. `each` sees every error.
    fn run(&mut self, series: &[f64], by: &Smoothing, each: impl FnMut(f64)) -> f64 {
        let mut patterns = std::mem::take(&mut self.patterns);
        let squares = match patterns.as_mut_slice() {
            [] => self.pass(series, by, [], each),
            [one] => self.pass(series, by, [one.as_mut_slice()], each),
            [one, two, ..] => self.pass(series, by, [one.as_mut_slice(), two.as_mut_slice()], each),
        };
        for pattern in &mut patterns {
            let passed = series.len() % pattern.len().max(1);
            pattern.rotate_left(passed);
        }
        self.patterns = patterns;
        squares
    }

    fn pass<const K: usize>(
        &mut self,
        series: &[f64],
        by: &Smoothing,
        patterns: [&mut [f64]; K],
        mut each: impl FnMut(f64),
    ) -> f64 {
        let mut places = [0; K];
        let mut squares = 0.0;
        let Self {
            mut level,
            mut slope,
            mut error,
            ..
        } = *self;
        for value in series {
            let grown = by.phi * slope;
            let mut expected = level + grown;
            for k in 0..K {
                expected += patterns[k][places[k]];
            }
            let off = value - expected;
            let new = off - by.rho * error;
            squares += new * new;
            each(new);
            level += grown + by.alpha * new;
            slope = grown + by.beta * new;
            error = off;
            for k in 0..K {
                patterns[k][places[k]] += by.gamma[k] * new;
                places[k] += 1;
                if places[k] == patterns[k].len() {
                    places[k] = 0;
                }
            }
        }
        (self.level, self.slope, self.error) = (level, slope, error);
        squares
    }
}

/// Level before the first value, and slope (0 unless wanted), by least squares.
fn line(values: &[f64], sloped: bool) -> (f64, f64) {
    let n = values.len() as f64;
    let middle = (n + 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let (mut xy, mut xx) = (0.0, 0.0);
    for (k, y) in values.iter().enumerate() {
        let x = k as f64 + 1.0 - middle;
        xy += x * (y - mean);
        xx += x * x;
    }
    let slope = if sloped && xx > 0.0 { xy / xx } else { 0.0 };
    (mean - slope * middle, slope)
}
