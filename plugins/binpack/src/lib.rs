//! `binpack`: placement of whole bundles on few nodes.
//!
//! **The model.** A node is a group of resources, one for each dimension: with
//! `dimensions = 2` resources 0 and 1 are the first node, 2 and 3 the second, and so on (the
//! daemon orders resources by id, so `n1.cpu`, `n1.ram`, `n2.cpu`, `n2.ram` are two nodes). A
//! claim demands what it needs of *every* node that it may be placed on: its demands are
//! alternatives, and listing fewer nodes is how it says where it may go. It is placed whole
//! on one node (n bundles: each bundle whole on one node, each of an n-th of the demand), so
//! most of its demands are given 0. A minimum above 0 pins that many bundles to its node; a
//! maximum bounds how many may go there.
//!
//! **What is sought**, in this order: higher tiers are placed before lower ones; all are
//! placed; few nodes are used, those first that others use already.
//!
//! **How.** First-fit and best-fit decreasing by several measures of size, bin-centric
//! dot-product (Panigrahy, Talwar, Uyeda, Wieder, Heuristics for Vector Bin Packing, 2011)
//! and minimum bin slack (Gupta, Ho 1999) make packings, of which the best is kept. Then one
//! node after the other is closed and its bundles are placed elsewhere by a large
//! neighbourhood search (after Buljubašić, Vasquez, Consistent neighborhood search for
//! one-dimensional bin packing and two-dimensional vector packing, 2016): a few nodes are
//! emptied and filled anew as full as can be with what they held and what lies outside, until
//! nothing lies outside, a lower bound is met, or the steps are spent. The search is run where
//! a bundle needs the same of every node it may go to, no maximum binds and no cost is capped.
//! Random choices come from the problem's seed.
//!
//! Confidence: of a claim, the part of its bundles that was placed (1 for a claim that asks
//! for nothing); of the whole, the mean of these weighted by priority.

mod answer;
mod bound;
mod build;
mod fill;
mod model;
mod packing;
mod search;

use nova_sdk::allocation::{Allocation, Problem, ResourceAllocator, validate};
use nova_sdk::{About, Strategy, StrategyError, about, export_resource_allocator};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use bound::lower_bound;
use model::Model;

/// The component.
pub struct Binpack;

/// What can be set.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Resources that make one node; a request's parameters may say otherwise.
    #[schemars(range(min = 1))]
    dimensions: usize,
    /// Effort of the search for fewer nodes after the first packing; 0 gives that at once.
    steps: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dimensions: 1,
            steps: 20_000_000,
        }
    }
}

/// What a request may say otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    dimensions: Option<usize>,
    steps: Option<u64>,
}

impl Strategy for Binpack {
    const ABOUT: About = about!(
        "Whole bundles onto few nodes: vector bin packing by best fit, dot product and search",
        "per claim the part of its bundles that was placed; overall their mean weighted by priority",
    );
    type Settings = Settings;
}

impl ResourceAllocator for Binpack {
    fn allocate(problem: &Problem) -> Result<Allocation, StrategyError> {
        allocate(problem)
    }
}

export_resource_allocator!(Binpack);

/// Places the claims' bundles on few nodes.
///
/// # Errors
/// [`StrategyError::InvalidInput`] for a problem that breaks the contract or whose resources
/// are no whole number of nodes, [`StrategyError::InvalidSettings`] for what is wrong in the
/// settings, [`StrategyError::Unsupported`] for more bundles than are placed one by one.
/// Scarcity is no error: what found no room is in `unmet`, with the reason.
pub fn allocate(problem: &Problem) -> Result<Allocation, StrategyError> {
    let settings: Settings = nova_sdk::settings(&problem.settings)?;
    let asked: Parameters = nova_sdk::parameters(&problem.parameters)?;
    validate(problem)?;
    let model = Model::new(problem, asked.dimensions.unwrap_or(settings.dimensions))?;
    let first = build::best(&model);
    let steps = asked.steps.unwrap_or(settings.steps);
    let packing = search::improve(&model, first, steps, problem.seed);
    Ok(answer::allocation(&model, &packing))
}
