//! Allocation problems and answers.

use nova_core::strategy::allocation::{AllocationAnswer, AllocationProblem, Unmet};

use crate::bindings::allocation::exports::nova::strategy::allocator as wit;

/// The problem as the guest reads it; every column is borrowed.
pub(crate) fn problem<'a>(
    p: &'a AllocationProblem,
    settings: &'a str,
    parameters: &'a str,
) -> wit::Problem<'a> {
    wit::Problem {
        resources: wit::Resources {
            capacity: &p.capacity,
            in_use: &p.in_use,
            cost_per_unit: &p.cost_per_unit,
        },
        claims: wit::Claims {
            weight: &p.weight,
            priority: &p.priority,
            bundles: &p.bundles,
            max_cost: &p.claim_max_cost,
        },
        demands: wit::Demands {
            claim: &p.demand_claim,
            resource: &p.demand_resource,
            requested: &p.requested,
            min: &p.min,
            max: &p.max,
        },
        max_cost: p.max_cost,
        seed: p.seed,
        settings,
        parameters,
    }
}

/// The guest's allocation; not yet checked.
pub(crate) fn answer(answer: wit::Allocation) -> AllocationAnswer {
    let unmet = answer.unmet.into_iter().map(|u| Unmet {
        demand: u.demand,
        missing: u.missing,
        reason: match u.reason {
            wit::UnmetReason::Capacity => "capacity",
            wit::UnmetReason::Fairness => "fairness",
            wit::UnmetReason::Priority => "priority",
            wit::UnmetReason::Cost => "cost",
            wit::UnmetReason::Max => "max",
            wit::UnmetReason::Indivisible => "indivisible",
            wit::UnmetReason::Min => "min",
        },
        description: u.description,
    });
    AllocationAnswer {
        unmet: unmet.collect(),
        amount: answer.amount,
        dominant_share: answer.dominant_share,
        utilization: answer.utilization,
        cost: answer.cost,
        claim_confidence: answer.claim_confidence,
        confidence: answer.confidence,
    }
}
