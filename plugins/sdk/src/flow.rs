//! The kind `flow-optimizer`: which agent runs which task of a flow, and when.
//!
//! The types are those of the contract, `wit/v0.1/flow-optimizer.wit`, which documents
//! every column. The modules below turn the columns into what every scheduler needs:
//! [`Model`] (adjacency, eligible agents, durations, transfers), [`Timeline`] (what an
//! agent still has free), [`bound`] (what no schedule can beat) and [`chain`] (what made a
//! schedule as long as it is). What list schedulers share: [`rank`] (in which order tasks are
//! placed), [`place`] (where each goes), [`limits`] (what an answer must keep), [`list`]
//! (which schedule is the answer) and [`gains`] (what it does better than the baseline).

use crate::bindings::flow::exports::nova::strategy::optimizer;
use crate::{Strategy, StrategyError};

pub mod bound;
pub mod chain;
pub mod critical;
pub mod gains;
mod graph;
pub mod limits;
pub mod list;
mod model;
pub mod place;
mod problem;
pub mod rank;
mod schedule;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod timeline;
mod validate;

pub use graph::{Adjacency, Link};
pub use model::{Fixed, Model};
pub use optimizer::{
    Agents, Baseline, Budget, Communication, Constraints, Demands, Dependencies, Durations, Goal,
    Objective, Optimization, Plan, Problem, Requirements, Tasks,
};
pub use schedule::Schedule;
pub use timeline::Timeline;

/// A strategy that schedules flows.
pub trait FlowOptimizer: Strategy {
    /// Schedules the problem's tasks on its agents.
    ///
    /// # Errors
    /// A [`StrategyError`] is an answer, not a failure: the problem has no schedule, breaks
    /// the contract, or asks for something that this strategy does not do.
    fn optimize(problem: &Problem) -> Result<Plan, StrategyError>;
}

impl<T: FlowOptimizer> optimizer::Guest for T {
    fn optimize(problem: Problem) -> Result<Plan, StrategyError> {
        <T as FlowOptimizer>::optimize(&problem)
    }
}

/// Makes a type that implements [`FlowOptimizer`] the component's exports.
///
/// Expands to nothing off wasm. Once in a crate.
#[macro_export]
macro_rules! export_flow_optimizer {
    ($strategy:ident) => {
        #[cfg(target_family = "wasm")]
        $crate::bindings::shared::export_metadata!(
            $strategy with_types_in $crate::bindings::shared
        );
        #[cfg(target_family = "wasm")]
        $crate::bindings::flow::export_optimizer!(
            $strategy with_types_in $crate::bindings::flow
        );
    };
}
