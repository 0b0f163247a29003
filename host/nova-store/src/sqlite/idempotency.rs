//! Repeated requests.

use nova_core::ports::{IdempotencyRecord, KeptAnswer};
use nova_core::{KeyId, Result, Timestamp};
use rusqlite::{Row, params};

use super::columns::{Bytes16, Columns, int};
use super::tx::Tx;

fn from_row(row: &Row<'_>) -> rusqlite::Result<IdempotencyRecord> {
    let mut c = Columns::of(row);
    Ok(IdempotencyRecord {
        key_id: c.uuid(KeyId)?,
        name: c.get()?,
        fingerprint: c.get()?,
        at: c.time()?,
        answer: {
            let status: Option<u16> = c.get()?;
            let (location, etag, body) = (c.get()?, c.get()?, c.get()?);
            status.map(|status| KeptAnswer {
                status,
                location,
                etag,
                body,
            })
        },
    })
}

pub(super) const GET: &str = "SELECT 0, key_id, name, fingerprint, at_ms, status, location, etag, body \
                              FROM idempotency WHERE key_id = ? AND name = ?";

pub(super) fn get(tx: &Tx<'_, '_>, key: KeyId, name: &str) -> Result<Option<IdempotencyRecord>> {
    tx.one(GET, params![key.bytes(), name], from_row)
}

pub(super) fn put(tx: &Tx<'_, '_>, record: &IdempotencyRecord) -> Result<()> {
    let text = "INSERT OR REPLACE INTO idempotency \
                (key_id, name, fingerprint, at_ms, status, location, etag, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let answer = record.answer.as_ref();
    let values = params![
        record.key_id.bytes(),
        record.name,
        record.fingerprint,
        record.at.millis(),
        answer.map(|a| a.status),
        answer.and_then(|a| a.location.as_deref()),
        answer.and_then(|a| a.etag.as_deref()),
        answer.and_then(|a| a.body.as_deref()),
    ];
    tx.run(text, values).map(|_| ())
}

pub(super) const PRUNE: &str = "DELETE FROM idempotency WHERE rowid IN \
                     (SELECT rowid FROM idempotency WHERE at_ms <= ? ORDER BY at_ms LIMIT ?)";

pub(super) fn prune(tx: &Tx<'_, '_>, before: Timestamp, limit: usize) -> Result<u64> {
    let removed = tx.run(PRUNE, params![before.millis(), int(limit as u64)?])?;
    Ok(removed as u64)
}
