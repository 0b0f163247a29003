//! The first benchmark: what the sandbox, the API and the datastore cost over what they are built on.
//!
//! `cargo xtask bench first` prints, in one run, each figure beside its baseline and their ratio;
//! `cargo bench --workspace --bench first -- requests` only the part of that name.
//! Timings are never asserted: machines differ and are noisy.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

mod bare;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/daemon.rs"]
mod daemon;
mod decision;
mod fastapi;
mod limits;
mod load;
mod problem;
mod requests;
mod writes;

use std::sync::Arc;

use nova_core::SystemClock;
use nova_core::services::{ServiceConfig, Services};
use nova_runtime::{Runtime, RuntimeConfig};

use common::{open, root};

/// As the daemon has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // The load generator and the bare server are this program again, as processes of their own, so that each CPU time
    // is one's alone. Cargo passes `--bench`.
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    match args.as_slice() {
        [word, rest @ ..] if word == "load" => return load::run(rest),
        [word, body] if word == "bare" => return bare::run(body),
        _ => {}
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(bench(&args));
}

async fn bench(parts: &[String]) {
    let home = tempfile::tempdir().unwrap();
    let store = open(&home.path().join("nova.db"));
    let config = RuntimeConfig {
        plugin_dir: root().join("target/plugins"),
        data_dir: home.path().to_owned(),
        ..RuntimeConfig::default()
    };
    let runtime = Runtime::start(config, Arc::clone(&store)).unwrap();
    let services = Services::new(
        Arc::clone(&store),
        runtime.clone(),
        Arc::new(SystemClock),
        ServiceConfig::default(),
    );
    while services.health.ready().is_err() {
        tokio::task::yield_now().await;
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|p| p == part);
    if wanted("decision") {
        decision::run(&*runtime).await;
    }
    if wanted("limits") {
        limits::run(&services).await;
    }
    if wanted("requests") {
        tokio::task::block_in_place(|| requests::run(home.path()));
    }
    if wanted("writes") {
        writes::run(home.path(), &runtime).await;
    }
    runtime.shutdown().await;
    store.close().await.unwrap();
}
