//! Handlers: parse, call one service method, shape the answer.
//!
//! They never see the datastore, and no path: those are in [`crate::router`], which also
//! gives each operation its path in the OpenAPI document.

pub(crate) mod agents;
pub(crate) mod alerts;
pub(crate) mod allocations;
pub(crate) mod analytics;
pub(crate) mod decisions;
pub(crate) mod docs;
pub(crate) mod embeddings;
pub(crate) mod flows;
pub(crate) mod keys;
pub(crate) mod leases;
pub(crate) mod live;
pub(crate) mod mcp;
pub(crate) mod memory;
pub(crate) mod memory_lines;
pub(crate) mod plugins;
pub(crate) mod replays;
pub(crate) mod resources;
pub(crate) mod roles;
pub(crate) mod service;
pub(crate) mod specs;
pub(crate) mod strategies;
pub(crate) mod tasks;

/// The path in an operation's annotation: the route table has the real one.
const ROUTED: &str = "";
