//! What every flow optimizer owes, as checks over any of them.

use super::{check, random, topcuoglu};
use crate::StrategyError;
use crate::flow::{FlowOptimizer, Model, Objective, Plan, Problem};

/// A random problem with one of the objectives: 0 performance, 1 cost, else balanced. None where its demands
/// exceed every supply, which is the only way in which it can have no answer.
pub fn unbounded(seed: u64, objective: u8) -> Option<Problem> {
    let mut problem = random(seed);
    problem.goal.objective = match objective {
        0 => Objective::Performance,
        1 => Objective::Cost,
        _ => Objective::Balanced,
    };
    problem.goal.cost_weight = 0.3;
    Model::new(&problem).is_ok().then_some(problem)
}

/// Asks for a plan twice: it keeps the contract, and is the same.
///
/// # Panics
/// When one of them is not so, or there is no answer.
pub fn keeps_the_contract(
    optimize: impl Fn(&Problem) -> Result<Plan, StrategyError>,
    problem: &Problem,
) {
    let plan = match optimize(problem) {
        Ok(plan) => plan,
        Err(error) => panic!("nothing is bounded: {error:?}"),
    };
    assert_eq!(check(problem, &plan), Ok(()));
    assert_eq!(optimize(problem), Ok(plan));
}

/// Settings with a key that does not exist are refused, and the key is named.
///
/// # Panics
/// When they are not.
pub fn refuses_unknown_settings<O: FlowOptimizer>() {
    let mut problem = topcuoglu();
    problem.settings = "{\"depth\": 3}".into();
    match O::optimize(&problem) {
        Err(StrategyError::InvalidSettings(text)) => assert!(text.contains("depth"), "{text}"),
        other => panic!("{other:?}"),
    }
}
