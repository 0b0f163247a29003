//! Small statistics that resist outliers.
//!
//! Owns pure functions over slices: median, scale, trend, the binomial interval. Knows
//! nothing of events or time.

/// The normal quantile of a two-sided 95 % interval.
pub const Z95: f64 = 1.959_963_984_540_054;

/// The median, sorting `values` in part; none of nothing.
pub fn median(values: &mut [f64]) -> Option<f64> {
    let half = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    if !even {
        return Some(upper);
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some(lower + (upper - lower) / 2.0)
}

/// A standard deviation that resists outliers: 1.4826 · MAD, or 1.2533 · the mean absolute
/// deviation where more than half of the values equal the median (Iglewicz and Hoaglin,
/// "How to detect and handle outliers", 1993, page 11).
pub fn robust_scale(values: &[f64], median_value: f64) -> f64 {
    let mut deviations: Vec<f64> = values.iter().map(|v| (v - median_value).abs()).collect();
    let mean = deviations.iter().sum::<f64>() / deviations.len().max(1) as f64;
    match median(&mut deviations) {
        Some(mad) if mad > 0.0 => mad / 0.6745,
        _ => 1.253_314 * mean,
    }
}

/// A straight line through points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Change of y for each unit of x: Theil's and Sen's median of all pairs' slopes.
    pub slope: f64,
    /// The median of y − slope · x.
    pub intercept: f64,
    /// 1 − p of the Mann–Kendall test: 0 for no sign of a trend, 1 for certainty.
    pub confidence: f64,
}

/// The Theil–Sen line (Sen, JASA 1968) through points of rising x, with the Mann–Kendall
/// test corrected for ties (Kendall, Rank Correlation Methods, 1975). O(n²): callers keep n
/// small. None below four points.
pub fn trend(points: &[(f64, f64)]) -> Option<Trend> {
    let n = points.len();
    if n < 4 {
        return None;
    }
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    let mut concordance = 0.0;
    for (k, &(x1, y1)) in points.iter().enumerate() {
        for &(x2, y2) in &points[k + 1..] {
            if x2 > x1 {
                slopes.push((y2 - y1) / (x2 - x1));
                concordance += f64::from(u8::from(y2 > y1)) - f64::from(u8::from(y2 < y1));
            }
        }
    }
    let slope = median(&mut slopes)?;
    let mut rests: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
    let intercept = median(&mut rests)?;

    let term = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let mut ys: Vec<f64> = points.iter().map(|point| point.1).collect();
    ys.sort_unstable_by(f64::total_cmp);
    let ties: f64 = ys
        .chunk_by(|a, b| a == b)
        .map(|tied| term(tied.len() as f64))
        .sum();
    let variance = (term(n as f64) - ties) / 18.0;
    let z = if variance > 0.0 {
        (f64::abs(concordance) - 1.0).max(0.0) / variance.sqrt()
    } else {
        0.0
    };
    Some(Trend {
        slope,
        intercept,
        confidence: within(z),
    })
}

/// The probability that a normal variable is within z standard deviations of its mean
/// (Abramowitz and Stegun 7.1.26, error below 2e-7).
pub fn within(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    (1.0 - series * (-x * x).exp()).clamp(0.0, 1.0)
}

/// Wilson's 95 % score interval of a proportion (JASA 1927); the unit interval of nothing.
pub fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (trials as f64, successes as f64 / trials as f64);
    let z2 = Z95 * Z95;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// The sum of the products of two series, as far as the shorter one goes.
///
/// In eight sums side by side: one sum would wait for each addition to end before the next.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    const WIDTH: usize = 8;
    let count = a.len().min(b.len());
    let (a, b) = (&a[..count], &b[..count]);
    let mut sums = [0.0; WIDTH];
    for (a, b) in a.chunks_exact(WIDTH).zip(b.chunks_exact(WIDTH)) {
        for k in 0..WIDTH {
            sums[k] += a[k] * b[k];
        }
    }
    let rest = count - count % WIDTH;
    let end = a[rest..].iter().zip(&b[rest..]).map(|(a, b)| a * b);
    sums.iter().sum::<f64>() + end.sum::<f64>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn close(found: f64, expected: f64, error: f64) {
        assert!((found - expected).abs() <= error, "{found}, not {expected}");
    }

    #[test]
    fn products_are_summed_to_the_end_of_the_shorter() {
        let series: Vec<f64> = (0..21).map(f64::from).collect();
        for count in 0..21_usize {
            let squares: f64 = (0..count).map(|k| (k * k) as f64).sum();
            assert_eq!(dot(&series[..count], &series), squares, "{count}");
        }
    }

    #[test]
    fn medians() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0]), Some(3.0));
        assert_eq!(median(&mut [9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&mut [4.0, 1.0, 9.0, 2.0]), Some(3.0));
    }

    #[test]
    fn the_scale_ignores_an_outlier_and_survives_equal_values() {
        // Deviations from 3: 2 1 0 1 997; their median is 1.
        close(
            robust_scale(&[1.0, 2.0, 3.0, 4.0, 1000.0], 3.0),
            1.0 / 0.6745,
            1e-12,
        );
        // MAD 0, mean absolute deviation 2.
        close(
            robust_scale(&[5.0, 5.0, 5.0, 5.0, 15.0], 5.0),
            2.506_628,
            1e-9,
        );
        assert_eq!(robust_scale(&[5.0; 4], 5.0), 0.0);
    }

    #[test]
    fn a_line_with_an_outlier() {
        let mut points: Vec<(f64, f64)> = (0..10)
            .map(|x| (f64::from(x), 2.0 * f64::from(x) + 1.0))
            .collect();
        points[7].1 = 500.0;
        let line = trend(&points).unwrap();
        assert_eq!((line.slope, line.intercept), (2.0, 1.0));
        assert!(line.confidence > 0.99);
        assert_eq!(trend(&points[..3]), None);
    }

    #[test]
    fn no_line_in_level_or_alternating_values() {
        let level: Vec<(f64, f64)> = (0..8).map(|x| (f64::from(x), 4.0)).collect();
        assert!(trend(&level).unwrap().confidence < 1e-6);
        let zigzag: Vec<(f64, f64)> = (0..8).map(|x| (f64::from(x), f64::from(x % 2))).collect();
        assert!(trend(&zigzag).unwrap().confidence < 0.5);
    }

    #[test]
    fn mann_kendall_by_hand() {
        // n = 5, all pairs rising: S = 10, variance 5·4·15/18 = 16.67, z = 9/4.082 = 2.2045.
        let points: Vec<(f64, f64)> = (0..5).map(|x| (f64::from(x), f64::from(x * x))).collect();
        close(trend(&points).unwrap().confidence, 0.972_49, 1e-4);
    }

    #[test]
    fn normal_and_wilson() {
        close(within(Z95), 0.95, 1e-6);
        close(within(0.0), 0.0, 1e-6);
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        // Eight of ten: the textbook interval 0.4902 to 0.9433.
        let (low, high) = wilson(8, 10);
        close(low, 0.4902, 5e-5);
        close(high, 0.9433, 5e-5);
    }
}
