//! How rare a magnitude is among those before it.
//!
//! Owns a histogram of magnitudes on a logarithmic scale that slowly forgets, and what lies
//! beyond the highest: there the tail is taken to fall as a power, with Hill's index ("A
//! simple general approach to inference about the tail of a distribution", 1975) of its top
//! twentieth, as peaks-over-threshold detectors do (Siffer, Fouque, Termier, Largouët,
//! "Anomaly detection in streams with extreme value theory", 2017). Memory and time are
//! constant. Knows nothing of where magnitudes come from.

use serde::{Deserialize, Serialize};

/// Bins kept; together they reach over eight orders of magnitude.
const BINS: usize = 128;
/// Width of a bin in natural logarithms.
const WIDTH: f64 = 0.15;
/// Where the first magnitude falls, in bins from the lowest.
const FIRST: i64 = 64;
/// Magnitudes after which one counts half.
const HALF_LIFE: f64 = 3000.0;
/// Magnitudes below which nothing is rare.
const LEAST: f64 = 20.0;
/// The part of the tail that its index comes from.
const TOP: f64 = 0.05;
/// Growth of a new magnitude's weight at which all weights are scaled back.
const SCALE_BACK: f64 = 1e6;

/// The histogram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tail {
    /// Bin of the logarithm in `weights[0]`; none before the first magnitude above 0.
    lowest: Option<i64>,
    weights: Vec<f32>,
    /// Of magnitudes of 0, and so small that they have no bin.
    nothing: f64,
    total: f64,
    /// Weight of the next magnitude: it grows instead of the others shrinking.
    next: f64,
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            lowest: None,
            weights: Vec::new(),
            nothing: 0.0,
            total: 0.0,
            next: 1.0,
        }
    }
}

impl Tail {
    /// −log10 of the part of earlier magnitudes that reach this one; 0 while there are few.
    pub(super) fn rarity(&self, magnitude: f64) -> f64 {
        let Some(lowest) = self.lowest.filter(|_| self.total >= LEAST * self.next) else {
            return 0.0;
        };
        if magnitude <= 0.0 {
            return 0.0;
        }
        let at = (magnitude.ln() / WIDTH - lowest as f64).max(0.0);
        let all = self.total + self.next;
        let bin = at.floor() as usize;
        let mut above: f64 = self
            .weights
            .iter()
            .skip(bin + 1)
            .map(|w| f64::from(*w))
            .sum();
        if let Some(here) = self.weights.get(bin) {
            above += f64::from(*here) * (1.0 - at.fract());
        }
        if above >= self.next {
            return -(above / all).log10();
        }
        let (edge, index) = self.top();
        let beyond = (at - edge).max(0.0) * WIDTH / index;
        -(self.next / all).log10() + beyond / std::f64::consts::LN_10
    }

    /// Takes a magnitude in.
    pub(super) fn add(&mut self, magnitude: f64) {
        self.total += self.next;
        match self.bin(magnitude) {
            Some(bin) => self.weights[bin] += self.next as f32,
            None => self.nothing += self.next,
        }
        self.next *= (std::f64::consts::LN_2 / HALF_LIFE).exp();
        if self.next > SCALE_BACK {
            for weight in &mut self.weights {
                *weight /= SCALE_BACK as f32;
            }
            self.nothing /= SCALE_BACK;
            self.total /= SCALE_BACK;
            self.next /= SCALE_BACK;
        }
    }

    /// The bin of a magnitude; those of the lowest make room for one above the highest.
    fn bin(&mut self, magnitude: f64) -> Option<usize> {
        if magnitude <= 0.0 {
            return None;
        }
        let absolute = (magnitude.ln() / WIDTH).floor() as i64;
        if self.weights.is_empty() {
            self.weights = vec![0.0; BINS];
        }
        let lowest = *self.lowest.get_or_insert(absolute - FIRST);
        let over = absolute - lowest - (BINS as i64 - 1);
        if over > 0 {
            let gone = (over as usize).min(BINS);
            self.nothing += self.weights[..gone]
                .iter()
                .map(|w| f64::from(*w))
                .sum::<f64>();
            self.weights[..gone].fill(0.0);
            self.weights.rotate_left(gone);
            self.lowest = Some(lowest + over);
        }
        usize::try_from(absolute - self.lowest?).ok()
    }

    /// Where the tail has the weight of one magnitude left, in bins, and its index: the mean
    /// excess of the top in logarithms.
    fn top(&self) -> (f64, f64) {
        let wanted = TOP * self.total;
        let (mut mass, mut moment) = (0.0, 0.0);
        let mut edge = None;
        let mut low = 0;
        for (bin, weight) in self.weights.iter().enumerate().rev() {
            let weight = f64::from(*weight);
            if edge.is_none() && mass + weight >= self.next {
                edge = Some((bin + 1) as f64 - ((self.next - mass) / weight).min(1.0));
            }
            mass += weight;
            moment += weight * (bin as f64 + 0.5);
            low = bin;
            if mass >= wanted {
                break;
            }
        }
        let excess = if mass > 0.0 {
            (moment / mass - low as f64) * WIDTH
        } else {
            0.0
        };
        (edge.unwrap_or(0.0), excess.max(0.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    #[test]
    fn rarity_is_the_tail_of_a_power_law() {
        // P(X > x) = 1 ÷ x², at any unit.
        for unit in [1e-9, 1.0, 1e12] {
            let mut noise = Noise::new(11);
            let mut tail = Tail::default();
            for _ in 0..3000 {
                tail.add(unit / (1.0 - noise.unit()).sqrt());
            }
            for power in [0.5, 1.0, 2.0, 3.0, 5.0] {
                let found = tail.rarity(unit * 10_f64.powf(power / 2.0));
                assert!(
                    (found - power).abs() < 0.25 + 0.15 * power,
                    "{found} for {power}"
                );
            }
        }
    }

    #[test]
    fn few_or_none_are_not_rare_and_old_ones_fade() {
        let mut tail = Tail::default();
        assert_eq!(tail.rarity(5.0), 0.0);
        for _ in 0..100 {
            tail.add(0.0);
        }
        assert_eq!(tail.rarity(5.0), 0.0);
        tail.add(1.0);
        assert!(tail.rarity(1e30) > 2.0);
        assert_eq!(tail.rarity(0.0), 0.0);
        for _ in 0..40_000 {
            tail.add(1e-3);
        }
        assert!(tail.rarity(0.9) > 3.0);
        assert!(tail.weights.len() <= BINS && tail.next <= SCALE_BACK);
    }
}
