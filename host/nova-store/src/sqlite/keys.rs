//! API keys.

use std::collections::BTreeSet;

use nova_core::{ApiKey, Domain, DomainSet, KeyId, Result};
use rusqlite::{Row, params};

use super::columns::{Bytes16, Columns, json, json_opt, ms};
use super::tx::{Tx, missing};

fn from_row(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    let mut c = Columns::of(row);
    Ok(ApiKey {
        key_id: c.uuid(KeyId)?,
        name: c.get()?,
        secret_hash: c.get()?,
        permissions: c.json()?,
        domains: match c.json_opt::<BTreeSet<Domain>>()? {
            None => DomainSet::All,
            Some(domains) => DomainSet::Only(domains),
        },
        default_domain: c.name()?,
        created_at: c.time()?,
        expires_at: c.time_opt()?,
        revoked_at: c.time_opt()?,
    })
}

pub(super) fn all(tx: &Tx<'_, '_>) -> Result<Vec<ApiKey>> {
    let text = "SELECT position, key_id, name, secret_hash, permissions, domains, default_domain, created_ms, \
                expires_ms, revoked_ms FROM api_keys ORDER BY position";
    tx.many(text, (), from_row)
}

pub(super) fn insert(tx: &Tx<'_, '_>, key: &ApiKey) -> Result<()> {
    let text = "INSERT INTO api_keys (key_id, name, secret_hash, permissions, domains, default_domain, \
                created_ms, expires_ms, revoked_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    write(tx, text, key).map(|_| ())
}

pub(super) fn update(tx: &Tx<'_, '_>, key: &ApiKey) -> Result<()> {
    let text = "UPDATE api_keys SET name = ?2, secret_hash = ?3, permissions = ?4, domains = ?5, \
                default_domain = ?6, created_ms = ?7, expires_ms = ?8, revoked_ms = ?9 WHERE key_id = ?1";
    match write(tx, text, key)? {
        0 => Err(missing("key", key.key_id)),
        _ => Ok(()),
    }
}

fn write(tx: &Tx<'_, '_>, text: &'static str, key: &ApiKey) -> Result<usize> {
    let domains = match &key.domains {
        DomainSet::All => None,
        DomainSet::Only(domains) => Some(domains),
    };
    let values = params![
        key.key_id.bytes(),
        key.name,
        key.secret_hash,
        json(&key.permissions)?,
        json_opt(domains)?,
        key.default_domain.as_str(),
        key.created_at.millis(),
        ms(key.expires_at),
        ms(key.revoked_at),
    ];
    tx.run(text, values)
}
