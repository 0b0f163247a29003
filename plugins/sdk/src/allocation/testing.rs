//! For tests of resource allocators, off wasm: problems made in a line or from a seed, the
//! rules that every answer keeps, fair division by its definition, and assertions.

mod ask;
mod catalog;
mod check;
mod fair;
mod nodes;
mod random;

pub use ask::{Ask, ask, resources, with};
pub use catalog::catalog;
pub use check::check;
pub use fair::{as_defined, max_min};
pub use nodes::{nodes, used_nodes};
pub use random::{random, small};

use super::{Allocation, UnmetReason};

/// Numbers agree to a part in a billion.
///
/// # Panics
/// When they do not.
#[track_caller]
pub fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (index, (&found_one, &expected_one)) in found.iter().zip(expected).enumerate() {
        let scale = expected_one.abs().max(1.0);
        assert!(
            (found_one - expected_one).abs() <= 1e-9 * scale,
            "[{index}] is {found_one}, expected {expected_one}: {found:?}"
        );
    }
}

/// The reasons of an allocation, as (demand, reason).
pub fn reasons(allocation: &Allocation) -> Vec<(u32, UnmetReason)> {
    let pairs = allocation.unmet.iter();
    pairs.map(|unmet| (unmet.demand, unmet.reason)).collect()
}
