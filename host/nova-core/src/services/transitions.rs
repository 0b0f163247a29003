//! The life of a task: the only code that changes a status, and what follows from the change.
//!
//! Works inside one write job and sees its own writes. Every step is legal by [`TaskStatus::next`], is
//! recorded, and appends its events with the values that `wit/v0.1/analytics-processor.wit` documents.
//! A task's end reaches its dependents and its flow in the same job, however far that is.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde_json::json;

use crate::domain::{
    Agent, AgentId, Domain, EventKind, FlowId, FlowStatus, NewEvent, Task, TaskId, TaskStatus,
    Timestamp, Transition,
};
use crate::error::{Error, Result};
use crate::ports::WriteTx;

/// The steps of one write job in one domain.
pub(super) struct Steps<'a> {
    pub(super) tx: &'a mut dyn WriteTx,
    pub(super) domain: &'a Domain,
    pub(super) now: Timestamp,
    /// Free slots of the agents looked at so far, kept up to date by the steps of this job.
    free: HashMap<AgentId, u32>,
    /// What is to be recorded once the task's row is written.
    trail: Vec<Trail>,
}

enum Trail {
    Step(Transition),
    Event(NewEvent),
}

impl<'a> Steps<'a> {
    pub(super) fn new(tx: &'a mut dyn WriteTx, domain: &'a Domain, now: Timestamp) -> Self {
        Self {
            tx,
            domain,
            now,
            free: HashMap::new(),
            trail: Vec::new(),
        }
    }

    /// Adds a task that was just made in `pending`, and takes it to `blocked` or `ready`; one that is
    /// ready and meant for an agent with a free slot, to `assigned`.
    pub(super) fn enter(&mut self, task: &mut Task, is_blocked: bool) -> Result<()> {
        let transition = Transition {
            from: None,
            to: TaskStatus::Pending,
            at: self.now,
            agent_id: task.agent_id.clone(),
            reason: None,
        };
        self.trail.push(Trail::Step(transition));
        self.note(EventKind::TaskCreated, task, f64::from(task.priority.get()));
        if is_blocked {
            self.mark(task, TaskStatus::Blocked, None)?;
        } else {
            self.become_ready(task, None)?;
        }
        task.version = 1;
        self.tx.insert_task(task)?;
        self.record(task.task_id)
    }

    /// Takes a task one step further and writes it, without what follows from an end.
    pub(super) fn step(
        &mut self,
        task: &mut Task,
        to: TaskStatus,
        reason: Option<String>,
    ) -> Result<()> {
        self.mark(task, to, reason)?;
        self.save(task)
    }

    /// Ends a task and lets its dependents and its flow know.
    pub(super) fn end(
        &mut self,
        task: &mut Task,
        to: TaskStatus,
        reason: Option<String>,
    ) -> Result<()> {
        self.step(task, to, reason)?;
        self.spread(task)
    }

    /// Ends an attempt that failed: back to `ready` after a pause while attempts are left, else `failed`.
    pub(super) fn fail(&mut self, task: &mut Task, error: Option<String>) -> Result<()> {
        self.fail_attempt(task, error, false)
    }

    /// As [`Steps::fail`], after which any agent may take the task: the one that had it may be gone.
    pub(super) fn fail_and_free(&mut self, task: &mut Task, error: Option<String>) -> Result<()> {
        self.fail_attempt(task, error, true)
    }

    fn fail_attempt(
        &mut self,
        task: &mut Task,
        error: Option<String>,
        is_freed: bool,
    ) -> Result<()> {
        task.error = error;
        let told = task
            .error
            .as_deref()
            .map(|e| format!(": {e}"))
            .unwrap_or_default();
        let of = format!(
            "attempt {} of {} failed{told}",
            task.attempt, task.retry.max_attempts
        );
        let again = task.status == TaskStatus::InProgress && task.attempt < task.retry.max_attempts;
        if !again {
            return self.end(task, TaskStatus::Failed, Some(of));
        }
        let pause_ms = jittered(
            task.retry.pause_ms(task.attempt),
            task.task_id,
            task.attempt,
        );
        task.not_before = Some(self.now.plus_s(pause_ms as f64 / 1000.0));
        self.mark(task, TaskStatus::Ready, Some(of))?;
        if is_freed {
            task.agent_id = None;
            task.planned = None;
        }
        self.save(task)
    }

    /// Makes a task ready; one that is meant for an agent (and was not put there by a plan, whose
    /// times its agent keeps by taking it) is assigned at once where a slot is free.
    pub(super) fn become_ready(&mut self, task: &mut Task, reason: Option<String>) -> Result<()> {
        self.mark(task, TaskStatus::Ready, reason)?;
        let Some(agent) = task.agent_id.clone().filter(|_| task.planned.is_none()) else {
            return Ok(());
        };
        if self.free_slots(&agent)? > 0 {
            self.mark(task, TaskStatus::Assigned, None)?;
        }
        Ok(())
    }

    /// How many more tasks the agent may hold now; none for an agent that does not exist.
    pub(super) fn free_slots(&mut self, id: &AgentId) -> Result<u32> {
        if let Some(free) = self.free.get(id) {
            return Ok(*free);
        }
        let free = match self.tx.agent(self.domain, id)? {
            Some(agent) => free_of(&agent, self.tx.agent_load(self.domain, id)?.len()),
            None => 0,
        };
        self.free.insert(id.clone(), free);
        Ok(free)
    }

    /// Changes the task in memory and keeps the step for [`Steps::save`].
    pub(super) fn mark(
        &mut self,
        task: &mut Task,
        to: TaskStatus,
        reason: Option<String>,
    ) -> Result<()> {
        use TaskStatus::*;
        let from = task.status;
        if !from.next().contains(&to) {
            return Err(illegal(task, to));
        }
        let since = |t: Option<Timestamp>| t.map_or(0.0, |t| self.now.since_s(t).max(0.0));
        let (waited_s, ran_s) = (since(task.ready_at), since(task.started_at));
        if from == InProgress && to == Ready {
            self.note(EventKind::AttemptFailed, task, ran_s);
        }
        if let Some(free) = task.agent_id.as_ref().and_then(|a| self.free.get_mut(a)) {
            match (from.holds_slot(), to.holds_slot()) {
                (false, true) => *free = free.saturating_sub(1),
                (true, false) => *free += 1,
                _ => {}
            }
        }
        match to {
            Ready => task.ready_at = Some(self.now),
            InProgress => {
                task.attempt += 1;
                task.started_at = Some(self.now);
                task.not_before = None;
            }
            Completed | Failed | Cancelled => task.finished_at = Some(self.now),
            Pending | Blocked | Assigned => {}
        }
        task.status = to;
        let transition = Transition {
            from: Some(from),
            to,
            at: self.now,
            agent_id: task.agent_id.clone(),
            reason,
        };
        self.trail.push(Trail::Step(transition));
        let (kind, value) = match to {
            Pending | Blocked => (EventKind::TaskBlocked, 0.0),
            Ready => (EventKind::TaskReady, f64::from(task.attempt)),
            Assigned => (EventKind::TaskAssigned, waited_s),
            InProgress => (EventKind::TaskStarted, waited_s),
            Completed => (EventKind::TaskCompleted, ran_s),
            Failed => (EventKind::TaskFailed, ran_s),
            Cancelled => (
                EventKind::TaskCancelled,
                if from == InProgress { ran_s } else { 0.0 },
            ),
        };
        self.note(kind, task, value);
        Ok(())
    }

    /// Writes a changed task as one new version, with the steps marked since.
    pub(super) fn save(&mut self, task: &mut Task) -> Result<()> {
        task.version += 1;
        task.updated_at = self.now;
        self.tx.update_task(task)?;
        self.record(task.task_id)
    }

    /// Appends an event to the domain.
    pub(super) fn event(&mut self, event: &NewEvent) -> Result<()> {
        self.tx.append_event(self.domain, self.now, event).map(drop)
    }

    /// Closes the flow when none of its tasks is open any more. A flow without tasks stays active.
    pub(super) fn settle_flow(&mut self, id: &FlowId) -> Result<()> {
        let counts = self.tx.flow_counts(self.domain, id)?;
        let has = |status| counts.iter().any(|(s, n)| *s == status && *n > 0);
        let open = counts.iter().any(|(s, n)| !s.is_final() && *n > 0);
        if open || counts.iter().all(|(_, n)| *n == 0) {
            return Ok(());
        }
        let Some(mut flow) = self.tx.flow(self.domain, id)? else {
            return Ok(());
        };
        if flow.status != FlowStatus::Active {
            return Ok(());
        }
        let (status, kind) = if has(TaskStatus::Failed) {
            (FlowStatus::Failed, EventKind::FlowFailed)
        } else if has(TaskStatus::Cancelled) {
            (FlowStatus::Cancelled, EventKind::FlowCancelled)
        } else {
            (FlowStatus::Completed, EventKind::FlowCompleted)
        };
        flow.status = status;
        flow.finished_at = Some(self.now);
        flow.updated_at = self.now;
        flow.version += 1;
        self.tx.update_flow(&flow)?;
        let took_s = self.now.since_s(flow.created_at).max(0.0);
        self.event(&NewEvent {
            flow_id: Some(flow.flow_id),
            ..NewEvent::new(kind, took_s)
        })
    }

    /// What follows from a task's end: dependents become ready or are cancelled, one after another,
    /// and flows without an open task close.
    fn spread(&mut self, ended: &Task) -> Result<()> {
        let mut ends = VecDeque::from([(ended.task_id, ended.status)]);
        let mut flows: BTreeSet<FlowId> = ended.flow_id.iter().cloned().collect();
        while let Some((id, status)) = ends.pop_front() {
            for mut dependent in self.tx.dependents(id)? {
                if dependent.status != TaskStatus::Blocked {
                    continue;
                }
                if status == TaskStatus::Completed {
                    // Where a dependent in the flow is open, the flow is too: no need to count.
                    if dependent.flow_id == ended.flow_id {
                        flows.clear();
                    }
                    if self.open_dependencies(&dependent)?.is_empty() {
                        self.become_ready(&mut dependent, None)?;
                        self.save(&mut dependent)?;
                    }
                    continue;
                }
                let how = if status == TaskStatus::Failed {
                    "failed"
                } else {
                    "was cancelled"
                };
                let reason = format!("dependency {id} {how}");
                dependent.error = Some(reason.clone());
                self.step(&mut dependent, TaskStatus::Cancelled, Some(reason))?;
                ends.push_back((dependent.task_id, TaskStatus::Cancelled));
                flows.extend(dependent.flow_id);
            }
        }
        flows.iter().try_for_each(|flow| self.settle_flow(flow))
    }

    /// Dependencies that have not completed.
    pub(super) fn open_dependencies(&self, task: &Task) -> Result<Vec<TaskId>> {
        let statuses = self.tx.task_statuses(self.domain, &task.dependencies)?;
        let open = task
            .dependencies
            .iter()
            .zip(statuses)
            .filter(|(_, s)| *s != Some(TaskStatus::Completed));
        Ok(open.map(|(id, _)| *id).collect())
    }

    fn note(&mut self, kind: EventKind, task: &Task, value: f64) {
        self.trail.push(Trail::Event(NewEvent {
            task_id: Some(task.task_id),
            flow_id: task.flow_id.clone(),
            agent_id: task.agent_id.clone(),
            ..NewEvent::new(kind, value)
        }));
    }

    fn record(&mut self, id: TaskId) -> Result<()> {
        for entry in std::mem::take(&mut self.trail) {
            match entry {
                Trail::Step(step) => self.tx.append_transition(id, &step)?,
                Trail::Event(event) => self.event(&event)?,
            }
        }
        Ok(())
    }
}

/// Slots of `agent` that are free while it holds `load` tasks.
pub(super) fn free_of(agent: &Agent, load: usize) -> u32 {
    agent
        .max_concurrency
        .saturating_sub(u32::try_from(load).unwrap_or(u32::MAX))
}

/// The refusal of a step that is not in the life of a task.
pub(super) fn illegal(task: &Task, to: TaskStatus) -> Error {
    let allowed: Vec<&str> = task.status.next().iter().map(|s| s.as_str()).collect();
    let may = if allowed.is_empty() {
        "nothing follows".to_owned()
    } else {
        allowed.join(", ")
    };
    Error::conflict(
        format!(
            "a task cannot go from {} to {to}; allowed: {may}",
            task.status
        ),
        json!({"from": task.status.as_str(), "to": to.as_str(), "allowed": allowed, "task_id": task.task_id}),
    )
}

/// A pause spread by ±20 %, so that tasks that failed together do not come back together. The
/// spread is drawn from the task's id and attempt (the finalizer of SplitMix64, Steele et al. 2014), so
/// that it needs no source of randomness.
fn jittered(pause_ms: u64, id: TaskId, attempt: u32) -> u64 {
    let mut z = (id.0.as_u128() as u64)
        .wrapping_add(u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let unit = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
    (pause_ms as f64 * (0.8 + 0.4 * unit)).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_a_fifth_and_spreads() {
        let pauses: Vec<u64> = (0..200)
            .map(|n| jittered(1000, TaskId::generate(), n))
            .collect();
        assert!(
            pauses.iter().all(|p| (800..=1200).contains(p)),
            "{pauses:?}"
        );
        assert!(pauses.iter().any(|p| *p < 900) && pauses.iter().any(|p| *p > 1100));
        assert_eq!(jittered(0, TaskId::generate(), 1), 0);
    }
}
