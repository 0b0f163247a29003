//! The flow optimizer `heft`: Heterogeneous Earliest Finish Time.
//!
//! Source: H. Topcuoglu, S. Hariri, M.-Y. Wu, "Performance-effective and low-complexity task
//! scheduling for heterogeneous computing", IEEE TPDS 13(3), 2002, section 4.1. What the
//! paper does not have (slots, capabilities, demands, fixed tasks, cost, bounds) is said
//! where it is done, in the modules of [`nova_sdk::flow`] that all list schedulers share.
//!
//! A constructive heuristic: it builds one schedule, and a few more where cost counts or a
//! bound is missed. It spends none of the iteration budget, reads no seed and no parameters,
//! and has no settings.

use nova_sdk::flow::bound::lower_bound;
use nova_sdk::flow::place::Rule;
use nova_sdk::flow::{FlowOptimizer, Model, Plan, Problem, list, rank};
use nova_sdk::{
    About, NoSettings, Strategy, StrategyError, about, export_flow_optimizer, settings,
};

/// The plugin.
pub struct Heft;

impl Strategy for Heft {
    const ABOUT: About = about!(
        "HEFT: list scheduling by upward rank, with insertion",
        "Lower bound ÷ makespan: 1 means that no schedule is shorter"
    );
    type Settings = NoSettings;
}

impl FlowOptimizer for Heft {
    fn optimize(problem: &Problem) -> Result<Plan, StrategyError> {
        let NoSettings {} = settings(&problem.settings)?;
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
    let mean_s = rank::mean_durations_s(&model);
    let rank = rank::upward(&model, &mean_s);
    let schedule = list::choose(&model, &bound, &mean_s, &rank, Rule::Finish)?;
    Ok(list::plan(&model, &bound, schedule))
}
