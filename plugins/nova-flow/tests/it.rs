//! The optimizer as a whole, natively: published examples, properties of every answer, and what
//! it owes to its parts.

use nova_flow::{NovaFlow, Settings};
use nova_sdk::StrategyError;
use nova_sdk::flow::testing::{
    arabnejad, check, keeps_the_contract, refuses_unknown_settings, topcuoglu, unbounded,
};
use nova_sdk::flow::{FlowOptimizer, Model, Objective, Plan, Problem};
use proptest::prelude::*;

fn optimize(problem: &Problem) -> Result<Plan, StrategyError> {
    nova_flow::optimize(problem, &Settings::default())
}

/// The plan, which keeps the contract.
fn plan(problem: &Problem) -> Plan {
    let plan = optimize(problem).expect("an answer");
    check(problem, &plan).expect("a valid plan");
    plan
}

fn with_budget(mut problem: Problem, time_ms: u32, seed: u64) -> Problem {
    problem.budget.time_ms = time_ms;
    problem.budget.max_iterations = u32::MAX;
    problem.budget.seed = seed;
    problem
}

/// With a search of so many changes.
fn searched(problem: Problem, iterations: u32, seed: u64) -> Problem {
    let mut problem = with_budget(problem, 10, seed);
    problem.budget.max_iterations = iterations;
    problem
}

/// What the objective says; less is better.
fn value(problem: &Problem, plan: &Plan) -> f64 {
    let goal = &problem.goal;
    match goal.objective {
        Objective::Performance => plan.makespan_s,
        Objective::Cost => plan.cost,
        Objective::Balanced => {
            plan.makespan_s * goal.makespan_weight + plan.cost * goal.cost_weight
        }
    }
}

/// The optima were proven by a solver.
#[test]
fn published_examples_are_solved() {
    assert_eq!(plan(&with_budget(topcuoglu(), 20, 0)).makespan_s, 73.0);
    assert_eq!(plan(&with_budget(arabnejad(), 20, 0)).makespan_s, 113.0);
}

#[test]
fn without_time_the_answer_is_constructive() {
    let plan = plan(&topcuoglu());
    assert_eq!(plan.iterations, 0);
    assert!(plan.makespan_s <= 80.0, "{}", plan.makespan_s);
}

#[test]
fn iterations_are_a_budget_too() {
    assert_eq!(plan(&searched(topcuoglu(), 100, 0)).iterations, 100);
}

#[test]
fn the_search_is_cut_to_its_longest_time() {
    let mut problem = with_budget(topcuoglu(), 10, 0);
    for (search_max_ms, searches) in [(0, false), (1, true)] {
        problem.settings = format!("{{\"search_max_ms\": {search_max_ms}}}");
        let plan = NovaFlow::optimize(&problem).expect("an answer");
        assert_eq!(plan.iterations > 0, searches);
    }
}

#[test]
fn settings_that_do_not_exist_are_refused() {
    refuses_unknown_settings::<NovaFlow>();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_keeps_the_contract(seed: u64, objective in 0u8..3, iterations in 0u32..200) {
        let problem = unbounded(seed, objective);
        prop_assume!(problem.is_some());
        let problem = searched(problem.expect("assumed"), iterations, seed);
        keeps_the_contract(optimize, &problem);
    }

    #[test]
    fn no_part_is_better(seed: u64, objective in 0u8..3, iterations in 0u32..200) {
        let problem = unbounded(seed, objective);
        prop_assume!(problem.is_some());
        let problem = searched(problem.expect("assumed"), iterations, seed);
        let mine = value(&problem, &plan(&problem));
        for part in [heft::optimize, peft::optimize, cpop::optimize] {
            let other = value(&problem, &part(&problem).expect("nothing is bounded"));
            prop_assert!(mine <= other + 1e-9 * other.abs(), "{mine} > {other}");
        }
    }

    /// The bounds are those of an answer: they are kept.
    #[test]
    fn what_a_part_keeps_is_kept(
        seed: u64, objective in 0u8..3, deadlines: bool, cap: bool, latency: bool,
    ) {
        let problem = unbounded(seed, objective);
        prop_assume!(problem.is_some());
        let mut problem = searched(problem.expect("assumed"), 200, seed);
        prop_assume!(Model::new(&problem).is_ok());
        let known = peft::optimize(&problem).expect("nothing is bounded");
        if cap {
            problem.constraints.max_cost = known.cost;
        }
        if deadlines {
            problem.tasks.deadline_s = known.finish_s.clone();
        }
        if latency {
            problem.constraints.max_latency_s = known.makespan_s.max(0.0);
        }
        match optimize(&problem) {
            Ok(plan) => prop_assert_eq!(check(&problem, &plan), Ok(())),
            Err(StrategyError::Infeasible(refusal)) => {
                prop_assert!(refusal.description.contains("which may exist"), "{:?}", refusal);
                for part in [heft::optimize, peft::optimize, cpop::optimize] {
                    prop_assert!(part(&problem).is_err(), "a part has an answer");
                }
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}
