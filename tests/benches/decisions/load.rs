//! Calls that are timed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nova_core::ports::StrategyRuntime;
use nova_core::strategy::flow::FlowProblem;
use nova_runtime::Runtime;
use serde_json::{Map, Value};

use crate::common::call;

/// A flow of so many tasks in layers of five, each after one of the layer before.
pub(crate) fn problem(tasks: usize) -> FlowProblem {
    let work = (0..tasks).map(|t| 1.0 + (t % 7) as f64).collect();
    let mut problem = FlowProblem::new(work, vec![1.0, 2.0, 1.5, 1.0]);
    for task in 5..tasks as u32 {
        problem.dependencies.from.push(task - 5);
        problem.dependencies.to.push(task);
        problem.dependencies.data_bytes.push(0.0);
    }
    problem
}

/// So many calls by each of so many clients, each call after such a pause; microseconds of each call.
pub(crate) async fn ask(
    runtime: &Arc<Runtime>,
    problem: &Arc<FlowProblem>,
    parameters: &Map<String, Value>,
    load: Load,
) -> Vec<f64> {
    let clients = (0..load.clients).map(|_| {
        let (runtime, problem) = (Arc::clone(runtime), Arc::clone(problem));
        let parameters = parameters.clone();
        tokio::spawn(async move {
            let mut took_us = Vec::with_capacity(load.calls);
            for _ in 0..load.calls {
                if !load.pause.is_zero() {
                    tokio::time::sleep(load.pause).await;
                }
                let call = call(None, parameters.clone());
                let began = Instant::now();
                let decided = runtime.optimize(call, Arc::clone(&problem)).await.unwrap();
                took_us.push(began.elapsed().as_secs_f64() * 1e6);
                assert_eq!(decided.strategy.plugin, "heft");
                assert_eq!(decided.strategy.degraded, None);
            }
            took_us
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.await.unwrap());
    }
    all
}

/// How calls are made.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) calls: usize,
    pub(crate) pause: Duration,
}
