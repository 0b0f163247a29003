//! Memories: records, vectors, and their words in a full-text index of the same file.

use std::ops::RangeInclusive;

use nova_core::ports::{MemoryFilter, MemoryUsage, MemoryVector, Page, PageRequest, StoredMemory};
use nova_core::{AgentId, Domain, Memory, MemoryId, MemoryLayer, Result, Timestamp};
use rusqlite::{Row, ToSql, params};
use uuid::Uuid;

use super::columns::{Bytes16, Columns, int, json, ms};
use super::tx::{Tx, missing};
use super::{memory_summaries, memory_words};

macro_rules! select {
    ($end:literal) => {
        concat!(
            "SELECT position, memory_id, domain, agent_id, layer, content, importance, context, metadata, provenance, \
             occurrences, merged_into, valid_from_ms, valid_to_ms, access_count, accessed_ms, created_ms, \
             consolidated_ms, expires_ms, summarized_by FROM ",
            $end
        )
    };
}

pub(super) use select;

/// Columns of [`from_row`]; what a statement adds comes after them.
pub(super) const COLUMNS: usize = 20;

pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Memory> {
    let mut c = Columns::of(row);
    Ok(Memory {
        memory_id: c.uuid(MemoryId)?,
        domain: c.name()?,
        agent_id: c.name_opt()?,
        layer: c.word(MemoryLayer::parse)?,
        content: c.json()?,
        importance: c.get()?,
        context: c.json()?,
        metadata: c.json()?,
        provenance: c.packed(unpack)?,
        occurrences: c.count()?,
        merged_into: c.uuid_opt(MemoryId)?,
        valid_from: c.time()?,
        valid_to: c.time_opt()?,
        access_count: c.count()?,
        accessed_at: c.time_opt()?,
        created_at: c.time()?,
        consolidated_at: c.time_opt()?,
        expires_at: c.time_opt()?,
        summarized_by: c.get()?,
    })
}

pub(super) fn placed(row: &Row<'_>) -> rusqlite::Result<(i64, Memory)> {
    Ok((row.get(0)?, from_row(row)?))
}

fn pack(ids: &[MemoryId]) -> Vec<u8> {
    ids.iter().flat_map(|id| *id.bytes()).collect()
}

fn unpack(bytes: &[u8]) -> Option<Vec<MemoryId>> {
    let (ids, []) = bytes.as_chunks::<16>() else {
        return None;
    };
    Some(ids.iter().map(|b| MemoryId(Uuid::from_bytes(*b))).collect())
}

fn pack_vector(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn unpack_vector(bytes: &[u8]) -> Vec<f32> {
    let numbers = bytes.as_chunks::<4>().0.iter();
    numbers.map(|b| f32::from_le_bytes(*b)).collect()
}

pub(super) fn get(tx: &Tx<'_, '_>, domain: &Domain, id: MemoryId) -> Result<Option<Memory>> {
    let text = select!("memories WHERE memory_id = ? AND domain = ?");
    tx.one(text, params![id.bytes(), domain.as_str()], from_row)
}

pub(super) fn of_ids(tx: &Tx<'_, '_>, domain: &Domain, ids: &[MemoryId]) -> Result<Vec<Memory>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(get(tx, domain, *id)?);
    }
    Ok(found)
}

fn vectors(tx: &Tx<'_, '_>, position: i64) -> Result<Vec<MemoryVector>> {
    let text = "SELECT model, vector FROM memory_vectors WHERE memory = ?";
    tx.many(text, params![position], |row| {
        Ok(MemoryVector {
            model: row.get(0)?,
            vector: unpack_vector(row.get_ref(1)?.as_blob()?),
        })
    })
}

/// The conditions of a filter that columns can answer; metadata is looked at row by row.
pub(super) struct Conditions {
    pub(super) sql: String,
    pub(super) values: Vec<Box<dyn ToSql>>,
}

impl Conditions {
    pub(super) fn of(domain: &Domain, filter: &MemoryFilter, now: Timestamp) -> Self {
        let mut it = Self {
            sql: "domain = ? AND (expires_ms IS NULL OR expires_ms > ?)".to_owned(),
            values: vec![Box::new(domain.as_str().to_owned()), Box::new(now.millis())],
        };
        if !filter.merged {
            it.sql.push_str(" AND merged_into IS NULL");
        }
        if !filter.superseded {
            it.sql.push_str(" AND valid_to_ms IS NULL");
        }
        it.and("layer = ?", filter.layer.map(MemoryLayer::as_str));
        let agent = filter.agent_id.as_ref().map(|a| a.as_str().to_owned());
        it.and("agent_id = ?", agent);
        it.and("created_ms >= ?", filter.since.map(Timestamp::millis));
        it.and("created_ms < ?", filter.until.map(Timestamp::millis));
        it.and("importance >= ?", filter.min_importance);
        it
    }

    fn and<T: ToSql + 'static>(&mut self, condition: &str, value: Option<T>) {
        if let Some(value) = value {
            self.sql.push_str(" AND ");
            self.sql.push_str(condition);
            self.values.push(Box::new(value));
        }
    }
}

pub(super) fn list(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    filter: &MemoryFilter,
    now: Timestamp,
    page: PageRequest,
) -> Result<Page<Memory>> {
    let Conditions { sql, values } = Conditions::of(domain, filter, now);
    let before = page.before.unwrap_or(i64::MAX);
    let text = format!(
        "{} memories WHERE {sql} AND position < ? ORDER BY position DESC",
        select!("")
    );
    let params = values.iter().map(|v| &**v).chain([&before as &dyn ToSql]);
    let params: Vec<&dyn ToSql> = params.collect();
    let keep = |(_, memory): &(i64, Memory)| filter.metadata.matches(&memory.metadata);
    let mut found = tx.first_of(&text, params.as_slice(), placed, keep, page.limit + 1)?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = found.last().map(|(position, _)| *position).filter(|_| more);
    Ok(Page {
        items: found.into_iter().map(|(_, memory)| memory).collect(),
        next,
    })
}

pub(super) const BY_CONTENT: &str = select!(
    "memories WHERE content_hash = ? AND domain = ? AND agent_id IS ? AND layer = ? AND created_ms BETWEEN ? AND ? \
         ORDER BY position DESC LIMIT 1"
);

pub(super) fn by_content(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    agent: Option<&AgentId>,
    layer: MemoryLayer,
    content_hash: &[u8; 32],
    created: &RangeInclusive<Timestamp>,
) -> Result<Option<Memory>> {
    let agent = agent.map(AgentId::as_str);
    let key = params![
        content_hash,
        domain.as_str(),
        agent,
        layer.as_str(),
        created.start().millis(),
        created.end().millis()
    ];
    tx.one(BY_CONTENT, key, from_row)
}

pub(super) fn after(tx: &Tx<'_, '_>, position: i64, limit: usize) -> Result<Vec<StoredMemory>> {
    let text = select!("memories WHERE position > ? ORDER BY position LIMIT ?");
    let rows = tx.many(text, params![position, int(limit as u64)?], placed)?;
    let Some((last, _)) = rows.last() else {
        return Ok(Vec::new());
    };
    // The rows follow one another, and so do their vectors: one statement reads them all.
    let found = tx.many(VECTORS_BETWEEN, params![position, last], |row| {
        let vector = MemoryVector {
            model: row.get(1)?,
            vector: unpack_vector(row.get_ref(2)?.as_blob()?),
        };
        Ok((row.get::<_, i64>(0)?, vector))
    })?;
    let mut found = found.into_iter().peekable();
    let join = |(position, memory)| {
        let mut vectors = Vec::new();
        while let Some((_, vector)) = found.next_if(|(of, _)| *of <= position) {
            vectors.push(vector);
        }
        StoredMemory {
            position,
            memory,
            vectors,
        }
    };
    Ok(rows.into_iter().map(join).collect())
}

pub(super) const VECTORS_BETWEEN: &str = "SELECT memory, model, vector FROM memory_vectors WHERE memory > ? AND memory <= ? ORDER BY memory, model";

pub(super) fn with_vectors(tx: &Tx<'_, '_>, rows: Vec<(i64, Memory)>) -> Result<Vec<StoredMemory>> {
    let join = |(position, memory)| {
        Ok(StoredMemory {
            position,
            memory,
            vectors: vectors(tx, position)?,
        })
    };
    rows.into_iter().map(join).collect()
}

pub(super) fn without_vector(
    tx: &Tx<'_, '_>,
    model: &str,
    position: i64,
    limit: usize,
) -> Result<Vec<(i64, Memory)>> {
    let text = select!(
        "memories WHERE position > ? AND NOT EXISTS \
         (SELECT 1 FROM memory_vectors WHERE memory = position AND model = ?) ORDER BY position LIMIT ?"
    );
    tx.many(text, params![position, model, int(limit as u64)?], placed)
}

pub(super) fn newest(tx: &Tx<'_, '_>) -> Result<i64> {
    let text = "SELECT 0, position FROM memories ORDER BY position DESC LIMIT 1";
    Ok(tx.one(text, (), |row| row.get(1))?.unwrap_or(0))
}

pub(super) const COVERAGE: &str = "SELECT coalesce((SELECT sum(records) FROM memory_usage), 0), \
                (SELECT count(*) FROM memory_vectors WHERE model = ?)";

pub(super) fn coverage(tx: &Tx<'_, '_>, model: &str) -> Result<(u64, u64)> {
    let text = COVERAGE;
    let counts = tx.one(text, params![model], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
    })?;
    let (all, with) = counts.unwrap_or_default();
    Ok((all.unsigned_abs(), with.unsigned_abs()))
}

pub(super) fn usage(tx: &Tx<'_, '_>, domain: &Domain) -> Result<MemoryUsage> {
    let text = "SELECT layer, records, bytes FROM memory_usage WHERE domain = ?";
    let rows = tx.many(text, params![domain.as_str()], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, i64>(2)?,
        ))
    })?;
    let mut usage = MemoryUsage::default();
    for (layer, records, bytes) in rows {
        match MemoryLayer::parse(&layer) {
            Some(MemoryLayer::Semantic) => usage.semantic = records.unsigned_abs(),
            _ => usage.episodic = records.unsigned_abs(),
        }
        usage.bytes += bytes.unsigned_abs();
    }
    Ok(usage)
}

fn id_of(row: &Row<'_>) -> rusqlite::Result<(Domain, MemoryId)> {
    let mut c = Columns::of(row);
    let id = c.uuid(MemoryId)?;
    Ok((c.name()?, id))
}

pub(super) const EXPIRED: &str = "SELECT 0, memory_id, domain FROM memories WHERE expires_ms IS NOT NULL AND expires_ms <= ? \
                ORDER BY expires_ms LIMIT ?";

pub(super) fn expired(
    tx: &Tx<'_, '_>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(Domain, MemoryId)>> {
    tx.many(EXPIRED, params![now.millis(), int(limit as u64)?], id_of)
}

pub(super) const RETIRED: &str = "SELECT 0, memory_id, domain FROM memories WHERE layer = 'episodic' AND consolidated_ms IS NOT NULL \
                AND created_ms < ? AND importance < ? ORDER BY created_ms LIMIT ?";

pub(super) fn retired(
    tx: &Tx<'_, '_>,
    before: Timestamp,
    importance_below: f64,
    limit: usize,
) -> Result<Vec<(Domain, MemoryId)>> {
    let params = params![before.millis(), importance_below, int(limit as u64)?];
    tx.many(RETIRED, params, id_of)
}

pub(super) fn insert(tx: &Tx<'_, '_>, memory: &Memory, content_hash: &[u8; 32]) -> Result<i64> {
    let (content, context, metadata) = (
        json(&memory.content)?,
        json(&memory.context)?,
        json(&memory.metadata)?,
    );
    let size = int((content.len() + context.len() + metadata.len()) as u64)?;
    let text = "INSERT INTO memories (memory_id, domain, agent_id, layer, content, importance, context, metadata, \
                provenance, occurrences, merged_into, valid_from_ms, valid_to_ms, access_count, accessed_ms, \
                created_ms, consolidated_ms, expires_ms, summarized_by, content_hash, size_bytes) \
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let position = tx.insert(
        text,
        params![
            memory.memory_id.bytes(),
            memory.domain.as_str(),
            memory.agent_id.as_ref().map(AgentId::as_str),
            memory.layer.as_str(),
            content,
            memory.importance,
            context,
            metadata,
            pack(&memory.provenance),
            int(memory.occurrences)?,
            memory.merged_into.as_ref().map(|id| *id.bytes()),
            memory.valid_from.millis(),
            ms(memory.valid_to),
            int(memory.access_count)?,
            ms(memory.accessed_at),
            memory.created_at.millis(),
            ms(memory.consolidated_at),
            ms(memory.expires_at),
            memory.summarized_by,
            content_hash,
            size,
        ],
    )?;
    memory_words::insert(tx, position, &memory.text())?;
    let text = "INSERT INTO memory_usage (domain, layer, records, bytes) VALUES (?, ?, 1, ?) \
                ON CONFLICT DO UPDATE SET records = records + 1, bytes = bytes + excluded.bytes";
    let params = params![memory.domain.as_str(), memory.layer.as_str(), size];
    tx.run(text, params)?;
    Ok(position)
}

pub(super) fn update(tx: &Tx<'_, '_>, memory: &Memory) -> Result<()> {
    let text = "UPDATE memories SET importance = ?2, context = ?3, provenance = ?4, occurrences = ?5, merged_into = ?6, \
                valid_from_ms = ?7, valid_to_ms = ?8, access_count = ?9, accessed_ms = ?10, consolidated_ms = ?11, \
                expires_ms = ?12 WHERE memory_id = ?1";
    let changed = tx.run(
        text,
        params![
            memory.memory_id.bytes(),
            memory.importance,
            json(&memory.context)?,
            pack(&memory.provenance),
            int(memory.occurrences)?,
            memory.merged_into.as_ref().map(|id| *id.bytes()),
            memory.valid_from.millis(),
            ms(memory.valid_to),
            int(memory.access_count)?,
            ms(memory.accessed_at),
            ms(memory.consolidated_at),
            ms(memory.expires_at),
        ],
    )?;
    match changed {
        0 => Err(missing("memory", memory.memory_id)),
        _ => Ok(()),
    }
}

pub(super) fn touch(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    id: MemoryId,
    accesses: u64,
    at: Timestamp,
) -> Result<()> {
    let text = "UPDATE memories SET access_count = access_count + ?, accessed_ms = ? \
                WHERE memory_id = ? AND domain = ?";
    let params = params![int(accesses)?, at.millis(), id.bytes(), domain.as_str()];
    tx.run(text, params)?;
    Ok(())
}

pub(super) fn put_vector(tx: &Tx<'_, '_>, id: MemoryId, vector: &MemoryVector) -> Result<()> {
    let text = "INSERT INTO memory_vectors (memory, model, vector) \
                SELECT position, ?2, ?3 FROM memories WHERE memory_id = ?1 \
                ON CONFLICT DO UPDATE SET vector = excluded.vector";
    let params = params![id.bytes(), vector.model, pack_vector(&vector.vector)];
    match tx.run(text, params)? {
        0 => Err(missing("memory", id)),
        _ => Ok(()),
    }
}

pub(super) fn delete(tx: &Tx<'_, '_>, domain: &Domain, id: MemoryId) -> Result<bool> {
    let text =
        "SELECT position, layer, size_bytes FROM memories WHERE memory_id = ? AND domain = ?";
    let key = params![id.bytes(), domain.as_str()];
    let row = tx.one(text, key, |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, i64>(2)?,
        ))
    })?;
    let Some((position, layer, size)) = row else {
        return Ok(false);
    };
    memory_words::delete(tx, position)?;
    memory_summaries::delete(tx, position)?;
    tx.run(
        "DELETE FROM memory_vectors WHERE memory = ?",
        params![position],
    )?;
    tx.run("DELETE FROM memories WHERE position = ?", params![position])?;
    let text = "UPDATE memory_usage SET records = records - 1, bytes = bytes - ? WHERE domain = ? AND layer = ?";
    tx.run(text, params![size, domain.as_str(), layer])?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_survive_packing() {
        let vector = [0.5, -1.25, f32::MIN_POSITIVE];
        assert_eq!(unpack_vector(&pack_vector(&vector)), vector);
    }
}
