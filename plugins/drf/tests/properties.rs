//! What holds for every problem: feasibility, bounds, Pareto efficiency, strict tiers, the
//! sharing incentive, determinism.
#![allow(clippy::unwrap_used)]

use drf::allocate;
use nova_sdk::allocation::testing::{Ask, ask, resources, with};
use nova_sdk::allocation::{Allocation, Problem, UnmetReason};
use proptest::prelude::*;

const SLACK: f64 = 1e-9;

fn asks(resources: usize) -> impl Strategy<Value = Ask> {
    let amount = prop_oneof![
        1 => Just(0.0),
        4 => (1_u32..400).prop_map(|tenths| f64::from(tenths) / 10.0),
        2 => 0.01_f64..60.0,
    ];
    let demand = (amount, 0.0_f64..1.0, 0.0_f64..1.5, 0_u8..8);
    (
        proptest::collection::vec(demand, resources),
        prop_oneof![Just(1.0), 0.1_f64..5.0],
        1_u8..=5,
        prop_oneof![2 => Just(0_u32), 1 => 1_u32..30],
        prop_oneof![3 => Just(f64::INFINITY), 1 => 0.0_f64..80.0],
    )
        .prop_map(|(demands, weight, priority, bundles, max_cost)| {
            let requested: Vec<f64> = demands.iter().map(|demand| demand.0).collect();
            let mut claim = ask(&requested)
                .weight(weight)
                .priority(priority)
                .bundles(bundles)
                .max_cost(max_cost);
            for (k, (requested, min, max, which)) in demands.into_iter().enumerate() {
                let min = if which & 3 == 3 { min * requested } else { 0.0 };
                let max = if which & 4 == 4 {
                    (max * requested).max(min)
                } else {
                    f64::INFINITY
                };
                claim = claim.min(k, min).max(k, max);
            }
            claim
        })
}

fn problems() -> impl Strategy<Value = Problem> {
    (1_usize..4)
        .prop_flat_map(|count| {
            (
                proptest::collection::vec((0_u32..120, 0.0_f64..1.0, 0_u32..4), count),
                proptest::collection::vec(asks(count), 0..12),
                prop_oneof![3 => Just(f64::INFINITY), 1 => 0.0_f64..300.0],
            )
        })
        .prop_map(|(columns, claims, max_cost)| {
            let capacity: Vec<f64> = columns.iter().map(|column| f64::from(column.0)).collect();
            let mut problem = with(resources(&capacity), &claims);
            for (k, (capacity, used, cost)) in columns.into_iter().enumerate() {
                let in_use = if used < 0.5 { 0.0 } else { used };
                problem.resources.in_use[k] = f64::from(capacity) * in_use * 0.7;
                problem.resources.cost_per_unit[k] = f64::from(cost) / 2.0;
            }
            problem.max_cost = max_cost;
            problem
        })
}

/// Units free of each resource after the allocation.
fn left(problem: &Problem, allocation: &Allocation) -> Vec<f64> {
    let mut given = problem.resources.in_use.clone();
    for (d, amount) in allocation.amount.iter().enumerate() {
        given[problem.demands.resource[d] as usize] += amount;
    }
    let capacity = problem.resources.capacity.iter();
    capacity
        .zip(&given)
        .map(|(all, given)| all - given)
        .collect()
}

fn cost_of(problem: &Problem, d: usize) -> f64 {
    problem.resources.cost_per_unit[problem.demands.resource[d] as usize]
}

fn demands_of(problem: &Problem, claim: usize) -> Vec<usize> {
    (0..problem.demands.claim.len())
        .filter(|&d| problem.demands.claim[d] as usize == claim)
        .collect()
}

fn feasible(problem: &Problem, allocation: &Allocation) -> Result<(), TestCaseError> {
    for (resource, left) in left(problem, allocation).into_iter().enumerate() {
        prop_assert!(left >= 0.0, "resource {resource} is oversold by {}", -left);
    }
    prop_assert!(allocation.cost <= problem.max_cost * (1.0 + 1e-15));
    for claim in 0..problem.claims.weight.len() {
        let demands = demands_of(problem, claim);
        let amount = |d: usize| allocation.amount[d];
        let cost: f64 = demands
            .iter()
            .map(|&d| amount(d) * cost_of(problem, d))
            .sum();
        prop_assert!(cost <= problem.claims.max_cost[claim] * (1.0 + 1e-15));
        let nothing = demands.iter().all(|&d| amount(d) == 0.0);
        for &d in &demands {
            let (requested, min) = (problem.demands.requested[d], problem.demands.min[d]);
            prop_assert!(amount(d) >= 0.0 && amount(d) <= requested);
            prop_assert!(amount(d) <= problem.demands.max[d] * (1.0 + 1e-12));
            prop_assert!(nothing || amount(d) >= min * (1.0 - 1e-12));
            let bundles = f64::from(problem.claims.bundles[claim]);
            if bundles > 0.0 && requested > 0.0 {
                let count = amount(d) / requested * bundles;
                prop_assert!((count - count.round()).abs() < 1e-6, "{count} bundles");
            }
        }
    }
    Ok(())
}

/// Nobody who wants more, and may have more, could be given more of what is left.
fn efficient(problem: &Problem, allocation: &Allocation) -> Result<(), TestCaseError> {
    let left = left(problem, allocation);
    let money = problem.max_cost - allocation.cost;
    let full = |d: usize| {
        let resource = problem.demands.resource[d] as usize;
        left[resource] <= SLACK * problem.resources.capacity[resource].max(1.0)
            || cost_of(problem, d) > 0.0 && money <= SLACK * problem.max_cost.max(1.0)
    };
    for unmet in &allocation.unmet {
        let claim = problem.demands.claim[unmet.demand as usize] as usize;
        let demands = demands_of(problem, claim);
        let bundles = f64::from(problem.claims.bundles[claim]);
        let own_cost: f64 = demands
            .iter()
            .map(|&d| allocation.amount[d] * cost_of(problem, d))
            .sum();
        match unmet.reason {
            UnmetReason::Min => prop_assert!(demands.iter().all(|&d| allocation.amount[d] == 0.0)),
            UnmetReason::Max => {
                let at_maximum = |&d: &usize| {
                    let step = problem.demands.requested[d] / bundles.max(1.0);
                    let step = if bundles > 0.0 { step } else { 0.0 };
                    allocation.amount[d] + step >= problem.demands.max[d] * (1.0 - SLACK)
                };
                let reached = demands.iter().any(at_maximum);
                prop_assert!(reached, "claim {claim} is below its maximum");
            }
            UnmetReason::Cost if problem.claims.max_cost[claim].is_finite() && bundles == 0.0 => {
                let own = problem.claims.max_cost[claim];
                let spent = own_cost >= own - SLACK * own.max(1.0);
                prop_assert!(spent || demands.iter().any(|&d| full(d)));
            }
            _ if bundles > 0.0 => {
                let step = |d: usize| problem.demands.requested[d] / bundles;
                let cost: f64 = demands.iter().map(|&d| step(d) * cost_of(problem, d)).sum();
                let fits = demands
                    .iter()
                    .all(|&d| step(d) <= left[problem.demands.resource[d] as usize] - SLACK)
                    && cost <= money - SLACK
                    && own_cost + cost <= problem.claims.max_cost[claim] - SLACK;
                prop_assert!(!fits, "a bundle of claim {claim} still fits");
            }
            _ => prop_assert!(
                demands
                    .iter()
                    .any(|&d| problem.demands.requested[d] > 0.0 && full(d)),
                "claim {claim} could grow"
            ),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn allocations_are_feasible_efficient_and_repeatable(problem in problems()) {
        let allocation = allocate(&problem).unwrap();
        feasible(&problem, &allocation)?;
        efficient(&problem, &allocation)?;
        prop_assert!((0.0..=1.0).contains(&allocation.confidence));
        for (d, amount) in allocation.amount.iter().enumerate() {
            let missing = problem.demands.requested[d] - amount;
            let told = allocation.unmet.iter().find(|unmet| unmet.demand as usize == d);
            prop_assert!(told.is_some() || missing <= SLACK * problem.demands.requested[d]);
            prop_assert!(told.is_none_or(|unmet| unmet.missing == missing));
        }
        prop_assert_eq!(allocate(&problem).unwrap(), allocation);
    }

    /// Without minima, what a tier is given does not depend on the tiers below it.
    #[test]
    fn lower_tiers_change_nothing_above(problem in problems(), tier in 2_u8..=5) {
        let mut whole = problem.clone();
        whole.demands.min.fill(0.0);
        let mut upper = whole.clone();
        for (d, &claim) in whole.demands.claim.iter().enumerate() {
            if whole.claims.priority[claim as usize] < tier {
                upper.demands.requested[d] = 0.0;
                upper.demands.max[d] = f64::INFINITY;
            }
        }
        let (whole_given, upper_given) = (allocate(&whole).unwrap(), allocate(&upper).unwrap());
        for (d, &claim) in whole.demands.claim.iter().enumerate() {
            if whole.claims.priority[claim as usize] >= tier {
                let (a, b) = (whole_given.amount[d], upper_given.amount[d]);
                prop_assert!((a - b).abs() <= SLACK, "demand {d}: {a} and {b}");
            }
        }
    }

    /// Ghodsi et al., section 3: nobody is worse off than with its own part of the cluster.
    #[test]
    fn sharing_pays(problem in problems()) {
        let mut problem = problem;
        problem.demands.min.fill(0.0);
        problem.demands.max.fill(f64::INFINITY);
        problem.resources.in_use.fill(0.0);
        problem.claims.priority.fill(3);
        problem.claims.bundles.fill(0);
        problem.claims.max_cost.fill(f64::INFINITY);
        problem.max_cost = f64::INFINITY;
        let allocation = allocate(&problem).unwrap();
        let all: f64 = problem.claims.weight.iter().sum();
        for claim in 0..problem.claims.weight.len() {
            let possible = demands_of(&problem, claim).into_iter().all(|d| {
                problem.demands.requested[d] == 0.0
                    || problem.resources.capacity[problem.demands.resource[d] as usize] > 0.0
            });
            let share = problem.claims.weight[claim] / all;
            let met = allocation.claim_confidence[claim];
            prop_assert!(!possible || met >= 1.0 - SLACK
                || allocation.dominant_share[claim] >= share - SLACK);
        }
    }
}
