//! Black-box tests: each starts the real daemon on a free port with a temporary directory and
//! speaks HTTP to it, as its users do.
//!
//! `cargo xtask test` builds what they need first: the daemon, the default plugins, the fixtures.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "tests")]

mod bridge;
mod cases;
mod contract;
mod kit;
mod routes;
mod runtime;
mod support;
mod tidy;
