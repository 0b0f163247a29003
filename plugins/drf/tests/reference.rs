//! Every fairness case of the reference data (`NOVA_SHARED_DATA`, else `../shared/data`
//! beside the repository), all of which were solved in exact rational arithmetic.
#![allow(clippy::unwrap_used)]

use drf::allocate;
use nova_sdk::allocation::testing::{Ask, ask, assert_close, resources, with};
use serde_json::Value;
use std::path::PathBuf;

fn cases(kind: &str) -> Vec<Value> {
    let folder = std::env::var_os("NOVA_SHARED_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let file = folder.join("allocation/fairness.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        println!("SKIPPED {kind}: no reference data at {}", file.display());
        return Vec::new();
    };
    let data: Value = serde_json::from_str(&text).unwrap();
    let cases: Vec<Value> = data["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["kind"] == kind)
        .cloned()
        .collect();
    assert!(!cases.is_empty());
    println!("{}: {} cases", kind, cases.len());
    cases
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}

fn tenants(case: &Value) -> Vec<Ask> {
    let tenants = case["tenants"].as_array().unwrap().iter();
    tenants
        .map(|tenant| {
            let number = |key: &str| tenant[key].as_f64().unwrap();
            ask(&[number("max")])
                .weight(number("weight"))
                .min(0, number("min"))
                .priority(5 - tenant["tier"].as_u64().unwrap_or(0) as u8)
        })
        .collect()
}

#[test]
fn weighted_max_min_and_tiers() {
    for kind in ["weighted-max-min", "strict-priority-tiers+min/max"] {
        for case in cases(kind) {
            println!("{}", case["id"]);
            let capacity = case["capacity"].as_f64().unwrap();
            let problem = with(resources(&[capacity]), &tenants(&case));
            let allocation = allocate(&problem).unwrap();
            assert_close(
                &allocation.amount,
                &numbers(&case["expected"]["allocation"]),
            );
            assert!(allocation.amount.iter().sum::<f64>() <= capacity);
        }
    }
}

#[test]
fn dominant_resource_fairness() {
    for case in cases("drf") {
        println!("{}", case["id"]);
        let capacity = numbers(&case["capacity"]);
        let users = case["users"].as_array().unwrap();
        // The largest cases have no expected answer in whole tasks.
        let discrete = !case["expected"]["tasks_discrete"].is_null();
        for whole in [false, true].into_iter().filter(|whole| !whole || discrete) {
            let mut tasks = Vec::new();
            let asks: Vec<Ask> = users
                .iter()
                .map(|user| {
                    let demand = numbers(&user["demand"]);
                    let alone = demand.iter().zip(&capacity).filter(|(d, _)| **d > 0.0);
                    let alone = alone.map(|(d, c)| c / d).fold(f64::INFINITY, f64::min);
                    let most = user["max_tasks"].as_f64().unwrap_or(alone.ceil());
                    tasks.push(most);
                    let total: Vec<f64> = demand.iter().map(|d| d * most).collect();
                    ask(&total)
                        .weight(user["weight"].as_f64().unwrap())
                        .bundles(if whole { most as u32 } else { 0 })
                })
                .collect();
            let problem = with(resources(&capacity), &asks);
            let allocation = allocate(&problem).unwrap();
            let mut found = vec![0.0; users.len()];
            for (d, &amount) in allocation.amount.iter().enumerate() {
                let (claim, requested) = (
                    problem.demands.claim[d] as usize,
                    problem.demands.requested[d],
                );
                if requested > 0.0 {
                    found[claim] = amount / requested * tasks[claim];
                }
            }
            if whole {
                assert_close(&found, &numbers(&case["expected"]["tasks_discrete"]));
            } else {
                assert_close(&found, &numbers(&case["expected"]["tasks_divisible"]));
                let weighted: Vec<f64> = allocation
                    .dominant_share
                    .iter()
                    .zip(&problem.claims.weight)
                    .map(|(share, weight)| share / weight)
                    .collect();
                assert_close(
                    &weighted,
                    &numbers(&case["expected"]["weighted_dominant_share"]),
                );
            }
        }
    }
}
