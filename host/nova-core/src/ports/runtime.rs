//! The strategy runtime's trait: problems in, checked answers out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::{Domain, KeyId, Timestamp};
use crate::error::Error;
use crate::strategy::allocation::{AllocationAnswer, AllocationProblem};
use crate::strategy::analytics::{AnalyticsQuery, AnalyticsReport};
use crate::strategy::canary::Comparison;
use crate::strategy::decision::Subject;
use crate::strategy::flow::{FlowPlan, FlowProblem};
use crate::strategy::route::Routes;
use crate::strategy::shadow::ShadowReport;
use crate::strategy::{CallError, Kind};

/// Who asks for a decision, and by which strategy.
#[derive(Clone, Debug)]
pub struct Call {
    /// The domain whose route applies.
    pub domain: Domain,
    /// A plugin asked for by name in the request.
    pub strategy: Option<String>,
    /// Whether another revision or plugin may answer when the routed one fails.
    pub fallback: bool,
    /// What the question is about: a flow, a consumer, the subject of a report.
    pub subject: Option<String>,
    /// The request's open-ended parameters.
    pub parameters: Map<String, Value>,
    /// What the problem's indices stand for, for the record of the decision.
    pub about: Arc<Subject>,
}

/// Which rule picked the plugin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// The kind's default.
    Default,
    /// The domain's own.
    Domain,
    /// Named in the request.
    Request,
    /// A canary's share.
    Canary,
    /// The serving one failed.
    Fallback,
}

impl Route {
    /// Every route.
    pub const ALL: [Self; 5] = [
        Self::Default,
        Self::Domain,
        Self::Request,
        Self::Canary,
        Self::Fallback,
    ];

    /// The name in answers and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Domain => "domain",
            Self::Request => "request",
            Self::Canary => "canary",
            Self::Fallback => "fallback",
        }
    }

    /// The route of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }
}

/// Who decided, and what it took.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StrategyUse {
    /// What sort of decision.
    pub kind: Kind,
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's version.
    pub version: String,
    /// `sha256:<hex>` of the component.
    pub digest: String,
    /// The plugin's revision.
    pub revision: u64,
    /// Why this plugin.
    pub route: Route,
    /// Microseconds from the runtime's door and back, checks included.
    pub elapsed_us: u64,
    /// This decision's id (UUIDv7).
    pub decision_id: String,
    /// Why another plugin than the routed one served; none = the routed one did.
    pub degraded: Option<String>,
    /// The answer was given before and kept: nobody was asked.
    pub cached: bool,
}

impl StrategyUse {
    /// Puts ids in the place of placeholders, as [`crate::strategy::fill_placeholders`] does.
    pub(crate) fn with_ids(mut self, lookup: impl Fn(&str, usize) -> Option<String>) -> Self {
        self.degraded = self
            .degraded
            .map(|why| crate::strategy::fill_placeholders(&why, lookup));
        self
    }
}

/// A checked answer with its provenance.
#[derive(Clone, PartialEq, Debug)]
pub struct Decided<A> {
    /// The answer; it has passed the host's checks.
    pub answer: A,
    /// Who gave it.
    pub strategy: StrategyUse,
}

/// The state of an installed plugin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    /// It is being read, compiled and probed for the first time.
    Loading,
    /// It serves its kind by default.
    Active,
    /// It is loaded and serves who asks for it by name.
    Standby,
    /// It gets a share of the default's calls, on trial.
    Canary,
    /// It is asked the same as the default, and serves who asks for it by name alone.
    Shadow,
    /// It has no serving revision: the only file was refused.
    Quarantined,
}

impl fmt::Display for PluginState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loading => "loading",
            Self::Active => "active",
            Self::Standby => "standby",
            Self::Canary => "canary",
            Self::Shadow => "shadow",
            Self::Quarantined => "quarantined",
        })
    }
}

/// Where the serving revision came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServingFrom {
    /// The plugin directory.
    Directory,
    /// The good revisions kept on disk: the directory's file was refused, or is missing.
    Kept,
}

/// Why the newest revision does not serve: it was taken back, until another file comes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RolledBack {
    /// The revision that served before.
    pub from: u64,
    /// Why.
    pub reason: String,
    /// Nobody ordered it: the revision failed too often.
    pub automatic: bool,
    /// When.
    pub at: Timestamp,
}

/// A revision that waits to be tried out: it may serve, and serves nobody yet.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Staged {
    /// Its number, by which a canary or a shadow names it.
    pub revision: u64,
    /// The plugin's version.
    pub version: String,
    /// `sha256:<hex>` of the component.
    pub digest: String,
    /// When it was uploaded.
    pub at: Timestamp,
}

/// A component on its way in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upload {
    /// It is kept beside the serving revision, to be tried out, and serves once it is promoted.
    pub stage: bool,
    /// Its bytes.
    pub component: Vec<u8>,
    /// The text of its detached signature (minisign); none = it is not signed.
    pub signature: Option<String>,
}

/// A refused file.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Quarantine {
    /// `sha256:<hex>` of the refused bytes; none when they could not be read.
    pub digest: Option<String>,
    /// Which step refused it: `read`, `manifest`, `signature`, `component`, `imports`, `compile`, `probe`, `gate`.
    pub stage: String,
    /// The full reason, for the operator.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Whether a revision that failed is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It failed too often: it is asked only where nothing else could answer.
    Open,
    /// Single calls try whether it has recovered.
    HalfOpen,
}

/// What an operator sees of a revision.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RevisionStatus {
    /// What the gate said before it took another's place; none = there was none, or nothing to compare with.
    pub gate: Option<String>,
    /// Numbered upward per plugin.
    pub revision: u64,
    /// The plugin's version.
    pub version: String,
    /// `sha256:<hex>` of the component.
    pub digest: String,
    /// When it began to serve.
    pub activated_at: Timestamp,
    /// Size of the component.
    pub size_bytes: u64,
    /// Milliseconds from bytes read to ready to serve.
    pub load_ms: f64,
    /// Whether the compiled code came from the artifact cache.
    pub from_cache: bool,
    /// Whether it is asked.
    pub breaker: BreakerState,
}

/// Limits in force for a plugin.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct PluginLimits {
    /// Own running time of one call.
    pub deadline_ms: u64,
    /// Wall-clock cap of one call, waits included.
    pub wall_ms: u64,
    /// Linear memory of one instance.
    pub memory_bytes: u64,
    /// Elements of all tables of one instance.
    pub table_elements: u64,
    /// Stack of the guest.
    pub stack_bytes: u64,
    /// Bytes a guest may make the host allocate in one call.
    pub hostcall_bytes: u64,
    /// Size of a problem.
    pub input_bytes: u64,
    /// Calls at a time.
    pub concurrency: u32,
    /// How long a call waits for its turn before it is refused.
    pub queue_ms: u64,
    /// Log bytes of one call.
    pub log_bytes: u64,
}

/// Calls since the daemon started.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct CallStats {
    /// Calls begun.
    pub calls: u64,
    /// Calls that the strategy refused with its typed error.
    pub rejected: u64,
    /// Calls that failed: trap, limit, false answer.
    pub errors: u64,
    /// Median of the last calls, in microseconds.
    pub p50_us: f64,
    /// 99th percentile of the last calls, in microseconds.
    pub p99_us: f64,
}

/// How the live processors of an analytics plugin do, since the daemon started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct ProcessorStatus {
    /// Processors alive, one a domain.
    pub alive: u64,
    /// Those that are being handed events now, to answer a question.
    pub catching_up: u64,
    /// Events handed to those alive so far: rises while one is rebuilt.
    pub ingested_events: u64,
    /// Times that a new revision took over the state of the one before it.
    pub carried_over: u64,
    /// Times that one began anew and was rebuilt from the recorded events.
    pub rebuilt: u64,
}

/// What an operator sees of a plugin.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// What it decides; none while unknown.
    pub kind: Option<Kind>,
    /// Where it stands.
    pub state: PluginState,
    /// One line of the plugin's own.
    pub summary: String,
    /// How the plugin computes its confidence.
    pub confidence: String,
    /// The file it is loaded from.
    pub file: String,
    /// Where the serving revision came from; none = nothing serves.
    pub serving_from: Option<ServingFrom>,
    /// Why the newest revision does not serve; none = it does.
    pub rolled_back: Option<RolledBack>,
    /// The revision that waits to be tried out.
    pub staged: Option<Staged>,
    /// The serving revision.
    pub current: Option<RevisionStatus>,
    /// Earlier revisions of this run that still drain or are kept.
    pub previous: Vec<RevisionStatus>,
    /// The newest refused file, until a good one follows.
    pub quarantine: Option<Quarantine>,
    /// Files refused since the daemon started, newest first, bounded.
    pub refused: Vec<Quarantine>,
    /// Limits in force.
    pub limits: PluginLimits,
    /// Its settings.
    pub settings: Map<String, Value>,
    /// JSON Schema of what can be set; none = the component does not say.
    pub settings_schema: Option<Arc<Value>>,
    /// Calls since the daemon started.
    pub stats: CallStats,
    /// Its live processors; none = it has no such things.
    pub processors: Option<ProcessorStatus>,
}

impl PluginStatus {
    /// Whether calls can reach it.
    pub fn is_serving(&self) -> bool {
        matches!(
            self.state,
            PluginState::Active | PluginState::Standby | PluginState::Canary | PluginState::Shadow
        )
    }
}

/// Whether every kind's default route has a revision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Readiness {
    /// Kinds without a serving default.
    pub missing: Vec<Kind>,
}

impl Readiness {
    /// Nothing is missing.
    pub fn is_ready(&self) -> bool {
        self.missing.is_empty()
    }
}

/// Runs strategies. Answers have passed the host's checks.
#[async_trait]
pub trait StrategyRuntime: Send + Sync + 'static {
    /// Schedules a flow.
    async fn optimize(
        &self,
        call: Call,
        problem: Arc<FlowProblem>,
    ) -> Result<Decided<FlowPlan>, CallError>;
    /// Divides resources.
    async fn allocate(
        &self,
        call: Call,
        problem: Arc<AllocationProblem>,
    ) -> Result<Decided<AllocationAnswer>, CallError>;
    /// Reports on a domain's events, up to the newest recorded one.
    async fn analyze(
        &self,
        call: Call,
        query: AnalyticsQuery,
    ) -> Result<Decided<AnalyticsReport>, CallError>;
    /// Every plugin, by name.
    fn plugins(&self) -> Vec<PluginStatus>;
    /// One plugin.
    fn plugin(&self, name: &str) -> Option<PluginStatus>;
    /// Whether decisions can be made.
    fn readiness(&self) -> Readiness;
    /// Serves an earlier revision again, or a staged one: that of this number, else the one before the serving one.
    /// The file that the replaced one came from is not loaded again; another one is. `reason` is told.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`] where no such plugin serves, [`Error::Conflict`] where no such
    /// revision is kept.
    async fn roll_back(
        &self,
        plugin: &str,
        to: Option<u64>,
        reason: String,
        by: Option<KeyId>,
    ) -> Result<PluginStatus, Error>;
    /// The revisions of a plugin that are kept, the serving one and a staged one among them, newest first: what
    /// can serve.
    fn revisions(&self, plugin: &str) -> Vec<u64>;
    /// Loads, probes and serves a component, and puts it into the plugin directory; one to be staged is kept
    /// instead, in the place of the one before. Whether the plugin is new.
    ///
    /// # Errors
    /// [`Error::StrategyRejected`] with `stage` and `reason` when it is refused; nothing has changed then.
    /// [`Error::Conflict`] where one is to be staged beside nothing, or is what serves.
    async fn install(
        &self,
        plugin: &str,
        upload: Upload,
        by: Option<KeyId>,
    ) -> Result<(bool, PluginStatus), Error>;
    /// Removes a plugin and its files.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`], or [`Error::Conflict`] while a route leads to it.
    async fn remove(&self, plugin: &str, by: Option<KeyId>) -> Result<(), Error>;
    /// The plugin of each kind that the configuration names: it ships with the daemon, and is the
    /// last to be asked when others fail.
    fn configured(&self) -> BTreeMap<Kind, String>;
    /// Calls from now on are routed by these.
    fn set_routes(&self, routes: Routes);
    /// What a kind's canary has shown since it began, or since the daemon started; none = there is no
    /// canary.
    fn canary(&self, kind: Kind) -> Option<Comparison>;
    /// What a kind's shadow has shown since it began, or since the daemon started; none = there is no shadow.
    fn shadow(&self, kind: Kind) -> Option<ShadowReport>;
}
