//! A builder for problems, so that a test shows only what it is about.
#![allow(dead_code, clippy::unwrap_used)]

use drf::allocate;
use nova_sdk::allocation::{Allocation, Problem, UnmetReason};

/// Resources of these capacities, unused and free of cost.
pub(crate) fn resources(capacity: &[f64]) -> Problem {
    let mut problem = Problem::default();
    problem.resources.capacity = capacity.to_vec();
    problem.resources.in_use = vec![0.0; capacity.len()];
    problem.resources.cost_per_unit = vec![0.0; capacity.len()];
    problem
}

/// A claim before it is added.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) weight: f64,
    pub(crate) priority: u8,
    pub(crate) bundles: u32,
    pub(crate) max_cost: f64,
    /// (resource, requested, min, max)
    pub(crate) demands: Vec<(u32, f64, f64, f64)>,
}

/// A divisible claim of weight 1 in the lowest tier.
pub(crate) fn ask(requested: &[f64]) -> Ask {
    Ask {
        weight: 1.0,
        priority: 1,
        bundles: 0,
        max_cost: f64::INFINITY,
        demands: requested
            .iter()
            .enumerate()
            .map(|(resource, &amount)| (resource as u32, amount, 0.0, f64::INFINITY))
            .collect(),
    }
}

impl Ask {
    pub(crate) fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }
    pub(crate) fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }
    pub(crate) fn bundles(mut self, bundles: u32) -> Self {
        self.bundles = bundles;
        self
    }
    pub(crate) fn max_cost(mut self, max_cost: f64) -> Self {
        self.max_cost = max_cost;
        self
    }
    pub(crate) fn min(mut self, resource: usize, min: f64) -> Self {
        self.demands[resource].2 = min;
        self
    }
    pub(crate) fn max(mut self, resource: usize, max: f64) -> Self {
        self.demands[resource].3 = max;
        self
    }
}

/// The problem with these claims added.
pub(crate) fn with(mut problem: Problem, asks: &[Ask]) -> Problem {
    for ask in asks {
        let claim = problem.claims.weight.len() as u32;
        problem.claims.weight.push(ask.weight);
        problem.claims.priority.push(ask.priority);
        problem.claims.bundles.push(ask.bundles);
        problem.claims.max_cost.push(ask.max_cost);
        for &(resource, requested, min, max) in &ask.demands {
            problem.demands.claim.push(claim);
            problem.demands.resource.push(resource);
            problem.demands.requested.push(requested);
            problem.demands.min.push(min);
            problem.demands.max.push(max);
        }
    }
    problem
}

/// Allocates and compares the amounts.
#[track_caller]
pub(crate) fn check(problem: &Problem, amounts: &[f64]) -> Allocation {
    let allocation = allocate(problem).unwrap();
    assert_close(&allocation.amount, amounts);
    allocation
}

#[track_caller]
pub(crate) fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (index, (&found_one, &expected_one)) in found.iter().zip(expected).enumerate() {
        let scale = expected_one.abs().max(1.0);
        assert!(
            (found_one - expected_one).abs() <= 1e-9 * scale,
            "[{index}] is {found_one}, expected {expected_one}"
        );
    }
}

/// The reasons of an allocation, as (demand, reason).
pub(crate) fn reasons(allocation: &Allocation) -> Vec<(u32, UnmetReason)> {
    let pairs = allocation.unmet.iter();
    pairs.map(|unmet| (unmet.demand, unmet.reason)).collect()
}
