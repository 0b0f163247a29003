//! Leases of the datastore in memory.

use super::datastore::State;
use crate::domain::{
    Agent, Domain, Lease, LeaseId, LeaseState, Task, TaskId, TaskStatus, Timestamp,
};
use crate::error::Result;
use crate::ports::{LeaseReads, LeaseWrites};

fn in_order(mut tasks: Vec<Task>, now: Timestamp, limit: usize) -> Vec<Task> {
    tasks.retain(|t| t.not_before.is_none_or(|at| at <= now));
    let late = Timestamp::from_millis(i64::MAX);
    // Stable: of equals the older stays first.
    tasks.sort_by_key(|t| (std::cmp::Reverse(t.priority), t.deadline.unwrap_or(late)));
    tasks.truncate(limit);
    tasks
}

impl LeaseReads for State {
    fn lease(&self, domain: &Domain, id: LeaseId) -> Result<Option<Lease>> {
        Ok(self
            .leases
            .get(&id)
            .filter(|l| l.domain == *domain)
            .cloned())
    }

    fn active_lease(&self, task: TaskId) -> Result<Option<Lease>> {
        let active = |l: &Lease| l.task_id == task && l.state == LeaseState::Active;
        Ok(self.leases.all(active).pop())
    }

    fn expired_leases(&self, now: Timestamp, limit: usize) -> Result<Vec<Lease>> {
        let over = |l: &Lease| l.state == LeaseState::Active && l.expires_at <= now;
        let mut leases = self.leases.all(over);
        leases.truncate(limit);
        Ok(leases)
    }

    fn active_leases(&self) -> Result<u64> {
        Ok(self.leases.all(|l| l.state == LeaseState::Active).len() as u64)
    }

    fn assigned_tasks(&self, agent: &Agent, now: Timestamp, limit: usize) -> Result<Vec<Task>> {
        let tasks = self.tasks.all(|t| {
            t.domain == agent.domain
                && t.status == TaskStatus::Assigned
                && t.agent_id.as_ref() == Some(&agent.agent_id)
        });
        Ok(in_order(tasks, now, limit))
    }

    fn ready_tasks(&self, agent: &Agent, now: Timestamp, limit: usize) -> Result<Vec<Task>> {
        let tasks = self.tasks.all(|t| {
            t.domain == agent.domain
                && t.status == TaskStatus::Ready
                && t.agent_id.as_ref().is_none_or(|a| *a == agent.agent_id)
                && t.required_capabilities.is_subset(&agent.capabilities)
        });
        Ok(in_order(tasks, now, limit))
    }

    fn missed_deadlines(&self, now: Timestamp, limit: usize) -> Result<Vec<Task>> {
        let mut tasks = self.tasks.all(|t| {
            !t.status.is_final()
                && t.deadline.is_some_and(|d| d <= now)
                && self.noted_deadlines.get(&t.task_id) != t.deadline.as_ref()
        });
        tasks.truncate(limit);
        Ok(tasks)
    }
}

impl LeaseWrites for State {
    fn insert_lease(&mut self, lease: &Lease) -> Result<()> {
        self.leases.insert(lease.lease_id, lease.clone())
    }

    fn update_lease(&mut self, lease: &Lease) -> Result<()> {
        self.leases.update(&lease.lease_id, lease.clone())
    }

    fn note_missed_deadline(&mut self, task: TaskId, deadline: Timestamp) -> Result<()> {
        self.noted_deadlines.insert(task, deadline);
        Ok(())
    }
}
