//! Leases: bodies of workers, and what they are answered.

use nova_core::services::{Heartbeat, LeaseRequest, Leased};
use nova_core::{AgentId, LeaseId, TaskId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::FACT;
use super::object::only_object;
use super::schema::{Id, Name, Time};
use super::task::TaskRecord;

/// What a worker asks for.
#[derive(Deserialize, ToSchema, Default)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = LeaseRequest, example = json!({"max": 2, "lease_s": 30.0, "wait_ms": 5000}))]
pub(crate) struct LeaseBody {
    /// At most this many tasks.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100, default = 1)]
    max: Option<u32>,
    /// Seconds until the worker must be heard of again.
    #[serde(default)]
    #[schema(minimum = 0.1)]
    lease_s: Option<f64>,
    /// Milliseconds to wait while there is no work.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 60_000, default = 0)]
    wait_ms: u64,
}

only_object!(LeaseBody);

impl From<LeaseBody> for LeaseRequest {
    fn from(body: LeaseBody) -> Self {
        let LeaseBody {
            max,
            lease_s,
            wait_ms,
        } = body;
        Self {
            max,
            lease_s,
            wait_ms,
        }
    }
}

/// A sign of life.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = LeaseHeartbeat, example = json!({"lease_id": "019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50"}))]
pub(crate) struct HeartbeatBody {
    /// The lease.
    #[schema(value_type = Id)]
    pub(crate) lease_id: LeaseId,
}

only_object!(HeartbeatBody);

/// The end of the work.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = LeaseComplete, example = json!({"lease_id": "019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50", "result": {"artifacts": 3}}))]
pub(crate) struct CompleteBody {
    /// The lease.
    #[schema(value_type = Id)]
    pub(crate) lease_id: LeaseId,
    /// What came of it.
    #[serde(default)]
    pub(crate) result: Option<Value>,
}

only_object!(CompleteBody);

/// The work given up.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = LeaseFail, example = json!({"lease_id": "019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50", "error": "out of disk", "transient": true}))]
pub(crate) struct FailBody {
    /// The lease.
    #[schema(value_type = Id)]
    pub(crate) lease_id: LeaseId,
    /// Why.
    pub(crate) error: String,
    /// Whether another attempt may help.
    #[serde(default)]
    #[schema(default = false)]
    pub(crate) transient: bool,
}

only_object!(FailBody);

/// A leased task.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeasedTask {
    #[schema(value_type = Id)]
    lease_id: LeaseId,
    #[schema(value_type = Id)]
    task_id: TaskId,
    /// The attempt that the lease is for.
    #[schema(example = 1)]
    attempt: u32,
    /// When the lease ends unless a heartbeat extends it.
    #[schema(value_type = Time)]
    expires_at: Timestamp,
    /// The task.
    task: TaskRecord,
}

impl From<Leased> for LeasedTask {
    fn from(leased: Leased) -> Self {
        Self {
            lease_id: leased.lease.lease_id,
            task_id: leased.lease.task_id,
            attempt: leased.lease.attempt,
            expires_at: leased.lease.expires_at,
            task: leased.task.into(),
        }
    }
}

/// What an agent has leased.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeaseAnswer {
    #[schema(value_type = Name)]
    agent_id: AgentId,
    /// `leased`, or `idle` when there is no work.
    #[schema(example = "leased")]
    status: &'static str,
    /// The leases, in the order in which the work should be done.
    orchestration: Vec<LeasedTask>,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl LeaseAnswer {
    /// The envelope.
    pub(crate) fn new(agent_id: AgentId, leased: Vec<Leased>, timestamp: Timestamp) -> Self {
        Self {
            agent_id,
            status: if leased.is_empty() { "idle" } else { "leased" },
            orchestration: leased.into_iter().map(Into::into).collect(),
            confidence: FACT,
            timestamp,
        }
    }
}

/// What a heartbeat tells.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"lease_id": "019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50", "expires_at": "2026-01-31T12:00:00.000Z", "cancelled": false}))]
pub(crate) struct HeartbeatFacts {
    #[schema(value_type = Id)]
    lease_id: LeaseId,
    /// When the lease ends unless it is extended.
    #[schema(value_type = Time)]
    expires_at: Timestamp,
    /// The task was called off: stop.
    cancelled: bool,
}

/// A heartbeat's answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct HeartbeatAnswer {
    #[schema(value_type = Id)]
    task_id: TaskId,
    /// `kept`, or `cancelled`.
    #[schema(example = "kept")]
    status: &'static str,
    /// The lease.
    orchestration: HeartbeatFacts,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl HeartbeatAnswer {
    /// The envelope.
    pub(crate) fn new(heartbeat: Heartbeat, timestamp: Timestamp) -> Self {
        let Heartbeat { lease, cancelled } = heartbeat;
        Self {
            task_id: lease.task_id,
            status: if cancelled { "cancelled" } else { "kept" },
            orchestration: HeartbeatFacts {
                lease_id: lease.lease_id,
                expires_at: lease.expires_at,
                cancelled,
            },
            confidence: FACT,
            timestamp,
        }
    }
}
