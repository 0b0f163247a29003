//! The criterion of max-min fairness, asked of amounts that somebody else found.

use super::part::{Part, Rule, used};
use crate::allocation::Problem;
use crate::allocation::filling::Sharing;

/// Nearer than this, levels and bounds are equal.
const NEAR: f64 = 1e-7;

/// Whether amounts of divisible claims are max-min fair: nobody can have more but by taking from
/// somebody of a higher tier, or of the same tier and with no higher level (Bertsekas, Gallager,
/// "Data Networks", 1992, section 6.5.2). Claims of whole bundles and claims with nothing at all for want
/// of their minima are taken as they are.
///
/// # Errors
/// Who could have more.
pub fn max_min(problem: &Problem, amount: &[f64], sharing: Sharing) -> Result<(), String> {
    let rules = Rule::all(problem);
    let standing: Vec<(Part, f64)> = Part::all(problem, sharing)
        .into_iter()
        .filter(|part| part.bundles == 0 && part.slope > 0.0 && served(problem, amount, part.claim))
        .map(|part| {
            let position = position(problem, amount, &part);
            (part, position)
        })
        .collect();
    let tier = |part: &Part| problem.claims.priority[part.claim];
    for (part, position) in &standing {
        if *position >= part.ceiling * (1.0 - NEAR) {
            continue;
        }
        // Everybody whom it may take from goes back to the minima.
        let level = position * part.slope;
        let mut rest = amount.to_vec();
        for (other, theirs) in &standing {
            let higher = theirs * other.slope > level + NEAR * level.max(1.0);
            if tier(other) < tier(part) || (tier(other) == tier(part) && higher) {
                for &d in &other.demands {
                    rest[d] = rest[d].min(problem.demands.min[d]);
                }
            }
        }
        let stopped = rules.iter().any(|rule| {
            let full = used(rule, &rest) >= rule.limit - NEAR * rule.limit.max(1.0);
            full && part.rises_on(problem, rule, *position)
        });
        if !stopped {
            return Err(format!(
                "claim {} could have more of its demands {:?} than the part {position}",
                part.claim, part.demands
            ));
        }
    }
    Ok(())
}

/// Whether a claim has its minima.
fn served(problem: &Problem, amount: &[f64], claim: usize) -> bool {
    (0..amount.len())
        .filter(|&d| problem.demands.claim[d] as usize == claim)
        .all(|d| amount[d] >= problem.demands.min[d] * (1.0 - NEAR))
}

/// The fraction of all demands that a part has at least.
fn position(problem: &Problem, amount: &[f64], part: &Part) -> f64 {
    let wanted = part
        .demands
        .iter()
        .filter(|&&d| problem.demands.requested[d] > 0.0);
    wanted
        .map(|&d| amount[d] / problem.demands.requested[d])
        .fold(1.0, f64::min)
}
