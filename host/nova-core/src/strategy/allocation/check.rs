//! The check that every allocation passes before anyone sees it.

use super::super::{TOLERANCE, Violation, check_confidence, exceeds};
use super::{AllocationAnswer, AllocationProblem};

/// Checks an allocation against its problem: nothing oversold, each claim within its minima and maxima or
/// refused whole, bundles whole, costs within their caps, and the answer's own figures true.
///
/// Comparisons allow a relative rounding of [`TOLERANCE`], but for capacity, which allows none beyond
/// the last bit of the sum.
///
/// # Errors
/// The first rule broken, with the index of the claim or resource.
pub fn check(problem: &AllocationProblem, answer: &AllocationAnswer) -> Result<(), Violation> {
    lengths(problem, answer)?;
    let used = within_capacity(problem, answer)?;
    each_claim(problem, answer)?;
    figures(problem, answer, &used)?;
    for (claim, confidence) in answer.claim_confidence.iter().enumerate() {
        check_confidence(&format!("the confidence of claim {claim}"), *confidence)?;
    }
    check_confidence("the allocation's confidence", answer.confidence)
}

fn lengths(problem: &AllocationProblem, answer: &AllocationAnswer) -> Result<(), Violation> {
    let columns = [
        ("amount", answer.amount.len(), problem.requested.len()),
        (
            "dominant-share",
            answer.dominant_share.len(),
            problem.weight.len(),
        ),
        (
            "claim-confidence",
            answer.claim_confidence.len(),
            problem.weight.len(),
        ),
        (
            "utilization",
            answer.utilization.len(),
            problem.capacity.len(),
        ),
    ];
    if let Some((name, got, want)) = columns.into_iter().find(|(_, got, want)| got != want) {
        return Err(Violation::new(
            "lengths",
            format!("{name} has {got} entries, must have {want}"),
        ));
    }
    let numbers = answer
        .amount
        .iter()
        .chain(&answer.dominant_share)
        .chain(&answer.utilization)
        .chain([&answer.cost]);
    match numbers.into_iter().find(|n| !n.is_finite() || **n < 0.0) {
        Some(n) => Err(Violation::new(
            "finite-numbers",
            format!("the allocation contains {n}"),
        )),
        None => Ok(()),
    }
}

/// Gives what is given of each resource.
fn within_capacity(
    problem: &AllocationProblem,
    answer: &AllocationAnswer,
) -> Result<Vec<f64>, Violation> {
    let mut used = vec![0.0; problem.capacity.len()];
    for (demand, amount) in answer.amount.iter().enumerate() {
        used[problem.demand_resource[demand] as usize] += amount;
    }
    for (resource, given) in used.iter().enumerate() {
        let free = problem.capacity[resource] - problem.in_use[resource];
        if *given > free + 1e-9 * problem.capacity[resource].max(1.0) {
            let detail = format!("{given} is given of resource {resource}, {free} is free");
            return Err(Violation::new("capacity", detail));
        }
    }
    Ok(used)
}

fn each_claim(problem: &AllocationProblem, answer: &AllocationAnswer) -> Result<(), Violation> {
    let claims = problem.weight.len();
    let mut cost = vec![0.0; claims];
    let mut refused = vec![true; claims];
    for (demand, amount) in answer.amount.iter().enumerate() {
        let claim = problem.demand_claim[demand] as usize;
        cost[claim] += amount * problem.cost_per_unit[problem.demand_resource[demand] as usize];
        refused[claim] &= *amount == 0.0;
    }
    for (demand, amount) in answer.amount.iter().enumerate() {
        let claim = problem.demand_claim[demand] as usize;
        if !refused[claim] && exceeds(problem.min[demand], *amount) {
            let detail = format!(
                "demand {demand} is given {amount}, its claim is served and needs {}",
                problem.min[demand]
            );
            return Err(Violation::new("min", detail));
        }
        if exceeds(*amount, problem.max[demand]) {
            let detail = format!(
                "demand {demand} is given {amount}, at most {} is allowed",
                problem.max[demand]
            );
            return Err(Violation::new("max", detail));
        }
        let bundles = f64::from(problem.bundles[claim]);
        if bundles > 0.0 && problem.requested[demand] > 0.0 {
            let given = amount / (problem.requested[demand] / bundles);
            if (given - given.round()).abs() > TOLERANCE * given.max(1.0) {
                let detail =
                    format!("demand {demand} is given {given} bundles, only whole ones are of use");
                return Err(Violation::new("whole-bundles", detail));
            }
        }
    }
    for (claim, cost) in cost.iter().enumerate() {
        if exceeds(*cost, problem.claim_max_cost[claim]) {
            let detail = format!(
                "claim {claim} costs {cost}, at most {} is allowed",
                problem.claim_max_cost[claim]
            );
            return Err(Violation::new("max-cost", detail));
        }
    }
    Ok(())
}

/// Cost, utilization, dominant shares and unmet demand are what the amounts make them.
fn figures(
    problem: &AllocationProblem,
    answer: &AllocationAnswer,
    used: &[f64],
) -> Result<(), Violation> {
    let differ = |a: f64, b: f64| exceeds(a, b) || exceeds(b, a);
    let cost: f64 = used
        .iter()
        .zip(&problem.cost_per_unit)
        .map(|(u, c)| u * c)
        .sum();
    if differ(answer.cost, cost) {
        return Err(Violation::new(
            "cost",
            format!(
                "the cost is given as {}, the amounts cost {cost}",
                answer.cost
            ),
        ));
    }
    if exceeds(cost, problem.max_cost) {
        return Err(Violation::new(
            "max-cost",
            format!(
                "the allocation costs {cost}, at most {} is allowed",
                problem.max_cost
            ),
        ));
    }
    let share = |amount: f64, capacity: f64| {
        if capacity > 0.0 {
            amount / capacity
        } else {
            0.0
        }
    };
    for (resource, given) in used.iter().enumerate() {
        let real = share(problem.in_use[resource] + given, problem.capacity[resource]);
        if differ(answer.utilization[resource], real) {
            let detail = format!(
                "resource {resource} is given as {} used, it is {real}",
                answer.utilization[resource]
            );
            return Err(Violation::new("utilization", detail));
        }
    }
    let mut dominant = vec![0.0_f64; problem.weight.len()];
    for (demand, amount) in answer.amount.iter().enumerate() {
        let of = share(
            *amount,
            problem.capacity[problem.demand_resource[demand] as usize],
        );
        let claim = problem.demand_claim[demand] as usize;
        dominant[claim] = dominant[claim].max(of);
    }
    for (claim, real) in dominant.into_iter().enumerate() {
        if differ(answer.dominant_share[claim], real) {
            let detail = format!(
                "the dominant share of claim {claim} is given as {}, it is {real}",
                answer.dominant_share[claim]
            );
            return Err(Violation::new("dominant-share", detail));
        }
    }
    for unmet in &answer.unmet {
        let Some(requested) = problem.requested.get(unmet.demand as usize) else {
            return Err(Violation::new(
                "unmet",
                format!("there is no demand {}", unmet.demand),
            ));
        };
        let real = requested - answer.amount[unmet.demand as usize];
        if differ(unmet.missing, real) {
            return Err(Violation::new(
                "unmet",
                format!(
                    "demand {} lacks {real}, given as {}",
                    unmet.demand, unmet.missing
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Unmet;
    use super::*;

    /// The example of the DRF paper (Ghodsi et al. 2011, §4.1): 9 CPUs, 18 GB; A wants
    /// ⟨1, 4⟩ bundles, B ⟨3, 1⟩; A gets 3, B gets 2.
    fn sound() -> (AllocationProblem, AllocationAnswer) {
        let problem = AllocationProblem {
            capacity: vec![9.0, 18.0],
            in_use: vec![0.0, 0.0],
            cost_per_unit: vec![2.0, 1.0],
            weight: vec![1.0, 1.0],
            priority: vec![1, 1],
            bundles: vec![9, 9],
            claim_max_cost: vec![f64::INFINITY; 2],
            demand_claim: vec![0, 0, 1, 1],
            demand_resource: vec![0, 1, 0, 1],
            requested: vec![9.0, 36.0, 27.0, 9.0],
            min: vec![0.0; 4],
            max: vec![f64::INFINITY; 4],
            max_cost: f64::INFINITY,
            ..AllocationProblem::default()
        };
        let answer = AllocationAnswer {
            amount: vec![3.0, 12.0, 6.0, 2.0],
            dominant_share: vec![2.0 / 3.0, 2.0 / 3.0],
            utilization: vec![1.0, 14.0 / 18.0],
            unmet: vec![Unmet {
                demand: 0,
                missing: 6.0,
                reason: "capacity",
                description: String::new(),
            }],
            cost: 32.0,
            claim_confidence: vec![0.5, 0.5],
            confidence: 0.5,
        };
        (problem, answer)
    }

    #[test]
    fn a_sound_allocation_passes() {
        let (p, a) = sound();
        check(&p, &a).unwrap();
    }

    #[test]
    fn each_rule_is_held() {
        type Break = fn(&mut AllocationProblem, &mut AllocationAnswer);
        let cases: [(&str, Break); 13] = [
            ("lengths", |_, a| a.amount.truncate(3)),
            ("finite-numbers", |_, a| a.amount[0] = f64::NAN),
            ("finite-numbers", |_, a| a.amount[0] = -1.0),
            ("capacity", |p, _| p.in_use[0] = 0.5),
            ("min", |p, _| p.min[1] = 12.5),
            ("max", |p, _| p.max[1] = 11.5),
            ("whole-bundles", |p, _| p.bundles[0] = 2),
            ("max-cost", |p, _| p.claim_max_cost[0] = 17.0),
            ("max-cost", |p, _| p.max_cost = 31.0),
            ("cost", |_, a| a.cost = 31.0),
            ("utilization", |_, a| a.utilization[1] = 1.0),
            ("dominant-share", |_, a| a.dominant_share[1] = 0.5),
            ("unmet", |_, a| a.unmet[0].missing = 5.0),
        ];
        for (rule, spoil) in cases {
            let (mut p, mut a) = sound();
            spoil(&mut p, &mut a);
            assert_eq!(check(&p, &a).unwrap_err().rule, rule);
        }
    }

    #[test]
    fn a_claim_refused_whole_needs_no_minimum() {
        let (mut p, mut a) = sound();
        p.min = vec![0.0, 0.0, 9.0, 3.0];
        (a.amount[2], a.amount[3]) = (0.0, 0.0);
        (a.dominant_share[1], a.cost) = (0.0, 18.0);
        a.utilization = vec![3.0 / 9.0, 12.0 / 18.0];
        check(&p, &a).unwrap();
    }
}
