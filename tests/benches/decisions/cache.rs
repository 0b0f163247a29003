//! Decisions that are made, and the same ones given again.

use std::sync::Arc;
use std::time::Duration;

use nova_core::ports::StrategyRuntime as _;
use serde_json::Map;

use crate::common::{Bench, install, quantile, root};
use crate::load::{Load, ask, problem};

pub(crate) async fn run() {
    let without = heft("").await;
    let with = heft("[cache]\nttl_s = 3600.0\n").await;
    println!("a kept answer beside one that is made, one client");
    for tasks in [10, 100, 1000] {
        let problem = Arc::new(problem(tasks));
        let load = Load {
            clients: 1,
            calls: if tasks > 100 { 200 } else { 2000 },
            pause: Duration::ZERO,
        };
        let none = Map::new();
        let one = Load { calls: 1, ..load };
        ask(&with.runtime, &problem, &none, one).await;
        ask(&without.runtime, &problem, &none, one).await;
        let made = ask(&without.runtime, &problem, &none, load).await;
        let kept = ask(&with.runtime, &problem, &none, load).await;
        let (made, kept) = (quantile(&made, 0.5), quantile(&kept, 0.5));
        println!(
            "{tasks:>5} tasks: made {made:>7.1} µs, kept {kept:>7.1} µs at p50, {:.1} times as fast",
            made / kept
        );
    }
    let calls = with.runtime.plugin("heft").unwrap().stats.calls;
    assert_eq!(calls, 3, "all others were kept answers");
    for bench in [without, with] {
        bench.end().await;
    }
}

/// A runtime that serves heft, with this at the end of its manifest.
async fn heft(manifest: &str) -> Bench {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("plugins/heft");
    std::fs::create_dir_all(&folder).unwrap();
    install(
        &root().join("target/plugins/heft/heft.wasm"),
        &folder.join("heft.wasm"),
    );
    let text = format!("name = \"heft\"\nfile = \"heft.wasm\"\n{manifest}");
    std::fs::write(folder.join("plugin.toml"), text).unwrap();
    Bench::over(home, &["heft"]).await
}
