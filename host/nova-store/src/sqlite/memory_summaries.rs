//! Episodes that wait for the summarizer.

use nova_core::{AgentId, Domain, Memory, MemoryId, Result};
use rusqlite::params;

use super::columns::{Bytes16, Columns, int};
use super::memories::{from_row, select};
use super::tx::Tx;

/// The one that was asked about least, and of those the oldest.
pub(super) const FIRST: &str =
    "SELECT 0, domain, agent_id, asked FROM memory_summaries_due ORDER BY asked, memory LIMIT 1";

pub(super) const OF_AGENT: &str = select!(
    "memories WHERE position IN (SELECT memory FROM memory_summaries_due \
     WHERE domain = ? AND agent_id IS ? AND asked = ? ORDER BY memory LIMIT ?) ORDER BY position"
);

pub(super) fn due(tx: &Tx<'_, '_>, limit: usize) -> Result<Vec<Memory>> {
    let first = tx.one(FIRST, (), |row| {
        let mut c = Columns::of(row);
        Ok((
            c.name::<Domain>()?,
            c.name_opt::<AgentId>()?,
            c.get::<i64>()?,
        ))
    })?;
    let Some((domain, agent, asked)) = first else {
        return Ok(Vec::new());
    };
    let agent = agent.as_ref().map(AgentId::as_str);
    let key = params![domain.as_str(), agent, asked, int(limit as u64)?];
    tx.many(OF_AGENT, key, from_row)
}

pub(super) fn queue(tx: &Tx<'_, '_>, id: MemoryId) -> Result<()> {
    let text = "INSERT INTO memory_summaries_due (memory, domain, agent_id, asked) \
                SELECT position, domain, agent_id, 0 FROM memories WHERE memory_id = ? \
                ON CONFLICT DO NOTHING";
    tx.run(text, params![id.bytes()])?;
    Ok(())
}

pub(super) fn settle(tx: &Tx<'_, '_>, ids: &[MemoryId]) -> Result<Vec<MemoryId>> {
    let text = "DELETE FROM memory_summaries_due \
                WHERE memory = (SELECT position FROM memories WHERE memory_id = ?)";
    let mut settled = Vec::with_capacity(ids.len());
    for id in ids {
        if tx.run(text, params![id.bytes()])? > 0 {
            settled.push(*id);
        }
    }
    Ok(settled)
}

pub(super) fn fail(tx: &Tx<'_, '_>, ids: &[MemoryId], rounds_max: u32) -> Result<()> {
    let text = "UPDATE memory_summaries_due SET asked = asked + 1 \
                WHERE memory = (SELECT position FROM memories WHERE memory_id = ?)";
    for id in ids {
        tx.run(text, params![id.bytes()])?;
    }
    let text = "DELETE FROM memory_summaries_due WHERE asked >= ?";
    tx.run(text, params![rounds_max])?;
    Ok(())
}

/// A memory is gone.
pub(super) fn delete(tx: &Tx<'_, '_>, position: i64) -> Result<()> {
    let text = "DELETE FROM memory_summaries_due WHERE memory = ?";
    tx.run(text, params![position])?;
    Ok(())
}
