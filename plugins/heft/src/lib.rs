//! The flow optimizer `heft`: Heterogeneous Earliest Finish Time.
//!
//! Source: H. Topcuoglu, S. Hariri, M.-Y. Wu, "Performance-effective and low-complexity task
//! scheduling for heterogeneous computing", IEEE TPDS 13(3), 2002, section 4.1. What the
//! paper does not have (slots, capabilities, demands, fixed tasks, cost, bounds) is said
//! where it is done.
//!
//! - [`rank`]: in which order tasks are placed.
//! - [`place`]: where each is placed.
//! - [`limits`]: what the answer must keep, what of it is provably impossible.
//! - [`choose`]: which of the schedules built is the answer.
//! - [`gains`]: what is better than in the baseline, and by how much.
//!
//! A constructive heuristic: it builds one schedule, and a few more where cost counts or a
//! bound is missed. It spends none of the iteration budget, reads no seed and no parameters,
//! and has no settings.

pub mod choose;
pub mod gains;
pub mod limits;
pub mod place;
pub mod rank;

use nova_sdk::flow::bound::lower_bound;
use nova_sdk::flow::chain::steps;
use nova_sdk::flow::{FlowOptimizer, Model, Plan, Problem};
use nova_sdk::{About, Strategy, StrategyError, about, export_flow_optimizer, settings};
use serde::Deserialize;

/// The plugin.
pub struct Heft;

/// There is nothing to set; a key is a mistake.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {}

impl Strategy for Heft {
    const ABOUT: About = about!(
        "HEFT: list scheduling by upward rank, with insertion",
        "Lower bound ÷ makespan: 1 means that no schedule is shorter"
    );
}

impl FlowOptimizer for Heft {
    fn optimize(problem: &Problem) -> Result<Plan, StrategyError> {
        let Settings {} = settings(&problem.settings)?;
        optimize(problem)
    }
}

export_flow_optimizer!(Heft);

/// Schedules a problem; [`FlowOptimizer::optimize`] without the settings.
///
/// # Errors
/// `InvalidInput` for a problem that breaks the contract. `Infeasible` for one without an
/// answer, and for one whose bounds none of the schedules built keeps; the description says
/// which of the two it is.
pub fn optimize(problem: &Problem) -> Result<Plan, StrategyError> {
    let model = Model::new(problem)?;
    let bound = lower_bound(&model);
    let schedule = choose::choose(&model, &bound)?;
    let chain = steps(&model, &schedule);
    let optimizations = gains::optimizations(&model, &schedule, &chain);
    let makespan_s = schedule.makespan_s();
    let confidence = if makespan_s > 0.0 {
        (bound.makespan_s / makespan_s).clamp(0.0, 1.0)
    } else {
        1.0
    };
    Ok(schedule.into_plan(&model, &bound, &chain, optimizations, confidence))
}
