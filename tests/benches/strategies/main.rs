//! The strategies benchmark: shipped strategies on the reference data, through the real runtime.
//!
//! `cargo xtask bench strategies` prints, per kind, quality against the references and CPU time;
//! `cargo bench --workspace --bench strategies -- analytics` only the part of that name.
//! Figures are never asserted here: tests beside the strategies hold the aims.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

mod allocation;
mod analytics;
#[path = "../common/mod.rs"]
mod common;
mod flows;
#[path = "../../../plugins/pulse/tests/support/nab.rs"]
mod nab;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nova_runtime::{Runtime, RuntimeConfig};

use common::{open, root};

#[tokio::main]
async fn main() {
    // Cargo passes `--bench`.
    let parts: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|p| p == part);
    let data = std::env::var_os("NOVA_SHARED_DATA")
        .map_or_else(|| root().join("../shared/data"), PathBuf::from);
    if !data.exists() {
        println!("no reference data at {}", data.display());
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let store = open(&home.path().join("nova.db"));
    let config = RuntimeConfig {
        plugin_dir: root().join("target/plugins"),
        data_dir: home.path().to_owned(),
        ..RuntimeConfig::default()
    };
    let runtime = Runtime::start(config, Arc::clone(&store)).unwrap();
    runtime.wait_ready(Duration::from_secs(120)).await;
    if wanted("analytics") {
        analytics::run(&*runtime, &store, &data.join("analytics")).await;
    }
    if wanted("allocation") {
        allocation::run(&*runtime, &data.join("allocation")).await;
    }
    if wanted("flows") {
        flows::run(&*runtime).await;
    }
    runtime.shutdown().await;
    store.close().await.unwrap();
}
