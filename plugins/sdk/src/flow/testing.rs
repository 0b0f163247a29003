//! For tests of flow optimizers, off wasm: an independent checker of plans, problems made in
//! a line, published examples, and the reference data where it is at hand.

mod check;
mod contract;
mod make;
mod published;
mod reference;

pub use check::check;
pub use contract::{keeps_the_contract, refuses_unknown_settings, unbounded};
pub use make::{random, related, unrelated};
pub use published::{arabnejad, topcuoglu};
pub use reference::{Case, Reference};
