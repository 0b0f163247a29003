//! Problems from a seed.

use super::ask::{Ask, ask, resources, with};
use crate::Random;
use crate::allocation::Problem;

/// A small problem that uses every column, the same for the same seed: up to three resources
/// partly in use, up to eleven claims with weights, tiers, minima, maxima, bundles and cost
/// caps, of which many contradict each other or what there is.
pub fn random(seed: u64) -> Problem {
    let mut dice = Random::new(seed);
    let count = 1 + dice.below(3) as usize;
    let claims: Vec<Ask> = (0..dice.below(12))
        .map(|_| claim(&mut dice, count))
        .collect();
    let capacity: Vec<f64> = (0..count).map(|_| dice.below(120) as f64).collect();
    let mut problem = with(resources(&capacity), &claims);
    for (k, capacity) in capacity.into_iter().enumerate() {
        let used = if dice.below(2) == 0 { 0.0 } else { dice.unit() };
        problem.resources.in_use[k] = capacity * used * 0.7;
        problem.resources.cost_per_unit[k] = dice.below(4) as f64 / 2.0;
    }
    if dice.below(4) == 0 {
        problem.max_cost = 300.0 * dice.unit();
    }
    problem
}

/// A problem of at most six claims in whole numbers, the same for the same seed: levels that meet
/// exactly, bundles that fit exactly, minima of which some exclude others.
pub fn small(seed: u64) -> Problem {
    let mut dice = Random::new(seed);
    let count = 1 + dice.below(3) as usize;
    let claims: Vec<Ask> = (0..1 + dice.below(6))
        .map(|_| whole_claim(&mut dice, count))
        .collect();
    let capacity: Vec<f64> = (0..count).map(|_| dice.below(25) as f64).collect();
    let mut problem = with(resources(&capacity), &claims);
    for (k, capacity) in capacity.into_iter().enumerate() {
        if dice.below(3) == 0 {
            problem.resources.in_use[k] = dice.below(1 + capacity as u64) as f64;
        }
        problem.resources.cost_per_unit[k] = dice.below(3) as f64;
    }
    if dice.below(4) == 0 {
        problem.max_cost = dice.below(40) as f64;
    }
    problem
}

fn whole_claim(dice: &mut Random, resources: usize) -> Ask {
    let requested: Vec<f64> = (0..resources).map(|_| dice.below(13) as f64).collect();
    let mut claim = ask(&requested)
        .priority(1 + dice.below(2) as u8)
        .weight([1.0, 2.0, 4.0][dice.below(3) as usize]);
    if dice.below(3) == 0 {
        claim = claim.bundles(1 + dice.below(6) as u32);
    }
    if dice.below(5) == 0 {
        claim = claim.max_cost(dice.below(20) as f64);
    }
    for (k, requested) in requested.into_iter().enumerate() {
        let mut min = 0.0;
        if dice.below(3) == 0 {
            min = dice.below(1 + requested as u64) as f64;
            claim = claim.min(k, min);
        }
        if dice.below(4) == 0 {
            claim = claim.max(k, min + dice.below(8) as f64);
        }
    }
    claim
}

fn claim(dice: &mut Random, resources: usize) -> Ask {
    let requested: Vec<f64> = (0..resources).map(|_| amount(dice)).collect();
    let mut claim = ask(&requested).priority(1 + dice.below(5) as u8);
    if dice.below(2) == 0 {
        claim = claim.weight(0.1 + 5.0 * dice.unit());
    }
    if dice.below(3) == 0 {
        claim = claim.bundles(1 + dice.below(29) as u32);
    }
    if dice.below(4) == 0 {
        claim = claim.max_cost(80.0 * dice.unit());
    }
    for (k, requested) in requested.into_iter().enumerate() {
        let min = if dice.below(4) == 0 {
            dice.unit() * requested
        } else {
            0.0
        };
        claim = claim.min(k, min);
        if dice.below(2) == 0 {
            claim = claim.max(k, (1.5 * dice.unit() * requested).max(min));
        }
    }
    claim
}

fn amount(dice: &mut Random) -> f64 {
    match dice.below(7) {
        0 => 0.0,
        1..=4 => (1 + dice.below(399)) as f64 / 10.0,
        _ => 0.01 + 60.0 * dice.unit(),
    }
}
