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
            "SELECT seq, at_ms, domain, kind, task_id, flow_id, agent_id, resource_id, metric, value, detail \
             FROM events WHERE ",
            $end
        )
    };
}

pub(super) const OF_DOMAIN: &str = select!("domain = ? AND seq > ? ORDER BY seq LIMIT ?");
pub(super) const OF_ALL: &str = select!("seq > ? ORDER BY seq LIMIT ?");

/// The domain of the daemon's own events: `*`, which no domain can be named.
const DAEMON: &str = "*";

fn domain(text: &str) -> Option<Option<Domain>> {
    match text {
        DAEMON => Some(None),
        name => name.parse().ok().map(Some),
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Event> {
    let mut c = Columns::of(row);
    let kind = |code: i64| {
        let kind = u8::try_from(code).ok().and_then(EventKind::from_code);
        kind.ok_or_else(|| format!("unknown kind of event {code}"))
    };
    Ok(Event {
        seq: row.get::<_, i64>(0)?.unsigned_abs(),
        at: c.time()?,
        domain: c.word(domain)?,
        body: NewEvent {
            kind: c.number(kind)?,
            task_id: c.uuid_opt(TaskId)?,
            flow_id: c.name_opt()?,
            agent_id: c.name_opt()?,
            resource_id: c.name_opt()?,
            metric: c.get()?,
            value: c.get()?,
            detail: c.json_opt()?,
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

/// The newest `seq` that was ever given, whatever was removed since.
pub(super) fn newest_seq(tx: &Tx<'_, '_>) -> Result<u64> {
    let text = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";
    let seq = tx.one(text, (), |row| row.get::<_, i64>(0))?;
    Ok(seq.unwrap_or(0).unsigned_abs())
}

pub(super) fn append(
    tx: &Tx<'_, '_>,
    domain: Option<&Domain>,
    at: Timestamp,
    event: &NewEvent,
) -> Result<u64> {
    let text = "INSERT INTO events (at_ms, domain, kind, task_id, flow_id, agent_id, resource_id, metric, value, detail) \
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let seq = tx.insert(
        text,
        params![
            at.millis(),
            domain.map_or(DAEMON, Domain::as_str),
            event.kind.code(),
            event.task_id.as_ref().map(Bytes16::bytes),
            event.flow_id.as_ref().map(FlowId::as_str),
            event.agent_id.as_ref().map(AgentId::as_str),
            event.resource_id.as_ref().map(ResourceId::as_str),
            event.metric,
            event.value,
            event.detail_text()?,
        ],
    )?;
    // SQLite hands out positions from 1 upward.
    let seq = seq.unsigned_abs();
    tx.recorded(Event {
        seq,
        at,
        domain: domain.cloned(),
        body: event.clone(),
    });
    Ok(seq)
}
