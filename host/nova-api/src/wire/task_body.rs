//! Tasks as clients ask for them: to be made, to be changed.

use std::collections::{BTreeMap, BTreeSet};

use nova_core::services::TaskChange;
use nova_core::{
    AgentId, Estimate, FlowId, NewTask, Priority, RetryPolicy, TaskId, TaskStatus, Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::object::only_object;
use super::schema::{Amount, Id, Label, Name, OpenObject, PriorityLevel, TaskState, Time};

/// A task to be made.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = NewTask, example = json!({
    "type": "compile",
    "parameters": {"crate": "nova-core"},
    "priority": 3,
    "required_capabilities": ["rust"],
    "estimate": {"duration_s": 12.5, "demand": {"cpu": 1.0}},
    "retry": {"max_attempts": 3, "backoff_ms": 500, "max_backoff_ms": 10000}
}))]
pub(crate) struct NewTaskBody {
    /// What sort of work it is.
    #[serde(rename = "type")]
    #[schema(value_type = Label)]
    kind: String,
    /// What the worker is told.
    #[serde(default)]
    #[schema(value_type = OpenObject)]
    parameters: Map<String, Value>,
    /// 1 (lowest) to 5.
    #[serde(default)]
    #[schema(value_type = PriorityLevel)]
    priority: Priority,
    /// When it should be done.
    #[serde(default)]
    #[schema(value_type = Option<Time>)]
    deadline: Option<Timestamp>,
    /// Tasks that must complete first.
    #[serde(default)]
    #[schema(value_type = Vec<Id>)]
    dependencies: Vec<TaskId>,
    /// The flow it belongs to.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    flow_id: Option<FlowId>,
    /// What an agent must be able to do.
    #[serde(default)]
    #[schema(value_type = Vec<Label>, max_items = 100)]
    required_capabilities: BTreeSet<String>,
    /// What it is expected to take.
    #[serde(default)]
    estimate: EstimateBody,
    /// How often and how soon a failed attempt is tried again.
    #[serde(default)]
    retry: RetryBody,
    /// The client's own.
    #[serde(default)]
    #[schema(value_type = OpenObject)]
    metadata: Map<String, Value>,
}

only_object!(NewTaskBody);

impl From<NewTaskBody> for NewTask {
    fn from(body: NewTaskBody) -> Self {
        Self {
            kind: body.kind,
            parameters: body.parameters,
            priority: body.priority,
            deadline: body.deadline,
            dependencies: body.dependencies,
            flow_id: body.flow_id,
            required_capabilities: body.required_capabilities,
            estimate: body.estimate.into(),
            retry: body.retry.into(),
            metadata: body.metadata,
        }
    }
}

/// What a task is expected to take.
#[derive(Deserialize, Serialize, ToSchema, Default)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Estimate)]
pub(crate) struct EstimateBody {
    /// Seconds on a reference agent (speed 1.0).
    #[serde(default)]
    #[schema(minimum = 0, example = 12.5)]
    duration_s: Option<f64>,
    /// Seconds on particular agents, in place of `duration_s` ÷ speed.
    #[serde(default)]
    #[schema(value_type = BTreeMap<Name, Amount>, example = json!({"builder-1": 9.0}))]
    duration_by_agent_s: BTreeMap<AgentId, f64>,
    /// What it occupies on its agent while it runs.
    #[serde(default)]
    #[schema(value_type = BTreeMap<Label, Amount>, example = json!({"cpu": 1.0}))]
    demand: BTreeMap<String, f64>,
}

only_object!(EstimateBody, Serialize);

impl From<EstimateBody> for Estimate {
    fn from(body: EstimateBody) -> Self {
        let EstimateBody {
            duration_s,
            duration_by_agent_s,
            demand,
        } = body;
        Self {
            duration_s,
            duration_by_agent_s,
            demand,
        }
    }
}

impl From<Estimate> for EstimateBody {
    fn from(estimate: Estimate) -> Self {
        let Estimate {
            duration_s,
            duration_by_agent_s,
            demand,
        } = estimate;
        Self {
            duration_s,
            duration_by_agent_s,
            demand,
        }
    }
}

/// How often and how soon a failed attempt is tried again.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(default, remote = "Self", deny_unknown_fields)]
#[schema(as = Retry)]
pub(crate) struct RetryBody {
    /// Attempts in all; 1 = never tried again.
    #[schema(minimum = 1, maximum = 100, default = 1)]
    max_attempts: u32,
    /// Pause before the second attempt, doubled before each further one.
    #[schema(maximum = 86_400_000, default = 1000)]
    backoff_ms: u64,
    /// Upper bound of the pause.
    #[schema(maximum = 86_400_000, default = 60000)]
    max_backoff_ms: u64,
}

only_object!(RetryBody, Serialize);

impl Default for RetryBody {
    fn default() -> Self {
        RetryPolicy::default().into()
    }
}

impl From<RetryBody> for RetryPolicy {
    fn from(body: RetryBody) -> Self {
        let RetryBody {
            max_attempts,
            backoff_ms,
            max_backoff_ms,
        } = body;
        Self {
            max_attempts,
            backoff_ms,
            max_backoff_ms,
        }
    }
}

impl From<RetryPolicy> for RetryBody {
    fn from(retry: RetryPolicy) -> Self {
        let RetryPolicy {
            max_attempts,
            backoff_ms,
            max_backoff_ms,
        } = retry;
        Self {
            max_attempts,
            backoff_ms,
            max_backoff_ms,
        }
    }
}

/// What is to change of a task; what is absent stays. `deadline`, `flow_id` and `agent_id`
/// are taken away by null.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = TaskChange, example = json!({"status": "completed", "result": {"exit_code": 0}}))]
pub(crate) struct TaskChangeBody {
    /// What sort of work it is.
    #[serde(rename = "type")]
    #[schema(value_type = Option<Label>)]
    kind: Option<String>,
    /// What the worker is told.
    #[schema(value_type = Option<OpenObject>)]
    parameters: Option<Map<String, Value>>,
    /// 1 (lowest) to 5.
    #[schema(value_type = Option<PriorityLevel>)]
    priority: Option<Priority>,
    /// When it should be done.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<Time>)]
    deadline: Option<Option<Timestamp>>,
    /// Tasks that must complete first.
    #[schema(value_type = Option<Vec<Id>>)]
    dependencies: Option<Vec<TaskId>>,
    /// The flow it belongs to.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<Name>)]
    flow_id: Option<Option<FlowId>>,
    /// The agent that has it.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<Name>)]
    agent_id: Option<Option<AgentId>>,
    /// What an agent must be able to do.
    #[schema(value_type = Option<Vec<Label>>)]
    required_capabilities: Option<BTreeSet<String>>,
    /// What it is expected to take.
    estimate: Option<EstimateBody>,
    /// How often and how soon a failed attempt is tried again.
    retry: Option<RetryBody>,
    /// The client's own.
    #[schema(value_type = Option<OpenObject>)]
    metadata: Option<Map<String, Value>>,
    /// The next status; the transition must be a legal one.
    #[schema(value_type = Option<TaskState>)]
    status: Option<TaskStatus>,
    /// What the worker answered; with `status` "completed".
    result: Option<Value>,
    /// Why the attempt failed or the task was cancelled; with `status` "failed" or "cancelled".
    error: Option<String>,
}

only_object!(TaskChangeBody);

impl TaskChangeBody {
    /// The change, based on a version.
    pub(crate) fn into_change(self, expected_version: Option<u64>) -> TaskChange {
        TaskChange {
            kind: self.kind,
            parameters: self.parameters,
            priority: self.priority,
            deadline: self.deadline,
            dependencies: self.dependencies,
            flow_id: self.flow_id,
            agent_id: self.agent_id,
            required_capabilities: self.required_capabilities,
            estimate: self.estimate.map(Into::into),
            retry: self.retry.map(Into::into),
            metadata: self.metadata,
            status: self.status,
            result: self.result,
            error: self.error,
            expected_version,
        }
    }
}

/// Tells null (take it away) from absent (leave it).
fn clearable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
