//! Connections: flags, pragmas, and what is refused at the door.
//!
//! The pragmas are the measured ones: a 64 MiB page cache for the writer, reads through
//! `mmap`, checkpoints of 4000 pages.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema;
use crate::error::StoreError;

/// How long a connection waits for a lock of another process.
const BUSY_WAIT: Duration = Duration::from_millis(5000);
/// As [`BUSY_WAIT`], for a write: short, because the writer begins again by itself.
pub(super) const WRITE_BUSY_WAIT: Duration = Duration::from_millis(250);
/// Prepared statements that a connection keeps; above the number of statements in this crate.
const STATEMENTS_KEPT: usize = 128;

/// The connection that writes, with the schema up to date: brought there, or as it must be already. Makes the file
/// when absent.
pub(super) fn writer(path: &Path, may_migrate: bool) -> Result<Connection, StoreError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Open {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|e| failed(e.into()))?;
    }
    let setup = || -> Result<Connection, StoreError> {
        let mut connection = connect(path)?;
        schema::check(&connection, path, may_migrate)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if !mode.eq_ignore_ascii_case("wal") {
            return Err(failed("its file system does not support WAL".into()));
        }
        connection.execute_batch(
            "PRAGMA synchronous=FULL; PRAGMA cache_size=-65536; PRAGMA wal_autocheckpoint=4000;",
        )?;
        schema::migrate(&mut connection)?;
        connection.busy_timeout(WRITE_BUSY_WAIT)?;
        Ok(connection)
    };
    setup().map_err(|error| match error {
        StoreError::Sqlite(e) if e.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            StoreError::Foreign {
                path: path.to_owned(),
                what: "it is not an SQLite file",
            }
        }
        StoreError::Sqlite(e) => failed(e.into()),
        other => other,
    })
}

/// A connection that only reads; the file exists and has the present schema.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path)?;
    connection.execute_batch("PRAGMA cache_size=-8192; PRAGMA query_only=1;")?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    // No SQLITE_OPEN_URI: a path is a path, whatever it begins with.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Plans that do not depend on bound values: otherwise SQLite prepares a cached statement
    // anew for almost every value, which doubles the time of a write.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.execute_batch(
        "PRAGMA mmap_size=1073741824; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=ON;",
    )?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}
