//! `drf`: the resource allocator that Nova ships.
//!
//! Dominant Resource Fairness (Ghodsi et al., NSDI 2011) with weights, strict priority
//! tiers, minima, maxima, cost caps, divisible claims and whole bundles; on one resource it
//! is weighted max-min fairness. [`allocate`] is the whole of it, a pure function that the
//! component exports and that native code may call.
//!
//! How claims compare, in this order:
//! 1. Minima: by tier (5 first), then by index; a claim whose minima do not all fit into
//!    what is left (or into its cost cap, or the common one) gets nothing at all.
//! 2. Tiers: 5 to 1; a lower tier is given what the higher ones left.
//! 3. Within a tier: equal weighted dominant shares (share of the total capacity ÷ weight)
//!    until a claim has all it asked for, reaches its maximum or its cost cap, or a
//!    resource that it needs more of runs out. A claim that its minimum put above the
//!    others' level stays at its minimum until they catch up.
//!
//! A divisible claim is given the same fraction of each of its demands (Leontief), except
//! that a minimum above that fraction is kept: so the smallest ratio of maximum to request
//! bounds all its demands. A claim of n bundles is given a whole number of n-th parts.
//!
//! Confidence: of a claim, the least fraction met among its demands (1 for a claim that
//! asks for nothing); of the whole, the mean of these weighted by priority.

use nova_sdk::allocation::filling::{self, Sharing};
use nova_sdk::allocation::{Allocation, Problem, ResourceAllocator, validate};
use nova_sdk::{About, NoSettings, Strategy, StrategyError, about, export_resource_allocator};

/// The component.
pub struct Drf;

impl Strategy for Drf {
    const ABOUT: About = about!(
        "Dominant Resource Fairness with weights, strict priority tiers, minima, maxima and cost caps",
        "per claim the least fraction met of its demands; overall their mean weighted by priority",
    );
    // Weights, tiers and bounds come with each problem.
    type Settings = NoSettings;
}

impl ResourceAllocator for Drf {
    fn allocate(problem: &Problem) -> Result<Allocation, StrategyError> {
        allocate(problem)
    }
}

export_resource_allocator!(Drf);

/// Divides a problem's resources among its claims.
///
/// # Errors
/// [`StrategyError::InvalidInput`] for a problem that breaks the contract,
/// [`StrategyError::InvalidSettings`] for settings other than `{}`. Scarcity is no error:
/// what a claim did not get is in `unmet`, with the reason.
pub fn allocate(problem: &Problem) -> Result<Allocation, StrategyError> {
    let NoSettings {} = nova_sdk::settings(&problem.settings)?;
    validate(problem)?;
    Ok(filling::allocate(problem, Sharing::Dominant))
}
