//! A healthy plugin beside a hostile one: what its decisions take alone, and while another plugin runs endless
//! loops to their deadlines at full concurrency.
//!
//! `cargo xtask bench neighbours`; `NOVA_BENCH_ROUNDS` sets how often the two are measured in turn. The bound:
//! a guest that runs for longer than a tick gives its processor up, and there are no more such guests in line
//! than threads. So a short decision waits for at most a tick until a thread is free, and where it runs for
//! longer itself it gets at least every second turn: p99 beside ≤ 2 × p99 alone + one tick.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

#[path = "../common/mod.rs"]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nova_core::ports::StrategyRuntime;
use nova_core::strategy::flow::FlowProblem;
use nova_runtime::{Runtime, RuntimeConfig};
use serde_json::{Map, Value};

use common::{Bench, call, quantile};

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
    let bench = Bench::of(&[
        ("heft", "target/plugins/heft/heft.wasm"),
        ("hostile", "target/fixtures/fixture-misbehaver.wasm"),
    ])
    .await;
    let (runtime, config) = (&bench.runtime, RuntimeConfig::default());
    let (tick_ms, limits) = (config.tick_ms as f64, config.limits);
    let threads = tokio::runtime::Handle::current().metrics().num_workers();
    println!(
        "{threads} threads, tick {tick_ms} ms; beside: {} endless loops at a time, deadline {} ms, wall {} ms",
        limits.concurrency, limits.deadline_ms, limits.wall_ms
    );
    for tasks in TASKS {
        let problem = Arc::new(FlowProblem::new(vec![2.0; tasks], vec![1.0, 2.0, 3.0]));
        measure(runtime, &problem, 50).await;
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        let mut killed = 0;
        for _ in 0..rounds {
            alone.extend(measure(runtime, &problem, DECISIONS).await);
            let hostile = Hostile::start(runtime, limits.concurrency);
            // Until all of them run for longer than a tick.
            tokio::time::sleep(Duration::from_millis(200)).await;
            beside.extend(measure(runtime, &problem, DECISIONS).await);
            killed += hostile.stop().await;
        }
        print(tasks, &alone, &beside, tick_ms, killed);
    }
    bench.end().await;
}

/// Milliseconds of so many decisions, one after the other.
async fn measure(runtime: &Arc<Runtime>, problem: &Arc<FlowProblem>, decisions: usize) -> Vec<f64> {
    let (runtime, problem) = (Arc::clone(runtime), Arc::clone(problem));
    // On a worker thread, as requests are.
    let asked = tokio::spawn(async move {
        let mut took_ms = Vec::with_capacity(decisions);
        for _ in 0..decisions {
            let began = Instant::now();
            let decided = runtime.optimize(call(Some("heft"), Map::new()), Arc::clone(&problem));
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
                        runtime.optimize(call(Some("hostile"), parameters), Arc::clone(&problem));
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

fn print(tasks: usize, alone: &[f64], beside: &[f64], tick_ms: f64, killed: u64) {
    let of = |took_ms| (quantile(took_ms, 0.5), quantile(took_ms, 0.99));
    let (alone, beside) = (of(alone), of(beside));
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
