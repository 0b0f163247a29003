//! What a series does next, with an interval that was calibrated on the series itself.
//!
//! Owns the whole of a forecast: whether it is made of values or of their logarithms, its
//! seasons ([`season`]), the members that look ahead and their weights ([`pool`]), and the
//! interval ([`interval`]). Series too short to hold anything out get exponential smoothing
//! alone with the intervals of its theory. Knows nothing of time or units: steps only.
//!
//! Invariants: lower ≤ mean ≤ upper, all finite; the same series gives the same forecast.

mod decompose;
mod ets;
mod interval;
mod pool;
mod regress;
mod season;

use crate::stats::Z95;
use ets::Ets;
use pool::{Holdout, Kind, Pool};

/// The coverage of every interval.
pub const LEVEL: f64 = 0.95;
/// Fewer values than this say nothing of the next.
pub const LEAST: usize = 4;
/// The level of a series must have moved by this factor for logarithms to matter.
const LEVEL_MOVED: f64 = 1.5;
/// Values of the past that are looked at.
const NEWEST: usize = 3000;

/// The expected next values.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Expected values, one a step.
    pub mean: Vec<f64>,
    /// Lower bounds of the interval.
    pub lower: Vec<f64>,
    /// Upper bounds of the interval.
    pub upper: Vec<f64>,
    /// The method and what it was fitted on, for people.
    pub method: String,
    /// Mean absolute error ÷ mean absolute value, where it was held out (of one step, where
    /// nothing was), 0 or more; 0 for a series of zeros.
    pub relative_error: f64,
}

/// Forecasts `horizon` steps of a series with equal steps. `season` is the length of its
/// season in steps, 1 for none, 0 where it is to be found. None for fewer than [`LEAST`]
/// values, or values beyond ±1e100.
pub fn forecast(series: &[f64], season: usize, horizon: usize) -> Option<Forecast> {
    if series.len() < LEAST || !series.iter().all(|value| value.abs() <= 1e100) {
        return None;
    }
    let series = &series[series.len().saturating_sub(NEWEST)..];
    let logarithmic = season != 1 && logarithmic(series, season);
    let logarithms: Vec<f64>;
    let work = if logarithmic {
        logarithms = series.iter().map(|value| value.ln()).collect();
        &logarithms
    } else {
        series
    };
    let seasons = season::find(series, season);
    let longest = seasons.last().copied().unwrap_or(1);
    let found = match Holdout::plan(work.len(), horizon, longest) {
        Some(holdout) => combined(work, &seasons, &holdout, horizon),
        None => None,
    };
    let (mean, half, mut method, error) =
        found.unwrap_or_else(|| smoothed(work, &seasons, horizon));
    let back = |value: f64| if logarithmic { value.exp() } else { value };
    let size = series.iter().map(|value| value.abs()).sum::<f64>() / series.len() as f64;
    if logarithmic {
        method += " of logarithms";
    }
    Some(Forecast {
        lower: mean
            .iter()
            .zip(&half)
            .map(|(mean, half)| back(mean - half))
            .collect(),
        upper: mean
            .iter()
            .zip(&half)
            .map(|(mean, half)| back(mean + half))
            .collect(),
        mean: mean.into_iter().map(back).collect(),
        method,
        relative_error: match logarithmic {
            true => error.exp() - 1.0,
            false if size > 0.0 => error / size,
            false => 0.0,
        },
    })
}

type Found = (Vec<f64>, Vec<f64>, String, f64);

fn combined(series: &[f64], seasons: &[usize], holdout: &Holdout, horizon: usize) -> Option<Found> {
    let mut pool = Pool::fit(series, seasons, holdout);
    let mean = pool.ahead(horizon)?;
    let half = interval::half_widths(&pool.errors, horizon);
    let all = pool.errors.iter().flatten();
    let error = all.clone().map(|error| error.abs()).sum::<f64>() / all.count().max(1) as f64;
    let members: Vec<String> = pool
        .weights()
        .map(|(kind, weight)| format!("{} {:.0} %", kind.name(), 100.0 * weight))
        .collect();
    let mut method = format!(
        "combination of {} fitted on {} steps, weights and interval from {} origins in the last {}",
        members.join(", "),
        series.len(),
        holdout.origins.len(),
        series.len() - holdout.head
    );
    if !seasons.is_empty() {
        let lengths: Vec<String> = seasons.iter().map(usize::to_string).collect();
        method += &format!(", seasons of {} steps", lengths.join(" and "));
    }
    Some((mean, half, method, error))
}

/// Exponential smoothing alone.
fn smoothed(series: &[f64], seasons: &[usize], horizon: usize) -> Found {
    let best = [&seasons[..0], &seasons[..seasons.len().min(1)]]
        .into_iter()
        .map(|seasons| Ets::choose(series, seasons, false, true))
        .reduce(|best, other| {
            if other.aicc() < best.aicc() {
                other
            } else {
                best
            }
        });
    let Some(best) = best else {
        return (vec![0.0; horizon], vec![0.0; horizon], String::new(), 0.0);
    };
    let half = best
        .spread(horizon)
        .iter()
        .map(|spread| Z95 * best.sigma() * spread)
        .collect();
    let error = best.absolutes(series) / series.len() as f64;
    (
        best.ahead(series, horizon),
        half,
        best.describe(series.len()),
        error,
    )
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Repeated => "the last season",
            Self::Smoothed => "exponential smoothing",
            Self::Adjusted => "seasonal decomposition with exponential smoothing",
            Self::Regressed => "autoregression",
            Self::RegressedBySeason => "seasonal autoregression",
        }
    }
}

impl Ets {
    fn describe(&self, n: usize) -> String {
        let name = match (
            self.form.seasons.is_empty(),
            self.form.trend,
            self.form.damped,
        ) {
            (true, false, _) => "simple exponential smoothing",
            (true, true, false) => "Holt's linear exponential smoothing",
            (true, true, true) => "Holt's damped exponential smoothing",
            (false, false, _) => "additive seasonal exponential smoothing",
            (false, true, false) => "additive Holt–Winters",
            (false, true, true) => "damped additive Holt–Winters",
        };
        let mut text = format!(
            "{name} fitted on {n} steps (alpha {:.3}",
            self.smoothing.alpha
        );
        if self.form.trend {
            text += &format!(", beta {:.3}", self.smoothing.beta);
        }
        if self.form.damped {
            text += &format!(", phi {:.3}", self.smoothing.phi);
        }
        if let Some(season) = self.form.seasons.first() {
            text += &format!(
                ", gamma {:.3}, season {season} steps",
                self.smoothing.gamma[0]
            );
        }
        text + ")"
    }
}

/// Whether a series scatters in proportion to its level: all values are above 0, the level
/// moved by half or more, and the deviations within stretches of it grow with their means
/// (Guerrero, "Time-series analysis supported by power transformations", 1993, between the
/// powers 0 and 1).
fn logarithmic(series: &[f64], season: usize) -> bool {
    let span = if season > 1 { season } else { 12 };
    if series.len() < 4 * span || series.iter().any(|value| *value <= 0.0) {
        return false;
    }
    let variation = |power: f64| {
        let ratios: Vec<f64> = series
            .rchunks_exact(span)
            .map(|part| {
                let mean = part.iter().sum::<f64>() / span as f64;
                let squares: f64 = part.iter().map(|value| (value - mean).powi(2)).sum();
                (squares / (span as f64 - 1.0)).sqrt() / mean.powf(1.0 - power)
            })
            .collect();
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        let squares: f64 = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum();
        (squares / ratios.len() as f64).sqrt() / mean.max(f64::MIN_POSITIVE)
    };
    let quarter = series.len() / 4;
    let sum = |part: &[f64]| part.iter().sum::<f64>();
    let moved = sum(&series[series.len() - quarter..]) / sum(&series[..quarter]);
    !(1.0 / LEVEL_MOVED..=LEVEL_MOVED).contains(&moved) && variation(0.0) < variation(1.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::noise::Noise;

    fn sound(ahead: &Forecast, horizon: usize) {
        assert_eq!(ahead.mean.len(), horizon);
        for h in 0..horizon {
            let (low, mean, high) = (ahead.lower[h], ahead.mean[h], ahead.upper[h]);
            assert!(
                low <= mean && mean <= high && low.is_finite() && high.is_finite(),
                "{ahead:?}"
            );
        }
        assert!(ahead.relative_error >= 0.0 && ahead.relative_error.is_finite());
    }

    #[test]
    fn any_series_gets_a_sound_forecast() {
        let mut noise = Noise::new(1);
        for case in 0..600 {
            let n = LEAST + (noise.bits() % 160) as usize;
            let size = 10.0_f64.powi((noise.bits() % 24) as i32 - 8);
            let series: Vec<f64> = match case % 6 {
                0 => vec![size; n],
                1 => (0..n).map(|_| size * noise.normal()).collect(),
                2 => (0..n).map(|k| size * (k as f64).exp2().min(1e60)).collect(),
                3 => (0..n)
                    .map(|k| size * f64::from(u8::from(k % 7 == 0)))
                    .collect(),
                4 => (0..n)
                    .map(|k| size * (1.0 + (k % 12) as f64 + 0.1 * noise.unit()))
                    .collect(),
                _ => (0..n)
                    .map(|k| if k == n / 2 { size } else { 0.0 })
                    .collect(),
            };
            let season = [0, 1, 2, 7, 12, 1000][(noise.bits() % 6) as usize];
            let horizon = (noise.bits() % 30) as usize;
            let ahead = forecast(&series, season, horizon).unwrap();
            sound(&ahead, horizon);
            assert_eq!(forecast(&series, season, horizon), Some(ahead));
        }
        assert_eq!(forecast(&[1.0; 3], 0, 5), None);
        assert_eq!(forecast(&[1.0, 2.0, f64::NAN, 3.0, 4.0], 0, 5), None);
    }

    #[test]
    fn a_series_that_never_changes_goes_on_and_its_method_has_a_name() {
        for value in [0.0, 5.0, -0.1, 1e-200, 1e90] {
            for (n, season) in [(4, 1), (30, 0), (60, 1), (100, 12), (100, 0)] {
                let ahead = forecast(&vec![value; n], season, 6).unwrap();
                let near = 1e-9 * value.abs();
                let same = |to: &f64| (to - value).abs() <= near;
                assert!(
                    ahead.mean.iter().all(same),
                    "{value} {n} {season}: {ahead:?}"
                );
                assert!(
                    ahead.lower.iter().chain(&ahead.upper).all(same),
                    "{ahead:?}"
                );
                assert!(
                    ahead.method.contains("exponential smoothing"),
                    "{}",
                    ahead.method
                );
            }
        }
    }

    #[test]
    fn a_line_goes_on_and_a_season_returns() {
        let line: Vec<f64> = (0..60).map(|k| 3.0 + 2.0 * f64::from(k)).collect();
        let ahead = forecast(&line, 1, 5).unwrap();
        assert!(
            (ahead.mean[4] - (3.0 + 2.0 * 64.0)).abs() < 1.0,
            "{ahead:?}"
        );
        let wave = |k: usize| 10.0 + [4.0, 0.0, -4.0, 1.0, -1.0][k % 5];
        let series: Vec<f64> = (0..80).map(wave).collect();
        for season in [0, 5] {
            let ahead = forecast(&series, season, 10).unwrap();
            for (h, mean) in ahead.mean.iter().enumerate() {
                assert!((mean - wave(80 + h)).abs() < 0.05, "{season} {h}: {mean}");
            }
            assert!(
                ahead.method.contains("seasons of 5 steps"),
                "{}",
                ahead.method
            );
        }
    }

    #[test]
    fn a_short_series_has_the_intervals_of_the_theory() {
        // Simple smoothing of scatter: about two standard deviations at the first step.
        let series = [9.0, 11.0, 10.0, 12.0, 8.0, 10.0, 11.0, 9.0];
        let ahead = forecast(&series, 1, 3).unwrap();
        assert!(
            ahead
                .method
                .starts_with("simple exponential smoothing fitted on 8 steps")
        );
        let half = ahead.upper[0] - ahead.mean[0];
        assert!((1.5..4.5).contains(&half), "{half}");
    }

    #[test]
    fn growth_in_proportion_is_seen_in_logarithms() {
        let series: Vec<f64> = (0..120)
            .map(|k| {
                20.0 * 1.02_f64.powi(k)
                    * (1.0 + 0.3 * f64::sin(f64::from(k) * std::f64::consts::TAU / 12.0))
            })
            .collect();
        let ahead = forecast(&series, 12, 12).unwrap();
        assert!(ahead.method.ends_with("of logarithms"), "{}", ahead.method);
        let last: f64 = series[108..].iter().sum();
        let next: f64 = ahead.mean.iter().sum();
        assert!(
            (next / last - 1.02_f64.powi(12)).abs() < 0.02,
            "{}",
            next / last
        );
    }
}
