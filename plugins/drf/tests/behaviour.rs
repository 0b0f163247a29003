//! Each rule of the allocator alone, with numbers that can be checked by hand.
#![allow(clippy::unwrap_used)]

use drf::allocate;
use nova_sdk::StrategyError;
use nova_sdk::allocation::testing::{ask, assert_close, reasons, resources, with};
use nova_sdk::allocation::{Allocation, Problem, UnmetReason as Reason};

#[test]
fn nothing_asked_nothing_given() {
    let allocation = check(&Problem::default(), &[]);
    assert_eq!((allocation.cost, allocation.confidence), (0.0, 1.0));

    let allocation = check(&with(resources(&[4.0]), &[ask(&[0.0]), ask(&[])]), &[0.0]);
    assert_eq!(allocation.claim_confidence, [1.0, 1.0]);
    assert!(allocation.unmet.is_empty());
}

#[test]
fn higher_tiers_are_served_first() {
    let asks = [
        ask(&[6.0]).priority(1),
        ask(&[6.0]).priority(5),
        ask(&[6.0]).priority(3),
    ];
    let allocation = check(&with(resources(&[10.0]), &asks), &[0.0, 6.0, 4.0]);
    let expected = [(0, Reason::Priority), (2, Reason::Priority)];
    assert_eq!(reasons(&allocation), expected);
    // (1·0 + 5·1 + 3·2/3) / 9
    assert_close(&[allocation.confidence], &[7.0 / 9.0]);
    assert_eq!(
        allocation.unmet[1].description,
        "{claim:2} was given 4 of 6 of {resource:0}: claims of a priority above 3 hold 6 of the 10 that {resource:0} had free"
    );
}

#[test]
fn minima_come_before_any_tier_and_wholly_or_not_at_all() {
    let asks = [
        ask(&[10.0]).priority(5),
        ask(&[6.0]).min(0, 4.0),
        ask(&[8.0]).min(0, 7.0),
        ask(&[3.0]).min(0, 3.0),
    ];
    let allocation = check(&with(resources(&[10.0]), &asks), &[3.0, 4.0, 0.0, 3.0]);
    let expected = [
        (0, Reason::Fairness),
        (1, Reason::Priority),
        (2, Reason::Min),
    ];
    assert_eq!(reasons(&allocation), expected);
    assert!(allocation.unmet[2].description.contains("at least 7"));
    assert!(allocation.unmet[2].description.contains("6 was left"));
}

#[test]
fn a_claim_above_the_level_waits_for_it() {
    let asks = [ask(&[10.0]).min(0, 4.0), ask(&[10.0]), ask(&[10.0])];
    check(&with(resources(&[9.0]), &asks), &[4.0, 2.5, 2.5]);
    check(&with(resources(&[15.0]), &asks), &[5.0, 5.0, 5.0]);
}

#[test]
fn a_maximum_of_one_demand_bounds_the_fraction_of_all() {
    let asks = [ask(&[10.0, 20.0]).max(0, 5.0)];
    let allocation = check(&with(resources(&[100.0, 100.0]), &asks), &[5.0, 10.0]);
    assert_eq!(reasons(&allocation), [(0, Reason::Max), (1, Reason::Max)]);
    assert_eq!(allocation.claim_confidence, [0.5]);
}

#[test]
fn a_minimum_stands_above_the_common_fraction() {
    // Memory allows a fifth of the claim; its CPU minimum is half.
    let asks = [ask(&[10.0, 100.0]).min(0, 5.0)];
    let allocation = check(&with(resources(&[10.0, 20.0]), &asks), &[5.0, 20.0]);
    assert_eq!(allocation.claim_confidence, [0.2]);
    let expected = [(0, Reason::Capacity), (1, Reason::Capacity)];
    assert_eq!(reasons(&allocation), expected);
}

#[test]
fn what_others_already_use_is_not_given_again() {
    let mut problem = with(resources(&[10.0, 0.0]), &[ask(&[8.0]), ask(&[8.0, 1.0])]);
    problem.resources.in_use[0] = 7.0;
    let allocation = check(&problem, &[3.0, 0.0, 0.0]);
    assert_close(&allocation.utilization, &[1.0, 0.0]);
    assert_close(&allocation.dominant_share, &[0.3, 0.0]);
}

#[test]
fn cost_caps_of_a_claim_and_of_all() {
    let asks = [ask(&[10.0]).max_cost(6.0), ask(&[10.0])];
    let mut problem = with(resources(&[100.0]), &asks);
    problem.resources.cost_per_unit[0] = 2.0;
    let allocation = check(&problem, &[3.0, 10.0]);
    assert_eq!(allocation.cost, 26.0);
    assert_eq!(reasons(&allocation), [(0, Reason::Cost)]);

    problem.max_cost = 14.0;
    let allocation = check(&problem, &[3.0, 4.0]);
    assert_eq!(allocation.cost, 14.0);
    assert_eq!(reasons(&allocation), [(0, Reason::Cost), (1, Reason::Cost)]);

    problem.max_cost = 0.0;
    assert_eq!(check(&problem, &[0.0, 0.0]).cost, 0.0);
}

#[test]
fn a_cost_cap_counts_minima_that_stand_above_the_fraction() {
    // CPU costs 1, memory 1. Minimum CPU 6; cap 10: 6 + 10x = 10 at x = 0.4.
    let asks = [ask(&[10.0, 10.0]).min(0, 6.0).max_cost(10.0)];
    let mut problem = with(resources(&[100.0, 100.0]), &asks);
    problem.resources.cost_per_unit = vec![1.0, 1.0];
    check(&problem, &[6.0, 4.0]);
    problem.claims.max_cost[0] = 5.0;
    assert_eq!(reasons(&check(&problem, &[0.0, 0.0]))[0].1, Reason::Min);
    // Past the bend both rise: 20x = 16.
    problem.claims.max_cost[0] = 16.0;
    check(&problem, &[8.0, 8.0]);
}

#[test]
fn whole_bundles_ties_and_leftovers() {
    // 7 units in bundles of 2: the lowest share first, ties by index, one unit stays.
    let asks = [ask(&[20.0]).bundles(10), ask(&[20.0]).bundles(10)];
    let allocation = check(&with(resources(&[7.0]), &asks), &[4.0, 2.0]);
    let expected = [(0, Reason::Indivisible), (1, Reason::Indivisible)];
    assert_eq!(reasons(&allocation), expected);
    // Bundles of a tenth fill a unit exactly.
    let asks = [ask(&[1.0]).bundles(10)];
    check(&with(resources(&[1.0]), &asks), &[1.0]);
    let asks = [ask(&[0.7]).bundles(7), ask(&[0.3]).bundles(3)];
    check(&with(resources(&[1.0]), &asks), &[0.7, 0.3]);
}

#[test]
fn bundles_within_minimum_and_maximum() {
    let asks = [ask(&[10.0]).bundles(5).min(0, 3.0).max(0, 7.0)];
    let allocation = check(&with(resources(&[100.0]), &asks), &[6.0]);
    assert_eq!(reasons(&allocation), [(0, Reason::Max)]);
    check(&with(resources(&[5.0]), &asks), &[4.0]);
    check(&with(resources(&[3.9]), &asks), &[0.0]);
    // Between 3 and 3.5 there is no multiple of 2.
    let asks = [ask(&[10.0]).bundles(5).min(0, 3.0).max(0, 3.5)];
    let allocation = check(&with(resources(&[100.0]), &asks), &[0.0]);
    assert_eq!(reasons(&allocation), [(0, Reason::Min)]);
}

#[test]
fn divisible_and_bundles_share_a_tier() {
    // Level 0: the first bundle of 4; then the divisible claim rises to it; a second bundle
    // is due at the level 4/12, and fits; then the divisible claim takes the rest.
    let asks = [ask(&[12.0]), ask(&[12.0]).bundles(3)];
    check(&with(resources(&[12.0]), &asks), &[4.0, 8.0]);
    check(&with(resources(&[15.0]), &asks), &[7.0, 8.0]);
    check(&with(resources(&[11.0]), &asks), &[7.0, 4.0]);
}

#[test]
fn a_thousand_million_bundles_take_no_longer_than_a_few() {
    let many = u32::MAX;
    let asks = [
        ask(&[f64::from(many), 1.0]).bundles(many),
        ask(&[2.0 * f64::from(many), 1.0]).bundles(many),
        ask(&[3e9]).bundles(3),
        ask(&[4e9]),
    ];
    let problem = with(resources(&[8e9, 2.0]), &asks);
    let allocation = allocate(&problem).unwrap();
    let cpu: f64 = [0, 2, 4, 5]
        .map(|d: usize| allocation.amount[d])
        .iter()
        .sum();
    assert!(cpu <= 8e9 && cpu > 8e9 - 4.0, "{cpu}");
    // The bundle of 1e9 is the coarsest step, so nobody is farther apart than that.
    for d in [0, 2, 4, 5] {
        let gap = allocation.amount[d] - allocation.amount[0];
        assert!(gap.abs() <= 1e9, "{:?}", allocation.amount);
    }
}

#[test]
fn leaps_change_nothing() {
    // Small enough to be walked bundle by bundle here, large enough for leaps there.
    let (sizes, counts) = ([3.0, 5.0, 7.0, 1.0], [4000_u32, 3000, 2000, 9000]);
    let asks: Vec<_> = (0..4)
        .map(|k| ask(&[sizes[k] * f64::from(counts[k])]).bundles(counts[k]))
        .collect();
    let mut taken = [0_u32; 4];
    let mut active = [true; 4];
    let mut left = 40_000.0;
    while let Some(next) = (0..4).filter(|&k| active[k]).min_by(|&a, &b| {
        let share = |k: usize| f64::from(taken[k]) * sizes[k];
        share(a).total_cmp(&share(b))
    }) {
        if left >= sizes[next] && taken[next] < counts[next] {
            left -= sizes[next];
            taken[next] += 1;
        } else {
            active[next] = false;
        }
    }
    let expected: Vec<f64> = (0..4).map(|k| f64::from(taken[k]) * sizes[k]).collect();
    check(&with(resources(&[40_000.0]), &asks), &expected);
}

#[test]
fn what_breaks_the_contract_is_refused_with_its_place() {
    let good = with(resources(&[10.0]), &[ask(&[5.0])]);
    let refused = |change: fn(&mut Problem), words: &str| {
        let mut problem = good.clone();
        change(&mut problem);
        match allocate(&problem) {
            Err(StrategyError::InvalidInput(text)) => assert!(text.contains(words), "{text}"),
            other => panic!("{words}: {other:?}"),
        }
    };
    refused(
        |p| p.resources.in_use[0] = 11.0,
        "resources.in-use[0] is 11",
    );
    refused(
        |p| p.resources.capacity[0] = f64::NAN,
        "resources.capacity[0]",
    );
    refused(|p| p.claims.weight[0] = 0.0, "claims.weight[0] is 0");
    refused(|p| p.claims.priority[0] = 6, "claims.priority[0] is 6");
    refused(|p| p.demands.min[0] = 6.0, "demands.min[0] is 6");
    refused(|p| p.demands.max[0] = -1.0, "demands.max[0] is -1");
    refused(|p| p.demands.resource[0] = 1, "demands.resource[0] is 1");
    refused(|p| p.demands.claim[0] = 9, "demands.claim[0] is 9");
    refused(|p| p.demands.max.clear(), "demands.max has 0 entries");
    refused(|p| p.max_cost = f64::NAN, "max-cost");
    refused(
        |p| *p = with(p.clone(), &[ask(&[1.0])]).tap_twice(),
        "claim 1 asks for resource 0 twice",
    );

    let mut problem = good.clone();
    problem.settings = r#"{"steps":3}"#.into();
    assert!(matches!(
        allocate(&problem),
        Err(StrategyError::InvalidSettings(text)) if text.contains("steps")
    ));
}

/// The same problem with its last demand once more.
trait TapTwice {
    fn tap_twice(self) -> Self;
}

impl TapTwice for Problem {
    fn tap_twice(mut self) -> Self {
        let demands = &mut self.demands;
        demands.claim.extend(demands.claim.last().copied());
        demands.resource.extend(demands.resource.last().copied());
        demands.requested.extend(demands.requested.last().copied());
        demands.min.extend(demands.min.last().copied());
        demands.max.extend(demands.max.last().copied());
        self
    }
}

/// Allocates and compares the amounts.
#[track_caller]
fn check(problem: &Problem, amounts: &[f64]) -> Allocation {
    let allocation = allocate(problem).unwrap();
    assert_close(&allocation.amount, amounts);
    allocation
}
