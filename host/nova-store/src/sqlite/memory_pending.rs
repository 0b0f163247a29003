//! Episodes that wait for consolidation.

use nova_core::ports::{PendingEpisodes, StoredMemory};
use nova_core::{AgentId, Domain, Result};
use rusqlite::params;

use super::columns::{Columns, int};
use super::memories::{placed, select, with_vectors};
use super::tx::Tx;

// From one agent to the next by the index, whatever number of episodes each has.
pub(super) const NEXT_DOMAIN: &str = "SELECT 0, domain FROM memories \
    WHERE layer = 'episodic' AND consolidated_ms IS NULL AND domain > ? ORDER BY domain LIMIT 1";

pub(super) const NEXT_AGENT: &str = "SELECT 0, agent_id FROM memories \
    WHERE layer = 'episodic' AND consolidated_ms IS NULL AND domain = ? AND agent_id > ? \
    ORDER BY agent_id LIMIT 1";

pub(super) const COUNTED: &str = "SELECT 0, count(*), max(importance), min(created_ms) FROM ( \
    SELECT importance, created_ms FROM memories \
    WHERE layer = 'episodic' AND consolidated_ms IS NULL AND domain = ? AND agent_id IS ? \
    ORDER BY position LIMIT ?)";

pub(super) fn groups(tx: &Tx<'_, '_>, counted: usize) -> Result<Vec<PendingEpisodes>> {
    let mut groups = Vec::new();
    let mut after = String::new();
    let domain_of = |row: &rusqlite::Row<'_>| Columns::of(row).name::<Domain>();
    while let Some(domain) = tx.one(NEXT_DOMAIN, params![after], domain_of)? {
        domain.as_str().clone_into(&mut after);
        groups.extend(group(tx, &domain, None, counted)?);
        let mut agent = String::new();
        let agent_of = |row: &rusqlite::Row<'_>| Columns::of(row).name::<AgentId>();
        while let Some(next) = tx.one(NEXT_AGENT, params![domain.as_str(), agent], agent_of)? {
            next.as_str().clone_into(&mut agent);
            groups.extend(group(tx, &domain, Some(next), counted)?);
        }
    }
    Ok(groups)
}

fn group(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    agent_id: Option<AgentId>,
    counted: usize,
) -> Result<Option<PendingEpisodes>> {
    let agent = agent_id.as_ref().map(AgentId::as_str);
    let key = params![domain.as_str(), agent, int(counted as u64)?];
    let found = tx.one(COUNTED, key, |row| {
        if row.get::<_, i64>(1)? == 0 {
            return Ok(None);
        }
        let mut c = Columns::of(row);
        Ok(Some((c.count()?, c.get()?, c.time()?)))
    })?;
    let group = found.flatten();
    Ok(group.map(|(episodes, importance, oldest)| PendingEpisodes {
        domain: domain.clone(),
        agent_id,
        episodes,
        importance,
        oldest,
    }))
}

pub(super) const WAITING: &str = select!(
    "memories WHERE layer = 'episodic' AND consolidated_ms IS NULL AND domain = ? AND agent_id IS ? \
         ORDER BY position LIMIT ?"
);

pub(super) fn waiting(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    agent: Option<&AgentId>,
    limit: usize,
) -> Result<Vec<StoredMemory>> {
    let agent = agent.map(AgentId::as_str);
    let rows = tx.many(
        WAITING,
        params![domain.as_str(), agent, int(limit as u64)?],
        placed,
    )?;
    with_vectors(tx, rows)
}
