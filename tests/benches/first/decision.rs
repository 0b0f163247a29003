//! Decision time of `heft` through the runtime against the same code called natively.

use std::sync::Arc;
use std::time::Instant;

use nova_core::ports::StrategyRuntime;
use serde_json::Map;

use crate::common::call;
use crate::problem::{for_guest, layered};

/// Prints the table for 10, 100 and 1000 tasks.
pub(crate) async fn run(runtime: &dyn StrategyRuntime) {
    println!("decision time of heft, 8 agents, median of many (µs)");
    println!(
        "{:>6} {:>10} {:>10} {:>10} {:>8}",
        "tasks", "native", "runtime", "difference", "ratio"
    );
    for tasks in [10, 100, 1000] {
        let problem = Arc::new(layered(tasks));
        let guest = for_guest(&problem);
        let rounds = 200_000 / tasks.max(50);
        let native = median(rounds, || {
            let begun = Instant::now();
            let plan = heft::optimize(std::hint::black_box(&guest));
            assert!(
                std::hint::black_box(plan).is_ok(),
                "heft solves the problem"
            );
            begun.elapsed().as_secs_f64() * 1e6
        });
        let mut times = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let call = call(Some("heft"), Map::new());
            let begun = Instant::now();
            let decided = runtime.optimize(call, Arc::clone(&problem)).await;
            times.push(begun.elapsed().as_secs_f64() * 1e6);
            decided.expect("heft solves the problem");
        }
        let sandboxed = middle(times);
        println!(
            "{tasks:>6} {native:>10.1} {sandboxed:>10.1} {:>10.1} {:>8.2}",
            sandboxed - native,
            sandboxed / native
        );
    }
}

fn median(rounds: usize, once: impl FnMut() -> f64) -> f64 {
    middle(std::iter::repeat_with(once).take(rounds).collect())
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
