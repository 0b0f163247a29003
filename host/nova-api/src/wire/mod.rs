//! JSON as clients see it: bodies, records, answers, and their conversions from and to the
//! domain. Only this module and its children know field names.
//!
//! A *body* is parsed (unknown fields refused) and becomes a domain request; a *record* is a
//! domain record shown whole; an *answer* is the envelope around it.

pub(crate) mod agent;
pub(crate) mod alert;
pub(crate) mod allocate;
pub(crate) mod allocation;
pub(crate) mod analytics;
pub(crate) mod answer;
pub(crate) mod canary;
pub(crate) mod coordination;
pub(crate) mod decision;
pub(crate) mod embedding;
pub(crate) mod error;
pub(crate) mod flow;
pub(crate) mod grant;
pub(crate) mod key;
pub(crate) mod lease;
pub(crate) mod mcp;
pub(crate) mod measure;
pub(crate) mod memory;
pub(crate) mod memory_body;
pub(crate) mod memory_line;
pub(crate) mod object;
pub(crate) mod optimize;
pub(crate) mod page;
pub(crate) mod plugin;
pub(crate) mod replay;
pub(crate) mod resource;
pub(crate) mod role;
pub(crate) mod route;
pub(crate) mod schema;
pub(crate) mod service;
pub(crate) mod shadow;
pub(crate) mod spec;
pub(crate) mod strategy;
pub(crate) mod task;
pub(crate) mod task_body;
