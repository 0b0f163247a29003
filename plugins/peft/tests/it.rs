//! The optimizer as a whole, natively: published results and properties of every answer.

use nova_sdk::flow::testing::{
    arabnejad, check, keeps_the_contract, refuses_unknown_settings, topcuoglu, unbounded,
};
use nova_sdk::flow::{Model, Plan, Problem, rank};
use proptest::prelude::*;

/// The plan, which keeps the contract.
fn plan(problem: &Problem) -> Plan {
    let plan = peft::optimize(problem).expect("an answer");
    check(problem, &plan).expect("a valid plan");
    plan
}

#[test]
fn published_makespans() {
    assert_eq!(plan(&arabnejad()).makespan_s, 122.0);
    assert_eq!(plan(&topcuoglu()).makespan_s, 85.0);
}

/// Table 3 of the paper: the mean row of the optimistic cost table.
#[test]
fn arabnejad_2014_ranks() {
    let problem = arabnejad();
    let model = Model::new(&problem).expect("sound");
    let table = rank::optimistic_costs_s(&model);
    let ranks = rank::optimistic(&model, &table);
    let rounded: Vec<f64> = ranks.iter().map(|rank| rank.round()).collect();
    assert_eq!(
        rounded,
        [73.0, 41.0, 37.0, 44.0, 31.0, 42.0, 17.0, 21.0, 16.0, 0.0]
    );
}

#[test]
fn settings_that_do_not_exist_are_refused() {
    refuses_unknown_settings::<peft::Peft>();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_keeps_the_contract(seed: u64, objective in 0u8..3) {
        let problem = unbounded(seed, objective);
        prop_assume!(problem.is_some());
        keeps_the_contract(peft::optimize, &problem.expect("assumed"));
    }
}
