//! `provision`: the least cost that meets the minimum demand under capacity.
//!
//! A mixed-integer program over the amounts, solved by branch and bound over the simplex
//! method (`microlp`). Of each demand an amount between its minimum and the smaller of what
//! was requested and its maximum is bought, in whole n-th parts where the claim has n
//! bundles; no resource gives more than it has free; the cost caps are kept; and the sum of
//! amounts × cost per unit is the least possible.
//!
//! What a claim needs may be named in other terms than amounts of single resources: with the
//! parameters
//!
//! ```json
//! {"provides": [[1, 4], [2, 16], [4, 32]], "needs": [[99, 330]]}
//! ```
//!
//! one unit of resource 0 provides 1 of dimension 0 (cores, say) and 4 of dimension 1
//! (memory), and so on in the order of the resources (the daemon orders them by id); claim 0
//! needs 99 of the first and 330 of the second from whatever it buys. Rows are one for each
//! resource and one for each claim. Machines of a catalog are thus resources whose capacity
//! is how many there are, and are bought whole when the claim requests n of each in n bundles.
//!
//! Every claim must be served: where that cannot be, the refusal names the claim of lowest
//! rank (by priority, then by index) that those before it leave no room for, and the
//! resource, dimension or cap that stands in the way.
//!
//! Confidence, of each claim and of the whole: 1 when the cost is proven least, else 1 − the
//! relative gap between it and the bound when `max_nodes` were spent.

mod blame;
mod model;
mod solve;

use nova_sdk::allocation::{
    Allocation, Problem, ResourceAllocator, UnmetReason, finish, number, trim, validate,
};
use nova_sdk::{About, Level, Strategy, StrategyError, about, export_resource_allocator, log};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use model::Model;
use solve::{Bought, solve};

/// The component.
pub struct Provision;

/// What can be set.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Nodes of the branch-and-bound tree after which the best answer so far is given with its gap.
    max_nodes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_nodes: 20_000 }
    }
}

impl Strategy for Provision {
    const ABOUT: About = about!(
        "The least cost that meets the minimum demand under capacity, by mixed-integer programming",
        "1 when the cost is proven least, else 1 minus its relative gap to the bound",
    );
    type Settings = Settings;
}

impl ResourceAllocator for Provision {
    fn allocate(problem: &Problem) -> Result<Allocation, StrategyError> {
        allocate(problem)
    }
}

export_resource_allocator!(Provision);

/// Buys what the claims need at the least cost.
///
/// # Errors
/// [`StrategyError::Infeasible`] names the claim that cannot be served and why;
/// [`StrategyError::InvalidInput`] a problem or parameters that break the contract;
/// [`StrategyError::InvalidSettings`] what is wrong in the settings;
/// [`StrategyError::Unsupported`] when `max_nodes` were spent without any answer.
pub fn allocate(problem: &Problem) -> Result<Allocation, StrategyError> {
    let settings: Settings = nova_sdk::settings(&problem.settings)?;
    validate(problem)?;
    let model = Model::new(problem)?;
    let everyone: Vec<usize> = model.ranking.clone();
    match solve(&model, &everyone, true, settings.max_nodes)? {
        Some(bought) => Ok(answer(problem, bought)),
        None => Err(blame::blame(&model, settings.max_nodes)?),
    }
}

fn answer(problem: &Problem, bought: Bought) -> Allocation {
    let Bought { mut amount, gap } = bought;
    trim(problem, &mut amount);
    let given = amount.clone();
    let mut allocation = finish(problem, amount, |d| {
        let text = format!(
            "{{claim:{}}} was given {} of {} of {{resource:{}}}: its needs are met, and more would be of no use to the least cost",
            problem.demands.claim[d],
            number(given[d]),
            number(problem.demands.requested[d]),
            problem.demands.resource[d],
        );
        Some((UnmetReason::Cost, text))
    });
    if gap > 0.0 {
        let text = format!(
            "the cost {} may be up to {}% above the least",
            number(allocation.cost),
            number(100.0 * gap)
        );
        log(Level::Info, &text);
    }
    allocation.confidence = (1.0 - gap).clamp(0.0, 1.0);
    allocation.claim_confidence.fill(allocation.confidence);
    allocation
}
