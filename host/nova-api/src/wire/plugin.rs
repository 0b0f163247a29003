//! Plugins, as an operator sees them.

use std::sync::Arc;

use nova_core::Timestamp;
use nova_core::ports::runtime::{
    BreakerState, PluginLimits, PluginState, PluginStatus, ProcessorStatus, Quarantine,
    RevisionStatus, RolledBack, ServingFrom, Staged,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::object::only_object;
use super::schema::{KindName, OpenObject, Time};

/// An installed plugin.
#[derive(Serialize, ToSchema)]
#[schema(as = Plugin)]
pub(crate) struct PluginRecord {
    #[schema(example = "heft")]
    name: String,
    /// What it decides; null while unknown.
    #[schema(value_type = Option<KindName>)]
    kind: Option<&'static str>,
    /// `loading`, `active`, `standby`, `canary`, `shadow` or `quarantined`.
    #[schema(value_type = String, example = "active")]
    state: PluginState,
    /// Of the serving revision.
    #[schema(example = "0.1.0")]
    version: Option<String>,
    /// `sha256:<hex>` of the serving component.
    digest: Option<String>,
    /// The serving revision's number.
    revision: Option<u64>,
    /// One line of the plugin's own.
    summary: String,
    /// How it computes its confidence.
    confidence: String,
    /// The file it is loaded from.
    file: String,
    /// `directory`, or `kept`: the directory's file was refused or is missing, and the last good revision
    /// serves; null = nothing serves.
    #[schema(value_type = Option<String>, example = "directory")]
    serving_from: Option<ServingFrom>,
    /// Why the newest revision does not serve; null = it does.
    rolled_back: Option<RolledBackRecord>,
    /// The revision that was uploaded to be tried out first; null = there is none.
    staged: Option<StagedRecord>,
    /// Why the newest file was refused; null = it serves.
    refused_reason: Option<String>,
    /// The newest refused file, until a good one follows.
    quarantine: Option<QuarantineRecord>,
    /// Files refused since the daemon started, newest first.
    refused: Vec<QuarantineRecord>,
    /// Limits in force.
    limits: LimitsRecord,
    /// Its settings.
    #[schema(value_type = OpenObject)]
    settings: Map<String, Value>,
    /// JSON Schema (2020-12) of what can be set, as the serving revision states it; null = it does not say.
    /// Lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<OpenObject>)]
    settings_schema: Option<Option<Arc<Value>>>,
    /// Calls since the daemon started.
    calls: u64,
    /// Calls that it refused with its typed error.
    rejected: u64,
    /// Calls that failed: trap, limit, false answer.
    errors: u64,
    /// Median of the last calls.
    p50_us: f64,
    /// 99th percentile of the last calls.
    p99_us: f64,
    /// Live processors of an analytics plugin; null for others.
    processors: Option<ProcessorsRecord>,
    /// Revisions kept: the serving one, then earlier ones.
    revisions: Vec<RevisionRecord>,
}

impl From<PluginStatus> for PluginRecord {
    fn from(status: PluginStatus) -> Self {
        let current = status.current.as_ref();
        Self {
            kind: status.kind.map(|k| k.as_str()),
            state: status.state,
            version: current.map(|r| r.version.clone()),
            digest: current.map(|r| r.digest.clone()),
            revision: current.map(|r| r.revision),
            refused_reason: status.quarantine.as_ref().map(|q| q.reason.clone()),
            name: status.name,
            summary: status.summary,
            confidence: status.confidence,
            file: status.file,
            serving_from: status.serving_from,
            rolled_back: status.rolled_back.map(Into::into),
            staged: status.staged.map(Into::into),
            quarantine: status.quarantine.map(Into::into),
            refused: status.refused.into_iter().map(Into::into).collect(),
            limits: status.limits.into(),
            settings: status.settings,
            settings_schema: None,
            calls: status.stats.calls,
            rejected: status.stats.rejected,
            errors: status.stats.errors,
            p50_us: status.stats.p50_us,
            p99_us: status.stats.p99_us,
            processors: status.processors.map(Into::into),
            revisions: status
                .current
                .into_iter()
                .chain(status.previous)
                .map(Into::into)
                .collect(),
        }
    }
}

/// How live processors do, since the daemon started.
#[derive(Serialize, ToSchema)]
#[schema(as = Processors)]
pub(crate) struct ProcessorsRecord {
    /// One a domain.
    alive: u64,
    /// Those that are being handed events now, to answer a question.
    catching_up: u64,
    /// Events handed to those alive so far: rises while one is rebuilt.
    ingested_events: u64,
    /// Times that a new revision took over the state of the one before it.
    carried_over: u64,
    /// Times that one began anew and was rebuilt from the recorded events.
    rebuilt: u64,
}

impl From<ProcessorStatus> for ProcessorsRecord {
    fn from(status: ProcessorStatus) -> Self {
        let ProcessorStatus {
            alive,
            catching_up,
            ingested_events,
            carried_over,
            rebuilt,
        } = status;
        Self {
            alive,
            catching_up,
            ingested_events,
            carried_over,
            rebuilt,
        }
    }
}

/// A rollback: newer revisions were taken back, until another file comes.
#[derive(Serialize, ToSchema)]
#[schema(as = RolledBack)]
pub(crate) struct RolledBackRecord {
    /// The revision that served before.
    from: u64,
    /// Why.
    reason: String,
    /// Nobody ordered it: the revision failed calls that its predecessor answered.
    automatic: bool,
    #[schema(value_type = Time)]
    at: Timestamp,
}

impl From<RolledBack> for RolledBackRecord {
    fn from(rolled_back: RolledBack) -> Self {
        let RolledBack {
            from,
            reason,
            automatic,
            at,
        } = rolled_back;
        Self {
            from,
            reason,
            automatic,
            at,
        }
    }
}

/// A revision that may serve, and serves nobody until it is promoted.
#[derive(Serialize, ToSchema)]
#[schema(as = Staged)]
pub(crate) struct StagedRecord {
    /// By which a canary, a shadow or a rollback names it.
    revision: u64,
    version: String,
    /// `sha256:<hex>` of the component.
    digest: String,
    #[schema(value_type = Time)]
    at: Timestamp,
}

impl From<Staged> for StagedRecord {
    fn from(staged: Staged) -> Self {
        let Staged {
            revision,
            version,
            digest,
            at,
        } = staged;
        Self {
            revision,
            version,
            digest,
            at,
        }
    }
}

/// Which revision is to serve.
#[derive(Deserialize, ToSchema, Default)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Rollback, example = json!({"revision": 3}))]
pub(crate) struct RollbackBody {
    /// Absent = the one before the serving one.
    #[serde(default)]
    #[schema(minimum = 1)]
    revision: Option<u64>,
}

only_object!(RollbackBody);

impl RollbackBody {
    /// Its number.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.revision
    }
}

/// A plugin that was removed.
#[derive(Serialize, ToSchema)]
pub(crate) struct PluginRemoved {
    #[schema(example = "heft-next")]
    name: String,
    /// `removed`.
    #[schema(example = "removed")]
    status: &'static str,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl PluginRemoved {
    /// The answer at `timestamp`.
    pub(crate) fn new(name: String, timestamp: Timestamp) -> Self {
        Self {
            name,
            status: "removed",
            timestamp,
        }
    }
}

/// A refused file.
#[derive(Serialize, ToSchema)]
#[schema(as = Quarantine)]
pub(crate) struct QuarantineRecord {
    /// `sha256:<hex>` of the refused bytes; null when they could not be read.
    digest: Option<String>,
    /// The step that refused it.
    #[schema(example = "probe")]
    stage: String,
    /// The full reason.
    reason: String,
    #[schema(value_type = Time)]
    at: Timestamp,
}

impl From<Quarantine> for QuarantineRecord {
    fn from(quarantine: Quarantine) -> Self {
        let Quarantine {
            digest,
            stage,
            reason,
            at,
        } = quarantine;
        Self {
            digest,
            stage,
            reason,
            at,
        }
    }
}

/// A revision.
#[derive(Serialize, ToSchema)]
#[schema(as = Revision)]
pub(crate) struct RevisionRecord {
    /// Numbered upward per plugin.
    revision: u64,
    version: String,
    /// `sha256:<hex>` of the component.
    digest: String,
    /// When it began to serve.
    #[schema(value_type = Time)]
    activated_at: Timestamp,
    /// Size of the component.
    size_bytes: u64,
    /// Milliseconds from bytes read to ready to serve.
    load_ms: f64,
    /// Whether the compiled code came from the artifact cache.
    from_cache: bool,
    /// `closed`, or, when it failed too often, `open` (asked only where nothing else could
    /// answer) and then `half-open` (single calls try it).
    #[schema(value_type = String, example = "closed")]
    breaker: BreakerState,
    /// What the gate said before it took another's place; null where there was none.
    gate: Option<String>,
}

impl From<RevisionStatus> for RevisionRecord {
    fn from(status: RevisionStatus) -> Self {
        let RevisionStatus {
            revision,
            version,
            digest,
            activated_at,
            size_bytes,
            load_ms,
            from_cache,
            breaker,
            gate,
        } = status;
        Self {
            revision,
            version,
            digest,
            activated_at,
            size_bytes,
            load_ms,
            from_cache,
            breaker,
            gate,
        }
    }
}

/// Limits in force for a plugin.
#[derive(Serialize, ToSchema)]
#[schema(as = PluginLimits)]
pub(crate) struct LimitsRecord {
    /// Own running time of one call.
    deadline_ms: u64,
    /// Wall-clock cap of one call, waits included.
    wall_ms: u64,
    /// Linear memory of one instance.
    memory_bytes: u64,
    /// Elements of all tables of one instance.
    table_elements: u64,
    /// Stack of the guest.
    stack_bytes: u64,
    /// Bytes a guest may make the host allocate in one call.
    hostcall_bytes: u64,
    /// Size of a problem.
    input_bytes: u64,
    /// Calls at a time.
    concurrency: u32,
    /// How long a call waits for its turn.
    queue_ms: u64,
    /// Log bytes of one call.
    log_bytes: u64,
}

impl From<PluginLimits> for LimitsRecord {
    fn from(limits: PluginLimits) -> Self {
        Self {
            deadline_ms: limits.deadline_ms,
            wall_ms: limits.wall_ms,
            memory_bytes: limits.memory_bytes,
            table_elements: limits.table_elements,
            stack_bytes: limits.stack_bytes,
            hostcall_bytes: limits.hostcall_bytes,
            input_bytes: limits.input_bytes,
            concurrency: limits.concurrency,
            queue_ms: limits.queue_ms,
            log_bytes: limits.log_bytes,
        }
    }
}

/// A plugin in its envelope: its record at the top, since it is no orchestration record.
#[derive(Serialize, ToSchema)]
pub(crate) struct PluginAnswer {
    #[serde(flatten)]
    plugin: PluginRecord,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl PluginAnswer {
    /// The envelope.
    pub(crate) fn new(status: PluginStatus, timestamp: Timestamp) -> Self {
        let schema = status.settings_schema.clone();
        let mut plugin = PluginRecord::from(status);
        plugin.settings_schema = Some(schema);
        Self { plugin, timestamp }
    }
}
