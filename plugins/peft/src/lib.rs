//! The flow optimizer `peft`: Predict Earliest Finish Time.
//!
//! Source: H. Arabnejad, J. G. Barbosa, "List scheduling algorithm for heterogeneous systems
//! by an optimistic cost table", IEEE TPDS 25(3), 2014, section 4. The table says how long
//! what follows a task takes at best, agent by agent; its mean row orders the tasks, and a
//! task goes where its finish plus the table's entry is least. What the paper does not have
//! (slots, capabilities, demands, fixed tasks, cost, bounds) is done as `heft` does it, in
//! [`nova_sdk::flow`].
//!
//! A constructive heuristic, as fast as `heft`: it spends none of the iteration budget,
//! reads no seed and no parameters, and has no settings.

use nova_sdk::flow::bound::lower_bound;
use nova_sdk::flow::place::Rule;
use nova_sdk::flow::{FlowOptimizer, Model, Plan, Problem, list, rank};
use nova_sdk::{
    About, NoSettings, Strategy, StrategyError, about, export_flow_optimizer, settings,
};

/// The plugin.
pub struct Peft;

impl Strategy for Peft {
    const ABOUT: About = about!(
        "PEFT: list scheduling by an optimistic cost table, with insertion",
        "Lower bound ÷ makespan: 1 means that no schedule is shorter"
    );
    type Settings = NoSettings;
}

impl FlowOptimizer for Peft {
    fn optimize(problem: &Problem) -> Result<Plan, StrategyError> {
        let NoSettings {} = settings(&problem.settings)?;
        optimize(problem)
    }
}

export_flow_optimizer!(Peft);

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
    let table = rank::optimistic_costs_s(&model);
    let rank = rank::optimistic(&model, &table);
    let schedule = list::choose(&model, &bound, &mean_s, &rank, Rule::LookAhead(&table))?;
    Ok(list::plan(&model, &bound, schedule))
}
