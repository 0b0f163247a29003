//! A plan becomes the tasks' own: agents and times are written, if the flow is still the one it
//! was made for.

use std::collections::HashMap;

use serde_json::json;

use super::fit;
use super::flow_problem::Snapshot;
use super::optimize::Assignment;
use super::transitions::Steps;
use crate::domain::{
    Domain, EventKind, Flow, NewEvent, Planned, Task, TaskId, TaskStatus, Timestamp,
};
use crate::error::{Error, Result};
use crate::ports::WriteTx;

/// Writes the places of the open tasks in one job and gives the flow with its new version.
///
/// A task that another agent was given but has not begun goes back to `ready`; it and every ready task wait for the
/// agent of the plan.
///
/// # Errors
/// [`Error::Conflict`] when something the plan counted on has changed since it was asked for, with the
/// task and what changed; nothing is written then.
pub(super) fn apply(
    tx: &mut dyn WriteTx,
    domain: &Domain,
    now: Timestamp,
    before: &Snapshot,
    places: &[Assignment],
    makespan_s: f64,
) -> Result<Flow> {
    let id = &before.flow.flow_id;
    let mut flow = fit::flow(tx, domain, id)?;
    if flow.version != before.flow.version {
        return Err(Error::conflict(
            "the flow changed while it was optimized",
            json!({"flow_id": id, "planned_version": before.flow.version, "version": flow.version}),
        ));
    }
    let mut present: HashMap<TaskId, Task> = tx
        .flow_tasks(domain, id)?
        .into_iter()
        .map(|t| (t.task_id, t))
        .collect();
    for task in &before.tasks {
        let what = present
            .get(&task.task_id)
            .map_or(Some("left the flow"), |now| broken(task, now));
        if let Some(what) = what {
            return Err(Error::conflict(
                "the flow changed while it was optimized",
                json!({"flow_id": id, "task_id": task.task_id, "changed": what}),
            ));
        }
    }
    let mut steps = Steps::new(tx, domain, now);
    for place in places {
        let Some(mut task) = present.remove(&place.task_id) else {
            continue;
        };
        if task.status == TaskStatus::Assigned && task.agent_id.as_ref() != Some(&place.agent_id) {
            steps.mark(
                &mut task,
                TaskStatus::Ready,
                Some(format!("planned for '{}'", place.agent_id)),
            )?;
        }
        task.agent_id = Some(place.agent_id.clone());
        task.planned = Some(Planned {
            planned_at: before.now,
            start_s: place.start_s,
            finish_s: place.finish_s,
        });
        steps.save(&mut task)?;
    }
    flow.version += 1;
    flow.updated_at = now;
    steps.tx.update_flow(&flow)?;
    let flow_id = Some(flow.flow_id.clone());
    steps.event(&NewEvent {
        flow_id,
        ..NewEvent::new(EventKind::FlowOptimized, makespan_s)
    })?;
    Ok(flow)
}

/// What has happened to a task that makes the plan wrong; none when the plan still holds. An input that has come
/// meanwhile, or an end that was expected, does not break it.
fn broken(before: &Task, now: &Task) -> Option<&'static str> {
    use TaskStatus::*;
    match (before.status, now.status) {
        (Completed | Failed | Cancelled, _) => return None,
        (InProgress, InProgress | Completed) if before.attempt == now.attempt => return None,
        (InProgress, _) => return Some("attempt"),
        (_, InProgress | Completed | Failed | Cancelled) => return Some("status"),
        _ => {}
    }
    let parts = [
        ("agent_id", before.agent_id != now.agent_id),
        ("dependencies", before.dependencies != now.dependencies),
        (
            "required_capabilities",
            before.required_capabilities != now.required_capabilities,
        ),
        ("estimate", before.estimate != now.estimate),
        ("deadline", before.deadline != now.deadline),
        ("not_before", before.not_before != now.not_before),
    ];
    parts
        .into_iter()
        .find(|(_, changed)| *changed)
        .map(|(part, _)| part)
}
