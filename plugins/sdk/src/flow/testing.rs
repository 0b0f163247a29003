//! For tests of flow optimizers, off wasm: an independent checker of plans, and problems
//! made in a line.

mod check;
mod make;

pub use check::check;
pub use make::{random, related, unrelated};
