//! Tests of the runtime as a whole, against guests written for them.

#![allow(clippy::unwrap_used)]

mod analytics;
mod aside;
mod cache;
mod corpus;
mod fallback;
mod hostile;
mod late;
mod refused;
mod rollback;
mod settings;
mod signatures;
mod staged;
mod swap;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nova_core::domain::Domain;
use nova_core::ports::runtime::{PluginLimits, Upload};
use nova_core::ports::{Call, Decided, PluginStatus, StrategyRuntime};
use nova_core::services::testing::MemoryDatastore;
use nova_core::strategy::allocation::{AllocationAnswer, AllocationProblem};
use nova_core::strategy::{CallError, Kind};
use serde_json::Map;
use tempfile::TempDir;
use tokio::sync::mpsc;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::{DEFAULT_LIMITS, PluginChange, Runtime, RuntimeConfig};

/// A component of the contract's `world`, from a core module's text.
fn component(world: &str, text: &str) -> Vec<u8> {
    component_of(&format!("include nova:strategy/{world}@0.1.0;"), text)
}

/// A component of a world with these `items`, from a core module's text.
fn component_of(items: &str, text: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/v0.1");
    resolve.push_path(wit).unwrap();
    let world = format!("package nova:guest; world guest {{ {items} }}");
    let package = resolve.push_str("guest.wit", &world).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = wat::parse_str(text).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .validate(true)
        .encode()
        .unwrap()
}

/// The allocator of `allocator.wat`, with some of its words replaced.
fn allocator_with(version: &str, words: &[(&str, &str)]) -> Vec<u8> {
    assert_eq!(version.len(), 5);
    let mut text = include_str!("allocator.wat").to_owned();
    let usual = [
        ("START", ""),
        ("DESCRIBE", ""),
        ("NAME_LENGTH", "5"),
        ("MEMORY", "4"),
        ("VERSION", version),
        ("SCHEMA_TEXT", "{}"),
        ("SCHEMA_LENGTH", "2"),
        ("SCHEMA_DEED", ""),
    ];
    for (word, by) in words.iter().chain(&usual) {
        text = text.replace(word, by);
    }
    component("resource-allocator", &text)
}

fn allocator(version: &str) -> Vec<u8> {
    allocator_with(version, &[])
}

fn processor(version: &str) -> Vec<u8> {
    processor_that(version, false)
}

/// A processor that may refuse the state of another revision's.
fn processor_that(version: &str, refuses: bool) -> Vec<u8> {
    assert_eq!(version.len(), 5);
    let text = include_str!("processor.wat").replace("VERSION", version);
    let refuses = if refuses { "1" } else { "0" };
    // As components were before the contract had `settings`.
    let items = "export nova:strategy/metadata@0.1.0; export nova:strategy/analytics@0.1.0;";
    component_of(items, &text.replace("REFUSES", refuses))
}

/// A plugin directory of its own, and a runtime over it.
struct Bench {
    dir: TempDir,
    datastore: Arc<MemoryDatastore>,
}

impl Bench {
    fn new() -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
            datastore: Arc::default(),
        };
        fs::create_dir(bench.plugins()).unwrap();
        bench
    }

    fn plugins(&self) -> PathBuf {
        self.dir.path().join("plugins")
    }

    /// Puts a file into the plugin directory at once, by renaming.
    fn put(&self, path: &str, bytes: &[u8]) {
        let target = self.plugins().join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let aside = self.dir.path().join("aside");
        fs::write(&aside, bytes).unwrap();
        fs::rename(aside, target).unwrap();
    }

    fn config(&self) -> RuntimeConfig {
        RuntimeConfig {
            plugin_dir: self.plugins(),
            data_dir: self.dir.path().join("data"),
            defaults: BTreeMap::from([
                (Kind::ResourceAllocator, "guest".to_owned()),
                (Kind::AnalyticsProcessor, "counter".to_owned()),
            ]),
            limits: PluginLimits {
                deadline_ms: 100,
                memory_bytes: 64 << 20,
                table_elements: 10_000,
                queue_ms: 10_000,
                wall_ms: 30_000,
                ..DEFAULT_LIMITS
            },
            pool_instances: 32,
            processors: 4,
            settle_ms: 30,
            scan_interval_ms: 100,
            retire_grace_ms: 300,
            ..RuntimeConfig::default()
        }
    }

    fn start(&self) -> Arc<Runtime> {
        self.start_with(self.config())
    }

    fn start_with(&self, config: RuntimeConfig) -> Arc<Runtime> {
        Runtime::start(config, self.datastore.clone()).unwrap()
    }
}

fn unsigned(component: Vec<u8>) -> Upload {
    Upload {
        stage: false,
        component,
        signature: None,
    }
}

fn call() -> Call {
    Call {
        domain: Domain::default(),
        strategy: None,
        fallback: true,
        subject: None,
        parameters: Map::new(),
        about: Arc::default(),
    }
}

/// One claim to one resource; the seed tells the guest what to do.
fn problem(seed: u64) -> AllocationProblem {
    AllocationProblem {
        capacity: vec![10.0],
        in_use: vec![4.0],
        cost_per_unit: vec![1.0],
        weight: vec![1.0],
        priority: vec![1],
        bundles: vec![0],
        claim_max_cost: vec![f64::INFINITY],
        demand_claim: vec![0],
        demand_resource: vec![0],
        requested: vec![5.0],
        min: vec![0.0],
        max: vec![f64::INFINITY],
        max_cost: f64::INFINITY,
        seed,
        parameters: Map::new(),
    }
}

async fn allocate(runtime: &Runtime, seed: u64) -> Result<Decided<AllocationAnswer>, CallError> {
    runtime.allocate(call(), Arc::new(problem(seed))).await
}

/// Waits until a plugin's status is as wanted.
async fn until(
    runtime: &Runtime,
    plugin: &str,
    what: &str,
    wanted: impl Fn(&PluginStatus) -> bool,
) -> PluginStatus {
    let began = Instant::now();
    loop {
        let status = runtime.plugin(plugin);
        match status {
            Some(status) if wanted(&status) => return status,
            status => assert!(
                began.elapsed() < Duration::from_secs(60),
                "{plugin}: never {what}: {status:#?}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until this version serves.
async fn until_serves(runtime: &Runtime, plugin: &str, version: &str) -> PluginStatus {
    until(runtime, plugin, version, |p| {
        p.current.as_ref().is_some_and(|c| c.version == version)
    })
    .await
}

/// Waits until this revision is on disk.
async fn until_kept(bench: &Bench, revision: u64) {
    let index = bench.dir.path().join("data/revisions/guest/index.json");
    let wanted = format!("\"revision\":{revision},");
    let began = Instant::now();
    while !fs::read_to_string(&index).is_ok_and(|text| text.contains(&wanted)) {
        assert!(began.elapsed() < Duration::from_secs(60), "never kept");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What happens to plugins from now on; what an order did is there when it is answered.
fn follow(runtime: &Runtime) -> mpsc::UnboundedReceiver<PluginChange> {
    let mut changes = runtime.changes();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = changes.next().await {
            if tell.send(event.change).is_err() {
                break;
            }
        }
    });
    told
}
