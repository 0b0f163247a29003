//! The kind `resource-allocator`: who gets how much of what.
//!
//! The types are those of the contract, `wit/v0.1/resource-allocator.wit`, which documents
//! every column. What allocators share is here too: [`validate`] a problem, [`finish`] an
//! answer from its amounts, divide by progressive [`filling`].

pub mod exact;
pub mod filling;
mod finish;
pub mod testing;
mod validate;

use crate::bindings::allocation::exports::nova::strategy::allocator;
use crate::{Strategy, StrategyError};

pub use finish::{UNMET_SLACK, finish, number, overall, trim};
pub use validate::validate;

pub use allocator::{Allocation, Claims, Demands, Problem, Resources, Unmet, UnmetReason};

/// A strategy that divides resources among claims.
pub trait ResourceAllocator: Strategy {
    /// Divides the problem's resources among its claims.
    ///
    /// # Errors
    /// A [`StrategyError`] is an answer, not a failure: the problem has no solution, breaks
    /// the contract, or asks for something that this strategy does not do.
    fn allocate(problem: &Problem) -> Result<Allocation, StrategyError>;
}

impl<T: ResourceAllocator> allocator::Guest for T {
    fn allocate(problem: Problem) -> Result<Allocation, StrategyError> {
        <T as ResourceAllocator>::allocate(&problem)
    }
}

impl Default for Problem {
    /// No resources, no claims, no cap, empty settings and parameters.
    fn default() -> Self {
        Problem {
            resources: Resources {
                capacity: Vec::new(),
                in_use: Vec::new(),
                cost_per_unit: Vec::new(),
            },
            claims: Claims {
                weight: Vec::new(),
                priority: Vec::new(),
                bundles: Vec::new(),
                max_cost: Vec::new(),
            },
            demands: Demands {
                claim: Vec::new(),
                resource: Vec::new(),
                requested: Vec::new(),
                min: Vec::new(),
                max: Vec::new(),
            },
            max_cost: f64::INFINITY,
            seed: 0,
            settings: "{}".to_owned(),
            parameters: "{}".to_owned(),
        }
    }
}

/// Makes a type that implements [`ResourceAllocator`] the component's exports.
///
/// Expands to nothing off wasm. Once in a crate.
#[macro_export]
macro_rules! export_resource_allocator {
    ($strategy:ident) => {
        #[cfg(target_family = "wasm")]
        $crate::bindings::shared::export_metadata!(
            $strategy with_types_in $crate::bindings::shared
        );
        #[cfg(target_family = "wasm")]
        $crate::bindings::allocation::export_allocator!(
            $strategy with_types_in $crate::bindings::allocation
        );
    };
}
