//! Events: appended in the transaction of what they tell, read in order.

use nova_core::{
    AgentId, Domain, Event, EventKind, FlowId, NewEvent, ResourceId, Result, TaskId, Timestamp,
};
use rusqlite::{Row, params};

use super::columns::{Bytes16, Columns, int};
use super::tx::Tx;

macro_rules! select {
    ($end:literal) => {
        concat!(
            "SELECT seq, at_ms, domain, kind, task_id, flow_id, agent_id, resource_id, metric, value \
             FROM events WHERE ",
            $end
        )
    };
}

pub(super) const OF_DOMAIN: &str = select!("domain = ? AND seq > ? ORDER BY seq LIMIT ?");
pub(super) const OF_ALL: &str = select!("seq > ? ORDER BY seq LIMIT ?");

fn from_row(row: &Row<'_>) -> rusqlite::Result<Event> {
    let mut c = Columns::of(row);
    let kind = |code: i64| {
        let kind = u8::try_from(code).ok().and_then(EventKind::from_code);
        kind.ok_or_else(|| format!("unknown kind of event {code}"))
    };
    Ok(Event {
        seq: row.get::<_, i64>(0)?.unsigned_abs(),
        at: c.time()?,
        domain: c.name()?,
        body: NewEvent {
            kind: c.number(kind)?,
            task_id: c.uuid_opt(TaskId)?,
            flow_id: c.name_opt()?,
            agent_id: c.name_opt()?,
            resource_id: c.name_opt()?,
            metric: c.get()?,
            value: c.get()?,
        },
    })
}

pub(super) fn after(
    tx: &Tx<'_, '_>,
    domain: Option<&Domain>,
    seq: u64,
    limit: usize,
) -> Result<Vec<Event>> {
    let (seq, limit) = (int(seq)?, int(limit as u64)?);
    match domain {
        Some(domain) => tx.many(OF_DOMAIN, params![domain.as_str(), seq, limit], from_row),
        None => tx.many(OF_ALL, params![seq, limit], from_row),
    }
}

pub(super) fn append(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    at: Timestamp,
    event: &NewEvent,
) -> Result<u64> {
    let text = "INSERT INTO events (at_ms, domain, kind, task_id, flow_id, agent_id, resource_id, metric, value) \
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let seq = tx.insert(
        text,
        params![
            at.millis(),
            domain.as_str(),
            event.kind.code(),
            event.task_id.as_ref().map(Bytes16::bytes),
            event.flow_id.as_ref().map(FlowId::as_str),
            event.agent_id.as_ref().map(AgentId::as_str),
            event.resource_id.as_ref().map(ResourceId::as_str),
            event.metric,
            event.value,
        ],
    )?;
    // SQLite hands out positions from 1 upward.
    Ok(seq.unsigned_abs())
}
