//! The flow optimizer `cpop`: Critical Path On a Processor.
//!
//! Source: H. Topcuoglu, S. Hariri, M.-Y. Wu, "Performance-effective and low-complexity task
//! scheduling for heterogeneous computing", IEEE TPDS 13(3), 2002, section 4.2. Tasks are
//! placed by the length of the longest way through them; those of the critical path all go to
//! the agent that runs them fastest together, every other where it ends first. What the paper
//! does not have (slots, capabilities, demands, fixed tasks, cost, bounds) is done as `heft`
//! does it, in [`nova_sdk::flow`].
//!
//! A constructive heuristic, as fast as `heft`: it spends none of the iteration budget,
//! reads no seed and no parameters, and has no settings.

use nova_sdk::flow::bound::lower_bound;
use nova_sdk::flow::place::Rule;
use nova_sdk::flow::{FlowOptimizer, Model, Plan, Problem, critical, list, rank};
use nova_sdk::{
    About, NoSettings, Strategy, StrategyError, about, export_flow_optimizer, settings,
};

/// The plugin.
pub struct Cpop;

impl Strategy for Cpop {
    const ABOUT: About = about!(
        "CPOP: list scheduling with the critical path on one agent",
        "Lower bound ÷ makespan: 1 means that no schedule is shorter"
    );
    type Settings = NoSettings;
}

impl FlowOptimizer for Cpop {
    fn optimize(problem: &Problem) -> Result<Plan, StrategyError> {
        let NoSettings {} = settings(&problem.settings)?;
        optimize(problem)
    }
}

export_flow_optimizer!(Cpop);

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
    let through = rank::through(&model, &mean_s);
    let pinned = critical::pinned(&model, &through);
    let schedule = list::choose(&model, &bound, &mean_s, &through, Rule::Pinned(&pinned))?;
    Ok(list::plan(&model, &bound, schedule))
}
