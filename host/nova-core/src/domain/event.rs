//! Events: everything that happened, in order. Analytics read these and nothing else.

use serde::{Deserialize, Serialize};

use super::id::{AgentId, Domain, FlowId, ResourceId, TaskId};
use super::time::Timestamp;

/// What happened; `value` means what the analytics processor's WIT documents for the kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "each is documented in wit/v0.1/analytics-processor.wit"
)]
pub enum EventKind {
    TaskCreated,
    TaskBlocked,
    TaskReady,
    TaskAssigned,
    TaskStarted,
    TaskCompleted,
    TaskFailed,
    AttemptFailed,
    TaskCancelled,
    AgentRegistered,
    FlowCreated,
    FlowOptimized,
    FlowCompleted,
    FlowFailed,
    FlowCancelled,
    ResourceCapacity,
    AllocationGranted,
    AllocationReleased,
    QueueDepth,
    UserMetric,
}

impl EventKind {
    /// Every kind; the position is the datastore's code, so that new ones go at the end.
    pub const ALL: [Self; 20] = [
        Self::TaskCreated,
        Self::TaskBlocked,
        Self::TaskReady,
        Self::TaskAssigned,
        Self::TaskStarted,
        Self::TaskCompleted,
        Self::TaskFailed,
        Self::AttemptFailed,
        Self::TaskCancelled,
        Self::AgentRegistered,
        Self::FlowCreated,
        Self::FlowOptimized,
        Self::FlowCompleted,
        Self::FlowFailed,
        Self::FlowCancelled,
        Self::ResourceCapacity,
        Self::AllocationGranted,
        Self::AllocationReleased,
        Self::QueueDepth,
        Self::UserMetric,
    ];

    /// The datastore's code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind of that code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// An event to be appended; the datastore gives it its `seq`.
#[derive(Clone, PartialEq, Debug)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// To which task.
    pub task_id: Option<TaskId>,
    /// In which flow.
    pub flow_id: Option<FlowId>,
    /// By or to which agent.
    pub agent_id: Option<AgentId>,
    /// To which resource.
    pub resource_id: Option<ResourceId>,
    /// Name of a user metric.
    pub metric: Option<String>,
    /// The number that belongs to the kind; finite.
    pub value: f64,
}

impl NewEvent {
    /// An event of this kind about nothing yet.
    pub fn new(kind: EventKind, value: f64) -> Self {
        Self {
            kind,
            task_id: None,
            flow_id: None,
            agent_id: None,
            resource_id: None,
            metric: None,
            value,
        }
    }
}

/// A recorded event.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// Its place in the order of everything; rising, with gaps in a domain.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Where it is seen.
    pub domain: Domain,
    /// What happened.
    pub body: NewEvent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_positions() {
        for (i, kind) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.code()), i);
            assert_eq!(EventKind::from_code(kind.code()), Some(kind));
        }
    }
}
