//! A client's change of a task: fields first, then the step in its life.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde_json::{Map, Value, json};

use super::tasks::{cycle_error, without_repeats};
use super::transitions::{Steps, illegal};
use super::{check_version, fit};
use crate::domain::{
    AgentId, Estimate, FlowId, NewTask, Priority, RetryPolicy, Task, TaskId, TaskStatus, Timestamp,
};
use crate::error::{Error, Result};

/// What is to change; none = stays as it is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TaskChange {
    /// See [`Task::kind`].
    pub kind: Option<String>,
    /// See [`Task::parameters`].
    pub parameters: Option<Map<String, Value>>,
    /// See [`Task::priority`].
    pub priority: Option<Priority>,
    /// See [`Task::deadline`]; some none = no deadline any more.
    pub deadline: Option<Option<Timestamp>>,
    /// See [`Task::dependencies`]; only before the task is assigned.
    pub dependencies: Option<Vec<TaskId>>,
    /// See [`Task::flow_id`]; only before the task is assigned. Its key stays in the flow it leaves.
    pub flow_id: Option<Option<FlowId>>,
    /// See [`Task::agent_id`]; only before the task is assigned.
    pub agent_id: Option<Option<AgentId>>,
    /// See [`Task::required_capabilities`].
    pub required_capabilities: Option<BTreeSet<String>>,
    /// See [`Task::estimate`].
    pub estimate: Option<Estimate>,
    /// See [`Task::retry`].
    pub retry: Option<RetryPolicy>,
    /// See [`Task::metadata`].
    pub metadata: Option<Map<String, Value>>,
    /// The step to take; `pending` and `blocked` cannot be asked for.
    pub status: Option<TaskStatus>,
    /// What the worker answers.
    pub result: Option<Value>,
    /// Why the attempt failed, or why the task is called off.
    pub error: Option<String>,
    /// The version that the client has seen; another one is a conflict.
    pub expected_version: Option<u64>,
}

impl TaskChange {
    /// Applies the change to `task`, as it is in the datastore now, and writes it.
    pub(super) fn apply(mut self, steps: &mut Steps<'_>, mut task: Task) -> Result<Task> {
        check_version("task", self.expected_version, task.version)?;
        if let Some(to) = self.status {
            self.check_step(&task, to)?;
            self.check_lease(steps, &task, to)?;
        } else if task.status.is_final() {
            return Err(Error::conflict(
                format!(
                    "the task is {}; a task that has ended does not change",
                    task.status
                ),
                json!({"task_id": task.task_id, "status": task.status.as_str()}),
            ));
        }
        let moved = self.fields(steps, &mut task)?;
        match self.status {
            Some(to) => self.step(steps, &mut task, to)?,
            None => {
                self.settle(steps, &mut task)?;
                steps.save(&mut task)?;
            }
        }
        if let Some(left) = moved {
            steps.settle_flow(&left)?;
        }
        Ok(task)
    }

    /// What can be said of the step before anything else is looked at.
    fn check_step(&self, task: &Task, to: TaskStatus) -> Result<()> {
        if matches!(to, TaskStatus::Pending | TaskStatus::Blocked) {
            return Err(Error::field(
                "status",
                format!(
                    "status '{to}' follows from the dependencies; ask for ready, assigned, in_progress, completed, failed or cancelled"
                ),
            ));
        }
        if task.status.next().contains(&to) {
            Ok(())
        } else {
            Err(illegal(task, to))
        }
    }

    /// A leased attempt is its worker's: it may only be called off.
    fn check_lease(&self, steps: &Steps<'_>, task: &Task, to: TaskStatus) -> Result<()> {
        if task.status != TaskStatus::InProgress || to == TaskStatus::Cancelled {
            return Ok(());
        }
        match steps.tx.active_lease(task.task_id)? {
            None => Ok(()),
            Some(lease) => Err(Error::conflict(
                format!(
                    "'{}' has leased the task; it ends by the lease's complete or fail, or is cancelled",
                    lease.agent_id
                ),
                json!({"task_id": task.task_id, "lease_id": lease.lease_id, "agent_id": lease.agent_id}),
            )),
        }
    }

    /// Sets the fields; gives the flow that the task has left.
    fn fields(&mut self, steps: &mut Steps<'_>, task: &mut Task) -> Result<Option<FlowId>> {
        let waits = matches!(
            task.status,
            TaskStatus::Pending | TaskStatus::Blocked | TaskStatus::Ready
        );
        for (name, is_set) in [
            ("dependencies", self.dependencies.is_some()),
            (
                "flow_id",
                self.flow_id.as_ref().is_some_and(|f| *f != task.flow_id),
            ),
            (
                "agent_id",
                self.agent_id.as_ref().is_some_and(|a| *a != task.agent_id),
            ),
        ] {
            if is_set && !waits {
                return Err(Error::conflict(
                    format!(
                        "{name} may change only before the task is assigned; it is {}",
                        task.status
                    ),
                    json!({"field": name, "status": task.status.as_str(), "task_id": task.task_id}),
                ));
            }
        }
        let fits_anew = self.agent_id.is_some() || self.required_capabilities.is_some();
        set(&mut task.kind, self.kind.take());
        set(&mut task.parameters, self.parameters.take());
        set(&mut task.priority, self.priority.take());
        set(&mut task.deadline, self.deadline.take());
        set(
            &mut task.required_capabilities,
            self.required_capabilities.take(),
        );
        set(&mut task.estimate, self.estimate.take());
        set(&mut task.retry, self.retry.take());
        set(&mut task.metadata, self.metadata.take());
        if let Some(result) = self.result.take() {
            task.result = Some(result);
        }
        if self.status.is_none() && self.error.is_some() {
            task.error = self.error.take();
        }
        if let Some(ids) = &self.dependencies {
            task.dependencies = without_repeats(ids.clone());
        }
        check(task)?;
        if self.dependencies.is_some() {
            fit::dependencies(steps.tx, steps.domain, &task.dependencies, "dependencies")?;
            no_cycle(steps, task)?;
        }
        if let Some(agent) = self.agent_id.clone().filter(|a| *a != task.agent_id) {
            task.agent_id = agent;
            task.planned = None;
        }
        if let Some(id) = task.agent_id.as_ref().filter(|_| fits_anew) {
            fit::capabilities(
                &fit::agent(steps.tx, steps.domain, id)?,
                &task.required_capabilities,
            )?;
        }
        match self.flow_id.take() {
            Some(flow) if flow != task.flow_id => change_flow(steps, task, flow),
            _ => Ok(None),
        }
    }

    /// Blocked or ready, as new dependencies make it.
    fn settle(&self, steps: &mut Steps<'_>, task: &mut Task) -> Result<()> {
        if self.dependencies.is_none() {
            return Ok(());
        }
        let is_open = !steps.open_dependencies(task)?.is_empty();
        match (task.status, is_open) {
            (TaskStatus::Ready, true) => steps.mark(task, TaskStatus::Blocked, None),
            (TaskStatus::Blocked, false) => steps.become_ready(task, None),
            _ => Ok(()),
        }
    }

    fn step(&mut self, steps: &mut Steps<'_>, task: &mut Task, to: TaskStatus) -> Result<()> {
        // New dependencies count before the step does.
        let before = task.status;
        self.settle(steps, task)?;
        let error = self.error.take();
        match to {
            TaskStatus::Ready if task.status == TaskStatus::Blocked => {
                let open = steps.open_dependencies(task)?;
                Err(waits_for(task, &open))
            }
            // New dependencies have already made it so.
            TaskStatus::Ready if before == TaskStatus::Blocked => steps.save(task),
            TaskStatus::Ready => {
                // Given back: anybody may take it, unless a plan wants it there.
                steps.mark(task, TaskStatus::Ready, error)?;
                if task.planned.is_none() {
                    task.agent_id = None;
                }
                steps.save(task)
            }
            TaskStatus::Assigned => {
                let Some(id) = task.agent_id.clone() else {
                    return Err(Error::field(
                        "agent_id",
                        "status 'assigned' needs an agent_id",
                    ));
                };
                let agent = fit::agent(steps.tx, steps.domain, &id)?;
                fit::capabilities(&agent, &task.required_capabilities)?;
                fit::concurrency(steps, &agent)?;
                steps.step(task, to, error)
            }
            TaskStatus::InProgress => {
                if let Some(at) = task.not_before.filter(|at| *at > steps.now) {
                    return Err(Error::conflict(
                        format!("the task is not to be begun before {at}: its last attempt failed"),
                        json!({
                            "from": task.status.as_str(), "to": to.as_str(), "task_id": task.task_id,
                            "allowed": task.status.next().iter().map(|s| s.as_str()).collect::<Vec<_>>(),
                            "not_before": at,
                        }),
                    ));
                }
                steps.step(task, to, error)
            }
            TaskStatus::Failed => steps.fail(task, error),
            TaskStatus::Cancelled => {
                task.error.clone_from(&error);
                steps.end(task, to, error)
            }
            TaskStatus::Completed => {
                task.error = None;
                steps.end(task, to, error)
            }
            TaskStatus::Pending | TaskStatus::Blocked => Err(illegal(task, to)),
        }
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// The same rules as at creation.
fn check(task: &Task) -> Result<()> {
    let as_new = NewTask {
        kind: task.kind.clone(),
        dependencies: task.dependencies.clone(),
        required_capabilities: task.required_capabilities.clone(),
        estimate: task.estimate.clone(),
        retry: task.retry,
        ..NewTask::default()
    };
    as_new.check("")
}

fn waits_for(task: &Task, open: &[TaskId]) -> Error {
    let names: Vec<String> = open.iter().map(TaskId::to_string).collect();
    let allowed = [TaskStatus::Cancelled.as_str()];
    Error::conflict(
        format!("the task waits for: {}", names.join(", ")),
        json!({
            "from": task.status.as_str(), "to": TaskStatus::Ready.as_str(), "allowed": allowed,
            "task_id": task.task_id, "open": names,
        }),
    )
}

/// Refuses dependencies from which the task itself can be reached. Searches forward from the task:
/// what waits for an open task is open, and most tasks have few dependents.
fn no_cycle(steps: &Steps<'_>, task: &Task) -> Result<()> {
    let wanted: std::collections::HashSet<TaskId> = task.dependencies.iter().copied().collect();
    let mut came_from: HashMap<TaskId, TaskId> = HashMap::new();
    let mut queue = VecDeque::from([task.task_id]);
    while let Some(id) = queue.pop_front() {
        if wanted.contains(&id) {
            let back = std::iter::successors(Some(id), |at| came_from.get(at).copied());
            let mut cycle: Vec<String> = back.map(|id| id.to_string()).collect();
            cycle.reverse();
            cycle.push(task.task_id.to_string());
            return Err(cycle_error(&cycle));
        }
        for dependent in steps.tx.dependents(id)? {
            let next = dependent.task_id;
            if next != task.task_id && !came_from.contains_key(&next) {
                came_from.insert(next, id);
                queue.push_back(next);
            }
        }
    }
    Ok(())
}

/// Moves the task into another flow, or into none; gives the one it has left.
fn change_flow(
    steps: &mut Steps<'_>,
    task: &mut Task,
    to: Option<FlowId>,
) -> Result<Option<FlowId>> {
    let left = std::mem::replace(&mut task.flow_id, to);
    task.key = None;
    task.planned = None;
    let mut flows = Vec::new();
    if let Some(id) = &task.flow_id {
        flows.push(fit::growing_flow(steps.tx, steps.domain, id)?);
    }
    if let Some(id) = &left {
        flows.extend(steps.tx.flow(steps.domain, id)?);
    }
    for mut flow in flows {
        flow.edges
            .retain(|e| e.from != task.task_id && e.to != task.task_id);
        flow.version += 1;
        flow.updated_at = steps.now;
        steps.tx.update_flow(&flow)?;
    }
    Ok(left)
}
