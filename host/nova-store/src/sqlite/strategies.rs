//! Routes to strategies: one row for each kind of which something was said.

use nova_core::strategy::Kind;
use nova_core::strategy::route::StoredRoute;
use nova_core::{KeyId, Result};
use rusqlite::{Row, params};

use super::columns::{Bytes16, Columns, int, json};
use super::tx::Tx;

fn from_row(row: &Row<'_>) -> rusqlite::Result<StoredRoute> {
    let mut c = Columns::of(row);
    Ok(StoredRoute {
        kind: c.word(Kind::parse)?,
        route: c.json()?,
        version: c.count()?,
        updated_at: c.time()?,
        updated_by: c.uuid_opt(KeyId)?,
    })
}

pub(super) fn all(tx: &Tx<'_, '_>) -> Result<Vec<StoredRoute>> {
    let text =
        "SELECT 0, kind, route, version, updated_ms, updated_by FROM strategy_routes ORDER BY kind";
    tx.many(text, (), from_row)
}

pub(super) fn put(tx: &Tx<'_, '_>, route: &StoredRoute) -> Result<()> {
    let text = "INSERT INTO strategy_routes (kind, route, version, updated_ms, updated_by) VALUES (?, ?, ?, ?, ?) \
                ON CONFLICT (kind) DO UPDATE SET route = excluded.route, version = excluded.version, \
                updated_ms = excluded.updated_ms, updated_by = excluded.updated_by";
    tx.run(
        text,
        params![
            route.kind.as_str(),
            json(&route.route)?,
            int(route.version)?,
            route.updated_at.millis(),
            route.updated_by.as_ref().map(Bytes16::bytes),
        ],
    )
    .map(|_| ())
}
