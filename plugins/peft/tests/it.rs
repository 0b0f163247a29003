//! The optimizer as a whole, natively: published results and properties of every answer.

use nova_sdk::StrategyError;
use nova_sdk::flow::testing::{arabnejad, check, random, topcuoglu};
use nova_sdk::flow::{Model, Objective, Plan, Problem, rank};
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
    use nova_sdk::flow::FlowOptimizer;
    let mut problem = topcuoglu();
    problem.settings = "{\"depth\": 3}".into();
    match peft::Peft::optimize(&problem) {
        Err(StrategyError::InvalidSettings(text)) => assert!(text.contains("depth"), "{text}"),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_keeps_the_contract(seed: u64, objective in 0u8..3) {
        let mut problem = random(seed);
        problem.goal.objective = match objective {
            0 => Objective::Performance,
            1 => Objective::Cost,
            _ => Objective::Balanced,
        };
        problem.goal.cost_weight = 0.3;
        prop_assume!(Model::new(&problem).is_ok());
        let plan = peft::optimize(&problem).expect("nothing is bounded");
        prop_assert_eq!(check(&problem, &plan), Ok(()));
        prop_assert_eq!(peft::optimize(&problem), Ok(plan));
    }
}
