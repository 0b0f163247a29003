//! Published examples, rules one by one, the reference data, and what holds for every problem.
#![allow(clippy::unwrap_used)]

use maxmin::allocate;
use nova_sdk::allocation::testing::{
    Ask, ask, assert_close, check, random, reasons, resources, with,
};
use nova_sdk::allocation::{Allocation, Problem, UnmetReason as Reason};
use proptest::prelude::*;
use serde_json::Value;
use std::path::PathBuf;

/// Allocates; the answer keeps the rules and has these amounts.
#[track_caller]
fn gives(problem: &Problem, amounts: &[f64]) -> Allocation {
    let allocation = allocate(problem).unwrap();
    check(problem, &allocation).unwrap();
    assert_close(&allocation.amount, amounts);
    allocation
}

/// Keshav, An Engineering Approach to Computer Networking, 1997, pages 215–217.
#[test]
fn keshav_max_min_and_weighted() {
    let asks = [2.0, 2.6, 4.0, 5.0].map(|demand| ask(&[demand]));
    gives(&with(resources(&[10.0]), &asks), &[2.0, 2.6, 2.7, 2.7]);

    let asks = [(4.0, 2.5), (2.0, 4.0), (10.0, 0.5), (4.0, 1.0)]
        .map(|(demand, weight)| ask(&[demand]).weight(weight));
    gives(&with(resources(&[16.0]), &asks), &[4.0, 2.0, 6.0, 4.0]);
}

/// The cases of Hadoop YARN's `TestComputeFairShares`.
#[test]
fn yarn_fair_shares() {
    let asks = [100.0, 50.0, 11.0, 3.0].map(|demand| ask(&[demand]));
    gives(&with(resources(&[40.0]), &asks), &[13.0, 13.0, 11.0, 3.0]);
    let asks = [20.0, 18.0, 0.0, 2.0].map(|min| ask(&[1e9]).min(0, min));
    gives(&with(resources(&[40.0]), &asks), &[20.0, 18.0, 0.0, 2.0]);
}

#[test]
fn resources_do_not_know_of_each_other() {
    // The same claims under DRF stop where the first of their resources runs out.
    let asks = [ask(&[4.0, 12.0]), ask(&[12.0, 4.0])];
    let allocation = gives(
        &with(resources(&[10.0, 10.0]), &asks),
        &[4.0, 6.0, 6.0, 4.0],
    );
    assert_eq!(
        reasons(&allocation),
        [(1, Reason::Fairness), (2, Reason::Fairness)]
    );
    assert_close(&allocation.claim_confidence, &[0.5, 0.5]);
}

#[test]
fn tiers_are_strict_and_minima_come_first() {
    let asks = [
        ask(&[6.0, 6.0]).priority(5),
        ask(&[6.0, 6.0]).min(0, 5.0),
        ask(&[6.0, 6.0]),
    ];
    let problem = with(resources(&[8.0, 9.0]), &asks);
    let allocation = gives(&problem, &[3.0, 6.0, 5.0, 1.5, 0.0, 1.5]);
    let why = reasons(&allocation);
    assert!(why.contains(&(3, Reason::Priority)) && why.contains(&(4, Reason::Priority)));
}

#[test]
fn a_minimum_of_one_demand_refuses_the_claim_whole() {
    let asks = [ask(&[4.0, 4.0]).min(1, 3.0).priority(2), ask(&[2.0, 2.0])];
    let allocation = gives(&with(resources(&[10.0, 2.0]), &asks), &[0.0, 0.0, 2.0, 2.0]);
    assert_eq!(reasons(&allocation), [(0, Reason::Min), (1, Reason::Min)]);
    assert!(
        allocation.unmet[0]
            .description
            .contains("at least 3 of {resource:1}")
    );
}

#[test]
fn a_cost_cap_ends_all_that_it_pays_for() {
    let mut problem = with(
        resources(&[10.0, 10.0, 10.0]),
        &[ask(&[8.0, 8.0, 8.0]).max_cost(6.0), ask(&[8.0, 8.0, 8.0])],
    );
    problem.resources.cost_per_unit = vec![1.0, 1.0, 0.0];
    let allocation = gives(&problem, &[3.0, 3.0, 5.0, 7.0, 7.0, 5.0]);
    assert_eq!(reasons(&allocation)[0], (0, Reason::Cost));
    assert!(
        allocation.unmet[0]
            .description
            .contains("it may cost at most 6")
    );
}

#[test]
fn whole_bundles_tie_demands_together() {
    let asks = [ask(&[4.0, 8.0]).bundles(4), ask(&[8.0, 8.0])];
    // Bundles of ⟨1, 2⟩: the third is due before the other has 6 of the second resource, and
    // the fourth before it has 8.
    let allocation = gives(
        &with(resources(&[10.0, 10.0]), &asks),
        &[3.0, 6.0, 7.0, 4.0],
    );
    assert_eq!(reasons(&allocation)[0], (0, Reason::Fairness));
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}

/// All solved in exact rational arithmetic (`NOVA_SHARED_DATA`, else `../shared/data`).
#[test]
fn the_reference_data() {
    let folder = std::env::var_os("NOVA_SHARED_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let file = folder.join("allocation/fairness.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        println!("SKIPPED: no reference data at {}", file.display());
        return;
    };
    let data: Value = serde_json::from_str(&text).unwrap();
    let mut count = 0;
    for case in data["cases"].as_array().unwrap() {
        let Some(tenants) = case["tenants"].as_array() else {
            continue;
        };
        println!("{}", case["id"]);
        let asks: Vec<Ask> = tenants
            .iter()
            .map(|tenant| {
                let number = |key: &str| tenant[key].as_f64().unwrap();
                ask(&[number("max")])
                    .weight(number("weight"))
                    .min(0, number("min"))
                    .priority(5 - tenant["tier"].as_u64().unwrap_or(0) as u8)
            })
            .collect();
        let capacity = case["capacity"].as_f64().unwrap();
        let problem = with(resources(&[capacity]), &asks);
        gives(&problem, &numbers(&case["expected"]["allocation"]));
        count += 1;
    }
    assert!(count > 10);
}

/// Weighted max-min fairness of one resource by bisection over the level: slow, and plain.
fn by_bisection(capacity: f64, wants: &[(f64, f64)]) -> Vec<f64> {
    let at = |level: f64| -> Vec<f64> {
        let parts = wants.iter();
        parts
            .map(|(want, weight)| want.min(level * weight))
            .collect()
    };
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if at(middle).iter().sum::<f64>() <= capacity {
            low = middle;
        } else {
            high = middle;
        }
    }
    at(low)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_answer_keeps_the_rules_and_is_repeatable(seed: u64) {
        let problem = random(seed);
        let allocation = allocate(&problem).unwrap();
        prop_assert_eq!(check(&problem, &allocation), Ok(()));
        prop_assert_eq!(allocate(&problem).unwrap(), allocation);
    }

    /// Each resource of many is divided as if it were alone.
    #[test]
    fn each_resource_is_max_min_fair(seed: u64) {
        let mut problem = random(seed);
        problem.demands.min.fill(0.0);
        problem.claims.bundles.fill(0);
        problem.claims.priority.fill(3);
        problem.claims.max_cost.fill(f64::INFINITY);
        problem.max_cost = f64::INFINITY;
        let allocation = allocate(&problem).unwrap();
        for r in 0..problem.resources.capacity.len() {
            let demands: Vec<usize> = (0..allocation.amount.len())
                .filter(|&d| problem.demands.resource[d] as usize == r)
                .collect();
            let wants: Vec<(f64, f64)> = demands
                .iter()
                .map(|&d| {
                    let want = problem.demands.requested[d].min(problem.demands.max[d]);
                    (want, problem.claims.weight[problem.demands.claim[d] as usize])
                })
                .collect();
            let free = problem.resources.capacity[r] - problem.resources.in_use[r];
            for (d, fair) in demands.into_iter().zip(by_bisection(free, &wants)) {
                let found = allocation.amount[d];
                prop_assert!((found - fair).abs() < 1e-6 * fair.max(1.0), "demand {}: {} and {}", d, found, fair);
            }
        }
    }
}
