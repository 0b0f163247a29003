//! Rules one by one, the reference data, brute force at small sizes.
#![allow(clippy::unwrap_used)]

use nova_sdk::allocation::testing::{ask, assert_close, catalog, check, random, resources, with};
use nova_sdk::allocation::{Allocation, Problem};
use nova_sdk::{Infeasibility, InfeasibleReason as Reason, StrategyError};
use proptest::prelude::*;
use provision::allocate;
use serde_json::Value;
use std::path::PathBuf;

#[track_caller]
fn buys(problem: &Problem) -> Allocation {
    let allocation = allocate(problem).unwrap();
    check(problem, &allocation).unwrap();
    allocation
}

#[track_caller]
fn refuses(problem: &Problem) -> Infeasibility {
    match allocate(problem) {
        Err(StrategyError::Infeasible(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Stigler, The Cost of Subsistence, 1945, in the small: two foods, two nutrients. Food 0 has
/// ⟨2, 1⟩ for 3, food 1 ⟨1, 2⟩ for 2; ⟨8, 10⟩ are needed. The vertices of the feasible set
/// are (2, 4), (10, 0) and (0, 8): costs 14, 30, 16.
#[test]
fn a_diet_of_two_foods() {
    let mut problem = with(resources(&[100.0, 100.0]), &[ask(&[50.0, 50.0])]);
    problem.resources.cost_per_unit = vec![3.0, 2.0];
    problem.parameters = r#"{"provides": [[2, 1], [1, 2]], "needs": [[8, 10]]}"#.into();
    let allocation = buys(&problem);
    assert_close(&allocation.amount, &[2.0, 4.0]);
    assert_close(&[allocation.cost, allocation.confidence], &[14.0, 1.0]);
}

/// Dantzig, Discrete-Variable Extremum Problems, 1957: rounding the linear program is not
/// the answer in whole units. 3 of a kind that provides 4 for 5, or of one that provides 3
/// for 4: 10 are needed. The linear program takes 2.5 of the first for 12.5; in whole units
/// ⟨1, 2⟩ for 13 is best, while rounding up gives 15.
#[test]
fn whole_units_are_not_rounded_ones() {
    let problem = catalog(&[(vec![4.0], 5.0, 3), (vec![3.0], 4.0, 3)], &[10.0]);
    let allocation = buys(&problem);
    assert_close(&allocation.amount, &[1.0, 2.0]);
    assert_close(&[allocation.cost], &[13.0]);
}

#[test]
fn without_parameters_minima_are_bought() {
    let mut problem = with(
        resources(&[10.0, 10.0]),
        &[
            ask(&[4.0, 4.0]).min(0, 1.5),
            ask(&[4.0, 4.0]).min(1, 2.5).bundles(4),
        ],
    );
    problem.resources.cost_per_unit = vec![1.0, 2.0];
    let allocation = buys(&problem);
    assert_close(&allocation.amount, &[1.5, 0.0, 0.0, 3.0]);
    assert_eq!(allocation.claim_confidence, [1.0, 1.0]);
}

#[test]
fn who_cannot_be_served_is_named_with_what_is_short() {
    let asks = [
        ask(&[8.0]).min(0, 6.0),
        ask(&[8.0]).min(0, 3.0).priority(5),
        ask(&[8.0]).min(0, 2.0),
    ];
    let why = refuses(&with(resources(&[10.0]), &asks));
    assert_eq!(
        (why.reason, why.subject),
        (Reason::CapacityTooSmall, Some(2))
    );
    assert!(
        why.description
            .contains("at least 2 of {resource:0}, and 1 is left"),
        "{}",
        why.description
    );

    let why = refuses(&catalog(&[(vec![4.0], 5.0, 3)], &[13.0]));
    assert_eq!(
        (why.reason, why.subject),
        (Reason::CapacityTooSmall, Some(0))
    );
    assert!(
        why.description
            .contains("needs 13 of dimension 0, and all that it may buy provides 12"),
        "{}",
        why.description
    );

    let mut problem = catalog(&[(vec![4.0], 5.0, 3)], &[12.0]);
    problem.max_cost = 14.0;
    let why = refuses(&problem);
    assert_eq!((why.reason, why.subject), (Reason::CostTooLow, Some(0)));
    assert!(
        why.description.contains("costs at least 15"),
        "{}",
        why.description
    );
    problem.max_cost = f64::INFINITY;
    problem.claims.max_cost = vec![14.0];
    assert!(
        refuses(&problem)
            .description
            .contains("it may cost at most 14")
    );

    let mut problem = with(
        resources(&[10.0]),
        &[ask(&[8.0]).bundles(2).min(0, 5.0).max(0, 7.0)],
    );
    assert!(
        refuses(&problem)
            .description
            .contains("no whole number of bundles of 4")
    );
    problem.demands.max[0] = 8.0;
    assert_close(&buys(&problem).amount, &[8.0]);
}

#[test]
fn parameters_that_break_their_form_are_named() {
    let mut problem = with(resources(&[10.0]), &[ask(&[8.0])]);
    for (parameters, part) in [
        (r#"{"provide": []}"#, "unknown field `provide`"),
        (
            r#"{"provides": [[1], [2]], "needs": [[1]]}"#,
            "provides has 2 rows, 1 are needed",
        ),
        (
            r#"{"provides": [[1, 2]], "needs": [[1]]}"#,
            "needs[0] has 1 numbers, 2 are needed",
        ),
        (
            r#"{"provides": [[-1]], "needs": [[1]]}"#,
            "provides[0] contains -1",
        ),
        (r#"{"provides": [["x"]]}"#, "provides[0][0]"),
    ] {
        problem.parameters = parameters.into();
        match allocate(&problem) {
            Err(StrategyError::InvalidInput(text)) => assert!(text.contains(part), "{text}"),
            other => panic!("{parameters}: {other:?}"),
        }
    }
    problem.parameters = "{}".into();
    problem.settings = r#"{"max_nodes": "many"}"#.into();
    assert!(
        matches!(allocate(&problem), Err(StrategyError::InvalidSettings(t)) if t.starts_with("max_nodes"))
    );
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}

/// Optima by CP-SAT (`NOVA_SHARED_DATA`, else `../shared/data`).
#[test]
fn the_reference_data() {
    let folder = std::env::var_os("NOVA_SHARED_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let file = folder.join("allocation/provisioning.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        println!("SKIPPED: no reference data at {}", file.display());
        return;
    };
    let data: Value = serde_json::from_str(&text).unwrap();
    for case in data["cases"].as_array().unwrap() {
        let types: Vec<(Vec<f64>, f64, u32)> = case["catalog"]
            .as_array()
            .unwrap()
            .iter()
            .map(|kind| {
                let price = kind["price_milli_per_hour"].as_f64().unwrap();
                let most = kind["max_count"].as_u64().unwrap() as u32;
                (numbers(&kind["capacity"]), price, most)
            })
            .collect();
        let mut problem = catalog(&types, &numbers(&case["need"]));
        let expected = &case["expected"];
        println!("{}: {}", case["id"], expected["min_cost_milli_per_hour"]);
        if expected["feasible"] == false {
            assert_eq!(refuses(&problem).reason, Reason::CapacityTooSmall);
            continue;
        }
        let least = expected["min_cost_milli_per_hour"].as_f64().unwrap();
        let allocation = buys(&problem);
        assert_close(&[allocation.cost, allocation.confidence], &[least, 1.0]);
        problem.max_cost = least;
        assert_close(&[buys(&problem).cost], &[least]);
        problem.max_cost = least - 1.0;
        assert_eq!(refuses(&problem).reason, Reason::CostTooLow);
    }
}

/// The least cost by trying every count.
fn by_force(types: &[(Vec<f64>, f64, u32)], need: &[f64]) -> Option<f64> {
    let Some((kind, rest)) = types.split_first() else {
        return need.iter().all(|n| *n <= 1e-9).then_some(0.0);
    };
    let tries = (0..=kind.2).filter_map(|count| {
        let left: Vec<f64> = need
            .iter()
            .zip(&kind.0)
            .map(|(n, c)| n - c * f64::from(count))
            .collect();
        Some(by_force(rest, &left)? + kind.1 * f64::from(count))
    });
    tries.min_by(f64::total_cmp)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn small_catalogs_cost_the_least(
        types in proptest::collection::vec(
            ((0_u32..9, 0_u32..9), 1_u32..40, 1_u32..5), 1..4),
        need in (0_u32..30, 0_u32..30),
    ) {
        let types: Vec<(Vec<f64>, f64, u32)> = types
            .into_iter()
            .map(|((a, b), price, most)| (vec![f64::from(a), f64::from(b)], f64::from(price), most))
            .collect();
        let need = [f64::from(need.0), f64::from(need.1)];
        let problem = catalog(&types, &need);
        match (allocate(&problem), by_force(&types, &need)) {
            (Ok(found), Some(least)) => {
                prop_assert_eq!(check(&problem, &found), Ok(()));
                prop_assert!((found.cost - least).abs() < 1e-6, "{} and {least}", found.cost);
                prop_assert_eq!(found.confidence, 1.0);
            }
            (Err(StrategyError::Infeasible(why)), None) => prop_assert_eq!(why.subject, Some(0)),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    /// Served is who can be: an answer keeps the rules; a refusal names a claim without which
    /// there is one, and with which there is none.
    #[test]
    fn every_answer_is_right_and_repeatable(seed: u64) {
        let problem = random(seed);
        let found = allocate(&problem);
        match &found {
            Ok(allocation) => prop_assert_eq!(check(&problem, allocation), Ok(())),
            Err(StrategyError::Infeasible(why)) => {
                let blamed = why.subject.unwrap() as usize;
                let by_itself = why.description.contains("no whole number of bundles");
                prop_assert!(by_itself || least_cost_fits(&problem, blamed, false));
                prop_assert!(!least_cost_fits(&problem, blamed, true));
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
        prop_assert_eq!(allocate(&problem), found);
    }
}

/// Without needs the least is every minimum, rounded up to whole bundles: whether that fits
/// for the claims that rank before `claim`, and it too where `with` says so.
fn least_cost_fits(problem: &Problem, claim: usize, with: bool) -> bool {
    let (demands, claims) = (&problem.demands, &problem.claims);
    let rank = |c: usize| (std::cmp::Reverse(claims.priority[c]), c);
    let mut used = problem.resources.in_use.clone();
    let mut cost = vec![0.0; claims.weight.len()];
    for d in 0..demands.requested.len() {
        let c = demands.claim[d] as usize;
        if rank(c) > rank(claim) || (c == claim && !with) {
            continue;
        }
        let mut least = demands.min[d];
        let bundles = f64::from(claims.bundles[c]);
        if bundles > 0.0 && demands.requested[d] > 0.0 {
            let each = demands.requested[d] / bundles;
            least = (least / each * (1.0 - 1e-9)).ceil() * each;
        }
        if least > demands.requested[d].min(demands.max[d]) * (1.0 + 1e-9) {
            return false;
        }
        used[demands.resource[d] as usize] += least;
        cost[c] += least * problem.resources.cost_per_unit[demands.resource[d] as usize];
    }
    let free = used.iter().zip(&problem.resources.capacity);
    let slack = 1e-6;
    free.into_iter()
        .all(|(used, capacity)| *used <= capacity + slack)
        && cost
            .iter()
            .zip(&claims.max_cost)
            .all(|(cost, cap)| *cost <= cap + slack)
        && cost.iter().sum::<f64>() <= problem.max_cost + slack
}
