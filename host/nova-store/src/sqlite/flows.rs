//! Flows, their edges and the counts of their tasks.

use nova_core::ports::{Page, PageRequest};
use nova_core::{Domain, Edge, Flow, FlowId, FlowStatus, Result, TaskId, TaskStatus};
use rusqlite::{Row, params};
use uuid::Uuid;

use super::columns::{Bytes16, Columns, int, json, ms};
use super::listing::Listing;
use super::tx::{Tx, missing};

macro_rules! select {
    ($end:literal) => {
        concat!(
            "SELECT position, flow_id, domain, name, status, communication, edges, metadata, version, \
             created_ms, updated_ms, finished_ms FROM flows LEFT JOIN flow_edges ON flow = position ",
            $end
        )
    };
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Flow> {
    let mut c = Columns::of(row);
    Ok(Flow {
        flow_id: c.name()?,
        domain: c.name()?,
        name: c.get()?,
        status: c.word(FlowStatus::parse)?,
        communication: c.json()?,
        edges: c.packed(unpack_edges)?,
        metadata: c.json()?,
        version: c.count()?,
        created_at: c.time()?,
        updated_at: c.time()?,
        finished_at: c.time_opt()?,
    })
}

fn pack_edges(edges: &[Edge]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(edges.len() * 40);
    for edge in edges {
        bytes.extend_from_slice(edge.from.bytes());
        bytes.extend_from_slice(edge.to.bytes());
        bytes.extend_from_slice(&edge.data_bytes.to_le_bytes());
    }
    bytes
}

fn unpack_edges(bytes: &[u8]) -> Option<Vec<Edge>> {
    let (edges, []) = bytes.as_chunks::<40>() else {
        return None;
    };
    let id = |bytes: &[u8]| Uuid::from_slice(bytes).ok().map(TaskId);
    let unpack = |bytes: &[u8; 40]| {
        Some(Edge {
            from: id(&bytes[..16])?,
            to: id(&bytes[16..32])?,
            data_bytes: f64::from_le_bytes(*bytes.last_chunk()?),
        })
    };
    edges.iter().map(unpack).collect()
}

pub(super) fn get(tx: &Tx<'_, '_>, domain: &Domain, id: &FlowId) -> Result<Option<Flow>> {
    let text = select!("WHERE domain = ? AND flow_id = ?");
    tx.one(text, params![domain.as_str(), id.as_str()], from_row)
}

pub(super) fn listing(domain: &Domain, status: Option<FlowStatus>) -> Listing<'_> {
    Listing::new(select!("WHERE domain = ?"), "position", domain)
        .equal("status", status.map(FlowStatus::as_str))
}

pub(super) fn list(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    status: Option<FlowStatus>,
    page: PageRequest,
) -> Result<Page<Flow>> {
    listing(domain, status).page(tx, page, from_row)
}

pub(super) fn counts(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    id: &FlowId,
) -> Result<Vec<(TaskStatus, u64)>> {
    let text = "SELECT NULL, status, tasks FROM flow_counts WHERE domain = ? AND flow_id = ? AND tasks > 0";
    let mut counts = tx.many(text, params![domain.as_str(), id.as_str()], |row| {
        let mut c = Columns::of(row);
        Ok((c.word(TaskStatus::parse)?, c.count()?))
    })?;
    counts.sort_unstable();
    Ok(counts)
}

/// Counts `more` tasks of this status in a flow; called with every change of a task.
pub(super) fn count(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    id: &FlowId,
    status: TaskStatus,
    more: i64,
) -> Result<()> {
    let values = params![domain.as_str(), id.as_str(), status.as_str(), more];
    let update = "UPDATE flow_counts SET tasks = tasks + ?4 WHERE domain = ?1 AND flow_id = ?2 AND status = ?3";
    if tx.run(update, values)? == 0 {
        let insert =
            "INSERT INTO flow_counts (domain, flow_id, status, tasks) VALUES (?1, ?2, ?3, ?4)";
        tx.run(insert, values)?;
    }
    Ok(())
}

pub(super) fn insert(tx: &Tx<'_, '_>, flow: &Flow) -> Result<()> {
    let text = "INSERT INTO flows (flow_id, domain, name, status, communication, metadata, version, \
                created_ms, updated_ms, finished_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let position = tx.insert(
        text,
        params![
            flow.flow_id.as_str(),
            flow.domain.as_str(),
            flow.name,
            flow.status.as_str(),
            json(&flow.communication)?,
            json(&flow.metadata)?,
            int(flow.version)?,
            flow.created_at.millis(),
            flow.updated_at.millis(),
            ms(flow.finished_at),
        ],
    )?;
    if !flow.edges.is_empty() {
        write_edges(tx, position, &pack_edges(&flow.edges))?;
    }
    Ok(())
}

pub(super) fn update(tx: &Tx<'_, '_>, flow: &Flow) -> Result<()> {
    let text = "UPDATE flows SET name = ?3, communication = ?4, metadata = ?5, version = ?6, created_ms = ?7, \
                updated_ms = ?8, finished_ms = ?9, status = ?10 WHERE domain = ?1 AND flow_id = ?2 \
                RETURNING position";
    let position: Option<i64> = tx.one(
        text,
        params![
            flow.domain.as_str(),
            flow.flow_id.as_str(),
            flow.name,
            json(&flow.communication)?,
            json(&flow.metadata)?,
            int(flow.version)?,
            flow.created_at.millis(),
            flow.updated_at.millis(),
            ms(flow.finished_at),
            flow.status.as_str(),
        ],
        |row| row.get(0),
    )?;
    let position = position.ok_or_else(|| missing("flow", &flow.flow_id))?;
    // Edges are large and seldom change: comparing is cheaper than writing.
    let edges = pack_edges(&flow.edges);
    let same = tx.one(
        "SELECT edges FROM flow_edges WHERE flow = ?",
        params![position],
        |row| Ok(row.get_ref(0)?.as_blob()? == edges),
    )?;
    if !same.unwrap_or(edges.is_empty()) {
        write_edges(tx, position, &edges)?;
    }
    Ok(())
}

fn write_edges(tx: &Tx<'_, '_>, position: i64, edges: &[u8]) -> Result<()> {
    let text = "INSERT INTO flow_edges (flow, edges) VALUES (?1, ?2) \
                ON CONFLICT (flow) DO UPDATE SET edges = ?2";
    tx.run(text, params![position, edges]).map(|_| ())
}
