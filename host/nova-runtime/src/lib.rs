//! The strategy runtime: WASM plugins as revisions that are loaded, probed, swapped and asked.
//!
//! The only crate that names wasmtime. It implements [`nova_core::ports::StrategyRuntime`] and knows
//! neither HTTP nor a database: recorded events come through the datastore's trait.
//!
//! Reading order: [`Runtime`] takes a call, routes it on a snapshot (`registry`, `routing`), and has it
//! answered (`decide`) by a fresh instance (`invoke`) in a `sandbox` under a `meter`. Beside the calls, `watch`
//! looks at the plugin directory and has what it finds loaded (`loader`), probed (`probe`) and put in place.
//!
//! Invariants: an answer that leaves this crate has passed the host's checks; a store that failed
//! is never used again; nothing on the road of a call waits for a load; a file that is refused changes
//! nothing but the list of refused files.

mod decide;
mod runtime;

mod config;
mod error;
mod events;

mod aside;
mod breaker;
mod registry;
mod routing;
mod stats;
mod trial;

mod failure;
mod invoke;
mod live;
mod processor;
mod record;

mod doctor;

mod cache;
mod recall;

mod arena;
mod contender;
mod contests;
mod shadow;

mod bindings;
mod convert;
mod intern;

mod engine;
mod journal;
mod meter;
mod sandbox;
mod ticker;
mod turns;

mod artifacts;
mod check;
mod component;
mod files;
mod gate;
mod install;
mod kept;
mod loader;
mod manifest;
mod orders;
mod probe;
mod settings;
mod signature;
mod swap;
mod upload;
mod watch;
mod workbench;

#[cfg(test)]
mod tests;

pub use arena::Arena;
pub use breaker::BreakerConfig;
pub use cache::CacheConfig;
pub use check::{CheckReport, Verdict, check_file};
pub use component::{Inspection, OFFERED, Refused, Stage, TRACK, inspect};
pub use config::{DEFAULT_CEILINGS, DEFAULT_LIMITS, RuntimeConfig};
pub use doctor::{CaseReport, Diagnosis, LATE_MAX_MS, RESIDENT_SLACK_BYTES, doctor};
pub use error::{EngineError, RuntimeError};
pub use events::{Changes, PluginChange, PluginEvent};
pub use manifest::check_manifest;
pub use probe::ProbeTime;
pub use runtime::Runtime;
pub use shadow::ShadowConfig;
pub use signature::{Signers, beside as signature_file};
pub use workbench::{Measured, Tool, Workbench};
