//! Against fair division by its definition: every set of minima tried, levels by bisection, and the
//! criterion of max-min fairness asked of the answer itself.
#![allow(clippy::unwrap_used)]

use maxmin::allocate;
use nova_sdk::allocation::filling::Sharing;
use nova_sdk::allocation::testing::{check, fair, max_min, random, small};
use nova_sdk::allocation::{Problem, UnmetReason};
use proptest::prelude::*;

/// The amounts are those of the definition, and who is told that its minima do not fit is refused
/// by it too.
fn as_defined(problem: &Problem) -> Result<(), TestCaseError> {
    let found = allocate(problem).unwrap();
    prop_assert_eq!(check(problem, &found), Ok(()));
    let defined = fair(problem, Sharing::Each);
    for (d, (&found, &defined)) in found.amount.iter().zip(&defined.amount).enumerate() {
        let near = (found - defined).abs() <= 1e-6 * defined.max(1.0);
        prop_assert!(near, "demand {}: {} given, {} is fair", d, found, defined);
    }
    for unmet in &found.unmet {
        let claim = problem.demands.claim[unmet.demand as usize] as usize;
        let refused = unmet.reason == UnmetReason::Min;
        prop_assert_eq!(refused, defined.refused[claim], "{}", unmet.description);
    }
    for (claim, &refused) in defined.refused.iter().enumerate() {
        let told = found.unmet.iter().any(|unmet| {
            unmet.reason == UnmetReason::Min
                && problem.demands.claim[unmet.demand as usize] as usize == claim
        });
        prop_assert_eq!(refused, told, "claim {}", claim);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn small_problems_are_divided_as_defined(seed: u64) {
        as_defined(&small(seed))?;
    }

    #[test]
    fn nobody_can_have_more_but_from_those_with_less(seed: u64) {
        let mut problem = random(seed);
        problem.claims.bundles.fill(0);
        let found = allocate(&problem).unwrap();
        prop_assert_eq!(max_min(&problem, &found.amount, Sharing::Each), Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn crowded_problems_are_divided_as_defined(seed: u64) {
        as_defined(&random(seed))?;
    }
}
