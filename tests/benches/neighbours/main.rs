//! A healthy plugin beside a hostile one: what its decisions take alone, and while another plugin runs endless
//! loops to their deadlines at full concurrency.
//!
//! `cargo xtask bench neighbours`; `NOVA_BENCH_ROUNDS` sets how often the two are measured in turn. The bound:
//! a guest that runs for longer than a tick gives its processor up, and there are no more such guests in line
//! than threads. So a short decision waits for at most a tick until a thread is free, and where it runs for
//! longer itself it gets at least every second turn: p99 beside ≤ 2 × p99 alone + one tick.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nova_core::Domain;
use nova_core::ports::{Call, Datastore, StrategyRuntime};
use nova_core::strategy::Kind;
use nova_core::strategy::flow::FlowProblem;
use nova_runtime::{Runtime, RuntimeConfig};
use nova_store::{SqliteConfig, SqliteDatastore};
use serde_json::{Map, Value};

/// Decisions of each measurement.
const DECISIONS: usize = 1000;
/// Problems by their number of tasks: one is decided within a tick, the other takes some.
const TASKS: [usize; 2] = [20, 400];

fn main() {
    let rounds = std::env::var("NOVA_BENCH_ROUNDS").map_or(3, |n| n.parse().unwrap());
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(run(rounds));
}

async fn run(rounds: usize) {
    let home = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let plugins = home.path().join("plugins");
    std::fs::create_dir_all(&plugins).unwrap();
    for (from, name) in [
        ("target/plugins/heft/heft.wasm", "heft"),
        ("target/fixtures/fixture-misbehaver.wasm", "hostile"),
    ] {
        std::fs::copy(root.join(from), plugins.join(format!("{name}.wasm")))
            .expect("run `cargo xtask plugins` first");
    }
    let store: Arc<dyn Datastore> = Arc::new(
        SqliteDatastore::open(SqliteConfig {
            path: home.path().join("nova.db"),
            readers: 2,
            queue_len: 64,
            batch_max: 64,
            retry: nova_core::Backoff::default(),
            analyzer: None,
        })
        .unwrap(),
    );
    let config = RuntimeConfig {
        plugin_dir: plugins,
        defaults: [(Kind::FlowOptimizer, "heft".to_owned())].into(),
        data_dir: home.path().join("data"),
        ..RuntimeConfig::default()
    };
    let (tick_ms, limits) = (config.tick_ms as f64, config.limits);
    let runtime = Runtime::start(config, Arc::clone(&store)).unwrap();
    for name in ["heft", "hostile"] {
        while runtime.plugin(name).is_none_or(|p| p.current.is_none()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let threads = tokio::runtime::Handle::current().metrics().num_workers();
    println!(
        "{threads} threads, tick {tick_ms} ms; beside: {} endless loops at a time, deadline {} ms, wall {} ms",
        limits.concurrency, limits.deadline_ms, limits.wall_ms
    );
    for tasks in TASKS {
        let problem = Arc::new(FlowProblem::new(vec![2.0; tasks], vec![1.0, 2.0, 3.0]));
        measure(&runtime, &problem, 50).await;
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        let mut killed = 0;
        for _ in 0..rounds {
            alone.extend(measure(&runtime, &problem, DECISIONS).await);
            let hostile = Hostile::start(&runtime, limits.concurrency);
            // Until all of them run for longer than a tick.
            tokio::time::sleep(Duration::from_millis(200)).await;
            beside.extend(measure(&runtime, &problem, DECISIONS).await);
            killed += hostile.stop().await;
        }
        print(tasks, &alone, &beside, tick_ms, killed);
    }
    runtime.shutdown().await;
    store.close().await.unwrap();
}

/// Milliseconds of so many decisions, one after the other.
async fn measure(runtime: &Arc<Runtime>, problem: &Arc<FlowProblem>, decisions: usize) -> Vec<f64> {
    let (runtime, problem) = (Arc::clone(runtime), Arc::clone(problem));
    // On a worker thread, as requests are.
    let asked = tokio::spawn(async move {
        let mut took_ms = Vec::with_capacity(decisions);
        for _ in 0..decisions {
            let began = Instant::now();
            let decided = runtime.optimize(call("heft", Map::new()), Arc::clone(&problem));
            decided.await.expect("a healthy plugin answers");
            took_ms.push(began.elapsed().as_secs_f64() * 1e3);
            // Requests come from outside: each begins behind what is in line.
            tokio::task::yield_now().await;
        }
        took_ms
    });
    asked.await.unwrap()
}

struct Hostile {
    stop: Arc<AtomicBool>,
    killed: Arc<AtomicU64>,
    calls: Vec<tokio::task::JoinHandle<()>>,
}

impl Hostile {
    fn start(runtime: &Arc<Runtime>, concurrency: u32) -> Self {
        let (stop, killed) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let calls = (0..concurrency).map(|_| {
            let (runtime, stop, killed) = (Arc::clone(runtime), stop.clone(), killed.clone());
            tokio::spawn(async move {
                let problem = Arc::new(FlowProblem::new(vec![1.0; 3], vec![1.0]));
                while !stop.load(Relaxed) {
                    let parameters = Map::from_iter([("misbehave".into(), Value::from("loop"))]);
                    let answer =
                        runtime.optimize(call("hostile", parameters), Arc::clone(&problem));
                    answer.await.expect_err("it never ends by itself");
                    killed.fetch_add(1, Relaxed);
                }
            })
        });
        Self {
            calls: calls.collect(),
            stop,
            killed,
        }
    }

    /// Waits for its last call; gives how many were killed.
    async fn stop(self) -> u64 {
        self.stop.store(true, Relaxed);
        for call in self.calls {
            call.await.unwrap();
        }
        self.killed.load(Relaxed)
    }
}

fn call(strategy: &str, parameters: Map<String, Value>) -> Call {
    Call {
        domain: Domain::default(),
        strategy: Some(strategy.to_owned()),
        fallback: false,
        subject: None,
        parameters,
        about: Arc::default(),
    }
}

fn print(tasks: usize, alone: &[f64], beside: &[f64], tick_ms: f64, killed: u64) {
    let (alone, beside) = (quantiles(alone), quantiles(beside));
    let bound = 2.0 * alone.1 + tick_ms;
    let verdict = if beside.1 <= bound {
        "held"
    } else {
        "NOT HELD"
    };
    println!(
        "{tasks:>4} tasks: alone p50 {:.2} ms, p99 {:.2} ms; beside p50 {:.2} ms, p99 {:.2} ms (ratio {:.2}); bound 2 × alone + \
         one tick = {bound:.2} ms: {verdict}; {killed} loops killed",
        alone.0,
        alone.1,
        beside.0,
        beside.1,
        beside.1 / alone.1
    );
}

fn quantiles(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |q: f64| {
        let rank = (q * sorted.len() as f64).ceil() as usize;
        sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or(f64::NAN)
    };
    (at(0.5), at(0.99))
}
