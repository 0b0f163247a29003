//! What makes a problem valid.
//!
//! Owns the checks of the contract (`wit/v0.1/resource-allocator.wit`), so that the
//! algorithm may index and divide without asking again. The host checks too; this is for
//! whoever calls the crate otherwise.

use super::Problem;
use crate::{StrategyError, invalid};

/// Refuses columns of different lengths, indices out of range, numbers outside their
/// domain and pairs that come twice.
///
/// # Errors
/// [`StrategyError::InvalidInput`]: what is wrong, where, and what is accepted.
pub fn validate(problem: &Problem) -> Result<(), StrategyError> {
    check(problem).map_err(invalid)
}

fn check(problem: &Problem) -> Result<(), String> {
    let (resources, claims, demands) = (&problem.resources, &problem.claims, &problem.demands);
    let resource_count = resources.capacity.len();
    let claim_count = claims.weight.len();
    let demand_count = demands.requested.len();
    for (name, found, wanted) in [
        ("resources.in-use", resources.in_use.len(), resource_count),
        (
            "resources.cost-per-unit",
            resources.cost_per_unit.len(),
            resource_count,
        ),
        ("claims.priority", claims.priority.len(), claim_count),
        ("claims.bundles", claims.bundles.len(), claim_count),
        ("claims.max-cost", claims.max_cost.len(), claim_count),
        ("demands.claim", demands.claim.len(), demand_count),
        ("demands.resource", demands.resource.len(), demand_count),
        ("demands.min", demands.min.len(), demand_count),
        ("demands.max", demands.max.len(), demand_count),
    ] {
        if found != wanted {
            return Err(format!("{name} has {found} entries, {wanted} are needed"));
        }
    }
    for r in 0..resource_count {
        let capacity = resources.capacity[r];
        require(
            amount(capacity),
            "resources.capacity",
            r,
            capacity,
            "0 or more, finite",
        )?;
        let used = resources.in_use[r];
        let within = amount(used) && used <= capacity;
        require(within, "resources.in-use", r, used, "0 to the capacity")?;
        let cost = resources.cost_per_unit[r];
        require(
            amount(cost),
            "resources.cost-per-unit",
            r,
            cost,
            "0 or more, finite",
        )?;
    }
    for c in 0..claim_count {
        let weight = claims.weight[c];
        let positive = weight > 0.0 && weight.is_finite();
        require(positive, "claims.weight", c, weight, "above 0, finite")?;
        let tier = claims.priority[c];
        require(
            (1..=5).contains(&tier),
            "claims.priority",
            c,
            f64::from(tier),
            "1 to 5",
        )?;
        let cap = claims.max_cost[c];
        require(cap >= 0.0, "claims.max-cost", c, cap, "0 or more")?;
    }
    let mut pairs = Vec::with_capacity(demand_count);
    for d in 0..demand_count {
        let pair = (demands.claim[d], demands.resource[d]);
        require(
            (pair.0 as usize) < claim_count,
            "demands.claim",
            d,
            f64::from(pair.0),
            "the index of a claim",
        )?;
        require(
            (pair.1 as usize) < resource_count,
            "demands.resource",
            d,
            f64::from(pair.1),
            "the index of a resource",
        )?;
        let requested = demands.requested[d];
        require(
            amount(requested),
            "demands.requested",
            d,
            requested,
            "0 or more, finite",
        )?;
        let min = demands.min[d];
        require(
            min >= 0.0 && min <= requested,
            "demands.min",
            d,
            min,
            "0 to the amount requested",
        )?;
        let max = demands.max[d];
        require(max >= min, "demands.max", d, max, "the minimum or more")?;
        pairs.push(pair);
    }
    pairs.sort_unstable();
    if let Some(twice) = pairs.windows(2).find(|pair| pair[0] == pair[1]) {
        let (claim, resource) = twice[0];
        return Err(format!(
            "claim {claim} asks for resource {resource} twice; one demand for each pair is accepted"
        ));
    }
    require(
        problem.max_cost >= 0.0,
        "max-cost",
        0,
        problem.max_cost,
        "0 or more",
    )
}

fn amount(value: f64) -> bool {
    value >= 0.0 && value.is_finite()
}

fn require(
    holds: bool,
    column: &str,
    index: usize,
    value: f64,
    accepted: &str,
) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(format!(
            "{column}[{index}] is {value}, accepted is {accepted}"
        ))
    }
}
