//! The runtime: calls in, checked answers out.
//!
//! Makes the parts and joins them; how a call is decided is in `decide`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use nova_core::domain::KeyId;
use nova_core::ports::runtime::Upload;
use nova_core::ports::{
    Call, Datastore, Decided, DecisionJournal, PluginStatus, Readiness, StrategyRuntime,
};
use nova_core::strategy::allocation::{AllocationAnswer, AllocationProblem};
use nova_core::strategy::analytics::{AnalyticsQuery, AnalyticsReport};
use nova_core::strategy::canary::Comparison;
use nova_core::strategy::decision::{self, Question};
use nova_core::strategy::flow::{FlowPlan, FlowProblem};
use nova_core::strategy::route::Routes;
use nova_core::strategy::shadow::ShadowReport;
use nova_core::strategy::{CallError, Kind, objective};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::arena::Arena;
use crate::artifacts::Artifacts;
use crate::cache::Answers;
use crate::config::RuntimeConfig;
use crate::convert::object_text;
use crate::decide::Ticket;
use crate::error::RuntimeError;
use crate::events::{Changes, Events};
use crate::gate::Gate;
use crate::invoke::Invoker;
use crate::kept::Kept;
use crate::loader::Loader;
use crate::orders::{Install, Order, Reply, RollBack};
use crate::processor::Processors;
use crate::record::{Recorder, Told};
use crate::registry::Registry;
use crate::shadow::Shadows;
use crate::watch::Watch;

/// Runs the plugins of one directory.
pub struct Runtime {
    pub(crate) config: RuntimeConfig,
    invoker: Arc<Invoker>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) arena: Arena,
    pub(crate) kept: Arc<Kept>,
    processors: Arc<Processors>,
    events: Arc<Events>,
    datastore: Arc<dyn Datastore>,
    pub(crate) recorder: Recorder,
    pub(crate) shadows: Shadows,
    pub(crate) answers: Answers,
    /// Instances for calls, of all plugins together.
    pub(crate) instances: Arc<Semaphore>,
    pub(crate) closing: AtomicBool,
    pub(crate) orders: mpsc::UnboundedSender<Order>,
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
        Self::start_with_journal(config, datastore, None)
    }

    /// The same, with decisions recorded in `journal`; the gate takes its problems from there.
    ///
    /// # Errors
    /// As [`Runtime::start`].
    pub fn start_with_journal(
        config: RuntimeConfig,
        datastore: Arc<dyn Datastore>,
        journal: Option<Arc<dyn DecisionJournal>>,
    ) -> Result<Arc<Self>, RuntimeError> {
        let unusable = |what, path| move |source| RuntimeError::Directory { what, path, source };
        std::fs::create_dir_all(&config.plugin_dir)
            .map_err(unusable("plugin directory", config.plugin_dir.clone()))?;
        let invoker = Arc::new(Invoker::new(&config)?);
        let artifacts = Artifacts::open(config.artifact_dir(), &invoker.engine)
            .map_err(unusable("artifact directory", config.artifact_dir()))?;
        let kept = Kept::open(config.revision_dir(), config.kept_revisions)
            .map_err(unusable("revision directory", config.revision_dir()))?;
        let kept = Arc::new(kept);
        let loader = Arc::new(Loader::new(
            config.clone(),
            Arc::clone(&invoker),
            Some(artifacts),
        ));
        let registry = Arc::new(Registry::new(
            config.defaults.clone(),
            config.kept_revisions,
            config.breaker,
        ));
        let processors = Arc::new(Processors::new(config.processors as usize));
        let events = Arc::new(Events::new());
        let instances = Arc::new(Semaphore::new(config.call_instances() as usize));
        let arena = Arena::over(
            config.clone(),
            Arc::clone(&invoker),
            Arc::clone(&loader),
            Arc::clone(&instances),
            Arc::clone(&datastore),
        );
        let gate = config.gate.zip(journal.clone());
        let gate = gate.map(|(plan, journal)| Gate {
            plan,
            journal,
            arena: arena.clone(),
        });
        let recorder = Recorder::default();
        if let Some(journal) = journal {
            recorder.tell(journal);
        }
        let (stop, stopped) = watch::channel(false);
        let (orders, ordered) = mpsc::unbounded_channel();
        let watch = Watch {
            config: config.clone(),
            registry: Arc::clone(&registry),
            loader,
            kept: Arc::clone(&kept),
            processors: Arc::clone(&processors),
            events: Arc::clone(&events),
            orders: ordered,
            gate,
            ignored: 0,
        };
        let watcher = tokio::spawn(watch.run(stopped));
        let shadows = Shadows::start(config.shadow, Arc::clone(&registry), arena.clone())?;
        Ok(Arc::new(Self {
            shadows,
            answers: Answers::new(&config.cache),
            instances,
            arena,
            closing: AtomicBool::new(false),
            watcher: Mutex::new(Some(watcher)),
            config,
            invoker,
            registry,
            kept,
            processors,
            events,
            datastore,
            orders,
            recorder,
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

    /// Everything that happens to plugins from now on, for the one who keeps it: orders are answered, and the
    /// shutdown ends, once it is kept.
    pub fn changes(&self) -> Changes {
        self.events.changes()
    }

    /// Refuses new calls, stops watching the directory, and drops what is kept alive. Calls in
    /// flight end by themselves. Idempotent.
    pub async fn shutdown(&self) {
        self.closing.store(true, Relaxed);
        self.stop.send_replace(true);
        self.shadows.stop();
        let watcher = self.watcher.lock().take();
        if let Some(watcher) = watcher
            && let Err(error) = watcher.await
        {
            tracing::error!(%error, "the watch over the plugin directory broke off");
        }
        self.events.kept().await;
        self.processors.clear();
    }
}

impl Runtime {
    /// With what the registry does not know.
    fn whole(&self, mut status: PluginStatus) -> PluginStatus {
        status.staged = self.kept.staged(&status.name);
        if status.kind == Some(Kind::AnalyticsProcessor) {
            status.processors = Some(self.processors.status(&status.name));
        }
        status
    }

    /// Gives an order to the watch and waits until it is done, and what came of it is kept.
    async fn order<T>(&self, order: impl FnOnce(Reply<T>) -> Order) -> nova_core::Result<T> {
        let ended = || nova_core::Error::unavailable("the strategy runtime is shutting down", 5);
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).map_err(|_| ended())?;
        let answer = answer.await.map_err(|_| ended())?;
        self.events.kept().await;
        answer
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop.send_replace(true);
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
        let ask = async |ticket: Ticket| {
            let unit = &ticket.revision().unit;
            let asked = self.invoker.optimize(unit, &problem, &parameters);
            let (asked, cpu) = ticket.timed(asked).await;
            Ok(ticket.end(Ok(asked), cpu))
        };
        let told = Told {
            question: &|_| Question::Flow(Arc::clone(&problem)),
            reply: decision::Reply::Plan,
            rate: &|plan| objective::of_plan(&problem, plan),
            recall: Some(|reply| match reply {
                decision::Reply::Plan(plan) => Some(plan),
                _ => None,
            }),
        };
        self.decide(Kind::FlowOptimizer, &call, size, &told, ask)
            .await
    }

    async fn allocate(
        &self,
        call: Call,
        problem: Arc<AllocationProblem>,
    ) -> Result<Decided<AllocationAnswer>, CallError> {
        let parameters = object_text(&call.parameters);
        let size = problem.size_bytes() + parameters.len();
        let ask = async |ticket: Ticket| {
            let unit = &ticket.revision().unit;
            let asked = self.invoker.allocate(unit, &problem, &parameters);
            let (asked, cpu) = ticket.timed(asked).await;
            Ok(ticket.end(Ok(asked), cpu))
        };
        let told = Told {
            question: &|_| Question::Allocation(Arc::clone(&problem)),
            reply: decision::Reply::Allocation,
            rate: &|answer| objective::of_allocation(&problem, answer),
            recall: Some(|reply| match reply {
                decision::Reply::Allocation(answer) => Some(answer),
                _ => None,
            }),
        };
        self.decide(Kind::ResourceAllocator, &call, size, &told, ask)
            .await
    }

    async fn analyze(
        &self,
        call: Call,
        query: AnalyticsQuery,
    ) -> Result<Decided<AnalyticsReport>, CallError> {
        let size = object_text(&query.parameters).len();
        let query = Arc::new(query);
        let ask = |ticket: Ticket| {
            let (invoker, datastore) = (Arc::clone(&self.invoker), Arc::clone(&self.datastore));
            let (processors, query) = (Arc::clone(&self.processors), Arc::clone(&query));
            let domain = call.domain.clone();
            let is_beside = self.registry.snapshot().is_beside(ticket.revision());
            // A task of its own: a caller that goes away must not throw away a processor that catches up.
            let asked = tokio::spawn(
                async move {
                    let report = processors.report(
                        &invoker,
                        &*datastore,
                        (ticket.revision(), is_beside),
                        &domain,
                        &query,
                    );
                    let (report, cpu) = ticket.timed(report).await;
                    ticket.end(report, cpu)
                }
                .in_current_span(),
            );
            async move {
                asked
                    .await
                    .map_err(|error| CallError::Internal(Box::new(error)))
            }
        };
        let told = Told {
            question: &|report: Option<&AnalyticsReport>| Question::Analytics {
                query: AnalyticsQuery::clone(&query),
                covers_seq: report.map_or(0, |report| report.covers_seq),
            },
            reply: decision::Reply::Report,
            rate: &|_| None,
            recall: None,
        };
        self.decide(Kind::AnalyticsProcessor, &call, size, &told, ask)
            .await
    }

    fn plugins(&self) -> Vec<PluginStatus> {
        let plugins = self.registry.snapshot().statuses(&self.config.limits);
        plugins.into_iter().map(|p| self.whole(p)).collect()
    }

    fn plugin(&self, name: &str) -> Option<PluginStatus> {
        let snapshot = self.registry.snapshot();
        snapshot
            .plugin(name)
            .map(|plugin| snapshot.status(plugin, &self.config.limits))
            .map(|status| self.whole(status))
    }

    fn readiness(&self) -> Readiness {
        self.registry.snapshot().readiness()
    }

    async fn roll_back(
        &self,
        plugin: &str,
        to: Option<u64>,
        reason: String,
        by: Option<KeyId>,
    ) -> nova_core::Result<PluginStatus> {
        self.order(|reply| {
            Order::RollBack(RollBack {
                plugin: plugin.to_owned(),
                to,
                from: None,
                reason,
                by,
                reply: Some(reply),
            })
        })
        .await
        .map(|status| self.whole(status))
    }

    fn revisions(&self, plugin: &str) -> Vec<u64> {
        self.kept.numbers(plugin)
    }

    async fn install(
        &self,
        plugin: &str,
        upload: Upload,
        by: Option<KeyId>,
    ) -> nova_core::Result<(bool, PluginStatus)> {
        let plugin = plugin.to_owned();
        let install = |reply| Install {
            plugin,
            upload,
            by,
            reply,
        };
        let installed = self.order(|reply| Order::Install(install(reply))).await?;
        Ok((installed.0, self.whole(installed.1)))
    }

    async fn remove(&self, plugin: &str, by: Option<KeyId>) -> nova_core::Result<()> {
        let plugin = plugin.to_owned();
        self.order(|reply| Order::Remove { plugin, by, reply })
            .await
    }

    fn configured(&self) -> BTreeMap<Kind, String> {
        self.config.defaults.clone()
    }

    fn set_routes(&self, routes: Routes) {
        self.registry.set_routes(routes);
        let snapshot = self.registry.snapshot();
        self.processors.keep_beside(|plugin, number| {
            let of = |trial: &Arc<crate::trial::Trial>| {
                trial.canary.plugin == plugin && trial.canary.revision == Some(number)
            };
            snapshot.trials.values().any(of)
        });
        // An error says that the runtime is ending.
        drop(self.orders.send(Order::Look));
    }

    fn canary(&self, kind: Kind) -> Option<Comparison> {
        let snapshot = self.registry.snapshot();
        let trial = snapshot.trials.get(&kind)?;
        let canary = &trial.canary;
        Some(trial.comparison(snapshot.obstacle(kind, &canary.plugin, canary.revision)))
    }

    fn shadow(&self, kind: Kind) -> Option<ShadowReport> {
        let snapshot = self.registry.snapshot_full();
        let run = snapshot.shadows.get(&kind)?;
        let order = &run.order;
        Some(run.report(snapshot.obstacle(kind, &order.plugin, order.revision)))
    }
}
