//! Against fair division by its definition: every set of minima tried, levels by bisection, and the
//! criterion of max-min fairness asked of the answer itself.
#![allow(clippy::unwrap_used)]

use drf::allocate;
use nova_sdk::allocation::filling::Sharing::Dominant;
use nova_sdk::allocation::testing::{as_defined, check, max_min, random, small};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn small_problems_are_divided_as_defined(seed: u64) {
        let problem = small(seed);
        let found = allocate(&problem).unwrap();
        prop_assert_eq!(check(&problem, &found), Ok(()));
        prop_assert_eq!(as_defined(&problem, Dominant, &found), Ok(()));
    }

    #[test]
    fn nobody_can_have_more_but_from_those_with_less(seed: u64) {
        let mut problem = random(seed);
        problem.claims.bundles.fill(0);
        let found = allocate(&problem).unwrap();
        prop_assert_eq!(max_min(&problem, &found.amount, Dominant), Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn crowded_problems_are_divided_as_defined(seed: u64) {
        let problem = random(seed);
        let found = allocate(&problem).unwrap();
        prop_assert_eq!(check(&problem, &found), Ok(()));
        prop_assert_eq!(as_defined(&problem, Dominant, &found), Ok(()));
    }
}
