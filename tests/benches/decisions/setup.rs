//! A runtime over heft and what stands beside it, and calls that are timed.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nova_core::Domain;
use nova_core::ports::{Call, Datastore, StrategyRuntime};
use nova_core::strategy::Kind;
use nova_core::strategy::flow::FlowProblem;
use nova_runtime::{Runtime, RuntimeConfig};
use nova_store::{SqliteConfig, SqliteDatastore};
use serde_json::{Map, Value};

/// A running bench; its folder goes with it.
pub(crate) struct Bench {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) store: Arc<dyn Datastore>,
    _home: tempfile::TempDir,
}

/// heft by default, and further components by the name that they get.
pub(crate) async fn start(others: &[(&str, &Path)]) -> Bench {
    let home = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let plugins = home.path().join("plugins");
    std::fs::create_dir_all(&plugins).unwrap();
    let heft = root.join("target/plugins/heft/heft.wasm");
    for (name, from) in others.iter().copied().chain([("heft", heft.as_path())]) {
        let to = plugins.join(format!("{name}.wasm"));
        std::fs::copy(root.join(from), to).expect("run `cargo xtask plugins` first");
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
    let runtime = Runtime::start(config, Arc::clone(&store)).unwrap();
    for name in others.iter().map(|(name, _)| *name).chain(["heft"]) {
        while runtime.plugin(name).is_none_or(|p| p.current.is_none()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Bench {
        runtime,
        store,
        _home: home,
    }
}

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
                let call = Call {
                    domain: Domain::default(),
                    strategy: None,
                    fallback: true,
                    subject: None,
                    parameters: parameters.clone(),
                    about: Arc::default(),
                };
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

/// The value that a part `q` of all does not exceed.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}
