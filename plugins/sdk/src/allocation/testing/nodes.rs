//! Placement problems: equal nodes, and claims that may go to any of them.

use super::ask::{ask, resources, with};
use crate::allocation::Problem;

/// `count` nodes of `capacity` by dimension, and a claim of one bundle for each item, which
/// may be placed on every node.
pub fn nodes(capacity: &[f64], count: usize, items: &[Vec<f64>]) -> Problem {
    let claims: Vec<_> = items
        .iter()
        .map(|item| ask(&item.repeat(count)).bundles(1))
        .collect();
    with(resources(&capacity.repeat(count)), &claims)
}

/// Of how many nodes of so many dimensions these amounts, one for each demand, take anything.
pub fn used_nodes(problem: &Problem, amount: &[f64], dimensions: usize) -> usize {
    let given = problem.demands.resource.iter().zip(amount);
    let mut used: Vec<usize> = given
        .filter(|(_, amount)| **amount > 0.0)
        .map(|(resource, _)| *resource as usize / dimensions)
        .collect();
    used.sort_unstable();
    used.dedup();
    used.len()
}
