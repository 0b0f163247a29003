//! How likely success is, from successes and failures.
//!
//! Owns the Beta posterior of a probability (Gelman et al., "Bayesian Data Analysis", section
//! 2.4) and its quantiles, by the continued fraction of the incomplete Beta function (Press et
//! al., "Numerical Recipes", section 6.4). Knows nothing of agents.

/// What a prior weighs, in observations.
const PRIOR: f64 = 2.0;

/// A Beta distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beta {
    /// Successes, with the prior's.
    pub a: f64,
    /// Failures, with the prior's.
    pub b: f64,
}

impl Beta {
    /// The posterior after so many successes and failures, from a prior worth two
    /// observations with the mean `expected`, 0 to 1.
    pub fn posterior(successes: u64, failures: u64, expected: f64) -> Self {
        let expected = expected.clamp(0.01, 0.99);
        Self {
            a: successes as f64 + PRIOR * expected,
            b: failures as f64 + PRIOR * (1.0 - expected),
        }
    }

    /// The mean.
    pub fn mean(self) -> f64 {
        self.a / (self.a + self.b)
    }

    /// The probability that the variable is below `x`.
    pub fn below(self, x: f64) -> f64 {
        let Self { a, b } = self;
        if x <= 0.0 || x >= 1.0 {
            return f64::from(u8::from(x > 0.0));
        }
        let front =
            (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
        if x < (a + 1.0) / (a + b + 2.0) {
            front * fraction(a, b, x) / a
        } else {
            1.0 - front * fraction(b, a, 1.0 - x) / b
        }
    }

    /// The value that the variable is below with probability `q`.
    pub fn quantile(self, q: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..50 {
            let middle = (low + high) / 2.0;
            if self.below(middle) < q {
                low = middle;
            } else {
                high = middle;
            }
        }
        (low + high) / 2.0
    }

    /// The central interval that holds 95 %.
    pub fn interval(self) -> (f64, f64) {
        (self.quantile(0.025), self.quantile(0.975))
    }
}

/// The continued fraction, by Lentz's method.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let away = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for m in 1..300 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        result *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        result *= d * c;
        if (d * c - 1.0).abs() < 1e-14 {
            break;
        }
    }
    result
}

/// ln Γ(x) for x > 0: Stirling's series, shifted up to where it is exact to 1e-14.
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y / 1680.0))) / x;
    shift + (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
    }

    #[test]
    fn distributions_in_closed_form() {
        // Beta(1, 1) is uniform; Beta(2, 1) has x²; Beta(1, 3) has 1 − (1 − x)³.
        for x in [0.1, 0.5, 0.9] {
            close(Beta { a: 1.0, b: 1.0 }.below(x), x);
            close(Beta { a: 2.0, b: 1.0 }.below(x), x * x);
            close(Beta { a: 1.0, b: 3.0 }.below(x), 1.0 - (1.0 - x).powi(3));
            close(Beta { a: 2.0, b: 1.0 }.quantile(x * x), x);
        }
        close(ln_gamma(5.0), 24.0_f64.ln());
        close(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln());
    }

    #[test]
    fn the_placenta_praevia_of_gelman() {
        // 437 girls of 980 births, uniform prior: mean 0.446, interval 0.415 to 0.477.
        let found = Beta::posterior(437, 543, 0.5);
        assert!((found.mean() - 0.446).abs() < 5e-4);
        let (low, high) = found.interval();
        assert!((low - 0.415).abs() < 5e-4 && (high - 0.477).abs() < 5e-4);
    }

    #[test]
    fn extremes_stay_within_the_unit_interval() {
        for (s, f) in [(0, 0), (0, 1_000_000), (1_000_000, 0), (1, 1)] {
            let (low, high) = Beta::posterior(s, f, 1.0).interval();
            assert!(
                (0.0..=1.0).contains(&low) && low <= high && high <= 1.0,
                "{s} {f}"
            );
        }
    }
}
