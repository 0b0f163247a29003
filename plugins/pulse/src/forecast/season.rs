//! How long a series' seasons are.
//!
//! Owns the search for the first season, where none is given, and for a longer one made of
//! whole shorter ones (the week of days, the year of quarters): both by the autocorrelation of
//! what a moving average leaves. Knows nothing of models.

use super::decompose::{Decomposed, moving_average};
use crate::stats::dot;

/// The longest season looked for, in steps.
const LONGEST: usize = 400;
/// How many short seasons a long one may be made of.
const MULTIPLES: std::ops::RangeInclusive<usize> = 2..=14;
/// Seasons that must have been seen of a long one.
const SEEN_LEAST: f64 = 2.5;
/// Seasons that must have been seen of one that is looked for.
const FOUND_LEAST: usize = 5;
/// Autocorrelation from which something repeats.
const REPEATS: f64 = 0.3;

/// The seasons of a series, rising: of a first one of `given` steps, or of one that is
/// looked for where `given` is 0; none where it is 1, or was seen less than twice.
pub(super) fn find(series: &[f64], given: usize) -> Vec<usize> {
    let first = match given {
        0 => match first(series) {
            Some(found) => found,
            None => return Vec::new(),
        },
        given => given,
    };
    if first < 2 || 2 * first > series.len() {
        return Vec::new();
    }
    let long = longer(series, first);
    [first].into_iter().chain(long).collect()
}

/// Autocorrelations of lag 0 to `longest` of a series around 0, corrected for the number of
/// products in each.
fn autocorrelation(rest: &[f64], lags: impl Iterator<Item = usize>) -> Vec<f64> {
    let n = rest.len() as f64;
    let variance: f64 = rest.iter().map(|value| value * value).sum::<f64>() / n;
    if variance <= 0.0 {
        return lags.map(|_| 0.0).collect();
    }
    let at = |lag: usize| dot(rest, &rest[lag..]) / variance / (n - lag as f64);
    lags.map(at).collect()
}

fn without_trend(series: &[f64], span: usize) -> Vec<f64> {
    let trend = moving_average(series, span);
    series
        .iter()
        .zip(trend)
        .map(|(value, trend)| value - trend)
        .collect()
}

/// The lag of the first high peak after the autocorrelation fell.
fn first(series: &[f64]) -> Option<usize> {
    let n = series.len();
    let longest = LONGEST.min(n / FOUND_LEAST);
    if longest < 2 {
        return None;
    }
    let rest = without_trend(series, (2 * longest + 1).min(n / 2) | 1);
    let found = autocorrelation(&rest, 0..longest + 1);
    let mut lowest = 1.0_f64;
    let mut peaks = Vec::new();
    for lag in 2..longest {
        lowest = lowest.min(found[lag - 1]);
        let highest = found[lag] > found[lag - 1] && found[lag] >= found[lag + 1];
        let certain = REPEATS.max(3.0 / (n as f64).sqrt());
        if highest && found[lag] > certain && found[lag] > lowest + REPEATS {
            peaks.push((found[lag], lag));
        }
    }
    let best = peaks.iter().map(|peak| peak.0).fold(0.0, f64::max);
    // Multiples of a season repeat as well as it does: the shortest is meant.
    peaks
        .into_iter()
        .find(|peak| peak.0 >= 0.85 * best)
        .map(|peak| peak.1)
}

/// A season made of whole seasons of `first` steps, in what the first does not explain.
fn longer(series: &[f64], first: usize) -> Option<usize> {
    let lags: Vec<usize> = MULTIPLES
        .map(|times| times * first)
        .take_while(|&lag| lag <= LONGEST && lag as f64 * SEEN_LEAST <= series.len() as f64)
        .collect();
    if first < 4 || lags.is_empty() {
        return None;
    }
    let adjusted = Decomposed::new(series, &[first]).adjusted;
    let rest = without_trend(&adjusted, (7 * first) | 1);
    let found = autocorrelation(&rest, lags.iter().copied());
    let mut best = (0.0, None);
    for (value, lag) in found.into_iter().zip(lags) {
        if value > best.0 + 0.05 {
            best = (value, Some(lag));
        }
    }
    best.1.filter(|_| best.0 > REPEATS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    #[test]
    fn seasons_are_found_under_a_trend_and_noise() {
        for season in [4, 7, 12, 24, 52] {
            let mut noise = Noise::new(season as u64);
            let wave = |k: usize| (std::f64::consts::TAU * k as f64 / season as f64).sin();
            let series: Vec<f64> = (0..8 * season)
                .map(|k| 3.0 * wave(k) + 0.02 * k as f64 + noise.normal())
                .collect();
            let found = find(&series, 0).first().copied().unwrap_or(0);
            assert!(
                found.abs_diff(season) <= season / 20,
                "{found} for {season}"
            );
        }
    }

    #[test]
    fn a_week_of_days_is_found_and_noise_has_none() {
        let mut noise = Noise::new(7);
        let series: Vec<f64> = (0..24 * 7 * 4)
            .map(|k| {
                let day = (std::f64::consts::TAU * (k % 24) as f64 / 24.0).sin();
                let weekend = if k / 24 % 7 >= 5 { -2.0 } else { 0.0 };
                4.0 * day + weekend + 0.2 * noise.normal()
            })
            .collect();
        assert_eq!(find(&series, 24), [24, 168]);
        let scatter: Vec<f64> = (0..300).map(|_| noise.normal()).collect();
        assert!(find(&scatter, 0).is_empty());
        assert!(find(&scatter, 1).is_empty());
        assert_eq!(find(&scatter, 24), [24]);
        assert!(find(&[1.0; 100], 0).is_empty());
    }
}
