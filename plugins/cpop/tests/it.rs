//! The optimizer as a whole, natively: published results and properties of every answer.

use nova_sdk::StrategyError;
use nova_sdk::flow::testing::{arabnejad, check, random, topcuoglu, unrelated};
use nova_sdk::flow::{Model, Objective, Plan, Problem, critical, rank};
use proptest::prelude::*;

/// The plan, which keeps the contract.
fn plan(problem: &Problem) -> Plan {
    let plan = cpop::optimize(problem).expect("an answer");
    check(problem, &plan).expect("a valid plan");
    plan
}

#[test]
fn published_makespans() {
    assert_eq!(plan(&arabnejad()).makespan_s, 167.0);
    assert_eq!(plan(&topcuoglu()).makespan_s, 86.0);
}

/// Section 4.2: the critical path of figure 2 is 1, 2, 9, 10 of length 108, and its agent the
/// second, which runs the four tasks fastest together (54).
#[test]
fn topcuoglu_2002_critical_path() {
    let problem = topcuoglu();
    let model = Model::new(&problem).expect("sound");
    let through = rank::through(&model, &rank::mean_durations_s(&model));
    assert_eq!(critical::path(&model, &through), [0, 1, 8, 9]);
    assert!((through[0] - 108.0).abs() < 1e-9);
    let pinned = critical::pinned(&model, &through);
    assert_eq!((pinned[0], pinned[2]), (Some(1), None));
}

/// A critical task that cannot run on the critical path's agent goes where it ends first.
#[test]
fn what_cannot_be_on_the_paths_agent_goes_elsewhere() {
    let none = f64::INFINITY;
    let edges = [(0, 1, 1.0), (1, 2, 1.0)];
    let problem = unrelated(&[&[2.0, none], &[none, 3.0], &[2.0, none]], &edges, 2);
    let plan = plan(&problem);
    assert_eq!(plan.agent, [0, 1, 0]);
    assert_eq!(plan.makespan_s, 9.0);
}

#[test]
fn settings_that_do_not_exist_are_refused() {
    use nova_sdk::flow::FlowOptimizer;
    let mut problem = topcuoglu();
    problem.settings = "{\"depth\": 3}".into();
    match cpop::Cpop::optimize(&problem) {
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
        let plan = cpop::optimize(&problem).expect("nothing is bounded");
        prop_assert_eq!(check(&problem, &plan), Ok(()));
        prop_assert_eq!(cpop::optimize(&problem), Ok(plan));
    }
}
