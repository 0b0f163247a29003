//! How far a forecast may be off.
//!
//! Owns the calibration of intervals on errors that the same method made before, step by step
//! ahead, in the manner of split conformal prediction (Stankevičiūtė, Alaa, van der Schaar,
//! "Conformal time-series forecasting", 2021): the scale of each step, and one quantile of all
//! scaled errors, widened for how few of them are independent. Knows nothing of models.

use crate::stats::Z95;

/// Half the width of a 95 % interval at each of `horizon` steps, from past errors: for each
/// origin, one error a step ahead.
pub(super) fn half_widths(errors: &[Vec<f64>], horizon: usize) -> Vec<f64> {
    let reach = errors.first().map_or(0, Vec::len);
    let scales = scales(errors, reach);
    let mut scaled: Vec<f64> = Vec::with_capacity(errors.len() * reach);
    for row in errors {
        let parts = row.iter().zip(&scales).filter(|(_, scale)| **scale > 0.0);
        scaled.extend(parts.map(|(error, scale)| error.abs() / scale));
    }
    scaled.sort_unstable_by(f64::total_cmp);
    // Errors of neighbouring origins share most of their steps.
    let independent = errors.len() as f64 / 3.0 + 1.0;
    let rank = (scaled.len() as f64 * 0.95).ceil() as usize;
    let quantile = scaled.get(rank.saturating_sub(1)).copied().unwrap_or(0.0);
    let factor = quantile.max(Z95 * 0.9) * widening(independent);
    (0..horizon)
        .map(|h| match scales.get(h) {
            Some(scale) => factor * scale,
            None => {
                let last = scales.last().copied().unwrap_or(0.0);
                factor * last * ((h + 1) as f64 / reach.max(1) as f64).sqrt()
            }
        })
        .collect()
}

/// Root mean squared error of each step, smoothed over its neighbours; it never falls.
fn scales(errors: &[Vec<f64>], reach: usize) -> Vec<f64> {
    let squares: Vec<f64> = (0..reach)
        .map(|h| errors.iter().map(|row| row[h] * row[h]).sum::<f64>() / errors.len() as f64)
        .collect();
    let mut highest = 0.0_f64;
    (0..reach)
        .map(|h| {
            let around = &squares[h.saturating_sub(h / 3)..reach.min(h + h / 3 + 1)];
            let mean = around.iter().sum::<f64>() / around.len() as f64;
            highest = highest.max(mean.sqrt());
            highest
        })
        .collect()
}

/// Student's factor over the normal one at 97.5 % (Cornish–Fisher to the second order).
fn widening(freedom: f64) -> f64 {
    let z2 = Z95 * Z95;
    1.0 + (z2 + 1.0) / (4.0 * freedom)
        + (5.0 * z2 * z2 + 16.0 * z2 + 3.0) / (96.0 * freedom * freedom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    #[test]
    fn student_by_the_table() {
        // t(0.975) is 2.228 at 10, 2.086 at 20 degrees of freedom.
        assert!((Z95 * widening(10.0) - 2.228).abs() < 0.01);
        assert!((Z95 * widening(20.0) - 2.086).abs() < 0.002);
    }

    #[test]
    fn a_random_walk_widens_by_the_root_and_is_covered() {
        let mut noise = Noise::new(3);
        let (mut inside, mut steps) = (0, 0);
        for _ in 0..200 {
            let mut walk = |reach: usize| -> Vec<f64> {
                let mut at = 0.0;
                (0..reach)
                    .map(|_| {
                        at += noise.normal();
                        at
                    })
                    .collect()
            };
            let errors: Vec<Vec<f64>> = (0..12).map(|_| walk(10)).collect();
            let widths = half_widths(&errors, 20);
            assert!(widths.windows(2).all(|two| two[0] <= two[1]));
            for (off, width) in walk(20).iter().zip(&widths) {
                inside += u32::from(off.abs() <= *width);
                steps += 1;
            }
        }
        let coverage = f64::from(inside) / f64::from(steps);
        assert!((0.93..0.995).contains(&coverage), "{coverage}");
    }
}
