//! From where claims stand to the allocation: amounts, shares, reasons and confidence.
//!
//! Owns the trimming of rounding errors, so that no sum of amounts ever exceeds what there
//! is, and the sentences. Knows nothing of how the filling came to its outcome.

use crate::claims::Stop;
use crate::fill::Filling;
use nova_sdk::allocation::{Allocation, Problem, Unmet, UnmetReason as Reason};

/// Shortfalls below this part of the request are rounding, not unmet demand.
const UNMET_SLACK: f64 = 1e-9;

/// The allocation of a finished filling.
pub(crate) fn allocation(filling: &Filling<'_>) -> Allocation {
    let problem = filling.problem;
    let mut amount: Vec<f64> = (0..problem.demands.requested.len())
        .map(|demand| filling.amount(demand))
        .collect();
    trim(filling, &mut amount);

    let mut given = problem.resources.in_use.clone();
    let mut dominant_share = vec![0.0_f64; problem.claims.weight.len()];
    let mut claim_confidence = vec![1.0_f64; problem.claims.weight.len()];
    let mut cost = 0.0;
    for (d, &amount) in amount.iter().enumerate() {
        let resource = problem.demands.resource[d] as usize;
        let claim = problem.demands.claim[d] as usize;
        given[resource] += amount;
        cost += amount * problem.resources.cost_per_unit[resource];
        if problem.resources.capacity[resource] > 0.0 {
            let share = amount / problem.resources.capacity[resource];
            dominant_share[claim] = dominant_share[claim].max(share);
        }
        if problem.demands.requested[d] > 0.0 {
            let met = (amount / problem.demands.requested[d]).clamp(0.0, 1.0);
            claim_confidence[claim] = claim_confidence[claim].min(met);
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
    let holders = Holders::of(problem, &amount);
    let unmet = (0..amount.len())
        .filter_map(|demand| unmet(filling, &holders, demand, amount[demand]))
        .collect();
    let confidence = confidence(problem, &claim_confidence);
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

/// Mean of the claims' confidence, weighted by priority.
fn confidence(problem: &Problem, claims: &[f64]) -> f64 {
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

/// Takes away what rounding gave too much, of resources and of money.
fn trim(filling: &Filling<'_>, amount: &mut [f64]) {
    let problem = filling.problem;
    let cost_of = |d: usize| problem.resources.cost_per_unit[problem.demands.resource[d] as usize];
    let mut by_resource = vec![Vec::new(); problem.resources.capacity.len()];
    for (demand, &resource) in problem.demands.resource.iter().enumerate() {
        by_resource[resource as usize].push(demand);
    }
    for (claim, &cap) in filling.claims.iter().zip(&problem.claims.max_cost) {
        shave(amount, &claim.demands, cost_of, 0.0, cap);
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
/// most `limit`, and their sum alone at most `limit - start`. The filling is exact but for
/// rounding, so this takes a few units in the last place, if anything.
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

/// Who holds what of each resource: sums by tier, 1 to 5.
struct Holders(Vec<[f64; 6]>);

impl Holders {
    fn of(problem: &Problem, amount: &[f64]) -> Self {
        let mut tiers = vec![[0.0; 6]; problem.resources.capacity.len()];
        for (d, &amount) in amount.iter().enumerate() {
            let tier = problem.claims.priority[problem.demands.claim[d] as usize];
            tiers[problem.demands.resource[d] as usize][usize::from(tier)] += amount;
        }
        Self(tiers)
    }

    fn above(&self, resource: usize, tier: u8) -> f64 {
        self.0[resource][usize::from(tier) + 1..].iter().sum()
    }
}

fn unmet(filling: &Filling<'_>, holders: &Holders, demand: usize, amount: f64) -> Option<Unmet> {
    let problem = filling.problem;
    let requested = problem.demands.requested[demand];
    let missing = requested - amount;
    if missing <= UNMET_SLACK * requested {
        return None;
    }
    let claim = problem.demands.claim[demand] as usize;
    let resource = problem.demands.resource[demand];
    let (reason, cause) = why(filling, holders, claim);
    let description = format!(
        "{{claim:{claim}}} was given {} of {} of {{resource:{resource}}}: {cause}",
        number(amount),
        number(requested),
    );
    Some(Unmet {
        demand: demand as u32,
        missing,
        reason,
        description,
    })
}

/// What stopped a claim, as a reason and as the second half of a sentence.
fn why(filling: &Filling<'_>, holders: &Holders, claim: usize) -> (Reason, String) {
    let problem = filling.problem;
    let money = filling.ledger.cost_column();
    match filling.stop[claim] {
        Some(Stop::Minimum {
            column,
            needed,
            left,
        }) => {
            let what = if column == money {
                format!(
                    "its minimum costs {}, and {} may be spent",
                    number(needed),
                    number(left)
                )
            } else {
                format!(
                    "it needs at least {} of {{resource:{column}}}, and {} was left",
                    number(needed),
                    number(left)
                )
            };
            (Reason::Min, what)
        }
        Some(Stop::Bounds) => (
            Reason::Min,
            format!(
                "no number of its {} bundles lies between its minimum and its maximum",
                problem.claims.bundles[claim]
            ),
        ),
        Some(Stop::Max { demand }) => (
            Reason::Max,
            format!(
                "its own maximum is {} of {{resource:{}}}",
                number(problem.demands.max[demand]),
                problem.demands.resource[demand]
            ),
        ),
        Some(Stop::ClaimCost) => (
            Reason::Cost,
            format!(
                "it may cost at most {}",
                number(problem.claims.max_cost[claim])
            ),
        ),
        Some(Stop::Full { column, .. }) if column == money => (
            Reason::Cost,
            format!("all together may cost at most {}", number(problem.max_cost)),
        ),
        Some(Stop::Full {
            column,
            partial: true,
        }) => (
            Reason::Indivisible,
            format!("a further whole bundle does not fit into what {{resource:{column}}} had left"),
        ),
        Some(Stop::Full { column, .. }) => full(filling, holders, claim, column),
        Some(Stop::Satisfied) | None => (
            Reason::Capacity,
            "what was given was rounded down to what there is".to_owned(),
        ),
    }
}

/// A resource ran out: would the claim have had more alone, and who holds the rest?
fn full(
    filling: &Filling<'_>,
    holders: &Holders,
    claim: usize,
    resource: usize,
) -> (Reason, String) {
    let problem = filling.problem;
    let available = filling.ledger.available(resource);
    let own: f64 = filling.claims[claim]
        .demands
        .iter()
        .filter(|&&d| problem.demands.resource[d] as usize == resource)
        .map(|&d| filling.amount(d))
        .sum();
    let tier = problem.claims.priority[claim];
    let above = holders.above(resource, tier);
    if own >= available * (1.0 - UNMET_SLACK) {
        let what = format!(
            "{{resource:{resource}}} had {} free of {}",
            number(available),
            number(problem.resources.capacity[resource])
        );
        (Reason::Capacity, what)
    } else if above > 0.0 {
        let what = format!(
            "claims of a priority above {tier} hold {} of the {} that {{resource:{resource}}} had free",
            number(above),
            number(available)
        );
        (Reason::Priority, what)
    } else {
        let what = format!(
            "others hold {} of the {} that {{resource:{resource}}} had free, by their fair share",
            number(available - own),
            number(available)
        );
        (Reason::Fairness, what)
    }
}

/// A number as people write it: up to six significant digits, no trailing zeros.
fn number(value: f64) -> String {
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
