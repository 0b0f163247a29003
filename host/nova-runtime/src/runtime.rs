//! The runtime: calls in, checked answers out.
//!
//! A call is routed on one snapshot, waits its turn for a bounded time, runs in a fresh instance and is
//! counted. It holds its revision, so that a swap in the meantime does not concern it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nova_core::ports::runtime::{Route, StrategyUse};
use nova_core::ports::{Call, Datastore, Decided, PluginStatus, Readiness, StrategyRuntime};
use nova_core::strategy::allocation::{AllocationAnswer, AllocationProblem};
use nova_core::strategy::analytics::{AnalyticsQuery, AnalyticsReport};
use nova_core::strategy::flow::{FlowPlan, FlowProblem};
use nova_core::strategy::{CallError, Kind};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::task::JoinHandle;
use tracing::Instrument;
use uuid::Uuid;

use crate::artifacts::Artifacts;
use crate::config::RuntimeConfig;
use crate::convert::object_text;
use crate::error::{Failure, RuntimeError};
use crate::events::{Events, PluginEvent};
use crate::invoke::{Answer, Invoker};
use crate::kept::Kept;
use crate::loader::Loader;
use crate::processor::{Processors, Trouble};
use crate::registry::{Registry, Revision};
use crate::stats::Ending;
use crate::watch::Watch;

/// Runs the plugins of one directory.
pub struct Runtime {
    config: RuntimeConfig,
    invoker: Arc<Invoker>,
    registry: Arc<Registry>,
    processors: Arc<Processors>,
    events: Arc<Events>,
    datastore: Arc<dyn Datastore>,
    /// Instances for calls, of all plugins together.
    instances: Arc<Semaphore>,
    closing: AtomicBool,
    stop: watch::Sender<bool>,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

impl Runtime {
    /// Starts the engine and the watch over the plugin directory. What lies in it is loaded in the
    /// background, see [`Runtime::wait_ready`]. Metrics go to the recorder that is installed by now.
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`RuntimeError`]: a directory cannot be used, or the engine cannot start.
    pub fn start(
        config: RuntimeConfig,
        datastore: Arc<dyn Datastore>,
    ) -> Result<Arc<Self>, RuntimeError> {
        let unusable = |what, path| move |source| RuntimeError::Directory { what, path, source };
        std::fs::create_dir_all(&config.plugin_dir)
            .map_err(unusable("plugin directory", config.plugin_dir.clone()))?;
        let invoker = Arc::new(Invoker::new(&config)?);
        let artifacts = Artifacts::open(config.artifact_dir(), &invoker.engine)
            .map_err(unusable("artifact directory", config.artifact_dir()))?;
        let kept = Kept::open(config.revision_dir(), config.kept_revisions)
            .map_err(unusable("revision directory", config.revision_dir()))?;
        let loader = Arc::new(Loader::new(
            config.clone(),
            Arc::clone(&invoker),
            Some(artifacts),
        ));
        let registry = Arc::new(Registry::new(
            config.defaults.clone(),
            config.kept_revisions,
        ));
        let processors = Arc::new(Processors::new(config.processors as usize));
        let events = Arc::new(Events::new());
        let (stop, stopped) = watch::channel(false);
        let watch = Watch {
            config: config.clone(),
            registry: Arc::clone(&registry),
            loader,
            kept: Arc::new(kept),
            processors: Arc::clone(&processors),
            events: Arc::clone(&events),
        };
        let watcher = tokio::spawn(watch.run(stopped));
        Ok(Arc::new(Self {
            instances: Arc::new(Semaphore::new(config.call_instances() as usize)),
            closing: AtomicBool::new(false),
            watcher: Mutex::new(Some(watcher)),
            config,
            invoker,
            registry,
            processors,
            events,
            datastore,
            stop,
        }))
    }

    /// Waits until every kind's default serves, at most so long; gives the readiness then.
    pub async fn wait_ready(&self, timeout: Duration) -> Readiness {
        let mut changes = self.registry.changes();
        let ready = async {
            while !self.readiness().is_ready() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // Whether it took too long shows in the readiness.
        drop(tokio::time::timeout(timeout, ready).await);
        self.readiness()
    }

    /// Everything that happens to plugins from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<PluginEvent> {
        self.events.subscribe()
    }

    /// Refuses new calls, stops watching the directory, and drops what is kept alive. Calls in
    /// flight end by themselves. Idempotent.
    pub async fn shutdown(&self) {
        self.closing.store(true, Relaxed);
        self.stop.send_replace(true);
        let watcher = self.watcher.lock().take();
        if let Some(watcher) = watcher
            && let Err(error) = watcher.await
        {
            tracing::error!(%error, "the watch over the plugin directory broke off");
        }
        self.processors.clear();
    }

    /// Routes a call and waits for its turn.
    async fn admit(
        &self,
        kind: Kind,
        call: &Call,
        input_bytes: usize,
    ) -> Result<Ticket, CallError> {
        let began = Instant::now();
        if self.closing.load(Relaxed) {
            return Err(CallError::Unavailable(
                "the strategy runtime is shutting down".to_owned(),
            ));
        }
        let (revision, route) = self.registry.snapshot().route(kind, call)?;
        let limits = &revision.unit.limits;
        if input_bytes as u64 > limits.input_bytes {
            let reason = format!(
                "the problem has {input_bytes} bytes, at most {} are allowed",
                limits.input_bytes
            );
            return Err(Failure::failed("input", reason)
                .of(&revision.unit.plugin, revision.status.revision));
        }
        let wait = Duration::from_millis(limits.queue_ms);
        let permits = match turns(&[&revision.turns, &self.instances], wait).await {
            Some(permits) => permits,
            None => {
                revision.stats.record(Ending::Unavailable, began.elapsed());
                let what = format!(
                    "'{}' has no turn free within {} ms",
                    revision.unit.plugin, limits.queue_ms
                );
                return Err(CallError::Unavailable(what));
            }
        };
        revision.in_flight.fetch_add(1, Relaxed);
        Ok(Ticket {
            revision,
            route,
            began,
            _permits: permits,
        })
    }
}

/// A permit of each, in order, within `wait` altogether.
async fn turns<const N: usize>(
    of: &[&Arc<Semaphore>; N],
    wait: Duration,
) -> Option<[OwnedSemaphorePermit; N]> {
    let all = of
        .each_ref()
        .map(|semaphore| Arc::clone(semaphore).acquire_owned());
    let taken = tokio::time::timeout(wait, async {
        let mut permits = Vec::with_capacity(N);
        for permit in all {
            permits.push(permit.await.ok()?);
        }
        permits.try_into().ok()
    });
    taken.await.ok()?
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// A call that was let in.
struct Ticket {
    revision: Arc<Revision>,
    route: Route,
    began: Instant,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Ticket {
    /// Counts the call, and puts its provenance beside the answer.
    fn finish<A>(&self, outcome: Result<Answer<A>, Failure>) -> Result<Decided<A>, CallError> {
        let (plugin, status) = (&self.revision.unit.plugin, &self.revision.status);
        let took = self.began.elapsed();
        let ending = match &outcome {
            Ok(Ok(_)) => Ending::Answered,
            Ok(Err(_)) => Ending::Refused,
            Err(Failure::Failed { .. }) => Ending::Failed,
            Err(Failure::Timeout { .. }) => Ending::TimedOut,
            Err(Failure::Busy(_)) => Ending::Unavailable,
        };
        self.revision.stats.record(ending, took);
        match outcome {
            Ok(Ok(answer)) => Ok(Decided {
                answer,
                strategy: StrategyUse {
                    kind: self.revision.kind,
                    plugin: plugin.to_string(),
                    version: status.version.clone(),
                    digest: status.digest.clone(),
                    revision: status.revision,
                    route: self.route,
                    elapsed_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                    decision_id: Uuid::now_v7().to_string(),
                    degraded: None,
                },
            }),
            Ok(Err(refusal)) => Err(CallError::Refused {
                plugin: plugin.to_string(),
                refusal,
            }),
            Err(failure) => {
                tracing::warn!(plugin = &**plugin, revision = status.revision, failure = %failure, "strategy call failed");
                Err(failure.of(plugin, status.revision))
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.revision.in_flight.fetch_sub(1, Relaxed);
    }
}

#[async_trait]
impl StrategyRuntime for Runtime {
    async fn optimize(
        &self,
        call: Call,
        problem: Arc<FlowProblem>,
    ) -> Result<Decided<FlowPlan>, CallError> {
        let parameters = object_text(&call.parameters);
        let size = problem.size_bytes() + parameters.len();
        let ticket = self.admit(Kind::FlowOptimizer, &call, size).await?;
        ticket.finish(
            self.invoker
                .optimize(&ticket.revision.unit, &problem, &parameters)
                .await,
        )
    }

    async fn allocate(
        &self,
        call: Call,
        problem: Arc<AllocationProblem>,
    ) -> Result<Decided<AllocationAnswer>, CallError> {
        let parameters = object_text(&call.parameters);
        let size = problem.size_bytes() + parameters.len();
        let ticket = self.admit(Kind::ResourceAllocator, &call, size).await?;
        ticket.finish(
            self.invoker
                .allocate(&ticket.revision.unit, &problem, &parameters)
                .await,
        )
    }

    async fn analyze(
        &self,
        call: Call,
        query: AnalyticsQuery,
    ) -> Result<Decided<AnalyticsReport>, CallError> {
        let size = object_text(&query.parameters).len();
        let ticket = self.admit(Kind::AnalyticsProcessor, &call, size).await?;
        let (invoker, datastore) = (Arc::clone(&self.invoker), Arc::clone(&self.datastore));
        let (processors, revision) = (Arc::clone(&self.processors), Arc::clone(&ticket.revision));
        // A task of its own: a caller that goes away must not throw away a processor that catches up.
        let asked = tokio::spawn(
            async move {
                let report = processors
                    .report(&invoker, &*datastore, &revision, &call.domain, &query)
                    .await;
                match report {
                    Ok(answer) => ticket.finish(Ok(answer)),
                    Err(Trouble::Guest(failure)) => ticket.finish(Err(failure)),
                    Err(Trouble::Datastore(nova_core::Error::Unavailable { message, .. })) => {
                        Err(CallError::Unavailable(message))
                    }
                    Err(Trouble::Datastore(error)) => Err(CallError::Internal(Box::new(error))),
                }
            }
            .in_current_span(),
        );
        asked
            .await
            .unwrap_or_else(|error| Err(CallError::Internal(Box::new(error))))
    }

    fn plugins(&self) -> Vec<PluginStatus> {
        self.registry.snapshot().statuses(&self.config.limits)
    }

    fn plugin(&self, name: &str) -> Option<PluginStatus> {
        let snapshot = self.registry.snapshot();
        snapshot
            .plugin(name)
            .map(|plugin| snapshot.status(plugin, &self.config.limits))
    }

    fn readiness(&self) -> Readiness {
        self.registry.snapshot().readiness()
    }
}
