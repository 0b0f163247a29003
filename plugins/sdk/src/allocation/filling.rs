//! Progressive filling: everyone grows at once, until something runs out.
//!
//! What fair allocators share. A [`Sharing`] says what grows together; the rest is the same:
//! minima first, tiers strictly, maxima and cost caps kept, whole bundles taken one by one in
//! the order of their level. `drf` and `maxmin` are little more than calls of [`allocate`].

mod ledger;
mod reasons;
mod sweep;
mod unit;

use super::{Allocation, Problem};

/// What grows together, and by which measure claims are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// A claim's demands grow together, by its weighted dominant share (DRF).
    Dominant,
    /// Each demand of a divisible claim grows alone, by its weighted share of its own
    /// resource: max-min fairness, resource by resource. Whole bundles tie their claim's
    /// demands together.
    Each,
}

/// Divides the resources of a valid problem (see [`validate`](super::validate)) among its
/// claims.
///
/// Takes O((D + B) · (R + log C)) steps for D demands, R resources, C claims and B bundles
/// that are not taken in leaps (a few for each claim, however many it asks for).
pub fn allocate(problem: &Problem, sharing: Sharing) -> Allocation {
    reasons::allocation(&sweep::Filling::run(problem, sharing))
}
