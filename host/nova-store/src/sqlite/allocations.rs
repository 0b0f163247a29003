//! Allocations and the resources they hold.

use std::collections::BTreeSet;

use nova_core::ports::{AllocationFilter, Page, PageRequest};
use nova_core::{
    Allocation, AllocationId, AllocationItem, AllocationStatus, Domain, Priority, ResourceId,
    Result, Timestamp,
};
use rusqlite::{Row, params};

use super::columns::{Bytes16, Columns, int, json, ms};
use super::listing::Listing;
use super::tx::{Tx, missing};

macro_rules! select {
    ($end:literal) => {
        concat!(
            "SELECT position, allocation_id, domain, consumer, priority, items, status, version, created_ms, \
             updated_ms, expires_ms, released_ms FROM ",
            $end
        )
    };
}

pub(super) const EXPIRED: &str = select!(
    "allocations WHERE status = 'active' AND expires_ms IS NOT NULL AND expires_ms <= ? \
     ORDER BY expires_ms, position LIMIT ?"
);

fn from_row(row: &Row<'_>) -> rusqlite::Result<Allocation> {
    let mut c = Columns::of(row);
    Ok(Allocation {
        allocation_id: c.uuid(AllocationId)?,
        domain: c.name()?,
        consumer: c.get()?,
        priority: c.number(Priority::try_from)?,
        items: c.json()?,
        status: c.word(AllocationStatus::parse)?,
        version: c.count()?,
        created_at: c.time()?,
        updated_at: c.time()?,
        expires_at: c.time_opt()?,
        released_at: c.time_opt()?,
    })
}

pub(super) fn get(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    id: AllocationId,
) -> Result<Option<Allocation>> {
    let text = select!("allocations WHERE allocation_id = ? AND domain = ?");
    tx.one(text, params![id.bytes(), domain.as_str()], from_row)
}

pub(super) fn listing<'a>(domain: &'a Domain, filter: &'a AllocationFilter) -> Listing<'a> {
    let listing = match &filter.resource_id {
        None => Listing::new(select!("allocations WHERE domain = ?"), "position", domain),
        Some(id) => Listing::new(
            select!("allocation_resources CROSS JOIN allocations ON position = allocation WHERE of_domain = ?"),
            "allocation",
            domain,
        )
        .equal("resource", Some(id.as_str())),
    };
    listing
        .equal("consumer", filter.consumer.as_deref())
        .equal("status", filter.status.map(AllocationStatus::as_str))
}

pub(super) fn list(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    filter: &AllocationFilter,
    page: PageRequest,
) -> Result<Page<Allocation>> {
    listing(domain, filter).page(tx, page, from_row)
}

/// The longest overdue first.
pub(super) fn expired(tx: &Tx<'_, '_>, now: Timestamp, limit: usize) -> Result<Vec<Allocation>> {
    tx.many(EXPIRED, params![now.millis(), int(limit as u64)?], from_row)
}

pub(super) fn insert(tx: &Tx<'_, '_>, allocation: &Allocation) -> Result<()> {
    let text = "INSERT INTO allocations (allocation_id, domain, consumer, priority, items, status, version, \
                created_ms, updated_ms, expires_ms, released_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let position = tx.insert(
        text,
        params![
            allocation.allocation_id.bytes(),
            allocation.domain.as_str(),
            allocation.consumer,
            allocation.priority.get(),
            json(&allocation.items)?,
            allocation.status.as_str(),
            int(allocation.version)?,
            allocation.created_at.millis(),
            allocation.updated_at.millis(),
            ms(allocation.expires_at),
            ms(allocation.released_at),
        ],
    )?;
    link(
        tx,
        position,
        &allocation.domain,
        held(&allocation.items).into_iter(),
    )
}

pub(super) fn update(tx: &Tx<'_, '_>, allocation: &Allocation) -> Result<()> {
    let key = params![allocation.allocation_id.bytes(), allocation.domain.as_str()];
    let text = "SELECT position, items FROM allocations WHERE allocation_id = ? AND domain = ?";
    let old = tx.one(text, key, |row| {
        let items: Vec<AllocationItem> = Columns::of(row).json()?;
        Ok((row.get::<_, i64>(0)?, items))
    })?;
    let (position, old) = old.ok_or_else(|| missing("allocation", allocation.allocation_id))?;
    let text = "UPDATE allocations SET consumer = ?2, priority = ?3, items = ?4, status = ?5, version = ?6, \
                created_ms = ?7, updated_ms = ?8, expires_ms = ?9, released_ms = ?10 WHERE position = ?1";
    tx.run(
        text,
        params![
            position,
            allocation.consumer,
            allocation.priority.get(),
            json(&allocation.items)?,
            allocation.status.as_str(),
            int(allocation.version)?,
            allocation.created_at.millis(),
            allocation.updated_at.millis(),
            ms(allocation.expires_at),
            ms(allocation.released_at),
        ],
    )?;
    let (old, new) = (held(&old), held(&allocation.items));
    let unlink =
        "DELETE FROM allocation_resources WHERE of_domain = ? AND resource = ? AND allocation = ?";
    for resource in old.difference(&new) {
        tx.run(
            unlink,
            params![allocation.domain.as_str(), resource.as_str(), position],
        )?;
    }
    link(
        tx,
        position,
        &allocation.domain,
        new.difference(&old).copied(),
    )
}

fn held(items: &[AllocationItem]) -> BTreeSet<&ResourceId> {
    items.iter().map(|item| &item.resource_id).collect()
}

fn link<'a>(
    tx: &Tx<'_, '_>,
    position: i64,
    domain: &Domain,
    resources: impl Iterator<Item = &'a ResourceId>,
) -> Result<()> {
    let text =
        "INSERT INTO allocation_resources (of_domain, resource, allocation) VALUES (?, ?, ?)";
    for resource in resources {
        tx.run(text, params![domain.as_str(), resource.as_str(), position])?;
    }
    Ok(())
}
