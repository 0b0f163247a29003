//! From amounts to an allocation: shares, cost, confidence, and no rounding error too much.
//!
//! Owns the trimming of rounding errors, so that no sum of amounts ever exceeds what there
//! is, and every figure that follows from the amounts. Knows nothing of how they came to be.

use super::{Allocation, Problem, Unmet, UnmetReason};

/// Shortfalls below this part of the request are rounding, not unmet demand.
pub const UNMET_SLACK: f64 = 1e-9;

/// The allocation of these amounts, one for each demand, which [`trim`] has been over.
///
/// `why` says for a demand that was not met in full what stopped it: a reason and one
/// sentence; none leaves the demand out of `unmet`. A claim's confidence is the least
/// fraction met among its demands (1 for a claim that asks for nothing), the whole's is
/// [`overall`].
pub fn finish(
    problem: &Problem,
    amount: Vec<f64>,
    mut why: impl FnMut(usize) -> Option<(UnmetReason, String)>,
) -> Allocation {
    let mut given = problem.resources.in_use.clone();
    let mut dominant_share = vec![0.0_f64; problem.claims.weight.len()];
    let mut claim_confidence = vec![1.0_f64; problem.claims.weight.len()];
    let mut cost = 0.0;
    let mut unmet = Vec::new();
    for (d, &amount) in amount.iter().enumerate() {
        let resource = problem.demands.resource[d] as usize;
        let claim = problem.demands.claim[d] as usize;
        let requested = problem.demands.requested[d];
        given[resource] += amount;
        cost += amount * problem.resources.cost_per_unit[resource];
        if problem.resources.capacity[resource] > 0.0 {
            let share = amount / problem.resources.capacity[resource];
            dominant_share[claim] = dominant_share[claim].max(share);
        }
        if requested > 0.0 {
            let met = (amount / requested).clamp(0.0, 1.0);
            claim_confidence[claim] = claim_confidence[claim].min(met);
        }
        let missing = requested - amount;
        if missing > UNMET_SLACK * requested
            && let Some((reason, description)) = why(d)
        {
            unmet.push(Unmet {
                demand: d as u32,
                missing,
                reason,
                description,
            });
        }
    }
    let utilization = given
        .iter()
        .zip(&problem.resources.capacity)
        .map(|(&given, &capacity)| {
            if capacity > 0.0 {
                given / capacity
            } else {
                0.0
            }
        })
        .collect();
    let confidence = overall(problem, &claim_confidence);
    Allocation {
        amount,
        dominant_share,
        utilization,
        unmet,
        cost,
        claim_confidence,
        confidence,
    }
}

/// Mean of the claims' confidence, weighted by priority; 1 without claims.
pub fn overall(problem: &Problem, claims: &[f64]) -> f64 {
    let mut met = 0.0;
    let mut total = 0.0;
    for (&priority, &claim) in problem.claims.priority.iter().zip(claims) {
        met += f64::from(priority) * claim;
        total += f64::from(priority);
    }
    if total > 0.0 {
        (met / total).clamp(0.0, 1.0)
    } else {
        1.0
    }
}

/// Takes away what rounding gave too much, of resources and of money: a few units in the
/// last place of the largest amounts, if anything.
pub fn trim(problem: &Problem, amount: &mut [f64]) {
    let cost_of = |d: usize| problem.resources.cost_per_unit[problem.demands.resource[d] as usize];
    let mut by_resource = vec![Vec::new(); problem.resources.capacity.len()];
    let mut by_claim = vec![Vec::new(); problem.claims.weight.len()];
    for demand in 0..amount.len() {
        by_resource[problem.demands.resource[demand] as usize].push(demand);
        by_claim[problem.demands.claim[demand] as usize].push(demand);
    }
    for (demands, &cap) in by_claim.iter().zip(&problem.claims.max_cost) {
        shave(amount, demands, cost_of, 0.0, cap);
    }
    let everything: Vec<usize> = (0..amount.len()).collect();
    shave(amount, &everything, cost_of, 0.0, problem.max_cost);
    for (resource, demands) in by_resource.iter().enumerate() {
        let (in_use, capacity) = (
            problem.resources.in_use[resource],
            problem.resources.capacity[resource],
        );
        shave(amount, demands, |_| 1.0, in_use, capacity);
    }
}

/// Lowers the largest of `demands` until `start` + their use, summed in their order, is at
/// most `limit`, and their sum alone at most `limit - start`.
fn shave(
    amount: &mut [f64],
    demands: &[usize],
    unit: impl Fn(usize) -> f64,
    start: f64,
    limit: f64,
) {
    if limit == f64::INFINITY {
        return;
    }
    loop {
        let sum = |from: f64, amount: &[f64]| {
            demands
                .iter()
                .fold(from, |sum, &d| sum + amount[d] * unit(d))
        };
        let excess = (sum(start, amount) - limit).max(sum(0.0, amount) - (limit - start));
        if excess <= 0.0 {
            return;
        }
        let largest = demands
            .iter()
            .copied()
            .filter(|&d| unit(d) > 0.0)
            .max_by(|&a, &b| (amount[a] * unit(a)).total_cmp(&(amount[b] * unit(b))));
        let Some(largest) = largest.filter(|&d| amount[d] > 0.0) else {
            return;
        };
        let lowered = amount[largest] - excess / unit(largest);
        amount[largest] = lowered.min(amount[largest].next_down()).max(0.0);
    }
}

/// A number as people write it: up to six significant digits, no trailing zeros.
pub fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = (5 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (1.0 / 3.0, "0.333333"),
            (12.5, "12.5"),
            (1_000_000.0, "1000000"),
            (2e-7, "0.0000002"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn shaving_stops_at_the_limit() {
        let mut amount = [0.1, 0.2, 0.3000000001];
        shave(&mut amount, &[0, 1, 2], |_| 1.0, 0.4, 1.0);
        assert!(0.4 + amount[0] + amount[1] + amount[2] <= 1.0);
        assert!(amount[2] > 0.2999999);
    }
}
