//! A new flow: checked as a graph of keys, then written with its tasks in one job.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, json};

use super::fit;
use super::tasks::{cycle_error, pending};
use super::transitions::Steps;
use crate::domain::flow::{FLOW_EDGES_MAX, FLOW_TASKS_MAX};
use crate::domain::graph::Graph;
use crate::domain::task::{DEPENDENCIES_MAX, check_amount, check_label};
use crate::domain::{
    Agent, AgentId, Communication, Edge, EventKind, Flow, FlowId, FlowStatus, NewEvent, NewFlow,
    NewFlowTask, Task, TaskId,
};
use crate::error::{Error, Result};

/// A flow whose graph is sound.
pub(super) struct Prepared {
    flow_id: Option<FlowId>,
    name: String,
    metadata: Map<String, serde_json::Value>,
    communication: Option<Communication>,
    tasks: Vec<NewFlowTask>,
    /// Indices of the tasks that each one waits for.
    before: Vec<Vec<u32>>,
    /// (from, to, bytes), each pair once.
    data: Vec<(u32, u32, f64)>,
    /// Every task after all that it waits for; the client's own order where that is one.
    order: Vec<u32>,
}

/// Checks everything about a new flow that needs no datastore.
///
/// # Errors
/// [`Error::Validation`]: limits, keys that are no labels, come twice or are unknown (with the field),
/// bad task fields, and a cycle (`details.cycle`: keys, each waiting for the one before it).
pub(super) fn prepare(new: NewFlow) -> Result<Prepared> {
    check_label("name", &new.name)?;
    if new.tasks.len() > FLOW_TASKS_MAX {
        return Err(Error::field(
            "tasks",
            format!("at most {FLOW_TASKS_MAX} tasks, got {}", new.tasks.len()),
        ));
    }
    if let Some(c) = &new.communication {
        check_communication("communication", c)?;
    }
    let index = keys(&new.tasks)?;
    let find = |key: &str, field: &dyn Fn() -> String| {
        index.get(key).copied().ok_or_else(|| {
            let field = field();
            Error::validation(
                format!("{field} names the task '{key}', which this flow does not have"),
                json!({"field": field, "unknown": [key]}),
            )
        })
    };
    let mut before: Vec<Vec<u32>> = Vec::with_capacity(new.tasks.len());
    for (n, task) in new.tasks.iter().enumerate() {
        task.task.check(&format!("tasks[{n}]."))?;
        if task.task.flow_id.is_some() {
            return Err(Error::field(
                format!("tasks[{n}].flow_id"),
                "the tasks of a new flow belong to it; leave flow_id out",
            ));
        }
        let named = task.depends_on.iter().enumerate();
        let named = named.map(|(k, key)| find(key, &|| format!("tasks[{n}].depends_on[{k}]")));
        before.push(named.collect::<Result<_>>()?);
    }
    let mut bytes: BTreeMap<(u32, u32), f64> = BTreeMap::new();
    for (n, (from, to, amount)) in new.edges.iter().enumerate() {
        check_amount(&format!("edges[{n}].data_bytes"), *amount)?;
        let from = find(from, &|| format!("edges[{n}].from"))?;
        let to = find(to, &|| format!("edges[{n}].to"))?;
        before[to as usize].push(from);
        // The same edge twice is two outputs of the same task: both travel.
        *bytes.entry((from, to)).or_default() += amount;
    }
    let mut pairs = Vec::new();
    for (to, list) in before.iter_mut().enumerate() {
        let mut seen = HashSet::with_capacity(list.len());
        list.retain(|from| seen.insert(*from));
        pairs.extend(list.iter().map(|from| (*from, to as u32)));
        let all = list.len() + new.tasks[to].task.dependencies.len();
        if all > DEPENDENCIES_MAX {
            return Err(Error::field(
                format!("tasks[{to}].depends_on"),
                format!(
                    "at most {DEPENDENCIES_MAX} dependencies, '{}' has {all}",
                    new.tasks[to].key
                ),
            ));
        }
    }
    if pairs.len() > FLOW_EDGES_MAX {
        return Err(Error::field(
            "edges",
            format!(
                "at most {FLOW_EDGES_MAX} dependencies in a flow, got {}",
                pairs.len()
            ),
        ));
    }
    let order = Graph::new(new.tasks.len(), &pairs)
        .order()
        .map_err(|cycle| {
            let named: Vec<String> = cycle
                .iter()
                .map(|n| new.tasks[*n as usize].key.clone())
                .collect();
            cycle_error(&named)
        })?;
    Ok(Prepared {
        flow_id: new.flow_id,
        name: new.name,
        metadata: new.metadata,
        communication: new.communication,
        tasks: new.tasks,
        before,
        data: bytes
            .into_iter()
            .map(|((from, to), amount)| (from, to, amount))
            .collect(),
        order,
    })
}

/// Refuses a network that cannot be.
pub(super) fn check_communication(field: &str, c: &Communication) -> Result<()> {
    check_amount(&format!("{field}.latency_s"), c.latency_s)?;
    match c.bandwidth_bytes_per_s {
        Some(b) if !(b > 0.0 && b <= 1e15) => Err(Error::field(
            format!("{field}.bandwidth_bytes_per_s"),
            format!(
                "bandwidth_bytes_per_s must be above 0, at most 1e15, or absent for free transfers, got {b}"
            ),
        )),
        _ => Ok(()),
    }
}

fn keys(tasks: &[NewFlowTask]) -> Result<HashMap<&str, u32>> {
    let mut index = HashMap::with_capacity(tasks.len());
    for (n, task) in tasks.iter().enumerate() {
        check_label(&format!("tasks[{n}].key"), &task.key)?;
        if let Some(first) = index.insert(task.key.as_str(), n as u32) {
            return Err(Error::field(
                format!("tasks[{n}].key"),
                format!("the key '{}' is taken by tasks[{first}]", task.key),
            ));
        }
    }
    Ok(index)
}

/// Writes a flow and its tasks; gives the tasks in the client's order.
///
/// # Errors
/// [`Error::Conflict`] when the id is taken, when a named agent lacks a capability, or when a dependency
/// outside the flow can never complete; [`Error::ResourceNotFound`] for an unknown agent;
/// [`Error::Validation`] for unknown dependencies outside the flow.
pub(super) fn insert(
    steps: &mut Steps<'_>,
    new: Prepared,
    default_communication: Communication,
) -> Result<(Flow, Vec<Task>)> {
    let (domain, now) = (steps.domain, steps.now);
    let flow_id = new.flow_id.unwrap_or_else(FlowId::generate);
    if steps.tx.flow(domain, &flow_id)?.is_some() {
        return Err(Error::conflict(
            format!("the flow '{flow_id}' exists already"),
            json!({"flow_id": flow_id}),
        ));
    }
    let mut agents: HashMap<AgentId, Agent> = HashMap::new();
    let mut made: Vec<Task> = Vec::with_capacity(new.tasks.len());
    let mut waits_outside = Vec::with_capacity(new.tasks.len());
    for (n, item) in new.tasks.into_iter().enumerate() {
        let mut task = pending(domain, now, item.task);
        let field = format!("tasks[{n}].dependencies");
        waits_outside.push(fit::dependencies(
            steps.tx,
            domain,
            &task.dependencies,
            &field,
        )?);
        task.key = Some(item.key);
        task.flow_id = Some(flow_id.clone());
        if let Some(id) = item.agent_id {
            if !agents.contains_key(&id) {
                agents.insert(id.clone(), fit::agent(steps.tx, domain, &id)?);
            }
            fit::capabilities(&agents[&id], &task.required_capabilities)?;
            task.agent_id = Some(id);
        }
        made.push(task);
    }
    let ids: Vec<TaskId> = made.iter().map(|t| t.task_id).collect();
    let edge = |(from, to, data_bytes): (u32, u32, f64)| Edge {
        from: ids[from as usize],
        to: ids[to as usize],
        data_bytes,
    };
    let flow = Flow {
        flow_id: flow_id.clone(),
        domain: domain.clone(),
        name: new.name,
        status: FlowStatus::Active,
        communication: new.communication.unwrap_or(default_communication),
        edges: new.data.into_iter().map(edge).collect(),
        metadata: new.metadata,
        version: 1,
        created_at: now,
        updated_at: now,
        finished_at: None,
    };
    steps.tx.insert_flow(&flow)?;
    let count = ids.len() as f64;
    steps.event(&NewEvent {
        flow_id: Some(flow_id),
        ..NewEvent::new(EventKind::FlowCreated, count)
    })?;
    // Rows come after those they refer to.
    for n in new.order {
        let n = n as usize;
        made[n]
            .dependencies
            .extend(new.before[n].iter().map(|from| ids[*from as usize]));
        let is_blocked = waits_outside[n] || !new.before[n].is_empty();
        steps.enter(&mut made[n], is_blocked)?;
    }
    Ok((flow, made))
}
