//! Makes the parts and joins them: each crate gets the small configuration it asks for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nova_core::ports::runtime::PluginLimits;
use nova_core::ports::{Datastore, DecisionJournal};
use nova_core::services::{GatePlan, LeaseConfig, ReplayPorts, ServiceConfig, Services};
use nova_core::strategy::Kind;
use nova_core::strategy::compare::GatePolicy;
use nova_core::{Communication, SystemClock};
use nova_runtime::{BreakerConfig, CacheConfig, Runtime, RuntimeConfig, ShadowConfig};
use nova_store::{JournalConfig, SqliteConfig, SqliteDatastore, SqliteJournal};
use tokio::task::JoinHandle;

use crate::alerts;
use crate::config::{self, Config};
use crate::datadir::DataDir;
use crate::keys;
use crate::memory;
use crate::plugin_events;

/// The datastore's file in the data directory.
pub(crate) const DATABASE: &str = "nova.db";

/// The running parts below the API.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Datastore>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) services: Services,
    /// None: decisions are not recorded.
    journal: Option<Arc<SqliteJournal>>,
    /// Records what happens to plugins.
    recorder: JoinHandle<()>,
}

impl Parts {
    /// Opens the datastore and begins to load the plugins.
    pub(crate) async fn start(config: &Config, data: &DataDir) -> Result<Self> {
        let store = open_datastore(config, data)?;
        let journal = journal(&config.journal, data)?;
        let recorded = journal.clone().map(|j| j as Arc<dyn DecisionJournal>);
        let runtime = runtime_config(config, data.path())?;
        let runtime = Runtime::start_with_journal(runtime, Arc::clone(&store), recorded)
            .context("cannot start the strategy runtime")?;
        let changes = runtime.changes();
        let services = Services::with_memory(
            Arc::clone(&store),
            runtime.clone(),
            Arc::new(SystemClock),
            memory::parts(&config.memory)?,
            service_config(config, data.pepper()?),
        );
        let services = match &journal {
            Some(journal) => services
                .with_journal(journal.clone())
                .with_replays(ReplayPorts {
                    journal: journal.clone(),
                    contests: runtime.clone(),
                    parallel: config.replay.parallel as usize,
                }),
            None => services,
        };
        services.keys.load().await?;
        services.strategies.load().await?;
        let events = Arc::clone(&services.events);
        let recorder = tokio::spawn(async move { plugin_events::record(&events, changes).await });
        Ok(Self {
            store,
            runtime,
            services,
            journal,
            recorder,
        })
    }

    /// Takes back, again and again, what allocations hold past their time.
    pub(crate) async fn expire_allocations(services: Services, every: Duration) {
        let mut tick = tokio::time::interval(every);
        loop {
            tick.tick().await;
            if let Err(error) = services.resources.expire().await {
                tracing::warn!(%error, "allocations past their time could not be taken back");
            }
        }
    }

    /// Ends, again and again, leases whose time is over, and notes deadlines that have passed.
    pub(crate) async fn sweep_leases(services: Services, every: Duration) {
        let mut tick = tokio::time::interval(every);
        loop {
            tick.tick().await;
            match services.leases.sweep().await {
                Ok(done) => {
                    metrics::counter!("nova_leases_expired_total").increment(done.expired);
                    metrics::counter!("nova_task_deadlines_missed_total").increment(done.missed);
                }
                Err(error) => tracing::warn!(%error, "leases past their time could not be ended"),
            }
            if let Ok(active) = services.leases.active().await {
                metrics::gauge!("nova_leases_active").set(active as f64);
            }
        }
    }

    /// Promotes and aborts, again and again, the canaries that have a verdict, and ends shadows that are over.
    pub(crate) async fn tend_canaries(services: Services, every: Duration) {
        let mut tick = tokio::time::interval(every);
        loop {
            tick.tick().await;
            if let Err(error) = services.strategies.tend().await {
                tracing::warn!(%error, "a canary's verdict could not be written");
            }
            if let Err(error) = services.strategies.tend_shadows().await {
                tracing::warn!(%error, "the end of a shadow could not be written");
            }
        }
    }

    /// Ends the parts in the order in which they depend on each other.
    pub(crate) async fn close(self) -> Result<()> {
        self.runtime.shutdown().await;
        self.recorder.abort();
        if let Some(journal) = &self.journal {
            journal
                .close()
                .await
                .context("the decision journal did not close cleanly")?;
        }
        self.store
            .close()
            .await
            .context("the datastore did not close cleanly")
    }
}

/// The datastore of a data directory.
pub(crate) fn open_datastore(config: &Config, data: &DataDir) -> Result<Arc<dyn Datastore>> {
    let store = SqliteDatastore::open(SqliteConfig {
        path: data.path().join(DATABASE),
        readers: config.data.readers as usize,
        queue_len: config.data.queue_len as usize,
        batch_max: config.data.batch_max as usize,
        retry: alerts::backoff(&config.retry),
        analyzer: Some(memory::analyzer(&config.memory)?),
    })
    .context("cannot open the datastore")?;
    Ok(Arc::new(store))
}

/// The file of the decision journal in the data directory.
pub(crate) const JOURNAL_FILE: &str = "decisions.db";

/// The decision journal, where it is wanted.
fn journal(config: &config::Journal, data: &DataDir) -> Result<Option<Arc<SqliteJournal>>> {
    if !config.enabled {
        return Ok(None);
    }
    let journal = SqliteJournal::open(JournalConfig {
        path: data.path().join(JOURNAL_FILE),
        max_age: Duration::from_secs_f64(config.max_age_s),
        max_bytes: config.max_bytes,
        queue_bytes: config.queue_bytes,
        flush: Duration::from_millis(config.flush_ms),
        wait: Duration::from_millis(config.wait_ms),
    });
    Ok(Some(Arc::new(
        journal.context("cannot open the decision journal")?,
    )))
}

/// What the runtime needs of the configuration.
pub(crate) fn runtime_config(config: &Config, data: &Path) -> Result<RuntimeConfig> {
    let plugins = &config.plugins;
    Ok(RuntimeConfig {
        plugin_dir: plugins.dir.clone(),
        data_dir: data.to_owned(),
        defaults: BTreeMap::from([
            (
                Kind::FlowOptimizer,
                config.strategies.flow_optimizer.clone(),
            ),
            (
                Kind::ResourceAllocator,
                config.strategies.resource_allocator.clone(),
            ),
            (
                Kind::AnalyticsProcessor,
                config.strategies.analytics_processor.clone(),
            ),
        ]),
        limits: limits(config),
        pool_instances: plugins.instances_max,
        processors: plugins.processors_max,
        tick_ms: plugins.tick_ms,
        settle_ms: plugins.settle_ms,
        scan_interval_ms: plugins.scan_interval_ms,
        max_file_bytes: plugins.max_file_bytes,
        retire_grace_ms: plugins.retire_grace_ms,
        drain_deadline_ms: plugins.drain_deadline_ms,
        kept_revisions: plugins.kept_revisions as usize,
        breaker: BreakerConfig {
            window: plugins.breaker.window,
            failures: plugins.breaker.failures,
            open_ms: plugins.breaker.open_ms,
            trials: plugins.breaker.trials,
        },
        rollback_within: Duration::from_secs_f64(plugins.breaker.rollback_within_s),
        signers: config.signers()?,
        cache: CacheConfig {
            max_bytes: config.cache.max_bytes,
            entries_max: config.cache.entries_max,
            ttl_max: Duration::from_secs_f64(config.cache.ttl_max_s),
        },
        shadow: ShadowConfig {
            queue_len: config.shadow.queue_len as usize,
            queue_bytes: usize::try_from(config.shadow.queue_bytes).unwrap_or(usize::MAX),
            cpu_share: config.shadow.cpu_share,
            deadline: Duration::from_millis(config.shadow.deadline_ms),
        },
        gate: gate(&plugins.gate),
        ..RuntimeConfig::default()
    })
}

fn gate(config: &config::Gate) -> Option<GatePlan> {
    config.enabled.then(|| GatePlan {
        policy: GatePolicy {
            objective_loss_max: config.objective_loss_max,
            time_growth_max: config.time_growth_max,
            failures_max: config.failures_max,
        },
        decisions_max: config.decisions_max,
        decisions_min: config.decisions_min,
        time_max: Duration::from_millis(config.time_max_ms),
    })
}

fn limits(config: &Config) -> PluginLimits {
    let l = &config.plugins.limits;
    PluginLimits {
        deadline_ms: l.deadline_ms,
        wall_ms: l.wall_ms,
        memory_bytes: l.memory_bytes,
        table_elements: l.table_elements,
        hostcall_bytes: l.hostcall_bytes,
        input_bytes: l.input_bytes,
        concurrency: l.concurrency,
        queue_ms: l.queue_ms,
        log_bytes: l.log_bytes,
        ..RuntimeConfig::default().limits
    }
}

fn service_config(config: &Config, pepper: [u8; 32]) -> ServiceConfig {
    let bandwidth = config.scheduling.bandwidth_bytes_per_s;
    ServiceConfig {
        default_communication: Communication {
            latency_s: config.scheduling.latency_s,
            bandwidth_bytes_per_s: bandwidth.is_finite().then_some(bandwidth),
        },
        default_duration_s: config.scheduling.default_duration_s,
        allocation_attempts: config.allocation.attempts_max,
        keys: keys::config(config, pepper),
        idempotency: keys::idempotency(config),
        leases: LeaseConfig {
            default_s: config.leases.default_s,
            max_s: config.leases.max_s,
            wait_max_ms: config.leases.wait_max_ms,
            waiters_max: config.leases.waiters_max as usize,
        },
        memory: memory::config(&config.memory),
        alerts: alerts::config(&config.alerts),
        ..ServiceConfig::default()
    }
}
