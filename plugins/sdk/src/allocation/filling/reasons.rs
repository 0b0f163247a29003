//! From where units stand to the allocation: what stopped each demand, in a sentence.
//!
//! Owns the sentences. Knows nothing of how the filling came to its outcome.

use super::sweep::Filling;
use super::unit::Stop;
use crate::allocation::finish::{UNMET_SLACK, finish, number, trim};
use crate::allocation::{Allocation, Problem, UnmetReason as Reason};

/// The allocation of a finished filling.
pub(super) fn allocation(filling: &Filling<'_>) -> Allocation {
    let problem = filling.problem;
    let mut amount: Vec<f64> = (0..problem.demands.requested.len())
        .map(|demand| filling.amount(demand))
        .collect();
    trim(problem, &mut amount);
    let holders = Holders::of(problem, &amount);
    let given = amount.clone();
    finish(problem, amount, |demand| {
        let claim = problem.demands.claim[demand] as usize;
        let (reason, cause) = why(filling, &holders, filling.unit_of[demand]);
        let description = format!(
            "{{claim:{claim}}} was given {} of {} of {{resource:{}}}: {cause}",
            number(given[demand]),
            number(problem.demands.requested[demand]),
            problem.demands.resource[demand],
        );
        Some((reason, description))
    })
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

/// What stopped a unit, as a reason and as the second half of a sentence.
fn why(filling: &Filling<'_>, holders: &Holders, unit: usize) -> (Reason, String) {
    let problem = filling.problem;
    let money = filling.ledger.cost_column();
    let claim = filling.units[unit].claim;
    let own = filling.ledger.claim_column(claim);
    match filling.stop[unit] {
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
        Some(Stop::ClaimCost) => own_cap(problem, claim),
        Some(Stop::Full { column, .. }) if Some(column) == own => own_cap(problem, claim),
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
        Some(Stop::Full { column, .. }) => full(filling, holders, unit, column),
        Some(Stop::Satisfied) | None => (
            Reason::Capacity,
            "what was given was rounded down to what there is".to_owned(),
        ),
    }
}

fn own_cap(problem: &Problem, claim: usize) -> (Reason, String) {
    let cap = number(problem.claims.max_cost[claim]);
    (Reason::Cost, format!("it may cost at most {cap}"))
}

/// A resource ran out: would the claim have had more alone, and who holds the rest?
fn full(
    filling: &Filling<'_>,
    holders: &Holders,
    unit: usize,
    resource: usize,
) -> (Reason, String) {
    let problem = filling.problem;
    let claim = filling.units[unit].claim;
    let available = filling.ledger.available(resource);
    let own: f64 = filling.units[unit]
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
