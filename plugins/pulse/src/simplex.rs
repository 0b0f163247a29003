//! Minimising a function of few variables without derivatives.
//!
//! Owns the method of Nelder and Mead, "A simplex method for function minimization", The
//! Computer Journal 1965, with its usual coefficients. Knows nothing of what it minimises.

/// The lowest point found from `start`, and its value; `step` is the edge of the first
/// simplex, `evaluations` bounds the calls. It ends early where the values of all corners lie
/// within the part `near` of the lowest. A value that is not a number counts as worst.
pub(crate) fn minimise(
    start: &[f64],
    step: f64,
    evaluations: usize,
    near: f64,
    function: impl Fn(&[f64]) -> f64,
) -> (Vec<f64>, f64) {
    let value = |point: Vec<f64>| {
        let value = function(&point);
        let value = if value.is_nan() { f64::INFINITY } else { value };
        (point, value)
    };
    let n = start.len();
    let mut simplex = vec![value(start.to_vec())];
    for axis in 0..n {
        let mut corner = start.to_vec();
        corner[axis] += step;
        simplex.push(value(corner));
    }
    let mut spent = n + 1;
    loop {
        simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (best, worst) = (simplex[0].1, simplex[n].1);
        // An infinite spread compares false: the search goes on.
        let settled = worst - best <= near * best.abs();
        if n == 0 || spent >= evaluations || settled {
            return simplex.swap_remove(0);
        }
        let centre: Vec<f64> = (0..n)
            .map(|axis| {
                simplex[..n]
                    .iter()
                    .map(|corner| corner.0[axis])
                    .sum::<f64>()
                    / n as f64
            })
            .collect();
        let along = |t: f64| {
            let point = centre.iter().zip(&simplex[n].0);
            value(point.map(|(c, w)| c + t * (w - c)).collect())
        };
        let reflected = along(-1.0);
        spent += 1;
        let replacement = if reflected.1 < best {
            spent += 1;
            let expanded = along(-2.0);
            if expanded.1 < reflected.1 {
                expanded
            } else {
                reflected
            }
        } else if reflected.1 < simplex[n - 1].1 {
            reflected
        } else {
            spent += 1;
            let contracted = along(if reflected.1 < worst { -0.5 } else { 0.5 });
            if contracted.1 >= worst.min(reflected.1) {
                let best_point = simplex[0].0.clone();
                for corner in &mut simplex[1..] {
                    let shrunk = best_point.iter().zip(&corner.0);
                    *corner = value(shrunk.map(|(b, c)| b + 0.5 * (c - b)).collect());
                }
                spent += n;
                continue;
            }
            contracted
        };
        simplex[n] = replacement;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_valley_of_rosenbrock() {
        let rosenbrock = |p: &[f64]| {
            let (x, y) = (p[0], p[1]);
            (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2)
        };
        let (point, value) = minimise(&[-1.2, 1.0], 0.5, 1000, 1e-9, rosenbrock);
        assert!(
            (point[0] - 1.0).abs() < 1e-3 && (point[1] - 1.0).abs() < 1e-3,
            "{point:?}"
        );
        assert!(value < 1e-6);
    }

    #[test]
    fn it_stops_where_everything_is_level_or_not_a_number() {
        assert_eq!(minimise(&[3.0], 1.0, 50, 1e-9, |_| 2.0).1, 2.0);
        assert_eq!(
            minimise(&[3.0, 4.0], 1.0, 50, 1e-9, |_| f64::NAN).1,
            f64::INFINITY
        );
    }
}
