//! Seasons taken out of a series.
//!
//! Owns a plain version of MSTL (Bandara, Hyndman, Bergmeir, "MSTL: A seasonal-trend
//! decomposition algorithm for time series with multiple seasonal patterns", 2021): seasons
//! from the shortest to the longest, twice round; the trend is a moving average over a whole
//! season in place of loess, and each place of a season is smoothed over the seasons around
//! it with triangular weights. O(n) a season. Knows nothing of models.

/// Seasons each way over which a place in the season is smoothed.
const REACH: usize = 7;
/// What a season whose trend had to be extended counts, compared with the others.
const EDGE_WEIGHT: f64 = 0.35;

/// A series without its seasons, and what they add after its end.
pub(super) struct Decomposed {
    pub(super) adjusted: Vec<f64>,
    /// For each season, the pattern of the steps after the end.
    next: Vec<Vec<f64>>,
}

impl Decomposed {
    /// Takes seasons of these lengths, rising, out of a series of at least two of the longest.
    pub(super) fn new(series: &[f64], seasons: &[usize]) -> Self {
        let mut parts: Vec<Vec<f64>> = vec![vec![0.0; series.len()]; seasons.len()];
        let mut next: Vec<Vec<f64>> = vec![Vec::new(); seasons.len()];
        let mut adjusted = series.to_vec();
        for _ in 0..seasons.len().min(2) {
            for (k, &season) in seasons.iter().enumerate() {
                for (value, part) in adjusted.iter_mut().zip(&parts[k]) {
                    *value += part;
                }
                let trend = moving_average(&adjusted, season);
                let rest: Vec<f64> = adjusted.iter().zip(&trend).map(|(a, t)| a - t).collect();
                (parts[k], next[k]) = pattern(&rest, season);
                for (value, part) in adjusted.iter_mut().zip(&parts[k]) {
                    *value -= part;
                }
            }
        }
        Self { adjusted, next }
    }

    /// What the seasons add to the step `h` after the end, from 0.
    pub(super) fn season_at(&self, h: usize) -> f64 {
        self.next
            .iter()
            .map(|pattern| pattern[h % pattern.len()])
            .sum()
    }
}

/// The centred moving average over a whole season; its first and last values hold to the ends.
pub(super) fn moving_average(series: &[f64], season: usize) -> Vec<f64> {
    let n = series.len();
    let half = season / 2;
    if n <= 2 * half + 1 {
        return vec![series.iter().sum::<f64>() / n.max(1) as f64; n];
    }
    let even = season.is_multiple_of(2);
    let mut trend = vec![0.0; n];
    let mut sum: f64 = series[..2 * half + 1].iter().sum();
    for centre in half..n - half {
        if centre > half {
            sum += series[centre + half] - series[centre - half - 1];
        }
        // Of an even season, the two ends are the same place of it.
        let ends = (series[centre - half] + series[centre + half]) / 2.0;
        let total = if even { sum - ends } else { sum };
        trend[centre] = total / season as f64;
    }
    let (first, last) = (trend[half], trend[n - half - 1]);
    trend[..half].fill(first);
    trend[n - half..].fill(last);
    trend
}

/// Smooths each place of the season over the seasons around it: the pattern within the
/// series, and that of the season after its end. Both sum to 0 over a season.
fn pattern(rest: &[f64], season: usize) -> (Vec<f64>, Vec<f64>) {
    let (n, half) = (rest.len(), season / 2);
    let mut part = vec![0.0; n];
    let mut next = vec![0.0; season];
    let near: [f64; REACH + 1] = std::array::from_fn(|k| 1.0 - k as f64 / (REACH as f64 + 1.0));
    // Of one place: the weight of each value, and the value times it.
    let mut places: Vec<(f64, f64)> = Vec::with_capacity(n / season + 1);
    for place in 0..season {
        places.clear();
        places.extend((place..n).step_by(season).map(|at| {
            let edge = at < half || at + half >= n;
            let weight = if edge { EDGE_WEIGHT } else { 1.0 };
            (weight, weight * rest[at])
        }));
        for k in 0..=places.len() {
            let (mut sum, mut weights) = (0.0, 0.0);
            let first = k.saturating_sub(REACH);
            let last = places.len().min(k + REACH + 1);
            for (j, (weight, value)) in places[first..last].iter().enumerate() {
                let near = near[k.abs_diff(first + j)];
                sum += near * value;
                weights += near * weight;
            }
            let smooth = if weights > 0.0 { sum / weights } else { 0.0 };
            match part.get_mut(place + k * season) {
                Some(inside) => *inside = smooth,
                None => next[place + k * season - n] = smooth,
            }
        }
    }
    let mean = next.iter().sum::<f64>() / season as f64;
    next.iter_mut().for_each(|value| *value -= mean);
    let level = moving_average(&part, season);
    part.iter_mut()
        .zip(level)
        .for_each(|(value, level)| *value -= level);
    (part, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seasons_and_a_trend_come_apart() {
        let short = |k: usize| [3.0, -1.0, -4.0, 2.0][k % 4];
        let long = |k: usize| if k % 20 < 4 { 8.0 } else { -2.0 };
        let line = |k: usize| 0.1 * k as f64;
        let series: Vec<f64> = (0..200).map(|k| line(k) + short(k) + long(k)).collect();
        let found = Decomposed::new(&series, &[4, 20]);
        for (k, value) in found.adjusted.iter().enumerate().take(180).skip(20) {
            assert!((value - line(k)).abs() < 0.35, "{k}: {value}");
        }
        for h in 0..40 {
            let expected = short(200 + h) + long(200 + h);
            assert!((found.season_at(h) - expected).abs() < 1.0, "{h}");
        }
    }

    #[test]
    fn a_moving_average_over_a_season_removes_it() {
        let series: Vec<f64> = (0..24).map(|k| f64::from(k % 6)).collect();
        assert!(
            moving_average(&series, 6)
                .iter()
                .all(|v| (v - 2.5).abs() < 1e-12)
        );
        assert_eq!(moving_average(&[1.0, 3.0], 6), [2.0, 2.0]);
    }
}
