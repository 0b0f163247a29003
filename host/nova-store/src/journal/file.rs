//! The journal's file: its tables, what is written into it, and what is forgotten.

use std::path::Path;
use std::time::Duration;

use nova_core::Timestamp;
use nova_core::strategy::decision::Decision;
use rusqlite::{Connection, OpenFlags, params};

use super::codec::Codec;
use crate::error::StoreError;

/// Marks the file as Nova's journal ("NovJ" in ASCII).
const APPLICATION_ID: i64 = 0x4E6F_764A;
/// How long a connection waits for a lock of another process.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Rows looked at together when the oldest are forgotten.
const FORGET_ROWS: u32 = 500;
/// Forgetting for room goes on until so much of the limit is in use, so that not every commit forgets.
const FORGET_TO: f64 = 0.95;

/// Every step of the schema, oldest first; a released one is never edited.
const STEPS: &[&str] = &[STEP_1];

const STEP_1: &str = "
CREATE TABLE decisions (
    position INTEGER PRIMARY KEY,
    decision_id BLOB NOT NULL UNIQUE,
    at_ms INTEGER NOT NULL,
    domain TEXT NOT NULL,
    kind TEXT NOT NULL,
    plugin TEXT NOT NULL,
    version TEXT NOT NULL,
    revision INTEGER NOT NULL,
    digest TEXT NOT NULL,
    route TEXT NOT NULL,
    degraded TEXT,
    flow_id TEXT,
    outcome TEXT NOT NULL,
    reason TEXT,
    seed INTEGER NOT NULL,               -- the bits of an unsigned number
    confidence REAL,
    objective REAL,
    elapsed_us INTEGER NOT NULL,
    memory_bytes INTEGER NOT NULL,
    body BLOB NOT NULL                   -- see codec.rs
) STRICT;
CREATE INDEX decisions_by_domain ON decisions (domain);
CREATE INDEX decisions_by_kind ON decisions (domain, kind);
CREATE INDEX decisions_by_plugin ON decisions (domain, plugin);
CREATE INDEX decisions_by_flow ON decisions (domain, flow_id) WHERE flow_id IS NOT NULL;
CREATE INDEX decisions_by_outcome ON decisions (domain, outcome);
CREATE INDEX decisions_to_replay ON decisions (kind);
";

const INSERT: &str = "
INSERT INTO decisions (decision_id, at_ms, domain, kind, plugin, version, revision, digest, route, degraded,
    flow_id, outcome, reason, seed, confidence, objective, elapsed_us, memory_bytes, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// The connection that writes, with the schema up to date. Makes the file when absent.
pub(super) fn writer(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Open {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|e| failed(e.into()))?;
    }
    let setup = || -> Result<Connection, StoreError> {
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_CREATE)?;
        check(&connection, path)?;
        connection.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=2000;",
        )?;
        let tx = connection.transaction()?;
        let taken: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        for step in STEPS.iter().skip(usize::try_from(taken).unwrap_or(0)) {
            tx.execute_batch(step)?;
        }
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", known())?;
        tx.commit()?;
        Ok(connection)
    };
    setup().map_err(|error| match error {
        StoreError::Sqlite(e) => failed(e.into()),
        other => other,
    })
}

/// A connection that reads a file of the present schema.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::empty())?;
    connection.execute_batch("PRAGMA query_only=1;")?;
    Ok(connection)
}

/// As [`reader`], over a file of which nothing is known.
pub(super) fn existing(path: &Path) -> Result<Connection, StoreError> {
    let open = || -> Result<Connection, StoreError> {
        let connection = reader(path)?;
        check(&connection, path)?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found != known() {
            return Err(StoreError::Foreign {
                path: path.to_owned(),
                what: "it is no journal of this version of Nova",
            });
        }
        Ok(connection)
    };
    open().map_err(|error| match error {
        StoreError::Sqlite(e) => StoreError::Open {
            path: path.to_owned(),
            source: e.into(),
        },
        other => other,
    })
}

fn connect(path: &Path, more: OpenFlags) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.execute_batch("PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY;")?;
    Ok(connection)
}

fn known() -> i64 {
    STEPS.len() as i64
}

/// Refuses a file of another program or of a newer Nova.
fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if pragma("application_id")? != APPLICATION_ID && tables > 0 {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
            what: "it is no decision journal",
        });
    }
    let found = pragma("user_version")?;
    if found > known() {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: known(),
        });
    }
    Ok(())
}

/// Writes decisions in one transaction. One that cannot be encoded is reported and left out.
pub(super) fn insert(
    connection: &mut Connection,
    codec: &mut Codec,
    decisions: &[Decision],
) -> Result<(), StoreError> {
    let tx = connection.transaction()?;
    {
        let mut statement = tx.prepare_cached(INSERT)?;
        for d in decisions {
            let body = match codec.encode(d) {
                Ok(body) => body,
                Err(error) => {
                    tracing::error!(decision_id = %d.decision_id, error, "a decision cannot be recorded");
                    continue;
                }
            };
            let who = &d.decider;
            statement.execute(params![
                d.decision_id.0.as_bytes(),
                d.at.millis(),
                d.domain.as_str(),
                d.question.kind().as_str(),
                who.plugin,
                who.version,
                who.revision.cast_signed(),
                who.digest,
                who.route.as_str(),
                who.degraded,
                d.subject.flow_id.as_ref().map(|id| id.as_str()),
                d.outcome.as_str(),
                d.outcome.reason(),
                d.question.seed().cast_signed(),
                d.outcome.reply().map(|reply| reply.confidence()),
                d.score().map(|score| score.value),
                d.cost.elapsed_us.cast_signed(),
                d.cost.memory_bytes.cast_signed(),
                body,
            ])?;
        }
    }
    tx.commit()?;
    Ok(())
}

/// Bytes in use: pages that hold something.
pub(super) fn used_bytes(connection: &Connection) -> Result<u64, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok((pages * pragma("page_size")?).cast_unsigned())
}

/// Forgets decisions from before `cutoff`; whether some are left to be forgotten.
pub(super) fn forget_older(connection: &Connection, cutoff: Timestamp) -> Result<bool, StoreError> {
    let mut oldest = connection
        .prepare_cached("SELECT position, at_ms FROM decisions ORDER BY position LIMIT ?")?;
    let mut rows = oldest.query([FORGET_ROWS])?;
    let (mut last, mut looked_at) = (None, 0);
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= cutoff.millis() {
            break;
        }
        looked_at += 1;
        last = Some(row.get::<_, i64>(0)?);
    }
    drop(rows);
    if let Some(last) = last {
        forget_to(connection, last)?;
    }
    Ok(looked_at == FORGET_ROWS)
}

/// Forgets the oldest decisions until no more than `max_bytes` are in use, with some room for what comes.
pub(super) fn forget_for_room(connection: &Connection, max_bytes: u64) -> Result<(), StoreError> {
    let mut used = used_bytes(connection)?;
    if used <= max_bytes {
        return Ok(());
    }
    let wanted = (max_bytes as f64 * FORGET_TO) as u64;
    while used > wanted {
        // Positions have no gaps: only the oldest are ever taken away.
        let ends =
            "SELECT (SELECT min(position) FROM decisions), (SELECT max(position) FROM decisions)";
        let ends = connection.query_row(ends, (), |row| {
            Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
        })?;
        let (Some(first), Some(last)) = ends else {
            return Ok(());
        };
        let rows = last - first + 1;
        let too_many = rows as f64 * (used - wanted) as f64 / used as f64;
        forget_to(connection, (first + too_many as i64).min(last))?;
        used = used_bytes(connection)?;
    }
    Ok(())
}

fn forget_to(connection: &Connection, position: i64) -> Result<(), StoreError> {
    connection.execute("DELETE FROM decisions WHERE position <= ?", [position])?;
    Ok(())
}
