//! What several benchmarks need: a datastore, a runtime that serves, a call, quantiles.
#![allow(dead_code, unused_imports, reason = "each benchmark uses its part")]

mod quantile;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nova_core::Domain;
use nova_core::ports::{Call, Datastore, StrategyRuntime};
use nova_core::strategy::Kind;
use nova_runtime::{Runtime, RuntimeConfig};
use nova_store::{SqliteConfig, SqliteDatastore};
use serde_json::{Map, Value};
use tempfile::TempDir;

pub(crate) use quantile::quantile;

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A datastore in this file.
pub(crate) fn open(path: &Path) -> Arc<dyn Datastore> {
    let config = SqliteConfig {
        path: path.to_owned(),
        readers: 4,
        queue_len: 4096,
        batch_max: 512,
        retry: nova_core::Backoff::default(),
        analyzer: None,
    };
    Arc::new(SqliteDatastore::open(config).unwrap())
}

/// A runtime that serves, heft by default.
pub(crate) struct Bench {
    pub(crate) runtime: Arc<Runtime>,
    store: Arc<dyn Datastore>,
    home: TempDir,
}

impl Bench {
    /// Over lone components, each under the name that it gets.
    pub(crate) async fn of(components: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let plugins = home.path().join("plugins");
        std::fs::create_dir_all(&plugins).unwrap();
        for (name, from) in components {
            install(&root().join(from), &plugins.join(format!("{name}.wasm")));
        }
        let names: Vec<_> = components.iter().map(|(name, _)| *name).collect();
        Self::over(home, &names).await
    }

    /// Over what lies in the folder's `plugins`; these serve when it is there.
    pub(crate) async fn over(home: TempDir, names: &[&str]) -> Self {
        let config = RuntimeConfig {
            plugin_dir: home.path().join("plugins"),
            defaults: [(Kind::FlowOptimizer, "heft".to_owned())].into(),
            data_dir: home.path().join("data"),
            ..RuntimeConfig::default()
        };
        let store = open(&home.path().join("nova.db"));
        let runtime = Runtime::start(config, Arc::clone(&store)).unwrap();
        for name in names {
            while runtime.plugin(name).is_none_or(|p| p.current.is_none()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Self {
            runtime,
            store,
            home,
        }
    }

    /// Ends it, and its folder with it.
    pub(crate) async fn end(self) {
        self.runtime.shutdown().await;
        self.store.close().await.unwrap();
        drop(self.home);
    }
}

/// Puts what was built where a plugin belongs.
pub(crate) fn install(from: &Path, to: &Path) {
    std::fs::copy(from, to).expect("run `cargo xtask plugins` first");
}

/// A call of this strategy and no other; none = of the default, which may fall back.
pub(crate) fn call(strategy: Option<&str>, parameters: Map<String, Value>) -> Call {
    Call {
        domain: Domain::default(),
        strategy: strategy.map(str::to_owned),
        fallback: strategy.is_none(),
        subject: None,
        parameters,
        about: Arc::default(),
    }
}
