//! The optimizer as a whole, natively: published results, the contract's features one by
//! one, properties over random problems, and real workflows where they are at hand.

mod features;
mod gains;
mod limits;
mod properties;
mod published;
mod workflows;

use nova_sdk::flow::testing::check;
use nova_sdk::flow::{Plan, Problem};
use nova_sdk::{Infeasibility, StrategyError};

/// The plan, which keeps the contract.
fn plan(problem: &Problem) -> Plan {
    let plan = heft::optimize(problem).expect("an answer");
    check(problem, &plan).expect("a valid plan");
    plan
}

/// The refusal, which is of the kind "no answer".
fn refusal(problem: &Problem) -> Infeasibility {
    match heft::optimize(problem) {
        Err(StrategyError::Infeasible(infeasibility)) => infeasibility,
        other => panic!("{other:?}"),
    }
}
