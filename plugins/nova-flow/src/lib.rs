//! The flow optimizer `nova-flow`: a portfolio of list schedules, then a search.
//!
//! 1. [`portfolio`]: HEFT, PEFT, CPOP and more; with a time budget of zero, the best of them is the answer.
//! 2. Where slots are all that bounds an agent, [`anneal`] over orders and slots ([`sequence`]); where agents
//!    have supplies for the tasks' demands, [`climb`] over orders and agents ([`project`]).
//!
//! The answer is the best schedule met, so it is never worse than any part. The search is
//! seeded, and bounded by work counted and not by time ([`budget`]): the same problem gives the same answer.

use nova_sdk::flow::bound::lower_bound;
use nova_sdk::flow::limits::Limits;
use nova_sdk::flow::{FlowOptimizer, Model, Plan, Problem, list};
use nova_sdk::{About, Strategy, StrategyError, about, export_flow_optimizer, settings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod aim;
pub mod anneal;
pub mod bound;
pub mod budget;
pub mod climb;
pub mod dynamic;
pub mod instance;
pub mod mirror;
pub mod portfolio;
pub mod project;
pub mod random;
pub mod search;
pub mod sequence;

use anneal::Effort;
use bound::tightened;
use portfolio::Portfolio;

/// The plugin.
pub struct NovaFlow;

/// What can be set.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A longer time budget is cut to this, milliseconds.
    pub search_max_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            search_max_ms: 30_000,
        }
    }
}

impl Strategy for NovaFlow {
    const ABOUT: About = about!(
        "A portfolio of list schedules, then simulated annealing within the time budget",
        "Lower bound ÷ makespan: 1 means that no schedule is shorter"
    );
    type Settings = Settings;
}

impl FlowOptimizer for NovaFlow {
    fn optimize(problem: &Problem) -> Result<Plan, StrategyError> {
        let settings: Settings = settings(&problem.settings)?;
        optimize(problem, &settings)
    }
}

export_flow_optimizer!(NovaFlow);

/// Schedules a problem.
///
/// # Errors
/// `InvalidInput` for a problem that breaks the contract. `Infeasible` for one without an
/// answer, and for one whose bounds no schedule met keeps; the description says
/// which of the two it is.
pub fn optimize(problem: &Problem, settings: &Settings) -> Result<Plan, StrategyError> {
    let model = Model::new(problem)?;
    let bound = tightened(&model, lower_bound(&model));
    let limits = Limits::new(&model);
    limits.prove(&model, &bound)?;
    let mut portfolio = Portfolio::new(&model, &bound, limits);
    portfolio.build_first();
    let time_ms = problem.budget.time_ms.min(settings.search_max_ms);
    let effort = Effort {
        work: u64::from(time_ms) * budget::UNITS_PER_MS,
        iterations: u64::from(problem.budget.max_iterations),
    };
    let mut iterations = 0;
    if effort.work > 0 && effort.iterations > 0 && model.unfixed() > 0 {
        iterations = search::improve(&mut portfolio, effort, problem.budget.seed);
    }
    if portfolio.is_missed() {
        return Err(portfolio.refusal());
    }
    let mut plan = list::plan(&model, &bound, portfolio.into_best());
    plan.iterations = u32::try_from(iterations).unwrap_or(u32::MAX);
    Ok(plan)
}
