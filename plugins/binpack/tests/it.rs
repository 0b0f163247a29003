//! Rules one by one, the reference data, brute force at small sizes.
#![allow(clippy::unwrap_used)]

use binpack::{allocate, lower_bound};
use nova_sdk::StrategyError;
use nova_sdk::allocation::testing::{assert_close, check, nodes, random, reasons, used_nodes};
use nova_sdk::allocation::{Allocation, Problem, UnmetReason as Reason};
use proptest::prelude::*;

#[track_caller]
fn packs(problem: &Problem) -> Allocation {
    let allocation = allocate(problem).unwrap();
    check(problem, &allocation).unwrap();
    allocation
}

fn bins(capacity: &[f64], items: &[Vec<f64>], count: usize, steps: u64) -> usize {
    let mut problem = nodes(capacity, count, items);
    problem.parameters = format!("{{\"dimensions\": {}, \"steps\": {steps}}}", capacity.len());
    let allocation = packs(&problem);
    assert!(allocation.unmet.is_empty(), "{:?}", allocation.unmet);
    used_nodes(&problem, &allocation.amount, capacity.len())
}

/// Johnson, Near-optimal bin packing algorithms, 1973: the family of lists on which
/// first-fit decreasing needs 11/9 of the optimum. With ε = 0.01: 6 of 1/2 + ε, 6 of
/// 1/4 + 2ε, 6 of 1/4 + ε, 12 of 1/4 − 2ε fill 9 bins; first-fit decreasing needs 11.
#[test]
fn johnsons_list_is_packed_perfectly() {
    let parts = [(6, 0.51), (6, 0.27), (6, 0.26), (12, 0.23)];
    let items: Vec<Vec<f64>> = parts
        .iter()
        .flat_map(|&(count, size)| vec![vec![size]; count])
        .collect();
    assert_eq!(bins(&[1.0], &items, 12, 1_000_000), 9);
    assert!(bins(&[1.0], &items, 12, 0) >= 9);
}

#[test]
fn a_bundle_stays_whole_and_bundles_spread() {
    let mut problem = nodes(&[10.0, 20.0], 3, &[vec![6.0, 8.0], vec![6.0, 8.0]]);
    problem.parameters = r#"{"dimensions": 2}"#.into();
    let allocation = packs(&problem);
    assert_eq!(used_nodes(&problem, &allocation.amount, 2), 2);
    assert_eq!(allocation.claim_confidence, [1.0, 1.0]);

    // One claim of four bundles of ⟨3, 4⟩: three fit on a node.
    let mut problem = nodes(&[10.0, 20.0], 3, &[vec![12.0, 16.0]]);
    problem.claims.bundles = vec![4];
    problem.parameters = r#"{"dimensions": 2}"#.into();
    let allocation = packs(&problem);
    assert_eq!(used_nodes(&problem, &allocation.amount, 2), 2);
    assert_close(&[allocation.amount.iter().sum()], &[28.0]);
}

#[test]
fn nodes_in_use_come_first() {
    let mut problem = nodes(&[10.0], 3, &[vec![4.0]]);
    problem.resources.in_use[2] = 5.0;
    assert_close(&packs(&problem).amount, &[0.0, 0.0, 4.0]);
}

#[test]
fn who_finds_no_room_is_told_why() {
    let problem = nodes(&[10.0], 2, &[vec![11.0], vec![6.0], vec![6.0], vec![6.0]]);
    let allocation = packs(&problem);
    let why = reasons(&allocation);
    assert_eq!(why, [(0, Reason::Capacity), (6, Reason::Indivisible)]);
    let text = &allocation.unmet[0].description;
    assert!(
        text.contains("needs 11 of {resource:0}, which has 10 free"),
        "{text}"
    );

    let mut problem = nodes(&[10.0], 1, &[vec![4.0], vec![4.0]]);
    problem.resources.cost_per_unit = vec![1.0];
    problem.max_cost = 5.0;
    assert_eq!(reasons(&packs(&problem)), [(1, Reason::Cost)]);
    problem.max_cost = f64::INFINITY;
    problem.demands.max[0] = 3.0;
    assert_eq!(reasons(&packs(&problem)), [(0, Reason::Max)]);
    problem.demands.max[0] = f64::INFINITY;
    problem.demands.min[0] = 4.0;
    problem.resources.in_use[0] = 7.0;
    assert_eq!(
        reasons(&packs(&problem)),
        [(0, Reason::Min), (1, Reason::Capacity)]
    );
}

#[test]
fn higher_tiers_are_placed_first() {
    let mut problem = nodes(&[10.0], 1, &[vec![9.0], vec![5.0]]);
    problem.claims.priority = vec![1, 4];
    assert_close(&packs(&problem).amount, &[0.0, 5.0]);
}

#[test]
fn what_is_wrong_is_named() {
    let mut problem = nodes(&[10.0], 3, &[vec![4.0]]);
    problem.parameters = r#"{"dimensions": 2}"#.into();
    assert!(
        matches!(allocate(&problem), Err(StrategyError::InvalidInput(t)) if t.contains("3 resources"))
    );
    problem.parameters = r#"{"dimension": 2}"#.into();
    assert!(
        matches!(allocate(&problem), Err(StrategyError::InvalidInput(t)) if t.contains("dimension"))
    );
    problem.parameters = "{}".into();
    problem.settings = r#"{"steps": -1}"#.into();
    assert!(
        matches!(allocate(&problem), Err(StrategyError::InvalidSettings(t)) if t.contains("steps"))
    );
    problem.settings = "{}".into();
    problem.claims.bundles = vec![60_000];
    assert!(
        matches!(allocate(&problem), Err(StrategyError::Unsupported(t)) if t.contains("60000"))
    );
}

/// The fewest bins, by trying every placement.
fn by_force(capacity: &[f64], items: &[Vec<f64>]) -> usize {
    fn go(
        k: usize,
        bins: &mut Vec<Vec<f64>>,
        capacity: &[f64],
        items: &[Vec<f64>],
        best: &mut usize,
    ) {
        if bins.len() >= *best {
            return;
        }
        let Some(item) = items.get(k) else {
            *best = bins.len();
            return;
        };
        for b in 0..bins.len() {
            if item.iter().zip(&bins[b]).all(|(i, f)| i <= f) {
                let before = bins[b].clone();
                bins[b].iter_mut().zip(item).for_each(|(f, i)| *f -= i);
                go(k + 1, bins, capacity, items, best);
                bins[b] = before;
            }
        }
        bins.push(capacity.iter().zip(item).map(|(c, i)| c - i).collect());
        go(k + 1, bins, capacity, items, best);
        bins.pop();
    }
    let mut best = items.len() + 1;
    go(0, &mut Vec::new(), capacity, items, &mut best);
    best
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    /// Small packings are the best possible, and no bound is above the best.
    #[test]
    fn small_packings_are_optimal(
        dimensions in 1_usize..4,
        sizes in proptest::collection::vec(1_u32..60, 3..27),
    ) {
        let capacity = vec![100.0; dimensions];
        let items: Vec<Vec<f64>> = sizes
            .chunks_exact(dimensions)
            .map(|c| c.iter().map(|s| f64::from(*s)).collect())
            .collect();
        let items = &items[..items.len().min(9)];
        let best = by_force(&capacity, items);
        prop_assert!(lower_bound(&capacity, items) <= best);
        prop_assert_eq!(bins(&capacity, items, items.len(), 100_000), best);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_answer_keeps_the_rules_and_is_repeatable(seed: u64) {
        let mut problem = random(seed);
        problem.parameters = r#"{"steps": 20000}"#.into();
        if problem.resources.capacity.len() == 2 {
            problem.parameters = r#"{"steps": 20000, "dimensions": 2}"#.into();
        }
        let allocation = allocate(&problem).unwrap();
        prop_assert_eq!(check(&problem, &allocation), Ok(()));
        prop_assert_eq!(allocate(&problem).unwrap(), allocation);
    }
}
