//! Whether an agent fits a task, and whether the things that a task refers to are there.

use std::collections::BTreeSet;

use serde_json::json;

use super::transitions::Steps;
use crate::domain::flow::FLOW_TASKS_MAX;
use crate::domain::{Agent, AgentId, Domain, Flow, FlowId, FlowStatus, Task, TaskId, TaskStatus};
use crate::error::{Error, Result};
use crate::ports::ReadTx;

/// The agent, or that it does not exist.
pub(super) fn agent(tx: &dyn ReadTx, domain: &Domain, id: &AgentId) -> Result<Agent> {
    tx.agent(domain, id)?
        .ok_or_else(|| Error::not_found("agent", id))
}

/// The task, or that it does not exist.
pub(super) fn task(tx: &dyn ReadTx, domain: &Domain, id: TaskId) -> Result<Task> {
    tx.task(domain, id)?
        .ok_or_else(|| Error::not_found("task", id))
}

/// The flow, or that it does not exist.
pub(super) fn flow(tx: &dyn ReadTx, domain: &Domain, id: &FlowId) -> Result<Flow> {
    tx.flow(domain, id)?
        .ok_or_else(|| Error::not_found("flow", id))
}

/// The flow, if one more task may be added to it.
pub(super) fn growing_flow(tx: &dyn ReadTx, domain: &Domain, id: &FlowId) -> Result<Flow> {
    let flow = flow(tx, domain, id)?;
    if flow.status != FlowStatus::Active {
        return Err(Error::conflict(
            format!(
                "the flow '{id}' is {}; tasks are added to active flows only",
                flow.status
            ),
            json!({"flow_id": id, "status": flow.status.as_str()}),
        ));
    }
    let tasks: u64 = tx.flow_counts(domain, id)?.iter().map(|(_, n)| n).sum();
    if tasks >= FLOW_TASKS_MAX as u64 {
        return Err(Error::conflict(
            format!("the flow '{id}' has {tasks} tasks, at most {FLOW_TASKS_MAX} are allowed"),
            json!({"flow_id": id, "tasks": tasks, "max": FLOW_TASKS_MAX}),
        ));
    }
    Ok(flow)
}

/// Checks that every dependency exists and may still complete; says whether one is open. `field` is
/// where the ids came from.
pub(super) fn dependencies(
    tx: &dyn ReadTx,
    domain: &Domain,
    ids: &[TaskId],
    field: &str,
) -> Result<bool> {
    if ids.is_empty() {
        return Ok(false);
    }
    let statuses = tx.task_statuses(domain, ids)?;
    let of = |want: fn(&Option<TaskStatus>) -> bool| {
        let hit = ids.iter().zip(&statuses).filter(|(_, s)| want(s));
        hit.map(|(id, _)| id.to_string()).collect::<Vec<_>>()
    };
    let unknown = of(Option::is_none);
    if !unknown.is_empty() {
        return Err(Error::validation(
            format!("these dependencies do not exist: {}", unknown.join(", ")),
            json!({"field": field, "unknown": unknown}),
        ));
    }
    let dead = of(|s| matches!(s, Some(TaskStatus::Failed | TaskStatus::Cancelled)));
    if !dead.is_empty() {
        return Err(Error::conflict(
            format!(
                "these dependencies have failed or were cancelled and never complete: {}",
                dead.join(", ")
            ),
            json!({"field": field, "ended": dead}),
        ));
    }
    Ok(statuses.iter().any(|s| *s != Some(TaskStatus::Completed)))
}

/// Refuses an agent that lacks a capability.
pub(super) fn capabilities(agent: &Agent, required: &BTreeSet<String>) -> Result<()> {
    let missing: Vec<&str> = required
        .difference(&agent.capabilities)
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(
        format!(
            "the agent '{}' lacks the capabilities: {}",
            agent.agent_id,
            missing.join(", ")
        ),
        json!({"reason": "capabilities", "agent_id": agent.agent_id, "missing": missing}),
    ))
}

/// Refuses an agent whose slots are all taken.
pub(super) fn concurrency(steps: &mut Steps<'_>, agent: &Agent) -> Result<()> {
    if steps.free_slots(&agent.agent_id)? > 0 {
        return Ok(());
    }
    let max = agent.max_concurrency;
    Err(Error::conflict(
        format!(
            "the agent '{}' already holds {max} of {max} tasks",
            agent.agent_id
        ),
        json!({"reason": "concurrency", "agent_id": agent.agent_id, "max_concurrency": max}),
    ))
}

/// Refuses a task that is not waiting for an agent.
pub(super) fn waiting(task: &Task) -> Result<()> {
    if matches!(task.status, TaskStatus::Blocked | TaskStatus::Ready) {
        return Ok(());
    }
    let holder = task.agent_id.as_ref().filter(|_| task.status.holds_slot());
    let by = holder.map(|a| format!(" by '{a}'")).unwrap_or_default();
    Err(Error::conflict(
        format!(
            "the task is {}{by}; only blocked and ready tasks are assigned",
            task.status
        ),
        json!({
            "reason": "status", "task_id": task.task_id, "from": task.status.as_str(),
            "to": TaskStatus::Assigned.as_str(),
            "allowed": task.status.next().iter().map(|s| s.as_str()).collect::<Vec<_>>(),
        }),
    ))
}
