//! Resources.

use nova_core::ports::{Page, PageRequest};
use nova_core::{Domain, Resource, ResourceId, Result};
use rusqlite::{Row, params};

use super::columns::{Columns, int};
use super::listing::Listing;
use super::tx::{Tx, missing};

macro_rules! select {
    ($end:literal) => {
        concat!(
            "SELECT position, resource_id, domain, capacity, in_use, unit, cost_per_unit, version, \
             created_ms, updated_ms FROM resources WHERE domain = ?",
            $end
        )
    };
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Resource> {
    let mut c = Columns::of(row);
    Ok(Resource {
        resource_id: c.name()?,
        domain: c.name()?,
        capacity: c.get()?,
        in_use: c.get()?,
        unit: c.get()?,
        cost_per_unit: c.get()?,
        version: c.count()?,
        created_at: c.time()?,
        updated_at: c.time()?,
    })
}

pub(super) fn get(tx: &Tx<'_, '_>, domain: &Domain, id: &ResourceId) -> Result<Option<Resource>> {
    let text = select!(" AND resource_id = ?");
    tx.one(text, params![domain.as_str(), id.as_str()], from_row)
}

pub(super) fn listing(domain: &Domain) -> Listing<'_> {
    Listing::new(select!(""), "position", domain)
}

pub(super) fn list(tx: &Tx<'_, '_>, domain: &Domain, page: PageRequest) -> Result<Page<Resource>> {
    listing(domain).page(tx, page, from_row)
}

pub(super) fn insert(tx: &Tx<'_, '_>, resource: &Resource) -> Result<()> {
    let text = "INSERT INTO resources (domain, resource_id, capacity, in_use, unit, cost_per_unit, version, \
                created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    write(tx, text, resource).map(|_| ())
}

pub(super) fn update(tx: &Tx<'_, '_>, resource: &Resource) -> Result<()> {
    let text = "UPDATE resources SET capacity = ?3, in_use = ?4, unit = ?5, cost_per_unit = ?6, version = ?7, \
                created_ms = ?8, updated_ms = ?9 WHERE domain = ?1 AND resource_id = ?2";
    match write(tx, text, resource)? {
        0 => Err(missing("resource", &resource.resource_id)),
        _ => Ok(()),
    }
}

fn write(tx: &Tx<'_, '_>, text: &'static str, resource: &Resource) -> Result<usize> {
    let values = params![
        resource.domain.as_str(),
        resource.resource_id.as_str(),
        resource.capacity,
        resource.in_use,
        resource.unit,
        resource.cost_per_unit,
        int(resource.version)?,
        resource.created_at.millis(),
        resource.updated_at.millis(),
    ];
    tx.run(text, values)
}

pub(super) fn delete(tx: &Tx<'_, '_>, domain: &Domain, id: &ResourceId) -> Result<()> {
    let text = "DELETE FROM resources WHERE domain = ? AND resource_id = ?";
    match tx.run(text, params![domain.as_str(), id.as_str()])? {
        0 => Err(missing("resource", id)),
        _ => Ok(()),
    }
}
