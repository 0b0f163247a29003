//! A builder for problems, so that a test shows only what it is about.

use crate::allocation::Problem;

/// Resources of these capacities, unused and free of cost.
pub fn resources(capacity: &[f64]) -> Problem {
    let mut problem = Problem::default();
    problem.resources.capacity = capacity.to_vec();
    problem.resources.in_use = vec![0.0; capacity.len()];
    problem.resources.cost_per_unit = vec![0.0; capacity.len()];
    problem
}

/// A claim before it is added.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its share in fair division.
    pub weight: f64,
    /// Its tier, 1 to 5.
    pub priority: u8,
    /// Whole bundles, or 0.
    pub bundles: u32,
    /// What it may cost at most.
    pub max_cost: f64,
    /// (resource, requested, min, max)
    pub demands: Vec<(u32, f64, f64, f64)>,
}

/// A divisible claim of weight 1 in the lowest tier.
pub fn ask(requested: &[f64]) -> Ask {
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
    /// Its share in fair division.
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }
    /// Its tier, 1 to 5.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }
    /// Whole bundles, or 0.
    pub fn bundles(mut self, bundles: u32) -> Self {
        self.bundles = bundles;
        self
    }
    /// What it may cost at most.
    pub fn max_cost(mut self, max_cost: f64) -> Self {
        self.max_cost = max_cost;
        self
    }
    /// The least that is of use, of its `resource`-th demand.
    pub fn min(mut self, resource: usize, min: f64) -> Self {
        self.demands[resource].2 = min;
        self
    }
    /// The most it may be given, of its `resource`-th demand.
    pub fn max(mut self, resource: usize, max: f64) -> Self {
        self.demands[resource].3 = max;
        self
    }
}

/// The problem with these claims added.
pub fn with(mut problem: Problem, asks: &[Ask]) -> Problem {
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
