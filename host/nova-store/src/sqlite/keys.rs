//! API keys and roles.

use std::collections::BTreeSet;

use nova_core::{
    ApiKey, Domain, DomainSet, FormerSecret, KeyId, Result, Role, RoleName, Timestamp,
};
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
        domains: domains(&mut c)?,
        default_domain: c.name()?,
        created_at: c.time()?,
        expires_at: c.time_opt()?,
        revoked_at: c.time_opt()?,
        roles: c.json()?,
        former: {
            let (hash, until) = (c.get::<Option<[u8; 32]>>()?, c.time_opt()?);
            hash.zip(until)
                .map(|(hash, until)| FormerSecret { hash, until })
        },
        rate_limit: c.json_opt()?,
        last_used_at: c.time_opt()?,
        secret_prefix: c.get()?,
    })
}

fn domains(c: &mut Columns<'_, '_>) -> rusqlite::Result<DomainSet> {
    let some = c.json_opt::<BTreeSet<Domain>>()?;
    Ok(some.map_or(DomainSet::All, DomainSet::Only))
}

fn domains_text(domains: &DomainSet) -> Result<Option<String>> {
    json_opt(match domains {
        DomainSet::All => None,
        DomainSet::Only(domains) => Some(domains),
    })
}

pub(super) fn all(tx: &Tx<'_, '_>) -> Result<Vec<ApiKey>> {
    let text = "SELECT position, key_id, name, secret_hash, permissions, domains, default_domain, created_ms, \
                expires_ms, revoked_ms, roles, former_hash, former_until_ms, rate_limit, last_used_ms, secret_prefix \
                FROM api_keys ORDER BY position";
    tx.many(text, (), from_row)
}

pub(super) fn insert(tx: &Tx<'_, '_>, key: &ApiKey) -> Result<()> {
    let text = "INSERT INTO api_keys (key_id, name, secret_hash, permissions, domains, default_domain, \
                created_ms, expires_ms, revoked_ms, roles, former_hash, former_until_ms, rate_limit, \
                secret_prefix) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    write(tx, text, key)?;
    match key.last_used_at {
        None => Ok(()),
        Some(at) => touch(tx, key.key_id, at),
    }
}

pub(super) fn update(tx: &Tx<'_, '_>, key: &ApiKey) -> Result<()> {
    let text = "UPDATE api_keys SET name = ?2, secret_hash = ?3, permissions = ?4, domains = ?5, \
                default_domain = ?6, created_ms = ?7, expires_ms = ?8, revoked_ms = ?9, roles = ?10, \
                former_hash = ?11, former_until_ms = ?12, rate_limit = ?13, secret_prefix = ?14 WHERE key_id = ?1";
    match write(tx, text, key)? {
        0 => Err(missing("key", key.key_id)),
        _ => Ok(()),
    }
}

pub(super) fn touch(tx: &Tx<'_, '_>, id: KeyId, at: Timestamp) -> Result<()> {
    let text = "UPDATE api_keys SET last_used_ms = ?2 WHERE key_id = ?1";
    tx.run(text, params![id.bytes(), at.millis()]).map(|_| ())
}

fn write(tx: &Tx<'_, '_>, text: &'static str, key: &ApiKey) -> Result<usize> {
    let former = key.former.as_ref();
    let values = params![
        key.key_id.bytes(),
        key.name,
        key.secret_hash,
        json(&key.permissions)?,
        domains_text(&key.domains)?,
        key.default_domain.as_str(),
        key.created_at.millis(),
        ms(key.expires_at),
        ms(key.revoked_at),
        json(&key.roles)?,
        former.map(|f| f.hash),
        ms(former.map(|f| f.until)),
        json_opt(key.rate_limit.as_ref())?,
        key.secret_prefix,
    ];
    tx.run(text, values)
}

fn role_from_row(row: &Row<'_>) -> rusqlite::Result<Role> {
    let mut c = Columns::of(row);
    Ok(Role {
        name: c.name()?,
        permissions: c.json()?,
        domains: domains(&mut c)?,
        version: c.count()?,
        created_at: c.time_opt()?,
        updated_at: c.time_opt()?,
    })
}

pub(super) fn all_roles(tx: &Tx<'_, '_>) -> Result<Vec<Role>> {
    let text = "SELECT position, name, permissions, domains, version, created_ms, updated_ms FROM roles \
                ORDER BY name";
    tx.many(text, (), role_from_row)
}

pub(super) fn insert_role(tx: &Tx<'_, '_>, role: &Role) -> Result<()> {
    let text = "INSERT INTO roles (name, permissions, domains, version, created_ms, updated_ms) \
                VALUES (?, ?, ?, ?, ?, ?)";
    write_role(tx, text, role).map(|_| ())
}

pub(super) fn update_role(tx: &Tx<'_, '_>, role: &Role) -> Result<()> {
    let text = "UPDATE roles SET permissions = ?2, domains = ?3, version = ?4, created_ms = ?5, \
                updated_ms = ?6 WHERE name = ?1";
    match write_role(tx, text, role)? {
        0 => Err(missing("role", &role.name)),
        _ => Ok(()),
    }
}

pub(super) fn delete_role(tx: &Tx<'_, '_>, name: &RoleName) -> Result<()> {
    match tx.run("DELETE FROM roles WHERE name = ?", [name.as_str()])? {
        0 => Err(missing("role", name)),
        _ => Ok(()),
    }
}

fn write_role(tx: &Tx<'_, '_>, text: &'static str, role: &Role) -> Result<usize> {
    let values = params![
        role.name.as_str(),
        json(&role.permissions)?,
        domains_text(&role.domains)?,
        i64::try_from(role.version).unwrap_or(i64::MAX),
        ms(role.created_at),
        ms(role.updated_at),
    ];
    tx.run(text, values)
}
