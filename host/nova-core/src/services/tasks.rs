//! Tasks: made, looked at, changed, called off.

use std::collections::HashSet;

use serde_json::json;

use super::task_change::TaskChange;
use super::transitions::{Steps, illegal};
use super::{Ports, fit};
use crate::domain::{AgentId, Domain, NewTask, Task, TaskId, TaskStatus, Timestamp, Transition};
use crate::error::{Error, Result};
use crate::ports::{DatastoreExt, Page, PageRequest, ReadCost, TaskFilter};

/// A task with its life so far.
#[derive(Clone, PartialEq, Debug)]
pub struct TaskView {
    /// The task.
    pub task: Task,
    /// Its transitions, oldest first.
    pub history: Vec<Transition>,
}

/// Use cases of single tasks.
pub struct TaskService {
    ports: Ports,
}

impl TaskService {
    pub(super) fn new(ports: Ports) -> Self {
        Self { ports }
    }

    /// Makes a task; it is `blocked` while a dependency is open, else `ready`.
    ///
    /// # Errors
    /// [`Error::Validation`] names the field or the unknown dependencies,
    /// [`Error::ResourceNotFound`] an unknown flow, [`Error::Conflict`] a closed or full flow, and
    /// dependencies that can never complete.
    pub async fn create(&self, domain: &Domain, new: NewTask) -> Result<Task> {
        new.check("")?;
        let domain = domain.clone();
        self.ports
            .write(move |tx, now| insert(&mut Steps::new(tx, &domain, now), new, None))
            .await
    }

    /// One task with its transitions.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`].
    pub async fn get(&self, domain: &Domain, id: TaskId) -> Result<TaskView> {
        let domain = domain.clone();
        let job = move |tx: &dyn crate::ports::ReadTx| {
            let task = fit::task(tx, &domain, id)?;
            Ok(TaskView {
                task,
                history: tx.transitions(id)?,
            })
        };
        self.ports.store.read(ReadCost::Point, job).await
    }

    /// Tasks, newest first.
    pub async fn list(
        &self,
        domain: &Domain,
        filter: TaskFilter,
        page: PageRequest,
    ) -> Result<Page<Task>> {
        let domain = domain.clone();
        self.ports
            .store
            .read(ReadCost::Scan, move |tx| tx.tasks(&domain, &filter, page))
            .await
    }

    /// Changes fields, and takes the task a legal step further when a status is asked for. A task
    /// reported as `failed` that may be tried again is `ready` afterwards.
    ///
    /// # Errors
    /// [`Error::Conflict`] for another version than expected, an illegal step (`details`: `from`, `to`,
    /// `allowed`), a final task, or an agent that does not fit; [`Error::Validation`] for bad fields,
    /// unknown dependencies and cycles (`details.cycle`).
    pub async fn update(&self, domain: &Domain, id: TaskId, change: TaskChange) -> Result<Task> {
        let domain = domain.clone();
        self.ports
            .write(move |tx, now| {
                let task = fit::task(tx, &domain, id)?;
                change.apply(&mut Steps::new(tx, &domain, now), task)
            })
            .await
    }

    /// Calls a task off, and every blocked task that waits for it.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it has ended already.
    pub async fn cancel(
        &self,
        domain: &Domain,
        id: TaskId,
        reason: Option<String>,
    ) -> Result<Task> {
        let domain = domain.clone();
        self.ports
            .write(move |tx, now| {
                let mut task = fit::task(tx, &domain, id)?;
                if task.status.is_final() {
                    return Err(illegal(&task, TaskStatus::Cancelled));
                }
                task.error.clone_from(&reason);
                Steps::new(tx, &domain, now).end(&mut task, TaskStatus::Cancelled, reason)?;
                Ok(task)
            })
            .await
    }
}

/// Adds a checked task, with an agent that it is meant for.
pub(super) fn insert(
    steps: &mut Steps<'_>,
    new: NewTask,
    agent_id: Option<AgentId>,
) -> Result<Task> {
    let mut task = pending(steps.domain, steps.now, new);
    task.agent_id = agent_id;
    let is_blocked = fit::dependencies(steps.tx, steps.domain, &task.dependencies, "dependencies")?;
    if let Some(id) = &task.flow_id {
        let mut flow = fit::growing_flow(steps.tx, steps.domain, id)?;
        flow.version += 1;
        flow.updated_at = steps.now;
        steps.tx.update_flow(&flow)?;
    }
    steps.enter(&mut task, is_blocked)?;
    Ok(task)
}

/// A task as it is before anything is known of its dependencies.
pub(super) fn pending(domain: &Domain, now: Timestamp, new: NewTask) -> Task {
    Task {
        task_id: TaskId::generate(),
        domain: domain.clone(),
        kind: new.kind,
        parameters: new.parameters,
        priority: new.priority,
        deadline: new.deadline,
        dependencies: without_repeats(new.dependencies),
        flow_id: new.flow_id,
        key: None,
        agent_id: None,
        required_capabilities: new.required_capabilities,
        estimate: new.estimate,
        retry: new.retry,
        metadata: new.metadata,
        status: TaskStatus::Pending,
        attempt: 0,
        not_before: None,
        planned: None,
        result: None,
        error: None,
        version: 1,
        created_at: now,
        updated_at: now,
        ready_at: None,
        started_at: None,
        finished_at: None,
    }
}

/// Each id once, at its first place.
pub(super) fn without_repeats(mut ids: Vec<TaskId>) -> Vec<TaskId> {
    let mut seen = HashSet::with_capacity(ids.len());
    ids.retain(|id| seen.insert(*id));
    ids
}

/// The refusal of a cycle through these tasks, each waiting for the one before it.
pub(super) fn cycle_error(names: &[String]) -> Error {
    Error::validation(
        format!("the dependencies form a cycle: {}", names.join(" → ")),
        json!({"cycle": names}),
    )
}
