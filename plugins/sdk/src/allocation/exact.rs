//! Arithmetic that is exact where ties are decided and where amounts are summed.
//!
//! Owns error-free transformations of `f64` (Dekker 1971; Ogita, Rump, Oishi 2005) and
//! what is made of them: a running sum that may also be subtracted from without drift,
//! and the level at which a bundle is due. Two levels that are equal as rational numbers
//! come out as the same `f64`, so that "ties by the lowest index" means what it says.

/// A sum of many terms with about twice the precision of `f64`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    /// Adds one term.
    pub fn add(&mut self, term: f64) {
        let (high, error) = two_sum(self.high, term);
        let (high, low) = two_sum(high, self.low + error);
        *self = Self { high, low };
    }

    /// Takes one term away.
    pub fn sub(&mut self, term: f64) {
        self.add(-term);
    }

    /// The sum, rounded once.
    pub fn value(self) -> f64 {
        self.high + self.low
    }
}

/// The weighted dominant share of a claim with `taken` of its `bundles` bundles, where the
/// whole demand is `requested` of a resource of `capacity` units: rounded once.
pub fn level(taken: u32, requested: f64, bundles: u32, capacity: f64, weight: f64) -> f64 {
    let (above, above_low) = two_product(f64::from(taken), requested);
    let (part, part_low) = two_product(f64::from(bundles), capacity);
    let (below, below_low) = two_product(part, weight);
    let below_low = part_low.mul_add(weight, below_low);

    // One step of long division in double-double.
    let quotient = above / below;
    let (product, product_low) = two_product(quotient, below);
    let rest = (above - product) - product_low + above_low - quotient * below_low;
    quotient + rest / below
}

/// `a + b` and its rounding error (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    let error = (a - (sum - b_part)) + (b - b_part);
    (sum, error)
}

/// `a · b` and its rounding error.
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    (product, a.mul_add(b, -product))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_keeps_what_plain_addition_loses() {
        let mut sum = Sum::default();
        sum.add(1e16);
        for _ in 0..1000 {
            sum.add(0.5);
        }
        sum.sub(1e16);
        assert_eq!(sum.value(), 500.0);
    }

    #[test]
    fn equal_ratios_have_equal_levels() {
        // 3 · (7 / 21) / (1 · 1) = 1; 5 · (0.1 · 2) / 10 = 0.1 …; and 1/3 in many guises.
        for k in 1..200_u32 {
            let third = level(k, 1.0, 3, f64::from(k), 1.0);
            assert_eq!(third, 1.0 / 3.0, "k = {k}");
            let seventh = level(2 * k, 5.0, 7, f64::from(k), 10.0);
            assert_eq!(seventh, 1.0 / 7.0, "k = {k}");
        }
    }
}
