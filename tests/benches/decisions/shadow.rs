//! Decisions without and with a shadow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nova_core::Timestamp;
use nova_core::ports::StrategyRuntime;
use nova_core::strategy::Kind;
use nova_core::strategy::route::KindRoute;
use nova_core::strategy::shadow::{Shadow, ShadowReport};
use serde_json::{Map, Value, json};

use crate::common::{Bench, quantile};
use crate::load::{Load, ask, problem};

/// What a shadow may raise the p50 and the p99 of decisions by.
///
/// The p99 may rise by the time of one comparison, a long one, where that is more: with every core taken, whoever
/// meets the one comparison that runs at a time waits while it has the core.
const RATIO_MAX: f64 = 1.25;
const KIND: Kind = Kind::FlowOptimizer;

pub(crate) async fn run(rounds: usize) {
    let bench = Bench::of(&[
        ("heft", "target/plugins/heft/heft.wasm"),
        ("peft", "target/plugins/peft/peft.wasm"),
        ("hostile", "target/fixtures/fixture-misbehaver.wasm"),
    ])
    .await;
    let paced = Load {
        clients: 4,
        calls: 500,
        pause: Duration::from_millis(1),
    };
    let saturated = Load {
        clients: 2,
        calls: 2000,
        pause: Duration::ZERO,
    };
    println!(
        "{rounds} rounds each, half of the calls with a shadow of all of them; bound: {RATIO_MAX} times, or p99 + one comparison"
    );
    let looping = json!({"misbehave": "loop"});
    let looping = looping.as_object().cloned().unwrap();
    let mut kept = true;
    for (what, candidate, parameters, tasks, load) in [
        ("paced, 50 tasks", "peft", Map::new(), 50, paced),
        ("paced, 500 tasks", "peft", Map::new(), 500, paced),
        ("saturated, 50 tasks", "peft", Map::new(), 50, saturated),
        (
            "paced, 50 tasks, candidate loops",
            "hostile",
            looping,
            50,
            paced,
        ),
    ] {
        kept &= part(&bench, what, candidate, &parameters, tasks, load, rounds).await;
    }
    println!(
        "the bound {}",
        if kept {
            "is kept by each"
        } else {
            "is NOT kept"
        }
    );
    bench.end().await;
}

/// One line: the same load without and with a shadow, in turns.
async fn part(
    bench: &Bench,
    what: &str,
    candidate: &str,
    parameters: &Map<String, Value>,
    tasks: usize,
    load: Load,
    rounds: usize,
) -> bool {
    let (runtime, problem) = (&bench.runtime, Arc::new(problem(tasks)));
    ask(runtime, &problem, parameters, load).await;
    let (mut p50, mut p99) = (Sides::default(), Sides::default());
    let (mut compared, mut dropped, mut cpu_us, mut lasted) = (0, 0, 0.0, Duration::ZERO);
    let mut longest_us = Vec::new();
    let worked_before_us = worked_us();
    for round in 0..rounds {
        // Who comes second finds another machine: they take turns.
        for with in [round % 2 == 1, round % 2 == 0] {
            set(bench, with.then_some(candidate));
            let began = Instant::now();
            let took_us = ask(runtime, &problem, parameters, load).await;
            p50.add(with, quantile(&took_us, 0.5));
            p99.add(with, quantile(&took_us, 0.99));
            if let Some(report) = runtime.shadow(KIND) {
                lasted += began.elapsed();
                let ShadowReport {
                    comparison, copies, ..
                } = report;
                compared += comparison.decisions;
                dropped += copies.dropped();
                cpu_us += comparison.candidate.cpu_us.mean * comparison.decisions as f64;
                longest_us.push(comparison.candidate.cpu_us.p99);
            }
            set(bench, None);
        }
    }
    let (ratio50, ratio99) = (p50.ratio(), p99.ratio());
    // With all that belongs to it: the problem's copy, the check, the counting.
    let whole = (worked_us() - worked_before_us) / cpu_us.max(1.0);
    let comparison_us = whole.max(1.0) * quantile(&longest_us, 0.5);
    println!(
        "{what:<34} p50 {:>6.0} → {:>6.0} µs, ratio {ratio50:.2}; p99 {:>6.0} → {:>6.0} µs, ratio {ratio99:.2}; \
         {compared} compared in {comparison_us:.0} µs at p99, {dropped} dropped, {:.3} of a processor",
        p50.without(),
        p50.with(),
        p99.without(),
        p99.with(),
        cpu_us / 1e6 / lasted.as_secs_f64(),
    );
    ratio50 <= RATIO_MAX && (ratio99 <= RATIO_MAX || p99.with() <= p99.without() + comparison_us)
}

/// The processor time of the shadows' thread so far.
fn worked_us() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let times = tasks.filter_map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let times = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        let ran_ns: f64 = times.split(' ').next()?.parse().ok()?;
        (name.trim() == "nova-shadow").then_some(ran_ns / 1e3)
    });
    times.sum()
}

fn set(bench: &Bench, candidate: Option<&str>) {
    let shadow = candidate.map(|plugin| Shadow {
        plugin: plugin.to_owned(),
        revision: None,
        percent: 100.0,
        max_duration_s: 3600.0,
        decisions_max: None,
        started_at: Timestamp::from_millis(0),
    });
    let route = KindRoute {
        shadow,
        ..KindRoute::default()
    };
    bench.runtime.set_routes([(KIND, route)].into());
}

/// A figure of each round, without and with.
#[derive(Default)]
struct Sides {
    without: Vec<f64>,
    with: Vec<f64>,
}

impl Sides {
    fn add(&mut self, with: bool, value: f64) {
        if with {
            self.with.push(value);
        } else {
            self.without.push(value);
        }
    }

    fn without(&self) -> f64 {
        quantile(&self.without, 0.5)
    }

    fn with(&self) -> f64 {
        quantile(&self.with, 0.5)
    }

    fn ratio(&self) -> f64 {
        self.with() / self.without()
    }
}
