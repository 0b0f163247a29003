//! The use cases: what a client, a worker or the daemon itself may ask for.
//!
//! Each service owns one subject and holds the ports it needs. Every change is one write job:
//! its checks, its writes and its events see one state and are committed together, or nothing is.
//! Knows no transport; what a request looked like on the wire is the caller's.

mod agents;
mod alerts;
mod allocate;
mod analytics;
mod apply;
mod canaries;
mod claims;
mod decisions;
mod events;
mod failure;
mod fit;
mod flow_insert;
mod flow_problem;
mod flows;
mod foresight;
mod health;
mod idempotency;
mod keys;
mod leases;
mod measure;
mod memory;
mod optimize;
mod plugins;
mod replay;
mod resources;
mod shadows;
mod specs;
mod strategies;
mod task_change;
mod tasks;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod transitions;

use std::sync::Arc;

pub use agents::{AgentService, AgentView, Assignee, Coordination, CoordinationRequest};
pub use alerts::{AlertConfig, AlertService, Evaluation, WebhookName};
pub use allocate::{AllocateAnswer, GrantStatus, Granted, UnmetDemand};
pub use analytics::{AnalyticsRequest, AnalyticsService, WINDOW_MAX_S};
pub use claims::{AllocateRequest, Ask, CLAIM_RESOURCES_MAX, CLAIMS_MAX, Claim};
pub use decisions::DecisionService;
pub use events::{EVENTS_READ, EventService, Follower};
pub use flows::{CriticalPath, FlowService, FlowView, Progress};
pub use health::{Check, Health, HealthService, HealthStatus};
pub use idempotency::{
    Admitted, Attempt, IDEMPOTENCY_KEY_MAX_CHARS, IdempotencyConfig, IdempotencyService,
};
pub use keys::{
    Budget, KEY_TICKETS_MAX, KEYS_MAX, KeyConfig, KeyService, KeyView, NewKey, NewRole, PEERS_MAX,
    ROLES_MAX, ROTATION_GRACE_MAX_S, SECRET_MAX_CHARS, SECRET_MIN_CHARS, SECRET_PREFIX,
    TICKET_LIFE_S, TICKETS_MAX, is_well_formed,
};
pub use leases::{
    Heartbeat, LEASE_TASKS_MAX, LeaseConfig, LeaseRequest, LeaseService, Leased, Sweep,
};
pub use measure::{MEASUREMENTS_MAX, Measurement};
pub use memory::{
    Consolidation, EMBED_TEXTS_MAX, EmbeddingProgress, Found, MATCHES_MAX, MemoryConfig,
    MemoryRecordIn, MemoryService, QUERY_MAX_BYTES, Remembered, SearchRequest, SearchResult,
    Summarized, SummarizerConfig, TRANSFER_BATCH, Transferred,
};
pub use optimize::{
    Assignment, FlowFacts, ITERATIONS_MAX, OptimizeRequest, Optimized, TIME_BUDGET_DEFAULT_MS,
    TIME_BUDGET_MAX_MS,
};
pub use plugins::PluginService;
pub use replay::{
    GatePlan, Judgement, REPLAY_DECISIONS_DEFAULT, REPLAY_DECISIONS_MAX, ReplayPlan, ReplayPorts,
    ReplayRequest, ReplayService, ReplayState, ReplayView, judge, replay,
};
pub use resources::{NewResource, ResourceChange, ResourceService};
pub use shadows::{ShadowEnd, ShadowView};
pub use specs::{FRAGMENTS_MAX, SpecImport, SpecImported, SpecRemembered, SpecService};
pub use strategies::{RouteChange, RouteView, StrategyService};
pub use task_change::TaskChange;
pub use tasks::{TaskService, TaskView};

use foresight::Foresight;

use crate::domain::{Clock, Communication, Timestamp};
use crate::error::Result;
use crate::ports::{
    Datastore, DatastoreExt, DecisionJournal, MemoryPorts, StrategyRuntime, WriteTx,
};

/// What the services need to know; each field's default is the daemon's.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// The network of flows that name none: free transfers.
    pub default_communication: Communication,
    /// Seconds on a reference agent that a task without estimate is taken to need: 1.
    pub default_duration_s: f64,
    /// How often an allocation is decided anew because capacity changed meanwhile: 5.
    pub allocation_attempts: u32,
    /// Most agents in one coordination: 100.
    pub coordination_agents_max: usize,
    /// API keys.
    pub keys: KeyConfig,
    /// First answers that are kept for repeated requests.
    pub idempotency: IdempotencyConfig,
    /// Leases of workers.
    pub leases: LeaseConfig,
    /// Memories.
    pub memory: MemoryConfig,
    /// Alerts.
    pub alerts: AlertConfig,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            default_communication: Communication::default(),
            default_duration_s: 1.0,
            allocation_attempts: 5,
            coordination_agents_max: 100,
            keys: KeyConfig::default(),
            idempotency: IdempotencyConfig::default(),
            leases: LeaseConfig::default(),
            memory: MemoryConfig::default(),
            alerts: AlertConfig::default(),
        }
    }
}

/// Every service; cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// Tasks and their lives.
    pub tasks: Arc<TaskService>,
    /// Agents, coordination, assignment.
    pub agents: Arc<AgentService>,
    /// Flows and their optimization.
    pub flows: Arc<FlowService>,
    /// Resources and allocations.
    pub resources: Arc<ResourceService>,
    /// Reports.
    pub analytics: Arc<AnalyticsService>,
    /// Events, recorded and followed.
    pub events: Arc<EventService>,
    /// API keys.
    pub keys: Arc<KeyService>,
    /// First answers, for repeated requests.
    pub idempotency: Arc<IdempotencyService>,
    /// Workers.
    pub leases: Arc<LeaseService>,
    /// Memories.
    pub memories: Arc<MemoryService>,
    /// Agents by their specification.
    pub specs: Arc<SpecService>,
    /// Alerts.
    pub alerts: Arc<AlertService>,
    /// Recorded decisions.
    pub decisions: Arc<DecisionService>,
    /// Replays of recorded decisions.
    pub replays: Arc<ReplayService>,
    /// Plugins.
    pub plugins: Arc<PluginService>,
    /// Routes to plugins.
    pub strategies: Arc<StrategyService>,
    /// Health and readiness.
    pub health: Arc<HealthService>,
}

impl Services {
    /// The services over these ports. [`KeyService::load`] and [`StrategyService::load`] are to be called once before
    /// serving.
    pub fn new(
        store: Arc<dyn Datastore>,
        runtime: Arc<dyn StrategyRuntime>,
        clock: Arc<dyn Clock>,
        config: ServiceConfig,
    ) -> Self {
        Self::with_memory(store, runtime, clock, memory::keyword_only(), config)
    }

    /// As [`Services::new`], with vectors and an index for memories; without these, memories are
    /// found by words through the datastore.
    pub fn with_memory(
        store: Arc<dyn Datastore>,
        runtime: Arc<dyn StrategyRuntime>,
        clock: Arc<dyn Clock>,
        memory: MemoryPorts,
        config: ServiceConfig,
    ) -> Self {
        let idempotency = IdempotencyService::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            config.idempotency.clone(),
        );
        // What a request writes under an idempotency key is marked in the same transaction.
        let store: Arc<dyn Datastore> = Arc::new(idempotency::Marking(store));
        let ports = Ports {
            store,
            runtime,
            clock,
            memory,
            config: Arc::new(config),
        };
        let agents = Arc::new(AgentService::new(ports.clone()));
        let memories = Arc::new(MemoryService::new(ports.clone()));
        let specs = SpecService::new(ports.clone(), Arc::clone(&memories));
        let foresight = Arc::new(Foresight::default());
        let analytics = AnalyticsService::new(ports.clone(), Arc::clone(&foresight));
        let analytics = Arc::new(analytics);
        Self {
            alerts: Arc::new(AlertService::new(ports.clone(), Arc::clone(&analytics))),
            tasks: Arc::new(TaskService::new(ports.clone())),
            agents,
            flows: Arc::new(FlowService::new(ports.clone())),
            resources: Arc::new(ResourceService::new(ports.clone())),
            analytics,
            events: Arc::new(EventService::new(ports.clone())),
            keys: Arc::new(KeyService::new(
                Arc::clone(&ports.store),
                Arc::clone(&ports.clock),
                ports.config.keys.clone(),
            )),
            idempotency: Arc::new(idempotency),
            leases: Arc::new(LeaseService::new(ports.clone())),
            memories: Arc::clone(&memories),
            specs: Arc::new(specs),
            decisions: Arc::new(DecisionService::new(None)),
            replays: Arc::new(ReplayService::new(&ports)),
            plugins: Arc::new(PluginService::new(ports.clone())),
            strategies: Arc::new(StrategyService::new(ports.clone(), foresight)),
            health: Arc::new(HealthService::new(ports, memories)),
        }
    }

    /// The same with this journal of decisions; without one, decisions are not recorded.
    pub fn with_journal(mut self, journal: Arc<dyn DecisionJournal>) -> Self {
        self.decisions = Arc::new(DecisionService::new(Some(journal)));
        self
    }

    /// The same with replays of what is recorded.
    pub fn with_replays(mut self, ports: ReplayPorts) -> Self {
        self.replays = Arc::new(self.replays.over(ports));
        self
    }
}

/// What every service holds.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) store: Arc<dyn Datastore>,
    pub(crate) runtime: Arc<dyn StrategyRuntime>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) memory: MemoryPorts,
    pub(crate) config: Arc<ServiceConfig>,
}

impl Ports {
    /// Runs a write job that is told the time when it runs, so that events are in the order of
    /// their times as far as the clock allows.
    pub(crate) async fn write<R, F>(&self, job: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&mut dyn WriteTx, Timestamp) -> Result<R> + Send + 'static,
    {
        let clock = Arc::clone(&self.clock);
        self.store.write(move |tx| job(tx, clock.now())).await
    }
}

/// Refuses a change of a version that is not the present one.
pub(crate) fn check_version(what: &str, expected: Option<u64>, present: u64) -> Result<()> {
    match expected {
        Some(expected) if expected != present => Err(crate::Error::conflict(
            format!("the {what} is at version {present}, not {expected}"),
            serde_json::json!({"expected_version": expected, "version": present}),
        )),
        _ => Ok(()),
    }
}
