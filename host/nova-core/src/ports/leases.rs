//! The datastore's part for the worker protocol: leases, what can be leased, deadlines.

use crate::domain::{Agent, Domain, Lease, LeaseId, Task, TaskId, Timestamp};
use crate::error::Result;

/// Reads of leases.
pub trait LeaseReads {
    /// One lease.
    fn lease(&self, domain: &Domain, id: LeaseId) -> Result<Option<Lease>>;
    /// The lease that is active on a task.
    fn active_lease(&self, task: TaskId) -> Result<Option<Lease>>;
    /// Active leases whose time is over, at most `limit`.
    fn expired_leases(&self, now: Timestamp, limit: usize) -> Result<Vec<Lease>>;
    /// How many leases are active.
    fn active_leases(&self) -> Result<u64>;
    /// Tasks that wait in `assigned` for this agent, and are not to begin later; by priority, deadline and age.
    fn assigned_tasks(&self, agent: &Agent, now: Timestamp, limit: usize) -> Result<Vec<Task>>;
    /// Tasks in `ready` that this agent may take: capable of, meant for nobody else, not to begin later; by priority,
    /// deadline and age.
    fn ready_tasks(&self, agent: &Agent, now: Timestamp, limit: usize) -> Result<Vec<Task>>;
    /// Open tasks whose deadline has passed and was not noted yet, at most `limit`.
    fn missed_deadlines(&self, now: Timestamp, limit: usize) -> Result<Vec<Task>>;
}

/// Writes of leases.
pub trait LeaseWrites: LeaseReads {
    /// Adds a lease.
    fn insert_lease(&mut self, lease: &Lease) -> Result<()>;
    /// Replaces a lease's state and end.
    fn update_lease(&mut self, lease: &Lease) -> Result<()>;
    /// Remembers that a task's present deadline was missed, so that it is found once.
    fn note_missed_deadline(&mut self, task: TaskId, deadline: Timestamp) -> Result<()>;
}
