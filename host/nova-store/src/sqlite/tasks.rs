//! Tasks, their dependencies and the steps of their lives.

use nova_core::ports::{Page, PageRequest, TaskFilter};
use nova_core::{
    AgentId, Domain, FlowId, Priority, Result, RetryPolicy, Task, TaskId, TaskStatus, Transition,
};
use rusqlite::{Row, params};

use super::columns::{Bytes16, Columns, int, json, json_opt, ms, pack_ids, unpack_ids};
use super::flows;
use super::listing::Listing;
use super::tx::{LastTask, Tx, missing};

macro_rules! columns {
    () => {
        "position, task_id, domain, kind, parameters, priority, deadline_ms, dependencies, flow_id, key, \
         agent_id, required_capabilities, estimate, retry_attempts, retry_backoff_ms, retry_max_backoff_ms, metadata, status, attempt, not_before_ms, \
         planned, result, error, version, created_ms, updated_ms, ready_ms, started_ms, finished_ms"
    };
}

const GET: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM tasks WHERE task_id = ? AND domain = ?"
);
/// Every column, of tasks; a condition comes after it.
pub(super) const SELECT: &str = concat!("SELECT ", columns!(), " FROM tasks");
const LIST: &str = concat!("SELECT ", columns!(), " FROM tasks WHERE domain = ?");
pub(super) const OF_FLOW: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM tasks WHERE domain = ? AND flow_id = ? ORDER BY position"
);
// INDEXED BY: the other index on agents holds every task the agent ever had.
pub(super) const ON_AGENT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM tasks INDEXED BY tasks_on_agent WHERE domain = ? AND agent_id = ?",
    " AND status IN ('assigned', 'in_progress') ORDER BY position"
);
pub(super) const DEPENDENTS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM dependents CROSS JOIN tasks ON position = task WHERE dependency = ? ORDER BY task"
);
const INSERT: &str = concat!(
    "INSERT INTO tasks (",
    columns!(),
    ") VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
);

const UPDATE: &str = "UPDATE tasks SET parameters = ?2, priority = ?3, deadline_ms = ?4, dependencies = ?5, key = ?6, \
     agent_id = ?7, required_capabilities = ?8, estimate = ?9, retry_attempts = ?10, \
     retry_backoff_ms = ?11, retry_max_backoff_ms = ?12, metadata = ?13, status = ?14, \
     attempt = ?15, not_before_ms = ?16, planned = ?17, result = ?18, error = ?19, \
     version = ?20, created_ms = ?21, updated_ms = ?22, ready_ms = ?23, \
     started_ms = ?24, finished_ms = ?25 \
     WHERE position = ?1";
// Apart from UPDATE: kind and flow seldom change, and their indexes are then not touched.
const MOVE: &str = "UPDATE tasks SET kind = ?2, flow_id = ?3 WHERE position = ?1";

pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Task> {
    let mut c = Columns::of(row);
    Ok(Task {
        task_id: c.uuid(TaskId)?,
        domain: c.name()?,
        kind: c.get()?,
        parameters: c.json()?,
        priority: c.number(Priority::try_from)?,
        deadline: c.time_opt()?,
        dependencies: c.packed(unpack_ids)?,
        flow_id: c.name_opt()?,
        key: c.get()?,
        agent_id: c.name_opt()?,
        required_capabilities: c.json()?,
        estimate: c.json()?,
        retry: RetryPolicy {
            max_attempts: c.get()?,
            backoff_ms: c.count()?,
            max_backoff_ms: c.count()?,
        },
        metadata: c.json()?,
        status: c.word(TaskStatus::parse)?,
        attempt: c.get()?,
        not_before: c.time_opt()?,
        planned: c.json_opt()?,
        result: c.json_opt()?,
        error: c.get()?,
        version: c.count()?,
        created_at: c.time()?,
        updated_at: c.time()?,
        ready_at: c.time_opt()?,
        started_at: c.time_opt()?,
        finished_at: c.time_opt()?,
    })
}

pub(super) fn get(tx: &Tx<'_, '_>, domain: &Domain, id: TaskId) -> Result<Option<Task>> {
    tx.one(GET, params![id.bytes(), domain.as_str()], from_row)
}

pub(super) fn listing<'a>(domain: &'a Domain, filter: &'a TaskFilter) -> Listing<'a> {
    Listing::new(LIST, "position", domain)
        .equal("flow_id", filter.flow_id.as_ref().map(FlowId::as_str))
        .equal("agent_id", filter.agent_id.as_ref().map(AgentId::as_str))
        .equal("kind", filter.kind.as_deref())
        .equal("status", filter.status.map(TaskStatus::as_str))
}

pub(super) fn list(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    filter: &TaskFilter,
    page: PageRequest,
) -> Result<Page<Task>> {
    listing(domain, filter).page(tx, page, from_row)
}

pub(super) fn of_flow(tx: &Tx<'_, '_>, domain: &Domain, id: &FlowId) -> Result<Vec<Task>> {
    tx.many(OF_FLOW, params![domain.as_str(), id.as_str()], from_row)
}

pub(super) fn on_agent(tx: &Tx<'_, '_>, domain: &Domain, id: &AgentId) -> Result<Vec<Task>> {
    tx.many(ON_AGENT, params![domain.as_str(), id.as_str()], from_row)
}

pub(super) fn dependents(tx: &Tx<'_, '_>, id: TaskId) -> Result<Vec<Task>> {
    tx.many(DEPENDENTS, params![id.bytes()], from_row)
}

pub(super) fn statuses(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    ids: &[TaskId],
) -> Result<Vec<Option<TaskStatus>>> {
    let text = "SELECT position, status FROM tasks WHERE task_id = ? AND domain = ?";
    let one = |id: &TaskId| {
        tx.one(text, params![id.bytes(), domain.as_str()], |row| {
            Columns::of(row).word(TaskStatus::parse)
        })
    };
    ids.iter().map(one).collect()
}

pub(super) fn insert(tx: &Tx<'_, '_>, task: &Task) -> Result<()> {
    let position = tx.insert(
        INSERT,
        params![
            task.task_id.bytes(),
            task.domain.as_str(),
            task.kind,
            json(&task.parameters)?,
            task.priority.get(),
            ms(task.deadline),
            pack_ids(&task.dependencies),
            task.flow_id.as_ref().map(FlowId::as_str),
            task.key,
            task.agent_id.as_ref().map(AgentId::as_str),
            json(&task.required_capabilities)?,
            json(&task.estimate)?,
            task.retry.max_attempts,
            int(task.retry.backoff_ms)?,
            int(task.retry.max_backoff_ms)?,
            json(&task.metadata)?,
            task.status.as_str(),
            task.attempt,
            ms(task.not_before),
            json_opt(task.planned.as_ref())?,
            json_opt(task.result.as_ref())?,
            task.error,
            int(task.version)?,
            task.created_at.millis(),
            task.updated_at.millis(),
            ms(task.ready_at),
            ms(task.started_at),
            ms(task.finished_at),
        ],
    )?;
    tx.last_task.set(Some(LastTask {
        id: task.task_id,
        position,
        steps: Some(0),
    }));
    link(tx, position, &task.dependencies)?;
    if let Some(flow) = &task.flow_id {
        flows::count(tx, &task.domain, flow, task.status, 1)?;
    }
    Ok(())
}

/// What an update has to compare with: the parts that other tables and indexes repeat.
struct Before {
    position: i64,
    kind: String,
    flow_id: Option<FlowId>,
    status: TaskStatus,
    dependencies: Vec<TaskId>,
}

fn before(tx: &Tx<'_, '_>, task: &Task) -> Result<Before> {
    let text = "SELECT position, kind, flow_id, status, dependencies FROM tasks \
                WHERE task_id = ? AND domain = ?";
    let found = tx.one(
        text,
        params![task.task_id.bytes(), task.domain.as_str()],
        |row| {
            let mut c = Columns::of(row);
            Ok(Before {
                position: row.get(0)?,
                kind: c.get()?,
                flow_id: c.name_opt()?,
                status: c.word(TaskStatus::parse)?,
                dependencies: c.packed(unpack_ids)?,
            })
        },
    )?;
    found.ok_or_else(|| missing("task", task.task_id))
}

pub(super) fn update(tx: &Tx<'_, '_>, task: &Task) -> Result<()> {
    let old = before(tx, task)?;
    tx.run(
        UPDATE,
        params![
            old.position,
            json(&task.parameters)?,
            task.priority.get(),
            ms(task.deadline),
            pack_ids(&task.dependencies),
            task.key,
            task.agent_id.as_ref().map(AgentId::as_str),
            json(&task.required_capabilities)?,
            json(&task.estimate)?,
            task.retry.max_attempts,
            int(task.retry.backoff_ms)?,
            int(task.retry.max_backoff_ms)?,
            json(&task.metadata)?,
            task.status.as_str(),
            task.attempt,
            ms(task.not_before),
            json_opt(task.planned.as_ref())?,
            json_opt(task.result.as_ref())?,
            task.error,
            int(task.version)?,
            task.created_at.millis(),
            task.updated_at.millis(),
            ms(task.ready_at),
            ms(task.started_at),
            ms(task.finished_at),
        ],
    )?;
    tx.last_task.set(Some(LastTask {
        id: task.task_id,
        position: old.position,
        steps: None,
    }));
    if (&old.kind, &old.flow_id) != (&task.kind, &task.flow_id) {
        let flow = task.flow_id.as_ref().map(FlowId::as_str);
        tx.run(MOVE, params![old.position, task.kind, flow])?;
    }
    if old.dependencies != task.dependencies {
        unlink(tx, old.position, &old.dependencies)?;
        link(tx, old.position, &task.dependencies)?;
    }
    if (&old.flow_id, old.status) != (&task.flow_id, task.status) {
        if let Some(flow) = &old.flow_id {
            flows::count(tx, &task.domain, flow, old.status, -1)?;
        }
        if let Some(flow) = &task.flow_id {
            flows::count(tx, &task.domain, flow, task.status, 1)?;
        }
    }
    Ok(())
}

fn link(tx: &Tx<'_, '_>, position: i64, dependencies: &[TaskId]) -> Result<()> {
    // OR IGNORE: a client may name a dependency twice.
    let text = "INSERT OR IGNORE INTO dependents (dependency, task) VALUES (?, ?)";
    for id in dependencies {
        tx.run(text, params![id.bytes(), position])?;
    }
    Ok(())
}

fn unlink(tx: &Tx<'_, '_>, position: i64, dependencies: &[TaskId]) -> Result<()> {
    let text = "DELETE FROM dependents WHERE dependency = ? AND task = ?";
    for id in dependencies {
        tx.run(text, params![id.bytes(), position])?;
    }
    Ok(())
}

/// The task that a step belongs to, with what is known of it from this job.
fn owner(tx: &Tx<'_, '_>, id: TaskId) -> Result<LastTask> {
    if let Some(last) = tx.last_task.get().filter(|last| last.id == id) {
        return Ok(last);
    }
    let text = "SELECT position FROM tasks WHERE task_id = ?";
    let position = tx.one(text, params![id.bytes()], |row| row.get(0))?;
    let position = position.ok_or_else(|| missing("task", id))?;
    Ok(LastTask {
        id,
        position,
        steps: None,
    })
}

pub(super) fn append_transition(tx: &Tx<'_, '_>, id: TaskId, step: &Transition) -> Result<()> {
    let owner = owner(tx, id)?;
    let steps = match owner.steps {
        Some(steps) => steps,
        None => {
            let text = "SELECT max(step) FROM transitions WHERE task = ?";
            let last: Option<Option<i64>> =
                tx.one(text, params![owner.position], |row| row.get(0))?;
            last.flatten().unwrap_or(0)
        }
    };
    let text = "INSERT INTO transitions (task, step, from_status, to_status, at_ms, agent_id, reason) \
                VALUES (?, ?, ?, ?, ?, ?, ?)";
    let values = params![
        owner.position,
        steps + 1,
        step.from.map(TaskStatus::as_str),
        step.to.as_str(),
        step.at.millis(),
        step.agent_id.as_ref().map(AgentId::as_str),
        step.reason,
    ];
    tx.run(text, values)?;
    tx.last_task.set(Some(LastTask {
        steps: Some(steps + 1),
        ..owner
    }));
    Ok(())
}

pub(super) fn transitions(tx: &Tx<'_, '_>, id: TaskId) -> Result<Vec<Transition>> {
    let text = "SELECT step, from_status, to_status, at_ms, agent_id, reason FROM transitions \
                WHERE task = (SELECT position FROM tasks WHERE task_id = ?) ORDER BY step";
    tx.many(text, params![id.bytes()], |row| {
        let mut c = Columns::of(row);
        Ok(Transition {
            from: c.word_opt(TaskStatus::parse)?,
            to: c.word(TaskStatus::parse)?,
            at: c.time()?,
            agent_id: c.name_opt()?,
            reason: c.get()?,
        })
    })
}
