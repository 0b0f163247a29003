//! Nova's domain: what tasks, agents, flows, resources and strategies are, and the use
//! cases over them.
//!
//! Owns the vocabulary, the rules and the errors. Knows no HTTP, no database driver and no
//! sandbox: those come in through the traits in [`ports`]. Dependencies point here, never
//! from here to a sibling.

pub mod analyzer;
pub mod domain;
pub mod error;
pub mod ports;
pub mod services;
pub mod strategy;
pub mod trace;

pub use analyzer::Analyzer;
pub use domain::*;
pub use error::{Error, Result};
