//! Agents and what they can do.

use std::collections::BTreeSet;

use nova_core::ports::{Page, PageRequest};
use nova_core::{Agent, AgentId, Domain, Result};
use rusqlite::{Row, params};

use super::columns::{Columns, int, json, json_opt};
use super::listing::Listing;
use super::tx::{Tx, missing};

macro_rules! select {
    ($end:literal) => {
        concat!(
            "SELECT position, agent_id, domain, name, capabilities, max_concurrency, speed, cost_per_s, \
             supply, spec, metadata, version, created_ms, updated_ms FROM ",
            $end
        )
    };
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Agent> {
    let mut c = Columns::of(row);
    Ok(Agent {
        agent_id: c.name()?,
        domain: c.name()?,
        name: c.get()?,
        capabilities: c.json()?,
        max_concurrency: c.get()?,
        speed: c.get()?,
        cost_per_s: c.get()?,
        supply: c.json()?,
        spec: c.json_opt()?,
        metadata: c.json()?,
        version: c.count()?,
        created_at: c.time()?,
        updated_at: c.time()?,
    })
}

pub(super) fn get(tx: &Tx<'_, '_>, domain: &Domain, id: &AgentId) -> Result<Option<Agent>> {
    let text = select!("agents WHERE domain = ? AND agent_id = ?");
    tx.one(text, params![domain.as_str(), id.as_str()], from_row)
}

pub(super) fn listing<'a>(domain: &'a Domain, capability: Option<&'a str>) -> Listing<'a> {
    match capability {
        None => Listing::new(select!("agents WHERE domain = ?"), "position", domain),
        Some(_) => Listing::new(
            select!("agent_capabilities CROSS JOIN agents ON position = agent WHERE of_domain = ?"),
            "agent",
            domain,
        )
        .equal("capability", capability),
    }
}

pub(super) fn list(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    capability: Option<&str>,
    page: PageRequest,
) -> Result<Page<Agent>> {
    listing(domain, capability).page(tx, page, from_row)
}

pub(super) fn all(tx: &Tx<'_, '_>, domain: &Domain) -> Result<Vec<Agent>> {
    let text = select!("agents WHERE domain = ? ORDER BY position");
    tx.many(text, params![domain.as_str()], from_row)
}

pub(super) fn insert(tx: &Tx<'_, '_>, agent: &Agent) -> Result<()> {
    let text = "INSERT INTO agents (agent_id, domain, name, capabilities, max_concurrency, speed, cost_per_s, \
                supply, spec, metadata, version, created_ms, updated_ms) \
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let position = tx.insert(
        text,
        params![
            agent.agent_id.as_str(),
            agent.domain.as_str(),
            agent.name,
            json(&agent.capabilities)?,
            agent.max_concurrency,
            agent.speed,
            agent.cost_per_s,
            json(&agent.supply)?,
            json_opt(agent.spec.as_ref())?,
            json(&agent.metadata)?,
            int(agent.version)?,
            agent.created_at.millis(),
            agent.updated_at.millis(),
        ],
    )?;
    link(tx, position, &agent.domain, agent.capabilities.iter())
}

pub(super) fn update(tx: &Tx<'_, '_>, agent: &Agent) -> Result<()> {
    let key = params![agent.domain.as_str(), agent.agent_id.as_str()];
    let text = "SELECT position, capabilities FROM agents WHERE domain = ? AND agent_id = ?";
    let old = tx.one(text, key, |row| {
        let capabilities: BTreeSet<String> = Columns::of(row).json()?;
        Ok((row.get::<_, i64>(0)?, capabilities))
    })?;
    let (position, old) = old.ok_or_else(|| missing("agent", &agent.agent_id))?;
    let text = "UPDATE agents SET name = ?2, capabilities = ?3, max_concurrency = ?4, speed = ?5, \
                cost_per_s = ?6, supply = ?7, spec = ?8, metadata = ?9, version = ?10, created_ms = ?11, \
                updated_ms = ?12 WHERE position = ?1";
    tx.run(
        text,
        params![
            position,
            agent.name,
            json(&agent.capabilities)?,
            agent.max_concurrency,
            agent.speed,
            agent.cost_per_s,
            json(&agent.supply)?,
            json_opt(agent.spec.as_ref())?,
            json(&agent.metadata)?,
            int(agent.version)?,
            agent.created_at.millis(),
            agent.updated_at.millis(),
        ],
    )?;
    let unlink =
        "DELETE FROM agent_capabilities WHERE of_domain = ? AND capability = ? AND agent = ?";
    for capability in old.difference(&agent.capabilities) {
        tx.run(unlink, params![agent.domain.as_str(), capability, position])?;
    }
    link(
        tx,
        position,
        &agent.domain,
        agent.capabilities.difference(&old),
    )
}

fn link<'a>(
    tx: &Tx<'_, '_>,
    position: i64,
    domain: &Domain,
    capabilities: impl Iterator<Item = &'a String>,
) -> Result<()> {
    let text = "INSERT INTO agent_capabilities (of_domain, capability, agent) VALUES (?, ?, ?)";
    for capability in capabilities {
        tx.run(text, params![domain.as_str(), capability, position])?;
    }
    Ok(())
}
