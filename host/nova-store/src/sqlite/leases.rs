//! Leases, what can be leased, and deadlines.

use nova_core::{Agent, Domain, Lease, LeaseId, LeaseState, Result, Task, TaskId, Timestamp};
use rusqlite::{Row, ToSql, params};

use super::columns::{Bytes16, Columns, int};
use super::tasks;
use super::tx::{Tx, missing};

macro_rules! select {
    ($end:literal) => {
        concat!(
            "SELECT 0, lease_id, domain, task_id, agent_id, attempt, lease_s, state, granted_ms, expires_ms FROM ",
            $end
        )
    };
}

/// By priority, deadline and age; the columns of an index.
const ORDER: &str = "ORDER BY priority DESC, coalesce(deadline_ms, 9223372036854775807), position";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Lease> {
    let mut c = Columns::of(row);
    Ok(Lease {
        lease_id: c.uuid(LeaseId)?,
        domain: c.name()?,
        task_id: c.uuid(TaskId)?,
        agent_id: c.name()?,
        attempt: c.number(u32::try_from)?,
        lease_s: c.get()?,
        state: c.word(LeaseState::parse)?,
        granted_at: c.time()?,
        expires_at: c.time()?,
    })
}

pub(super) fn get(tx: &Tx<'_, '_>, domain: &Domain, id: LeaseId) -> Result<Option<Lease>> {
    let text = select!("leases WHERE lease_id = ? AND domain = ?");
    tx.one(text, params![id.bytes(), domain.as_str()], from_row)
}

pub(super) const ACTIVE_ON: &str = select!("leases WHERE task_id = ? AND state = 'active'");

pub(super) fn active_on(tx: &Tx<'_, '_>, task: TaskId) -> Result<Option<Lease>> {
    tx.one(ACTIVE_ON, params![task.bytes()], from_row)
}

pub(super) const EXPIRED: &str =
    select!("leases WHERE state = 'active' AND expires_ms <= ? ORDER BY expires_ms LIMIT ?");

pub(super) fn expired(tx: &Tx<'_, '_>, now: Timestamp, limit: usize) -> Result<Vec<Lease>> {
    tx.many(EXPIRED, params![now.millis(), int(limit as u64)?], from_row)
}

pub(super) fn active(tx: &Tx<'_, '_>) -> Result<u64> {
    let text = "SELECT count(*) FROM leases WHERE state = 'active'";
    let count = tx.one(text, (), |row| row.get::<_, i64>(0))?;
    Ok(count.unwrap_or(0).unsigned_abs())
}

/// Of an agent's tasks: few enough to be sorted.
pub(super) const ASSIGNED: &str = "status = 'assigned' AND agent_id = ?2";
pub(super) const READY: &str = "status = 'ready' AND (agent_id IS NULL OR agent_id = ?2)";

pub(super) fn assigned(
    tx: &Tx<'_, '_>,
    agent: &Agent,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Task>> {
    waiting(tx, ASSIGNED, agent, now, limit)
}

pub(super) fn ready(
    tx: &Tx<'_, '_>,
    agent: &Agent,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Task>> {
    waiting(tx, READY, agent, now, limit)
}

/// Tasks that may be leased; its parameters are the domain, the agent and the time.
pub(super) fn leasable(condition: &str) -> String {
    format!(
        "{} WHERE domain = ?1 AND {condition} AND (not_before_ms IS NULL OR not_before_ms <= ?3) {ORDER}",
        tasks::SELECT
    )
}

fn waiting(
    tx: &Tx<'_, '_>,
    condition: &str,
    agent: &Agent,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Task>> {
    let (domain, id, now) = (agent.domain.as_str(), agent.agent_id.as_str(), now.millis());
    let params: [&dyn ToSql; 3] = [&domain, &id, &now];
    let capable = |task: &Task| task.required_capabilities.is_subset(&agent.capabilities);
    tx.first_of(
        &leasable(condition),
        params.as_slice(),
        tasks::from_row,
        capable,
        limit,
    )
}

/// Open tasks past a deadline that was not noted.
pub(super) fn past_deadline() -> String {
    format!(
        "{} WHERE deadline_ms <= ?1 AND deadline_noted_ms IS NOT deadline_ms \
         AND status NOT IN ('completed', 'failed', 'cancelled') ORDER BY deadline_ms LIMIT ?2",
        tasks::SELECT
    )
}

pub(super) fn missed(tx: &Tx<'_, '_>, now: Timestamp, limit: usize) -> Result<Vec<Task>> {
    let params = params![now.millis(), int(limit as u64)?];
    tx.many_of(&past_deadline(), params, tasks::from_row)
}

pub(super) fn insert(tx: &Tx<'_, '_>, lease: &Lease) -> Result<()> {
    let text = "INSERT INTO leases (lease_id, domain, task_id, agent_id, attempt, lease_s, state, granted_ms, expires_ms) \
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    tx.run(
        text,
        params![
            lease.lease_id.bytes(),
            lease.domain.as_str(),
            lease.task_id.bytes(),
            lease.agent_id.as_str(),
            lease.attempt,
            lease.lease_s,
            lease.state.as_str(),
            lease.granted_at.millis(),
            lease.expires_at.millis(),
        ],
    )?;
    Ok(())
}

pub(super) fn update(tx: &Tx<'_, '_>, lease: &Lease) -> Result<()> {
    let text = "UPDATE leases SET state = ?2, expires_ms = ?3 WHERE lease_id = ?1";
    let params = params![
        lease.lease_id.bytes(),
        lease.state.as_str(),
        lease.expires_at.millis()
    ];
    match tx.run(text, params)? {
        0 => Err(missing("lease", lease.lease_id)),
        _ => Ok(()),
    }
}

pub(super) fn note_deadline(tx: &Tx<'_, '_>, task: TaskId, deadline: Timestamp) -> Result<()> {
    let text = "UPDATE tasks SET deadline_noted_ms = ? WHERE task_id = ?";
    tx.run(text, params![deadline.millis(), task.bytes()])?;
    Ok(())
}
