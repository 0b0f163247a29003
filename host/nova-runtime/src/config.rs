//! What the runtime is told at its start.
//!
//! Plain values with documented defaults; where they come from (file, environment, flags) is
//! the daemon's business.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use nova_core::ports::runtime::PluginLimits;
use nova_core::services::GatePlan;
use nova_core::strategy::Kind;

use crate::breaker::BreakerConfig;
use crate::cache::CacheConfig;
use crate::shadow::ShadowConfig;
use crate::signature::Signers;

/// Limits of a plugin whose manifest sets none.
pub const DEFAULT_LIMITS: PluginLimits = PluginLimits {
    deadline_ms: 1000,
    wall_ms: 5000,
    memory_bytes: 256 << 20,
    table_elements: 20_000,
    stack_bytes: 512 << 10,
    hostcall_bytes: 16 << 20,
    input_bytes: 16 << 20,
    concurrency: 64,
    queue_ms: 1000,
    log_bytes: 16 << 10,
};

/// The most that a manifest may ask for. `stack_bytes` is one for the whole engine, see
/// [`RuntimeConfig::limits`].
pub const DEFAULT_CEILINGS: PluginLimits = PluginLimits {
    deadline_ms: 60_000,
    wall_ms: 120_000,
    memory_bytes: 1 << 30,
    table_elements: 200_000,
    stack_bytes: 512 << 10,
    hostcall_bytes: 128 << 20,
    input_bytes: 128 << 20,
    concurrency: 256,
    queue_ms: 60_000,
    log_bytes: 1 << 20,
};

/// The runtime's configuration.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Where plugins are put: `<dir>/<name>/plugin.toml` with its component, or `<dir>/<name>.wasm`.
    /// Made when it does not exist.
    pub plugin_dir: PathBuf,
    /// The daemon's private directory; compiled code is kept in `artifacts/` below it.
    pub data_dir: PathBuf,
    /// Which plugin serves a kind when nothing else is said.
    pub defaults: BTreeMap<Kind, String>,
    /// Limits of a plugin whose manifest sets none. `stack_bytes` holds for every plugin: it is a
    /// property of the engine.
    pub limits: PluginLimits,
    /// The most that a manifest may ask for.
    pub ceilings: PluginLimits,
    /// Instances alive at a time, of all plugins together.
    pub pool_instances: u32,
    /// Analytics processors alive at a time, of all plugins and domains together; part of
    /// `pool_instances`. Past it the least recently asked one is dropped, to be rebuilt when needed.
    pub processors: u32,
    /// Milliseconds between two looks at a running guest's clock; bounds how late a deadline is noticed.
    pub tick_ms: u64,
    /// A file is read once it has not changed for this long.
    pub settle_ms: u64,
    /// Milliseconds between two scans of the plugin directory, for what the kernel does not report.
    pub scan_interval_ms: u64,
    /// Largest component that is read, in bytes.
    pub max_file_bytes: u64,
    /// Whose signatures let a component serve; none = components need not be signed.
    pub signers: Signers,
    /// How a new revision is judged by recorded problems before it takes another's place; none = it is not.
    pub gate: Option<GatePlan>,
    /// A deleted plugin serves for this long, in case it is being replaced.
    pub retire_grace_ms: u64,
    /// How long a replaced revision may take to finish its calls before a warning is logged.
    pub drain_deadline_ms: u64,
    /// Replaced revisions kept per plugin, in memory and on disk.
    pub kept_revisions: usize,
    /// When a revision that fails is asked no more.
    pub breaker: BreakerConfig,
    /// A revision that took another's place within this time, and fails `breaker.failures` calls that the other
    /// then answers, is taken back. Zero: never.
    pub rollback_within: Duration,
    /// What shadows may take.
    pub shadow: ShadowConfig,
    /// What kept answers may take.
    pub cache: CacheConfig,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            plugin_dir: PathBuf::from("plugins"),
            data_dir: PathBuf::from("data"),
            defaults: BTreeMap::from([
                (Kind::FlowOptimizer, "nova-flow".to_owned()),
                (Kind::ResourceAllocator, "drf".to_owned()),
                (Kind::AnalyticsProcessor, "pulse".to_owned()),
            ]),
            limits: DEFAULT_LIMITS,
            ceilings: DEFAULT_CEILINGS,
            pool_instances: 256,
            processors: 64,
            tick_ms: 2,
            settle_ms: 50,
            scan_interval_ms: 1000,
            max_file_bytes: 64 << 20,
            signers: Signers::default(),
            gate: None,
            retire_grace_ms: 2000,
            drain_deadline_ms: 10_000,
            kept_revisions: 2,
            breaker: BreakerConfig::default(),
            rollback_within: Duration::from_secs(900),
            shadow: ShadowConfig::default(),
            cache: CacheConfig::default(),
        }
    }
}

/// Loads that run beside the calls, each with one instance in its probe.
pub(crate) const LOADS_AT_A_TIME: u32 = 2;
/// Instances that are set apart for shadows: one that is asked, and processors of domains that stay alive.
pub(crate) const SHADOW_INSTANCES: u32 = 1 + crate::contender::LIVES_MAX as u32;

impl RuntimeConfig {
    /// Where compiled code is kept.
    pub(crate) fn artifact_dir(&self) -> PathBuf {
        self.data_dir.join("artifacts")
    }

    /// Where good revisions are kept for a restart.
    pub(crate) fn revision_dir(&self) -> PathBuf {
        self.data_dir.join("revisions")
    }

    /// Instances left for calls once processors, probes and shadows have theirs.
    pub(crate) fn call_instances(&self) -> u32 {
        self.pool_instances
            .saturating_sub(self.processors + LOADS_AT_A_TIME + SHADOW_INSTANCES)
            .max(1)
    }

    pub(crate) fn settle(&self) -> Duration {
        Duration::from_millis(self.settle_ms)
    }
}
