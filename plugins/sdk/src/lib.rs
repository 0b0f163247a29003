//! What a Nova strategy plugin is written with.
//!
//! A plugin is a type that says what it is ([`Strategy`]), implements the trait of one
//! kind ([`flow::FlowOptimizer`], [`allocation::ResourceAllocator`],
//! [`analytics::AnalyticsProcessor`]) and is handed to that kind's export macro:
//!
//! ```
//! use nova_sdk::{About, NoSettings, Strategy, StrategyError, about, export_flow_optimizer};
//! use nova_sdk::flow::{FlowOptimizer, Plan, Problem};
//!
//! struct Nothing;
//!
//! impl Strategy for Nothing {
//!     const ABOUT: About = about!("Refuses every flow", "never given");
//!     type Settings = NoSettings;
//! }
//!
//! impl FlowOptimizer for Nothing {
//!     fn optimize(_problem: &Problem) -> Result<Plan, StrategyError> {
//!         Err(StrategyError::Unsupported("everything".into()))
//!     }
//! }
//!
//! export_flow_optimizer!(Nothing);
//! # fn main() {}
//! ```
//!
//! The macros expand to nothing off wasm, so that the same crate is an ordinary library
//! there: its algorithms are tested by `cargo test`, and called by native benchmarks.
//!
//! Owns the bindings and what serves every author. Knows no strategy. Nothing in it reads
//! a clock, randomness, files or the environment, and nothing iterates in random order:
//! the same problem gives the same answer.

pub mod allocation;
pub mod analytics;
#[doc(hidden)]
pub mod bindings;
pub mod flow;
mod log;
mod random;
mod settings;
mod strategy;

pub use bindings::shared::nova::strategy::types::{
    Descriptor, Infeasibility, InfeasibleReason, StrategyError,
};
pub use log::{Level, log};
pub use random::Random;
pub use schemars;
pub use settings::{NoSettings, parameters, schema_of, settings};
pub use strategy::{About, Strategy, infeasible, invalid};
