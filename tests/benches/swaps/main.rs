//! A strategy is swapped again and again under load, bad files among the good ones: what a swap takes from
//! the bytes on disk to the first decision of the new revision, beside the time of its compilation.
//!
//! `cargo bench --workspace --bench swaps` makes 1,000 swaps; `NOVA_BENCH_SWAPS` sets another number. The
//! first half compiles each build anew, the second goes back and forth between compiled ones. Counted, and
//! fatal: a request that failed or was answered by another revision's stand-in, a good file that never served.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

#[path = "../common/mod.rs"]
mod common;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nova_core::ports::StrategyRuntime;
use nova_core::ports::runtime::RevisionStatus;
use nova_core::strategy::flow::FlowProblem;
use nova_runtime::{Runtime, RuntimeConfig};
use serde_json::Map;

use common::{Bench, call, quantile};

const CLIENTS: usize = 2;
/// Every so many good files a bad one comes first.
const BAD_EVERY: usize = 10;

fn main() {
    let swaps = std::env::var("NOVA_BENCH_SWAPS").map_or(1000, |n| n.parse().unwrap());
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(run(swaps));
}

/// What the clients saw.
#[derive(Default)]
struct Seen {
    answers: AtomicU64,
    failed: AtomicU64,
    /// When the first decision of each revision came.
    first: Mutex<HashMap<u64, Instant>>,
}

async fn run(swaps: usize) {
    let home = tempfile::tempdir().unwrap();
    let file = install(home.path());
    let heft = std::fs::read(&file).unwrap();
    let bench = Bench::over(home, &["heft"]).await;
    let (runtime, settle_ms) = (&bench.runtime, RuntimeConfig::default().settle_ms);
    let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            tokio::spawn(ask(
                Arc::clone(runtime),
                Arc::clone(&seen),
                Arc::clone(&stop),
            ))
        })
        .collect();

    println!(
        "{swaps} swaps of heft ({} bytes), {CLIENTS} clients, settle time {settle_ms} ms",
        heft.len()
    );
    let operator = Operator {
        runtime,
        seen: &seen,
        file: &file,
        good: &heft,
    };
    let half = swaps.div_ceil(2);
    let anew: Vec<Vec<u8>> = (0..half).map(|n| another_build(&heft, n as u32)).collect();
    let (anew_ms, anew_load, bad) = operator.swap(&anew).await;
    print("compiled anew", &anew_ms, &anew_load);
    let pair = [&anew[half - 1], &heft];
    let cached: Vec<Vec<u8>> = (0..swaps - half)
        .map(|n| pair[(n + 1) % 2].clone())
        .collect();
    let (cached_ms, cached_load, bad_too) = operator.swap(&cached).await;
    print("artifact cached", &cached_ms, &cached_load);

    stop.store(true, Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let (answers, failed) = (seen.answers.load(Relaxed), seen.failed.load(Relaxed));
    println!(
        "{answers} requests, {failed} failed; {} good files, 0 lost; {} bad files refused",
        anew_ms.len() + cached_ms.len(),
        bad + bad_too
    );
    assert_eq!(failed, 0, "no request fails because of a swap");
    bench.end().await;
}

async fn ask(runtime: Arc<Runtime>, seen: Arc<Seen>, stop: Arc<AtomicBool>) {
    let problem = Arc::new(FlowProblem::new(vec![2.0; 10], vec![1.0, 2.0]));
    while !stop.load(Relaxed) {
        let call = call(None, Map::new());
        match runtime.optimize(call, Arc::clone(&problem)).await {
            Ok(decided) if decided.strategy.degraded.is_none() => {
                let mut first = seen.first.lock().unwrap();
                first
                    .entry(decided.strategy.revision)
                    .or_insert_with(Instant::now);
            }
            _ => _ = seen.failed.fetch_add(1, Relaxed),
        }
        seen.answers.fetch_add(1, Relaxed);
        // Load, but not so much of it that nothing else runs.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Who puts files in place.
struct Operator<'a> {
    runtime: &'a Runtime,
    seen: &'a Seen,
    file: &'a Path,
    good: &'a [u8],
}

impl Operator<'_> {
    /// Puts each build in place in turn. Milliseconds to the first decision, milliseconds of the load, and
    /// how many bad files were refused on the way.
    async fn swap(&self, builds: &[Vec<u8>]) -> (Vec<f64>, Vec<f64>, usize) {
        let (mut took_ms, mut load_ms, mut bad) = (Vec::new(), Vec::new(), 0);
        for (n, build) in builds.iter().enumerate() {
            if n % BAD_EVERY == BAD_EVERY - 1 {
                self.refuse(n).await;
                bad += 1;
            }
            let before = self.current().revision;
            self.put(build);
            let begun = Instant::now();
            let now = loop {
                let now = self.current();
                if now.revision != before {
                    break now;
                }
                assert!(
                    begun.elapsed() < Duration::from_secs(60),
                    "build {n} is lost"
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
            };
            let first = loop {
                let first = self.seen.first.lock().unwrap().get(&now.revision).copied();
                if let Some(first) = first {
                    break first;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            };
            took_ms.push((first - begun).as_secs_f64() * 1e3);
            load_ms.push(now.load_ms);
        }
        (took_ms, load_ms, bad)
    }

    /// Puts a bad file in place and waits until it is refused.
    async fn refuse(&self, n: usize) {
        let before = self.runtime.plugin("heft").unwrap().quarantine;
        match n / BAD_EVERY % 3 {
            0 => self.put(&[b"no component".as_slice(), &n.to_le_bytes()].concat()),
            1 => self.put(&self.good[..self.good.len() / 2 - n]),
            _ => self.put(&[]),
        }
        let begun = Instant::now();
        loop {
            let now = self.runtime.plugin("heft").unwrap().quarantine;
            if now.is_some() && now != before {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "never refused");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn current(&self) -> RevisionStatus {
        self.runtime.plugin("heft").unwrap().current.unwrap()
    }

    fn put(&self, bytes: &[u8]) {
        let part = self.file.with_extension("tmp");
        std::fs::write(&part, bytes).unwrap();
        std::fs::rename(&part, self.file).unwrap();
    }
}

fn print(what: &str, took_ms: &[f64], load_ms: &[f64]) {
    let of = |ms| (quantile(ms, 0.5), quantile(ms, 0.99));
    let (swap, load) = (of(took_ms), of(load_ms));
    println!(
        "{what:<16} {:>5} swaps: p50 {:>7.1} ms, p99 {:>7.1} ms; load (compile, link, probe): p50 {:>7.1} ms, \
         p99 {:>7.1} ms; swap ÷ load at p50 {:.2}",
        took_ms.len(),
        swap.0,
        swap.1,
        load.0,
        load.1,
        swap.0 / load.0
    );
}

/// Puts heft with its manifest into the folder's `plugins`. Where its component lies.
fn install(home: &Path) -> PathBuf {
    let heft = home.join("plugins/heft");
    std::fs::create_dir_all(&heft).unwrap();
    for name in ["heft.wasm", "plugin.toml"] {
        common::install(
            &common::root().join("target/plugins/heft").join(name),
            &heft.join(name),
        );
    }
    heft.join("heft.wasm")
}

/// The same component with another digest: a custom section is added.
fn another_build(component: &[u8], mark: u32) -> Vec<u8> {
    let name = b"build-mark";
    let content = mark.to_le_bytes();
    let mut out = component.to_vec();
    out.extend([0, (1 + name.len() + content.len()) as u8, name.len() as u8]);
    out.extend(name);
    out.extend(content);
    out
}
