//! The optimizer as a whole, natively: published results and properties of every answer.

use nova_sdk::flow::testing::{
    arabnejad, check, keeps_the_contract, refuses_unknown_settings, topcuoglu, unbounded, unrelated,
};
use nova_sdk::flow::{Model, Plan, Problem, critical, rank};
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
    refuses_unknown_settings::<cpop::Cpop>();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_keeps_the_contract(seed: u64, objective in 0u8..3) {
        let problem = unbounded(seed, objective);
        prop_assume!(problem.is_some());
        keeps_the_contract(cpop::optimize, &problem.expect("assumed"));
    }
}
