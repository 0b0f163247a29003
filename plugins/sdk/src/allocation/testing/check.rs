//! The rules that the host holds every allocation to, told anew: what passes here passes
//! there. Shares no code with any allocator.

use crate::allocation::{Allocation, Problem};

/// Relative tolerance of comparisons, the host's.
const TOLERANCE: f64 = 1e-6;

fn exceeds(a: f64, b: f64) -> bool {
    a > b + TOLERANCE * b.abs().max(1.0)
}

/// Nothing oversold, each claim within its minima and maxima or refused whole, bundles whole,
/// costs within their caps, and the answer's own figures true.
///
/// # Errors
/// The first rule broken, by the host's name for it, and where.
pub fn check(problem: &Problem, answer: &Allocation) -> Result<(), String> {
    lengths(problem, answer)?;
    let mut used = vec![0.0; problem.resources.capacity.len()];
    for (d, amount) in answer.amount.iter().enumerate() {
        used[problem.demands.resource[d] as usize] += amount;
    }
    for (r, given) in used.iter().enumerate() {
        let capacity = problem.resources.capacity[r];
        let free = capacity - problem.resources.in_use[r];
        if *given > free + 1e-9 * capacity.max(1.0) {
            return Err(format!(
                "capacity: {given} given of resource {r}, {free} is free"
            ));
        }
    }
    for claim in 0..problem.claims.weight.len() {
        each_claim(problem, answer, claim)?;
    }
    figures(problem, answer, &used)
}

fn lengths(problem: &Problem, answer: &Allocation) -> Result<(), String> {
    let (claims, resources) = (
        problem.claims.weight.len(),
        problem.resources.capacity.len(),
    );
    for (name, found, wanted) in [
        (
            "amount",
            answer.amount.len(),
            problem.demands.requested.len(),
        ),
        ("dominant-share", answer.dominant_share.len(), claims),
        ("claim-confidence", answer.claim_confidence.len(), claims),
        ("utilization", answer.utilization.len(), resources),
    ] {
        if found != wanted {
            return Err(format!(
                "lengths: {name} has {found} entries, must have {wanted}"
            ));
        }
    }
    let numbers = answer.amount.iter().chain(&answer.dominant_share);
    let mut numbers = numbers.chain(&answer.utilization).chain([&answer.cost]);
    if let Some(n) = numbers.find(|n| !n.is_finite() || **n < 0.0) {
        return Err(format!("finite-numbers: the allocation contains {n}"));
    }
    let mut confidences = answer.claim_confidence.iter().chain([&answer.confidence]);
    match confidences.find(|c| !(0.0..=1.0).contains(*c)) {
        Some(c) => Err(format!("confidence-range: {c}")),
        None => Ok(()),
    }
}

fn each_claim(problem: &Problem, answer: &Allocation, claim: usize) -> Result<(), String> {
    let demands: Vec<usize> = (0..answer.amount.len())
        .filter(|&d| problem.demands.claim[d] as usize == claim)
        .collect();
    let refused = demands.iter().all(|&d| answer.amount[d] == 0.0);
    let mut cost = 0.0;
    for &d in &demands {
        let amount = answer.amount[d];
        cost += amount * problem.resources.cost_per_unit[problem.demands.resource[d] as usize];
        if !refused && exceeds(problem.demands.min[d], amount) {
            return Err(format!("min: demand {d} is given {amount}"));
        }
        if exceeds(amount, problem.demands.max[d]) {
            return Err(format!("max: demand {d} is given {amount}"));
        }
        let bundles = f64::from(problem.claims.bundles[claim]);
        if bundles > 0.0 && problem.demands.requested[d] > 0.0 {
            let given = amount / (problem.demands.requested[d] / bundles);
            if (given - given.round()).abs() > TOLERANCE * given.max(1.0) {
                return Err(format!("whole-bundles: demand {d} is given {given}"));
            }
        }
    }
    let cap = problem.claims.max_cost[claim];
    if exceeds(cost, cap) {
        return Err(format!("max-cost: claim {claim} costs {cost}, cap {cap}"));
    }
    Ok(())
}

fn figures(problem: &Problem, answer: &Allocation, used: &[f64]) -> Result<(), String> {
    let differ = |a: f64, b: f64| exceeds(a, b) || exceeds(b, a);
    let costs = used.iter().zip(&problem.resources.cost_per_unit);
    let cost: f64 = costs.map(|(u, c)| u * c).sum();
    if differ(answer.cost, cost) {
        return Err(format!("cost: given as {}, it is {cost}", answer.cost));
    }
    if exceeds(cost, problem.max_cost) {
        return Err(format!("max-cost: {cost} of {}", problem.max_cost));
    }
    let share = |amount: f64, capacity: f64| {
        if capacity > 0.0 {
            amount / capacity
        } else {
            0.0
        }
    };
    for (r, given) in used.iter().enumerate() {
        let real = share(
            problem.resources.in_use[r] + given,
            problem.resources.capacity[r],
        );
        if differ(answer.utilization[r], real) {
            return Err(format!("utilization: resource {r} is {real} used"));
        }
    }
    let mut dominant = vec![0.0_f64; problem.claims.weight.len()];
    for (d, amount) in answer.amount.iter().enumerate() {
        let capacity = problem.resources.capacity[problem.demands.resource[d] as usize];
        let claim = problem.demands.claim[d] as usize;
        dominant[claim] = dominant[claim].max(share(*amount, capacity));
    }
    for (claim, real) in dominant.into_iter().enumerate() {
        if differ(answer.dominant_share[claim], real) {
            return Err(format!("dominant-share: of claim {claim} is {real}"));
        }
    }
    for unmet in &answer.unmet {
        let d = unmet.demand as usize;
        if d >= answer.amount.len()
            || differ(
                unmet.missing,
                problem.demands.requested[d] - answer.amount[d],
            )
        {
            return Err(format!("unmet: demand {d} lacks {}", unmet.missing));
        }
    }
    Ok(())
}
