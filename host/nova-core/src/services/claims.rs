//! Claims on resources: what may be asked, and the problem that it makes.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::domain::task::{DURATION_MAX_S, check_amount, check_label};
use crate::domain::{Priority, Resource, ResourceId};
use crate::error::{Error, Result};
use crate::strategy::allocation::AllocationProblem;

/// Most claims in one request.
pub const CLAIMS_MAX: usize = 1000;
/// Most resources in one claim.
pub const CLAIM_RESOURCES_MAX: usize = 100;
/// How much of one resource is asked for.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Ask {
    /// How much is wanted; 0 or more.
    pub requested: f64,
    /// The least that is of use, at most `requested`; none = any amount is.
    pub min: Option<f64>,
    /// The most that may be given, at least `min`; none = no bound.
    pub max: Option<f64>,
}

/// What one consumer asks for.
#[derive(Clone, PartialEq, Debug)]
pub struct Claim {
    /// Who, the client's name for them.
    pub consumer: Option<String>,
    /// Of what, and how much.
    pub resources: BTreeMap<ResourceId, Ask>,
    /// 1 (lowest) to 5.
    pub priority: Priority,
    /// Share in fair division, above 0.
    pub weight: f64,
    /// n > 0: only whole nths of the demand are of use; 0: any part is.
    pub bundles: u32,
    /// What it may cost at most.
    pub max_cost: Option<f64>,
    /// Seconds until it is taken back; none = when it is released.
    pub ttl_s: Option<f64>,
}

/// Claims that are decided together.
#[derive(Clone, PartialEq, Debug)]
pub struct AllocateRequest {
    /// 1 to [`CLAIMS_MAX`] claims.
    pub claims: Vec<Claim>,
    /// What all of it may cost at most.
    pub max_cost: Option<f64>,
    /// Decide, but write nothing.
    pub dry_run: bool,
    /// The plugin to ask; none = the routed one.
    pub strategy: Option<String>,
    /// Whether another may answer when it fails.
    pub fallback: bool,
    /// Passed to the plugin.
    pub parameters: Map<String, Value>,
}

/// Refuses a request that breaks a rule, by field.
pub(super) fn check(request: &AllocateRequest) -> Result<()> {
    let count = request.claims.len();
    if !(1..=CLAIMS_MAX).contains(&count) {
        return Err(Error::field(
            "requests",
            format!("1 to {CLAIMS_MAX} requests, got {count}"),
        ));
    }
    request
        .max_cost
        .map_or(Ok(()), |c| check_amount("constraints.max_cost", c))?;
    for (n, claim) in request.claims.iter().enumerate() {
        check_claim(
            claim,
            &if count == 1 {
                String::new()
            } else {
                format!("requests[{n}].")
            },
        )?;
    }
    Ok(())
}

fn check_claim(claim: &Claim, at: &str) -> Result<()> {
    let count = claim.resources.len();
    if !(1..=CLAIM_RESOURCES_MAX).contains(&count) {
        let message = format!("1 to {CLAIM_RESOURCES_MAX} resources, got {count}");
        return Err(Error::field(format!("{at}resources"), message));
    }
    claim
        .consumer
        .as_deref()
        .map_or(Ok(()), |c| check_label(&format!("{at}consumer"), c))?;
    claim.max_cost.map_or(Ok(()), |c| {
        check_amount(&format!("{at}constraints.max_cost"), c)
    })?;
    if !(1e-6..=1e6).contains(&claim.weight) {
        return Err(Error::field(
            format!("{at}weight"),
            format!("weight must be 1e-6 to 1e6, got {}", claim.weight),
        ));
    }
    if let Some(ttl) = claim.ttl_s.filter(|t| !(*t > 0.0 && *t <= DURATION_MAX_S)) {
        let message = format!("ttl_s must be above 0, at most {DURATION_MAX_S} seconds, got {ttl}");
        return Err(Error::field(format!("{at}ttl_s"), message));
    }
    for (id, ask) in &claim.resources {
        let at = format!("{at}resources.{id}.");
        let min = ask.min.unwrap_or(0.0);
        check_amount(&format!("{at}requested"), ask.requested)?;
        check_amount(&format!("{at}min"), min)?;
        if min > ask.requested {
            let message = format!(
                "min must be at most requested ({}), got {min}",
                ask.requested
            );
            return Err(Error::field(format!("{at}min"), message));
        }
        if let Some(max) = ask.max {
            check_amount(&format!("{at}max"), max)?;
            if max < min {
                return Err(Error::field(
                    format!("{at}max"),
                    format!("max must be at least min ({min}), got {max}"),
                ));
            }
        }
    }
    if claim.resources.values().all(|ask| ask.requested == 0.0) {
        return Err(Error::field(
            format!("{at}resources"),
            "at least one resource must be requested with more than 0",
        ));
    }
    Ok(())
}

/// The claims over the resources as they are; demands in the order of claims, then of ids.
pub(super) fn problem(request: &AllocateRequest, resources: &[Resource]) -> AllocationProblem {
    let index: HashMap<&ResourceId, u32> = resources
        .iter()
        .zip(0..)
        .map(|(r, n)| (&r.resource_id, n))
        .collect();
    let claims = &request.claims;
    let mut problem = AllocationProblem {
        capacity: resources.iter().map(|r| r.capacity).collect(),
        in_use: resources.iter().map(|r| r.in_use).collect(),
        cost_per_unit: resources.iter().map(|r| r.cost_per_unit).collect(),
        weight: claims.iter().map(|c| c.weight).collect(),
        priority: claims.iter().map(|c| c.priority.get()).collect(),
        bundles: claims.iter().map(|c| c.bundles).collect(),
        claim_max_cost: claims
            .iter()
            .map(|c| c.max_cost.unwrap_or(f64::INFINITY))
            .collect(),
        max_cost: request.max_cost.unwrap_or(f64::INFINITY),
        parameters: request.parameters.clone(),
        ..AllocationProblem::default()
    };
    for (n, claim) in claims.iter().enumerate() {
        for (id, ask) in &claim.resources {
            problem.demand_claim.push(n as u32);
            problem.demand_resource.push(index[id]);
            problem.requested.push(ask.requested);
            problem.min.push(ask.min.unwrap_or(0.0));
            problem.max.push(ask.max.unwrap_or(f64::INFINITY));
        }
    }
    problem
}
