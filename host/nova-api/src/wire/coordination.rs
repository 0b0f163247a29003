//! Coordination and assignment: several agents on one task, one task for one agent.

use nova_core::domain::coordination::Pattern;
use nova_core::services::{Assignee, Coordination, CoordinationRequest};
use nova_core::{AgentId, Error, FlowId, NewTask, Task, TaskId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::FACT;
use super::flow::FlowWithTasks;
use super::object::only_object;
use super::page::shown;
use super::schema::{Id, Label, Name, Time};
use super::task::TaskRecord;
use super::task_body::NewTaskBody;
use crate::extract::parse_value;
use crate::problem::Problem;

/// Several agents on one task.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Coordinate, example = json!({
    "agents": ["planner", "builder-1", "builder-2"],
    "task": {"type": "release", "parameters": {"version": "0.2.0"}},
    "strategy": {"type": "mesh", "parameters": {"rounds": 3}},
    "constraints": {"deadline": "2026-02-01T12:00:00.000Z"}
}))]
pub(crate) struct CoordinateBody {
    /// The agents, in the order that the pattern uses them.
    #[schema(value_type = Vec<Name>)]
    agents: Vec<AgentId>,
    /// What they are to do together.
    task: NewTaskBody,
    /// `parallel` (default), `sequential`, `hierarchical` or `mesh`; or an object with
    /// `type` and `parameters` (`rounds` of a mesh).
    #[serde(default)]
    #[schema(value_type = Option<PatternChoice>)]
    strategy: Option<Value>,
    /// Bounds.
    #[serde(default)]
    constraints: TaskConstraints,
    /// The flow's name.
    #[serde(default)]
    #[schema(value_type = Option<Label>)]
    name: Option<String>,
}

only_object!(CoordinateBody);

/// A pattern by its name, or with parameters.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Pattern)]
#[allow(
    dead_code,
    reason = "schema only: the value is parsed by hand, for better messages"
)]
pub(crate) enum PatternChoice {
    /// Its name.
    Name(String),
    /// With parameters.
    Detailed(PatternBody),
}

/// A pattern with its parameters.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub(crate) struct PatternBody {
    /// `parallel`, `sequential`, `hierarchical` or `mesh`.
    #[serde(rename = "type")]
    #[schema(example = "mesh")]
    kind: String,
    /// What the pattern may be told.
    #[serde(default)]
    parameters: PatternParameters,
}

only_object!(PatternBody);

/// What a pattern may be told.
#[derive(Deserialize, ToSchema, Default)]
#[serde(remote = "Self", deny_unknown_fields)]
pub(crate) struct PatternParameters {
    /// Rounds of a mesh.
    #[serde(default)]
    #[schema(minimum = 1, example = 2)]
    rounds: Option<u32>,
}

only_object!(PatternParameters);

/// Bounds of a task that is made.
#[derive(Deserialize, ToSchema, Default)]
#[serde(remote = "Self", deny_unknown_fields)]
pub(crate) struct TaskConstraints {
    /// When it must be done.
    #[serde(default)]
    #[schema(value_type = Option<Time>)]
    deadline: Option<Timestamp>,
    /// The same as seconds from now; the earlier of both holds.
    #[serde(default)]
    #[schema(exclusive_minimum = 0)]
    max_latency_s: Option<f64>,
}

only_object!(TaskConstraints);

impl TaskConstraints {
    fn deadline(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let within = match self.max_latency_s {
            None => None,
            Some(s) if s > 0.0 && s.is_finite() => Some(now.plus_s(s)),
            Some(s) => {
                return Err(Error::field(
                    "constraints.max_latency_s",
                    format!("max_latency_s must be above 0, got {s}"),
                ));
            }
        };
        Ok(self.deadline.into_iter().chain(within).min())
    }
}

impl CoordinateBody {
    /// The domain's request; `now` is when it came.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(crate) fn into_request(self, now: Timestamp) -> Result<CoordinationRequest, Problem> {
        let (kind, rounds, field) = match self.strategy {
            None | Some(Value::Null) => ("parallel".to_owned(), None, "strategy"),
            Some(Value::String(name)) => (name, None, "strategy"),
            Some(other) => {
                let body: PatternBody = parse_value("strategy", other)?;
                (body.kind, body.parameters.rounds, "strategy.type")
            }
        };
        let pattern = Pattern::parse(&kind).ok_or_else(|| {
            let kind = shown(&kind);
            Error::field(
                field,
                format!("{field} must be parallel, sequential, hierarchical or mesh, got '{kind}'"),
            )
        })?;
        let task = NewTask::from(self.task);
        let deadline = task
            .deadline
            .into_iter()
            .chain(self.constraints.deadline(now)?)
            .min();
        Ok(CoordinationRequest {
            agents: self.agents,
            task,
            pattern,
            rounds,
            deadline,
            name: self.name,
        })
    }
}

/// What came of a coordination.
#[derive(Serialize, ToSchema)]
pub(crate) struct CoordinationAnswer {
    #[schema(value_type = Id)]
    coordination_id: String,
    #[schema(value_type = Name)]
    flow_id: FlowId,
    #[schema(value_type = Vec<Id>)]
    task_ids: Vec<TaskId>,
    /// `coordinated`.
    #[schema(example = "coordinated")]
    status: &'static str,
    /// The flow and its tasks.
    orchestration: FlowWithTasks,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl CoordinationAnswer {
    /// The envelope.
    pub(crate) fn new(made: Coordination, timestamp: Timestamp) -> Self {
        Self {
            coordination_id: made.coordination_id,
            flow_id: made.flow.flow_id.clone(),
            task_ids: made.tasks.iter().map(|t| t.task_id).collect(),
            status: "coordinated",
            orchestration: FlowWithTasks::new(made.flow, made.tasks),
            confidence: FACT,
            timestamp,
        }
    }

    /// The flow that was made.
    pub(crate) fn flow_id(&self) -> &FlowId {
        &self.flow_id
    }
}

/// One task for one agent: a new one or one that exists.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Assign, example = json!({"task": {"type": "compile", "required_capabilities": ["rust"]}}))]
pub(crate) struct AssignBody {
    /// A task to be made; or `task_id`.
    #[serde(default)]
    task: Option<NewTaskBody>,
    /// A task that exists; or `task`.
    #[serde(default)]
    #[schema(value_type = Option<Id>)]
    task_id: Option<TaskId>,
    /// Bounds of a task to be made.
    #[serde(default)]
    constraints: TaskConstraints,
}

only_object!(AssignBody);

impl AssignBody {
    /// What is to be assigned; `now` is when it was asked.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(crate) fn into_assignee(self, now: Timestamp) -> Result<Assignee, Error> {
        let deadline = self.constraints.deadline(now)?;
        match (self.task, self.task_id) {
            (Some(task), None) => {
                let mut task = NewTask::from(task);
                task.deadline = task.deadline.into_iter().chain(deadline).min();
                Ok(Assignee::New(task))
            }
            (None, Some(_)) if deadline.is_some() => Err(Error::field(
                "constraints",
                "constraints apply to a new task; change an existing one by PUT",
            )),
            (None, Some(id)) => Ok(Assignee::Existing(id)),
            (Some(_), Some(_)) => Err(Error::field("task_id", "either task or task_id, got both")),
            (None, None) => Err(Error::field("task", "either task or task_id is required")),
        }
    }
}

/// An assignment in its envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct AssignmentAnswer {
    #[schema(value_type = Id)]
    task_id: TaskId,
    #[schema(value_type = Name)]
    agent_id: AgentId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>)]
    flow_id: Option<FlowId>,
    /// `assigned`.
    #[schema(example = "assigned")]
    status: &'static str,
    /// The task.
    orchestration: TaskRecord,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl AssignmentAnswer {
    /// The envelope.
    pub(crate) fn new(agent_id: AgentId, task: Task, timestamp: Timestamp) -> Self {
        Self {
            task_id: task.task_id,
            agent_id,
            flow_id: task.flow_id.clone(),
            status: task.status.as_str(),
            orchestration: task.into(),
            confidence: FACT,
            timestamp,
        }
    }
}
