//! `maxmin`: weighted max-min fairness, resource by resource.
//!
//! On each resource the claims that want more than the others get have equal parts, in
//! proportion to their weights, and what one does not want or may not have goes to the rest:
//! nobody's part can grow but at the cost of someone whose part is not larger already
//! (Bertsekas, Gallager, Data Networks, 1992, section 6.5.2). Resources do not know of each
//! other: where a claim's demands only serve together, `drf` is the better choice.
//!
//! How claims compare, in this order:
//! 1. Minima: by tier (5 first), then by index; a claim whose minima do not all fit into
//!    what is left (or into its cost cap, or the common one) gets nothing at all.
//! 2. Tiers: 5 to 1; a lower tier is given what the higher ones left.
//! 3. Within a tier: equal parts by weight, of each resource on its own, until a demand is
//!    met, reaches its maximum, or the resource runs out. A cost cap, of a claim or of the
//!    whole, ends the growth of all demands that it pays for: up to there they had equal
//!    parts of their resources' capacity.
//!
//! A claim of n bundles is given a whole number of n-th parts of all its demands, by its
//! largest share of a resource: whole bundles tie its demands together.
//!
//! Confidence: of a claim, the least fraction met among its demands (1 for a claim that
//! asks for nothing); of the whole, the mean of these weighted by priority.

use nova_sdk::allocation::filling::{self, Sharing};
use nova_sdk::allocation::{Allocation, Problem, ResourceAllocator, validate};
use nova_sdk::{About, NoSettings, Strategy, StrategyError, about, export_resource_allocator};

/// The component.
pub struct Maxmin;

impl Strategy for Maxmin {
    const ABOUT: About = about!(
        "Weighted max-min fairness of each resource, with strict priority tiers, minima, maxima and cost caps",
        "per claim the least fraction met of its demands; overall their mean weighted by priority",
    );
    // Weights, tiers and bounds come with each problem.
    type Settings = NoSettings;
}

impl ResourceAllocator for Maxmin {
    fn allocate(problem: &Problem) -> Result<Allocation, StrategyError> {
        allocate(problem)
    }
}

export_resource_allocator!(Maxmin);

/// Divides a problem's resources among its claims.
///
/// # Errors
/// [`StrategyError::InvalidInput`] for a problem that breaks the contract,
/// [`StrategyError::InvalidSettings`] for settings other than `{}`. Scarcity is no error:
/// what a claim did not get is in `unmet`, with the reason.
pub fn allocate(problem: &Problem) -> Result<Allocation, StrategyError> {
    let NoSettings {} = nova_sdk::settings(&problem.settings)?;
    validate(problem)?;
    Ok(filling::allocate(problem, Sharing::Each))
}
