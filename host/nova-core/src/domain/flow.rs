//! Flows: graphs of tasks.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::{AgentId, Domain, FlowId, TaskId};
use super::task::NewTask;
use super::time::Timestamp;

/// Most tasks in one flow.
pub const FLOW_TASKS_MAX: usize = 20_000;
/// Most edges in one flow.
pub const FLOW_EDGES_MAX: usize = 200_000;

/// How far a flow is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowStatus {
    /// Some task is open.
    Active,
    /// Every task has completed.
    Completed,
    /// No task is open and one has failed.
    Failed,
    /// No task is open, none has failed, and one was cancelled.
    Cancelled,
}

impl FlowStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Active, Self::Completed, Self::Failed, Self::Cancelled];

    /// The wire and datastore name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

impl fmt::Display for FlowStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Data that one task hands to another.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Edge {
    /// The task that writes it.
    pub from: TaskId,
    /// The task that reads it.
    pub to: TaskId,
    /// How much, 0 for a mere order.
    pub data_bytes: f64,
}

/// What it takes to move data between two agents.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Communication {
    /// Seconds before the first byte.
    pub latency_s: f64,
    /// Bytes a second; none = transfers are free.
    pub bandwidth_bytes_per_s: Option<f64>,
}

impl Default for Communication {
    fn default() -> Self {
        Self {
            latency_s: 0.0,
            bandwidth_bytes_per_s: None,
        }
    }
}

/// A flow. Its tasks name it in their `flow_id`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Flow {
    /// Its id, unique in the domain.
    pub flow_id: FlowId,
    /// Where it is found.
    pub domain: Domain,
    /// For people.
    pub name: String,
    /// How far it is.
    pub status: FlowStatus,
    /// The network that its plans are made for.
    pub communication: Communication,
    /// Data between its tasks; a dependency without an entry moves none.
    pub edges: Vec<Edge>,
    /// The client's own.
    pub metadata: Map<String, Value>,
    /// Rises by one with every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When its last task ended.
    pub finished_at: Option<Timestamp>,
}

/// A task of a flow to be made: named by `key`, depending on other keys.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NewFlowTask {
    /// Its name inside the flow, unique there.
    pub key: String,
    /// Everything else; `flow_id` and `dependencies` are set by the flow (dependencies given
    /// here are tasks outside the flow).
    pub task: NewTask,
    /// Keys of the tasks that must complete first.
    pub depends_on: Vec<String>,
    /// The agent it is meant for, where the client already knows.
    pub agent_id: Option<AgentId>,
}

/// A flow as a client asks for it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NewFlow {
    /// The client's choice, or one is made.
    pub flow_id: Option<FlowId>,
    /// See [`Flow::name`].
    pub name: String,
    /// Its tasks.
    pub tasks: Vec<NewFlowTask>,
    /// Data between keys; an edge is a dependency too. (from, to, bytes)
    pub edges: Vec<(String, String, f64)>,
    /// See [`Flow::communication`]; none = the daemon's default.
    pub communication: Option<Communication>,
    /// See [`Flow::metadata`].
    pub metadata: Map<String, Value>,
}
