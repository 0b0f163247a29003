//! Leases: an agent's right to work on one attempt of a task, for a while.

use serde::{Deserialize, Serialize};

use super::id::{AgentId, Domain, LeaseId, TaskId};
use super::time::Timestamp;

/// What became of a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// The agent has it.
    Active,
    /// The task was completed with it.
    Completed,
    /// The attempt was given up with it.
    Failed,
    /// Its time ran out.
    Expired,
    /// The task went another way: it was cancelled.
    Revoked,
}

impl LeaseState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::Completed,
        Self::Failed,
        Self::Expired,
        Self::Revoked,
    ];

    /// The wire and datastore name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// The state of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// A lease. A task has at most one that is active.
#[derive(Clone, PartialEq, Debug)]
pub struct Lease {
    /// Its id.
    pub lease_id: LeaseId,
    /// Where the task is found.
    pub domain: Domain,
    /// On which task.
    pub task_id: TaskId,
    /// Who has it.
    pub agent_id: AgentId,
    /// The attempt that it is for.
    pub attempt: u32,
    /// How long a heartbeat extends it, in seconds.
    pub lease_s: f64,
    /// What became of it.
    pub state: LeaseState,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When it ends unless it is extended.
    pub expires_at: Timestamp,
}
