//! Tasks as clients see them: record and answer.

use std::collections::BTreeSet;

use nova_core::services::TaskView;
use nova_core::{
    AgentId, Domain, FlowId, Planned, Priority, Task, TaskId, TaskStatus, Timestamp, Transition,
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::answer::FACT;
use super::schema::{Id, Name, OpenObject, PriorityLevel, TaskState, Time};
use super::task_body::{EstimateBody, RetryBody};

/// A task, whole.
#[derive(Serialize, ToSchema)]
#[schema(as = Task)]
pub(crate) struct TaskRecord {
    #[schema(value_type = Id)]
    task_id: TaskId,
    #[schema(value_type = Name)]
    domain: Domain,
    /// What sort of work it is.
    #[serde(rename = "type")]
    #[schema(example = "compile")]
    kind: String,
    /// What the worker is told.
    #[schema(value_type = OpenObject)]
    parameters: Map<String, Value>,
    #[schema(value_type = PriorityLevel)]
    priority: Priority,
    /// When it should be done.
    #[schema(value_type = Option<Time>)]
    deadline: Option<Timestamp>,
    /// Tasks that must complete first.
    #[schema(value_type = Vec<Id>)]
    dependencies: Vec<TaskId>,
    /// The flow it belongs to.
    #[schema(value_type = Option<Name>)]
    flow_id: Option<FlowId>,
    /// The client's name for it inside its flow.
    key: Option<String>,
    /// The agent that has it, or is planned for it.
    #[schema(value_type = Option<Name>)]
    agent_id: Option<AgentId>,
    /// What an agent must be able to do.
    required_capabilities: BTreeSet<String>,
    /// What it is expected to take.
    estimate: EstimateBody,
    /// What happens when an attempt fails.
    retry: RetryBody,
    /// The client's own.
    #[schema(value_type = OpenObject)]
    metadata: Map<String, Value>,
    #[schema(value_type = TaskState)]
    status: TaskStatus,
    /// Attempts begun so far.
    attempt: u32,
    /// Not to be begun earlier.
    #[schema(value_type = Option<Time>)]
    not_before: Option<Timestamp>,
    /// Where the last applied plan has put it.
    planned: Option<PlannedRecord>,
    /// What the worker answered.
    result: Option<Value>,
    /// Why the last attempt failed, or why it was cancelled.
    error: Option<String>,
    /// Rises by one with every change.
    version: u64,
    #[schema(value_type = Time)]
    created_at: Timestamp,
    #[schema(value_type = Time)]
    updated_at: Timestamp,
    /// When it last became ready.
    #[schema(value_type = Option<Time>)]
    ready_at: Option<Timestamp>,
    /// When the last attempt began.
    #[schema(value_type = Option<Time>)]
    started_at: Option<Timestamp>,
    /// When it reached a final status.
    #[schema(value_type = Option<Time>)]
    finished_at: Option<Timestamp>,
    /// Its transitions, oldest first; only where one task is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<TransitionRecord>>,
}

impl From<Task> for TaskRecord {
    fn from(task: Task) -> Self {
        Self {
            task_id: task.task_id,
            domain: task.domain,
            kind: task.kind,
            parameters: task.parameters,
            priority: task.priority,
            deadline: task.deadline,
            dependencies: task.dependencies,
            flow_id: task.flow_id,
            key: task.key,
            agent_id: task.agent_id,
            required_capabilities: task.required_capabilities,
            estimate: task.estimate.into(),
            retry: task.retry.into(),
            metadata: task.metadata,
            status: task.status,
            attempt: task.attempt,
            not_before: task.not_before,
            planned: task.planned.map(Into::into),
            result: task.result,
            error: task.error,
            version: task.version,
            created_at: task.created_at,
            updated_at: task.updated_at,
            ready_at: task.ready_at,
            started_at: task.started_at,
            finished_at: task.finished_at,
            history: None,
        }
    }
}

impl From<TaskView> for TaskRecord {
    fn from(view: TaskView) -> Self {
        let history = view.history.into_iter().map(Into::into).collect();
        Self {
            history: Some(history),
            ..view.task.into()
        }
    }
}

/// Where an applied plan has put a task.
#[derive(Serialize, ToSchema)]
#[schema(as = Planned)]
pub(crate) struct PlannedRecord {
    /// When the plan was applied.
    #[schema(value_type = Time)]
    planned_at: Timestamp,
    /// Planned start, seconds from `planned_at`.
    start_s: f64,
    /// Planned finish, seconds from `planned_at`.
    finish_s: f64,
}

impl From<Planned> for PlannedRecord {
    fn from(planned: Planned) -> Self {
        let Planned {
            planned_at,
            start_s,
            finish_s,
        } = planned;
        Self {
            planned_at,
            start_s,
            finish_s,
        }
    }
}

/// One step in a task's life.
#[derive(Serialize, ToSchema)]
#[schema(as = Transition)]
pub(crate) struct TransitionRecord {
    /// Before; null at creation.
    #[schema(value_type = Option<TaskState>)]
    from: Option<TaskStatus>,
    /// After.
    #[schema(value_type = TaskState)]
    to: TaskStatus,
    #[schema(value_type = Time)]
    at: Timestamp,
    /// The agent at that moment.
    #[schema(value_type = Option<Name>)]
    agent_id: Option<AgentId>,
    /// Why, for people.
    reason: Option<String>,
}

impl From<Transition> for TransitionRecord {
    fn from(step: Transition) -> Self {
        let Transition {
            from,
            to,
            at,
            agent_id,
            reason,
        } = step;
        Self {
            from,
            to,
            at,
            agent_id,
            reason,
        }
    }
}

/// A task in its envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskAnswer {
    #[schema(value_type = Id)]
    task_id: TaskId,
    #[schema(value_type = Option<Name>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_id: Option<FlowId>,
    #[schema(value_type = Option<Name>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<AgentId>,
    #[schema(value_type = TaskState)]
    status: TaskStatus,
    /// The task.
    orchestration: TaskRecord,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl TaskAnswer {
    /// The envelope of a task or of a task with its history.
    pub(crate) fn new(task: impl Into<TaskRecord>, timestamp: Timestamp) -> Self {
        let task = task.into();
        Self {
            task_id: task.task_id,
            flow_id: task.flow_id.clone(),
            agent_id: task.agent_id.clone(),
            status: task.status,
            orchestration: task,
            confidence: FACT,
            timestamp,
        }
    }

    /// The task's version.
    pub(crate) fn version(&self) -> u64 {
        self.orchestration.version
    }

    /// The task's id.
    pub(crate) fn task_id(&self) -> TaskId {
        self.task_id
    }
}
