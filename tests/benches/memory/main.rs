//! Memory through the HTTP API of the real daemon: how well it finds, how fast, and at which size.
//!
//! `cargo xtask build --release && cargo bench --workspace --bench memory -- retrieval` (or `million`; both without a name).
//! `NOVA_LOCOMO` names a `locomo10.json` to be searched in place of the project's own small corpus; `NOVA_BENCH_MEMORIES`
//! says how many memories `million` stores (100,000 without it). Timings are never asserted.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark"
)]

mod corpus;
mod million;
#[path = "../common/quantile.rs"]
mod quantile;
mod retrieval;
#[path = "../../support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the tests, which use all of it"
)]
mod support;

use serde_json::Value;
use support::{Client, eventually};

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let wanted = |part: &str| args.is_empty() || args.iter().any(|a| a == part);
    if wanted("retrieval") {
        retrieval::run();
    }
    if wanted("million") {
        million::run();
    }
}

/// Imports lines into a domain.
fn import(client: &Client, domain: &str, lines: &[Value]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let path = format!("/api/orchestration/memory/import?domain={domain}");
    let kind = [("Content-Type", "application/x-ndjson")];
    let answer = client.send("POST", &path, &kind, Some(text.into_bytes()));
    let done = answer.expect(200);
    assert_eq!(done["orchestration"]["imported"], lines.len());
}

/// Waits until searches stand on both legs, telling how far that is.
fn indexed(client: &Client) {
    let mut told = String::new();
    eventually_long("the index over memories is complete", || {
        let health = client.get("/health").expect(200);
        let memory = &health["checks"]["memory"];
        let detail = memory["detail"].as_str().unwrap_or_default();
        if detail != told && memory["status"] != "healthy" {
            println!(
                "    {}: {detail}",
                memory["status"].as_str().unwrap_or_default()
            );
            detail.clone_into(&mut told);
        }
        (memory["status"] == "healthy").then_some(())
    });
}

/// As [`eventually`], for what may take minutes.
fn eventually_long<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..10 {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(50);
        let found = eventually(what, || match ask() {
            Some(found) => Some(Some(found)),
            None if std::time::Instant::now() > until => Some(None),
            None => None,
        });
        if let Some(found) = found {
            return found;
        }
    }
    panic!("still not so after minutes: {what}");
}
