//! Flows: bodies, record, answer.

use std::collections::{BTreeMap, BTreeSet};

use nova_core::services::FlowView;
use nova_core::{
    AgentId, Communication, Domain, Edge, Error, Flow, FlowId, FlowStatus, NewFlow, NewFlowTask,
    NewTask, Priority, Task, TaskId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::answer::{FACT, check_addressable};
use super::object::only_object;
use super::schema::{FlowState, Id, Label, Name, OpenObject, PriorityLevel, Time};
use super::task::TaskRecord;
use super::task_body::{EstimateBody, RetryBody};

/// A flow to be made, with its tasks, in one transaction.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = NewFlow, example = json!({
    "flow_id": "release-0.2",
    "name": "Release",
    "tasks": [
        {"key": "build", "type": "compile", "estimate": {"duration_s": 40.0}},
        {"key": "test", "type": "test", "depends_on": ["build"], "estimate": {"duration_s": 25.0}},
        {"key": "docs", "type": "docs", "estimate": {"duration_s": 10.0}},
        {"key": "publish", "type": "publish", "depends_on": ["test", "docs"]}
    ],
    "edges": [{"from": "build", "to": "test", "data_bytes": 25000000.0}],
    "communication": {"latency_s": 0.001, "bandwidth_bytes_per_s": 125000000.0}
}))]
pub(crate) struct NewFlowBody {
    /// The client's choice, or one is made.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    flow_id: Option<FlowId>,
    /// For people; defaults to `flow_id`.
    #[serde(default)]
    #[schema(value_type = Option<Label>)]
    name: Option<String>,
    /// Its tasks.
    #[serde(default)]
    tasks: Vec<FlowTaskBody>,
    /// Data between tasks; an edge is a dependency too.
    #[serde(default)]
    edges: Vec<KeyEdge>,
    /// The network that plans are made for; absent = the daemon's default.
    #[serde(default)]
    communication: Option<CommunicationBody>,
    /// The client's own.
    #[serde(default)]
    #[schema(value_type = OpenObject)]
    metadata: Map<String, Value>,
}

only_object!(NewFlowBody);

impl TryFrom<NewFlowBody> for NewFlow {
    type Error = Error;

    fn try_from(body: NewFlowBody) -> Result<Self, Error> {
        if let Some(id) = &body.flow_id {
            check_addressable("flow_id", id.as_str(), &[])?;
        }
        let name = match (body.name, &body.flow_id) {
            (Some(name), _) => name,
            (None, Some(id)) => id.to_string(),
            (None, None) => {
                return Err(Error::field(
                    "name",
                    "name is required where there is no flow_id",
                ));
            }
        };
        Ok(Self {
            flow_id: body.flow_id,
            name,
            tasks: body.tasks.into_iter().map(Into::into).collect(),
            edges: body
                .edges
                .into_iter()
                .map(|e| (e.from, e.to, e.data_bytes))
                .collect(),
            communication: body
                .communication
                .map(|c| c.check("communication."))
                .transpose()?,
            metadata: body.metadata,
        })
    }
}

/// A task of a flow to be made.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = NewFlowTask)]
pub(crate) struct FlowTaskBody {
    /// Its name inside the flow, unique there.
    #[schema(value_type = Label, example = "build")]
    key: String,
    /// Keys of the tasks that must complete first.
    #[serde(default)]
    depends_on: Vec<String>,
    /// The agent it is meant for, where that is already known.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    agent_id: Option<AgentId>,
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
    /// Tasks outside the flow that must complete first.
    #[serde(default)]
    #[schema(value_type = Vec<Id>)]
    dependencies: Vec<TaskId>,
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

only_object!(FlowTaskBody);

impl From<FlowTaskBody> for NewFlowTask {
    fn from(body: FlowTaskBody) -> Self {
        Self {
            key: body.key,
            depends_on: body.depends_on,
            agent_id: body.agent_id,
            task: NewTask {
                kind: body.kind,
                parameters: body.parameters,
                priority: body.priority,
                deadline: body.deadline,
                dependencies: body.dependencies,
                flow_id: None,
                required_capabilities: body.required_capabilities,
                estimate: body.estimate.into(),
                retry: body.retry.into(),
                metadata: body.metadata,
            },
        }
    }
}

/// Data that one task hands to another, by keys.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = NewEdge)]
pub(crate) struct KeyEdge {
    /// Key of the task that writes it.
    from: String,
    /// Key of the task that reads it.
    to: String,
    /// How much; 0 for a mere order.
    #[serde(default)]
    #[schema(minimum = 0, default = 0.0)]
    data_bytes: f64,
}

only_object!(KeyEdge);

/// What it takes to move data between two agents.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Communication)]
pub(crate) struct CommunicationBody {
    /// Seconds before the first byte.
    #[serde(default)]
    #[schema(minimum = 0, default = 0.0)]
    latency_s: f64,
    /// Bytes a second; absent = transfers are free.
    #[serde(default)]
    #[schema(exclusive_minimum = 0)]
    bandwidth_bytes_per_s: Option<f64>,
}

only_object!(CommunicationBody, Serialize);

impl CommunicationBody {
    /// The domain's value; `at` is put before field names.
    ///
    /// # Errors
    /// A negative latency or a bandwidth that is not above 0.
    pub(crate) fn check(self, at: &str) -> Result<Communication, Error> {
        let Self {
            latency_s,
            bandwidth_bytes_per_s,
        } = self;
        if !(0.0..=1e9).contains(&latency_s) {
            let field = format!("{at}latency_s");
            return Err(Error::field(
                &field,
                format!("{field} must be 0 to 1e9, got {latency_s}"),
            ));
        }
        if let Some(bandwidth) = bandwidth_bytes_per_s
            && !(bandwidth > 0.0 && bandwidth.is_finite())
        {
            let field = format!("{at}bandwidth_bytes_per_s");
            return Err(Error::field(
                &field,
                format!("{field} must be above 0, got {bandwidth}"),
            ));
        }
        Ok(Communication {
            latency_s,
            bandwidth_bytes_per_s,
        })
    }
}

impl From<Communication> for CommunicationBody {
    fn from(communication: Communication) -> Self {
        let Communication {
            latency_s,
            bandwidth_bytes_per_s,
        } = communication;
        Self {
            latency_s,
            bandwidth_bytes_per_s,
        }
    }
}

/// A flow without its tasks.
#[derive(Serialize, ToSchema)]
#[schema(as = Flow)]
pub(crate) struct FlowRecord {
    #[schema(value_type = Name)]
    pub(super) flow_id: FlowId,
    #[schema(value_type = Name)]
    domain: Domain,
    /// For people.
    #[schema(example = "Release")]
    name: String,
    #[schema(value_type = FlowState)]
    status: FlowStatus,
    /// The network that plans are made for.
    communication: CommunicationBody,
    /// Data between its tasks; a dependency without an entry moves none.
    edges: Vec<EdgeRecord>,
    /// The client's own.
    #[schema(value_type = OpenObject)]
    metadata: Map<String, Value>,
    /// Rises by one with every change.
    version: u64,
    #[schema(value_type = Time)]
    created_at: Timestamp,
    #[schema(value_type = Time)]
    updated_at: Timestamp,
    /// When its last task ended.
    #[schema(value_type = Option<Time>)]
    finished_at: Option<Timestamp>,
}

impl From<Flow> for FlowRecord {
    fn from(flow: Flow) -> Self {
        Self {
            flow_id: flow.flow_id,
            domain: flow.domain,
            name: flow.name,
            status: flow.status,
            communication: flow.communication.into(),
            edges: flow.edges.into_iter().map(Into::into).collect(),
            metadata: flow.metadata,
            version: flow.version,
            created_at: flow.created_at,
            updated_at: flow.updated_at,
            finished_at: flow.finished_at,
        }
    }
}

/// Data that one task hands to another.
#[derive(Serialize, ToSchema)]
#[schema(as = Edge)]
pub(crate) struct EdgeRecord {
    #[schema(value_type = Id)]
    from: TaskId,
    #[schema(value_type = Id)]
    to: TaskId,
    /// 0 for a mere order.
    data_bytes: f64,
}

impl From<Edge> for EdgeRecord {
    fn from(edge: Edge) -> Self {
        let Edge {
            from,
            to,
            data_bytes,
        } = edge;
        Self {
            from,
            to,
            data_bytes,
        }
    }
}

/// A flow with its graph and how far it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct FlowDetail {
    #[serde(flatten)]
    flow: FlowRecord,
    /// Its tasks; their `dependencies` and the flow's `edges` are the graph.
    tasks: Vec<TaskRecord>,
    /// How far it is.
    progress: ProgressRecord,
    /// The longest chain of tasks.
    critical_path: CriticalPathRecord,
}

/// How far a flow is.
#[derive(Serialize, ToSchema)]
#[schema(as = Progress)]
pub(crate) struct ProgressRecord {
    /// Tasks in all.
    total: u64,
    /// Tasks by status; only statuses that occur.
    #[schema(value_type = BTreeMap<String, u64>, example = json!({"completed": 3, "ready": 1}))]
    by_status: BTreeMap<&'static str, u64>,
    /// Tasks that have ended ÷ all; 1 where there are none.
    #[schema(minimum = 0, maximum = 1)]
    ratio: f64,
}

/// The longest chain of tasks, by estimates on a reference agent, without transfers.
#[derive(Serialize, ToSchema)]
#[schema(as = CriticalPath)]
pub(crate) struct CriticalPathRecord {
    /// First to last.
    #[schema(value_type = Vec<Id>)]
    tasks: Vec<TaskId>,
    /// Its length in seconds.
    length_s: f64,
}

impl From<FlowView> for FlowDetail {
    fn from(view: FlowView) -> Self {
        Self {
            flow: view.flow.into(),
            tasks: view.tasks.into_iter().map(Into::into).collect(),
            progress: ProgressRecord {
                total: view.progress.total,
                by_status: view
                    .progress
                    .by_status
                    .into_iter()
                    .map(|(s, n)| (s.as_str(), n))
                    .collect(),
                ratio: view.progress.ratio,
            },
            critical_path: CriticalPathRecord {
                tasks: view.critical_path.tasks,
                length_s: view.critical_path.length_s,
            },
        }
    }
}

/// A flow that was made, in its envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewFlowAnswer {
    #[schema(value_type = Name)]
    flow_id: FlowId,
    /// The tasks' ids by their keys.
    #[schema(value_type = BTreeMap<String, Id>)]
    tasks: BTreeMap<String, TaskId>,
    #[schema(value_type = FlowState)]
    status: FlowStatus,
    /// The flow and its tasks.
    orchestration: FlowWithTasks,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

/// A flow with its tasks.
#[derive(Serialize, ToSchema)]
pub(crate) struct FlowWithTasks {
    #[serde(flatten)]
    pub(super) flow: FlowRecord,
    /// Its tasks, in the order they were made.
    pub(super) tasks: Vec<TaskRecord>,
}

impl FlowWithTasks {
    /// The record of a flow and its tasks.
    pub(crate) fn new(flow: Flow, tasks: Vec<Task>) -> Self {
        Self {
            flow: flow.into(),
            tasks: tasks.into_iter().map(Into::into).collect(),
        }
    }
}

impl NewFlowAnswer {
    /// The envelope.
    pub(crate) fn new(flow: Flow, tasks: Vec<Task>, timestamp: Timestamp) -> Self {
        Self {
            flow_id: flow.flow_id.clone(),
            tasks: tasks
                .iter()
                .filter_map(|t| Some((t.key.clone()?, t.task_id)))
                .collect(),
            status: flow.status,
            orchestration: FlowWithTasks::new(flow, tasks),
            confidence: FACT,
            timestamp,
        }
    }

    /// The flow's version.
    pub(crate) fn version(&self) -> u64 {
        self.orchestration.flow.version
    }

    /// The flow's id.
    pub(crate) fn flow_id(&self) -> &FlowId {
        &self.flow_id
    }
}

/// A flow in its envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct FlowAnswer {
    #[schema(value_type = Name)]
    flow_id: FlowId,
    #[schema(value_type = FlowState)]
    status: FlowStatus,
    /// The flow with its graph, progress and critical path.
    orchestration: FlowDetail,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl FlowAnswer {
    /// The envelope.
    pub(crate) fn new(view: FlowView, timestamp: Timestamp) -> Self {
        Self {
            flow_id: view.flow.flow_id.clone(),
            status: view.flow.status,
            orchestration: view.into(),
            confidence: FACT,
            timestamp,
        }
    }

    /// The flow's version.
    pub(crate) fn version(&self) -> u64 {
        self.orchestration.flow.version
    }
}
