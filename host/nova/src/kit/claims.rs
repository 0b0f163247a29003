//! An allocator's problem as people write it.

use std::collections::BTreeMap;

use anyhow::Result;
use nova_core::strategy::allocation::AllocationProblem;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::problem::{Problem, index};

/// See `plugins/README.md`, "problems as files".
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AllocationText {
    /// In the order of their names, as the daemon orders them.
    resources: BTreeMap<String, ResourceText>,
    claims: Vec<ClaimText>,
    #[serde(default)]
    max_cost: Option<f64>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    parameters: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceText {
    capacity: f64,
    #[serde(default)]
    in_use: f64,
    #[serde(default)]
    cost_per_unit: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimText {
    id: String,
    demands: BTreeMap<String, DemandText>,
    #[serde(default = "unit")]
    weight: f64,
    #[serde(default = "one")]
    priority: u8,
    #[serde(default)]
    bundles: u32,
    #[serde(default)]
    max_cost: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DemandText {
    requested: f64,
    #[serde(default)]
    min: f64,
    #[serde(default)]
    max: Option<f64>,
}

fn one() -> u8 {
    1
}

fn unit() -> f64 {
    1.0
}

impl AllocationText {
    /// The problem.
    ///
    /// # Errors
    /// A resource that is not there.
    pub(super) fn problem(self) -> Result<Problem> {
        let resources: Vec<String> = self.resources.keys().cloned().collect();
        let mut problem = AllocationProblem {
            max_cost: self.max_cost.unwrap_or(f64::INFINITY),
            seed: self.seed,
            parameters: self.parameters,
            ..AllocationProblem::default()
        };
        for resource in self.resources.into_values() {
            problem.capacity.push(resource.capacity);
            problem.in_use.push(resource.in_use);
            problem.cost_per_unit.push(resource.cost_per_unit);
        }
        let mut claims = Vec::with_capacity(self.claims.len());
        for (k, claim) in self.claims.into_iter().enumerate() {
            problem.weight.push(claim.weight);
            problem.priority.push(claim.priority);
            problem.bundles.push(claim.bundles);
            problem
                .claim_max_cost
                .push(claim.max_cost.unwrap_or(f64::INFINITY));
            for (name, demand) in claim.demands {
                let resource = index(&resources, &name, &format!("claims[{k}].demands"))?;
                problem.demand_claim.push(u32::try_from(k)?);
                problem.demand_resource.push(resource);
                problem.requested.push(demand.requested);
                problem.min.push(demand.min);
                problem.max.push(demand.max.unwrap_or(f64::INFINITY));
            }
            claims.push(claim.id);
        }
        Ok(Problem::Allocation {
            problem: Box::new(problem),
            claims,
            resources,
        })
    }
}
