//! Flow optimization: the problem, the plan, the check of a plan, and the host's baseline.

mod baseline;
mod check;
mod problem;

pub use baseline::first_come_first_served;
pub use check::check;
pub use problem::{
    Agents, Baseline, Budget, Constraints, Demands, FlowPlan, FlowProblem, Goal, Objective,
    Optimization, Requirements, TaskColumns, Transfers,
};
