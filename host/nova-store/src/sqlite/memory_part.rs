//! Memories of one domain in the order of storing, for those who read all of them.

use nova_core::ports::{CLIENT_MODEL, MemoryPart, StoredMemory};
use nova_core::{Domain, MemoryId, MemoryLayer, Result, Timestamp};
use rusqlite::{ToSql, params};

use super::columns::{Bytes16, int};
use super::memories::{placed, select, with_vectors};
use super::tx::Tx;

/// The statement for such a part.
pub(super) fn statement(of: &MemoryPart) -> String {
    let mut sql = select!("memories WHERE domain = ?1 AND position > ?2").to_owned();
    sql.push_str(" AND (expires_ms IS NULL OR expires_ms > ?3)");
    if of.agent_id.is_some() {
        sql.push_str(" AND agent_id = ?4");
    }
    if of.layer.is_some() {
        sql.push_str(" AND layer = ?5");
    }
    sql.push_str(" ORDER BY position LIMIT ?6");
    sql
}

pub(super) fn of_domain(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    of: &MemoryPart,
    now: Timestamp,
    position: i64,
    limit: usize,
) -> Result<Vec<StoredMemory>> {
    let agent = of.agent_id.as_ref().map(|a| a.as_str().to_owned());
    let layer = of.layer.map(MemoryLayer::as_str);
    let limit = int(limit as u64)?;
    let (name, now) = (domain.as_str(), now.millis());
    let values: [&dyn ToSql; 6] = [&name, &position, &now, &agent, &layer, &limit];
    let rows = tx.many_of(&statement(of), values.as_slice(), placed)?;
    with_vectors(tx, rows)
}

pub(super) fn exists(tx: &Tx<'_, '_>, id: MemoryId) -> Result<bool> {
    let text = "SELECT 1 FROM memories WHERE memory_id = ?";
    let found = tx.one(text, params![id.bytes()], |row| row.get::<_, i64>(0))?;
    Ok(found.is_some())
}

pub(super) fn delete_other_vectors(tx: &Tx<'_, '_>, model: &str, limit: usize) -> Result<u64> {
    // The ranges beside both models', so that their own entries are not read.
    let text = "DELETE FROM memory_vectors WHERE rowid IN ( \
                SELECT rowid FROM memory_vectors WHERE model < min(?1, ?2) \
                UNION ALL SELECT rowid FROM memory_vectors WHERE model > min(?1, ?2) AND model < max(?1, ?2) \
                UNION ALL SELECT rowid FROM memory_vectors WHERE model > max(?1, ?2) LIMIT ?3)";
    let params = params![model, CLIENT_MODEL, int(limit as u64)?];
    Ok(tx.run(text, params)? as u64)
}
