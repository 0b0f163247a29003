//! The tables, as numbered steps; `user_version` says how many have been taken.
//!
//! A released step is never edited: a change is a new step at the end. Conventions: `position`
//! is the order of creation and the cursor of lists; uuids are 16-byte blobs, times are
//! milliseconds since 1970, open-ended values are JSON text. An index on `(a, b)` ends in the
//! position, so that a list filtered by it comes out in order without a sort.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::StoreError;

/// Marks the file as Nova's ("Nova" in ASCII).
const APPLICATION_ID: i64 = 0x4E6F_7661;

/// Every step, oldest first.
const STEPS: &[&str] = &[
    STEP_1,
    STEP_EVENT_DETAIL,
    STEP_MEMORIES,
    STEP_LEASES,
    STEP_STRATEGY_ROUTES,
    STEP_KEY_ROLES,
    STEP_IDEMPOTENCY,
    STEP_ALERTS,
    STEP_VECTOR_MODELS,
    STEP_WORDS_MADE,
    STEP_SUMMARIES,
    STEP_VECTORS_IN_ROWS,
];

/// Refuses, before anything is changed, what another program or a newer Nova wrote, and what lacks forbidden steps.
pub(super) fn check(
    connection: &Connection,
    path: &Path,
    may_migrate: bool,
) -> Result<(), StoreError> {
    let found = version(connection)?;
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if application != APPLICATION_ID && (tables > 0 || found != 0) {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
            what: "it is a database of another program",
        });
    }
    if found > known() {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: known(),
        });
    }
    if !may_migrate && (1..known()).contains(&found) {
        return Err(StoreError::Older {
            path: path.to_owned(),
            found,
            known: known(),
        });
    }
    Ok(())
}

/// Takes the steps that are missing, all or none.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let taken = usize::try_from(version(&tx)?).unwrap_or(0);
    for step in STEPS.iter().skip(taken) {
        tx.execute_batch(step)?;
    }
    if taken < STEPS.len() {
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        mark(&tx)?;
    }
    tx.commit()?;
    Ok(())
}

/// Writes the present version. Also the smallest write that reaches the disk.
pub(super) fn mark(connection: &Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "user_version", known())?;
    Ok(())
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// The newest schema of this binary.
pub(super) fn known() -> i64 {
    STEPS.len() as i64
}

const STEP_1: &str = "
CREATE TABLE tasks (
    position INTEGER PRIMARY KEY,
    task_id BLOB NOT NULL UNIQUE,
    domain TEXT NOT NULL,
    kind TEXT NOT NULL,
    parameters TEXT NOT NULL,
    priority INTEGER NOT NULL,
    deadline_ms INTEGER,
    dependencies BLOB NOT NULL,          -- 16 bytes each, in the client's order
    flow_id TEXT,
    key TEXT,
    agent_id TEXT,
    required_capabilities TEXT NOT NULL,
    estimate TEXT NOT NULL,
    retry_attempts INTEGER NOT NULL,
    retry_backoff_ms INTEGER NOT NULL,
    retry_max_backoff_ms INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    not_before_ms INTEGER,
    planned TEXT,
    result TEXT,
    error TEXT,
    version INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    ready_ms INTEGER,
    started_ms INTEGER,
    finished_ms INTEGER
) STRICT;
CREATE INDEX tasks_by_domain ON tasks (domain);
CREATE INDEX tasks_by_status ON tasks (domain, status);
CREATE INDEX tasks_by_kind ON tasks (domain, kind);
CREATE INDEX tasks_by_flow ON tasks (domain, flow_id) WHERE flow_id IS NOT NULL;
CREATE INDEX tasks_by_agent ON tasks (domain, agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX tasks_on_agent ON tasks (domain, agent_id) WHERE status IN ('assigned', 'in_progress');

-- The other direction of tasks.dependencies.
CREATE TABLE dependents (
    dependency BLOB NOT NULL,
    task INTEGER NOT NULL REFERENCES tasks (position),
    PRIMARY KEY (dependency, task)
) STRICT, WITHOUT ROWID;

CREATE TABLE transitions (
    task INTEGER NOT NULL REFERENCES tasks (position),
    step INTEGER NOT NULL,
    from_status TEXT,
    to_status TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    agent_id TEXT,
    reason TEXT,
    PRIMARY KEY (task, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE flows (
    position INTEGER PRIMARY KEY,
    flow_id TEXT NOT NULL,
    domain TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    communication TEXT NOT NULL,
    metadata TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    finished_ms INTEGER,
    UNIQUE (domain, flow_id)
) STRICT;
CREATE INDEX flows_by_domain ON flows (domain);
CREATE INDEX flows_by_status ON flows (domain, status);

-- Apart from flows, because they are large and do not change when the flow does.
CREATE TABLE flow_edges (
    flow INTEGER PRIMARY KEY REFERENCES flows (position),
    edges BLOB NOT NULL                  -- 40 bytes each: from, to, data_bytes (f64, little-endian)
) STRICT;

-- Kept with every task, so that a flow knows its progress without reading its tasks.
CREATE TABLE flow_counts (
    domain TEXT NOT NULL,
    flow_id TEXT NOT NULL,
    status TEXT NOT NULL,
    tasks INTEGER NOT NULL CHECK (tasks >= 0),
    PRIMARY KEY (domain, flow_id, status)
) STRICT, WITHOUT ROWID;

CREATE TABLE agents (
    position INTEGER PRIMARY KEY,
    agent_id TEXT NOT NULL,
    domain TEXT NOT NULL,
    name TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    max_concurrency INTEGER NOT NULL,
    speed REAL NOT NULL,
    cost_per_s REAL NOT NULL,
    supply TEXT NOT NULL,
    spec TEXT,
    metadata TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    UNIQUE (domain, agent_id)
) STRICT;
CREATE INDEX agents_by_domain ON agents (domain);

CREATE TABLE agent_capabilities (
    of_domain TEXT NOT NULL,
    capability TEXT NOT NULL,
    agent INTEGER NOT NULL REFERENCES agents (position),
    PRIMARY KEY (of_domain, capability, agent)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT, because resources are removed and a cursor must not meet a position twice.
CREATE TABLE resources (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    resource_id TEXT NOT NULL,
    domain TEXT NOT NULL,
    capacity REAL NOT NULL,
    in_use REAL NOT NULL,
    unit TEXT NOT NULL,
    cost_per_unit REAL NOT NULL,
    version INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    UNIQUE (domain, resource_id)
) STRICT;
CREATE INDEX resources_by_domain ON resources (domain);

CREATE TABLE allocations (
    position INTEGER PRIMARY KEY,
    allocation_id BLOB NOT NULL UNIQUE,
    domain TEXT NOT NULL,
    consumer TEXT,
    priority INTEGER NOT NULL,
    items TEXT NOT NULL,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    released_ms INTEGER
) STRICT;
CREATE INDEX allocations_by_domain ON allocations (domain);
CREATE INDEX allocations_by_status ON allocations (domain, status);
CREATE INDEX allocations_by_consumer ON allocations (domain, consumer) WHERE consumer IS NOT NULL;
CREATE INDEX allocations_to_expire ON allocations (expires_ms)
    WHERE status = 'active' AND expires_ms IS NOT NULL;

CREATE TABLE allocation_resources (
    of_domain TEXT NOT NULL,
    resource TEXT NOT NULL,
    allocation INTEGER NOT NULL REFERENCES allocations (position),
    PRIMARY KEY (of_domain, resource, allocation)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT, because a seq must never come again, whatever is removed later.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    domain TEXT NOT NULL,
    kind INTEGER NOT NULL,
    task_id BLOB,
    flow_id TEXT,
    agent_id TEXT,
    resource_id TEXT,
    metric TEXT,
    value REAL NOT NULL
) STRICT;
CREATE INDEX events_by_domain ON events (domain);

CREATE TABLE api_keys (
    position INTEGER PRIMARY KEY,
    key_id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    secret_hash BLOB NOT NULL,
    permissions TEXT NOT NULL,
    domains TEXT,                        -- NULL = all of them
    default_domain TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER
) STRICT;
";

/// What an event says beyond its number: bounded JSON. Events of the daemon itself have the domain `*`,
/// which is no name that a domain can have.
const STEP_EVENT_DETAIL: &str = "
ALTER TABLE events ADD COLUMN detail TEXT;
";

const STEP_MEMORIES: &str = "
-- AUTOINCREMENT, because memories are removed and a position must not mean another one later.
CREATE TABLE memories (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    memory_id BLOB NOT NULL UNIQUE,
    domain TEXT NOT NULL,
    agent_id TEXT,
    layer TEXT NOT NULL,
    content TEXT NOT NULL,
    importance REAL NOT NULL,
    context TEXT NOT NULL,
    metadata TEXT NOT NULL,
    provenance BLOB NOT NULL,            -- 16 bytes each, oldest first
    occurrences INTEGER NOT NULL,
    merged_into BLOB,
    valid_from_ms INTEGER NOT NULL,
    valid_to_ms INTEGER,
    access_count INTEGER NOT NULL,
    accessed_ms INTEGER,
    created_ms INTEGER NOT NULL,
    consolidated_ms INTEGER,
    expires_ms INTEGER,
    content_hash BLOB NOT NULL,
    size_bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX memories_by_domain ON memories (domain);
CREATE INDEX memories_by_agent ON memories (domain, agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX memories_by_content ON memories (content_hash);
CREATE INDEX memories_to_consolidate ON memories (domain, agent_id)
    WHERE layer = 'episodic' AND consolidated_ms IS NULL;
CREATE INDEX memories_to_expire ON memories (expires_ms) WHERE expires_ms IS NOT NULL;
CREATE INDEX memories_to_retire ON memories (created_ms)
    WHERE layer = 'episodic' AND consolidated_ms IS NOT NULL;

CREATE TABLE memory_vectors (
    memory INTEGER NOT NULL REFERENCES memories (position),
    model TEXT NOT NULL,
    vector BLOB NOT NULL,                -- f32, little-endian
    PRIMARY KEY (memory, model)
) STRICT, WITHOUT ROWID;

-- The words only: the text itself is in memories.content.
CREATE VIRTUAL TABLE memory_words USING fts5 (
    text, content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
);

-- Kept with every memory, so that quotas cost nothing.
CREATE TABLE memory_usage (
    domain TEXT NOT NULL,
    layer TEXT NOT NULL,
    records INTEGER NOT NULL CHECK (records >= 0),
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (domain, layer)
) STRICT, WITHOUT ROWID;
";

/// The indexes on tasks are in the order in which workers take them.
const STEP_LEASES: &str = "
CREATE TABLE leases (
    lease_id BLOB PRIMARY KEY,
    domain TEXT NOT NULL,
    task_id BLOB NOT NULL,
    agent_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    lease_s REAL NOT NULL,
    state TEXT NOT NULL,
    granted_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX leases_on_task ON leases (task_id) WHERE state = 'active';
CREATE INDEX leases_to_expire ON leases (expires_ms) WHERE state = 'active';

ALTER TABLE tasks ADD COLUMN deadline_noted_ms INTEGER;
CREATE INDEX tasks_to_lease
    ON tasks (domain, priority DESC, coalesce(deadline_ms, 9223372036854775807), position)
    WHERE status = 'ready';
CREATE INDEX tasks_past_deadline ON tasks (deadline_ms)
    WHERE deadline_ms IS NOT NULL AND deadline_noted_ms IS NOT deadline_ms
        AND status NOT IN ('completed', 'failed', 'cancelled');
";

const STEP_STRATEGY_ROUTES: &str = "
CREATE TABLE strategy_routes (
    kind TEXT PRIMARY KEY,
    route TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    updated_by BLOB
) STRICT, WITHOUT ROWID;
";

/// Keys have roles, a former secret while a rotation's grace lasts, a limit and a last use.
const STEP_KEY_ROLES: &str = "
ALTER TABLE api_keys ADD COLUMN roles TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN former_hash BLOB;
ALTER TABLE api_keys ADD COLUMN former_until_ms INTEGER;
ALTER TABLE api_keys ADD COLUMN rate_limit TEXT;          -- JSON; NULL = as configured
ALTER TABLE api_keys ADD COLUMN last_used_ms INTEGER;
ALTER TABLE api_keys ADD COLUMN secret_prefix TEXT;       -- for people; NULL = chosen by an operator
CREATE TABLE roles (
    position INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    permissions TEXT NOT NULL,
    domains TEXT,                        -- NULL = all of them
    version INTEGER NOT NULL,
    created_ms INTEGER,
    updated_ms INTEGER
) STRICT;
";

/// What was carried out under clients' idempotency keys, and the first answers.
const STEP_IDEMPOTENCY: &str = "
CREATE TABLE idempotency (
    key_id BLOB NOT NULL,
    name TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    status INTEGER,                      -- NULL = the answer is not kept
    location TEXT,
    etag TEXT,
    body BLOB,
    PRIMARY KEY (key_id, name)
) STRICT;
CREATE INDEX idempotency_by_age ON idempotency (at_ms);
";

/// AUTOINCREMENT where rows are removed and a position must not mean
/// another one later.
const STEP_ALERTS: &str = "
CREATE TABLE alert_rules (
    position INTEGER PRIMARY KEY,
    rule_id TEXT NOT NULL,
    domain TEXT NOT NULL,
    metric TEXT NOT NULL,
    scope TEXT,
    subject TEXT,
    quantile REAL,
    comparison TEXT NOT NULL,
    threshold REAL NOT NULL,
    for_s REAL NOT NULL,
    window_s REAL,
    severity TEXT NOT NULL,
    UNIQUE (domain, rule_id)
) STRICT;
CREATE TABLE alerts (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id BLOB NOT NULL UNIQUE,
    domain TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    state TEXT NOT NULL,
    value REAL,
    since_ms INTEGER NOT NULL,
    fired_ms INTEGER,
    resolved_ms INTEGER
) STRICT;
CREATE INDEX alerts_by_domain ON alerts (domain);
CREATE INDEX alerts_by_state ON alerts (domain, state);
CREATE INDEX alerts_open ON alerts (position) WHERE state <> 'resolved';
CREATE TABLE deliveries (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_id BLOB NOT NULL UNIQUE,
    webhook TEXT NOT NULL,
    body TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
";

/// So that counting the vectors of a model reads no vector.
const STEP_VECTOR_MODELS: &str = "
CREATE INDEX memory_vectors_by_model ON memory_vectors (model);
";

/// Terms come ready-made and are cut at spaces: which analyzer made them is kept, and those from before are made anew.
const STEP_WORDS_MADE: &str = "
DROP TABLE memory_words;
CREATE VIRTUAL TABLE memory_words USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'ascii');
CREATE TABLE memory_words_made (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    analyzer TEXT NOT NULL,
    done INTEGER NOT NULL,               -- positions up to here are made
    until INTEGER NOT NULL               -- of positions up to here
) STRICT;
";

/// Episodes that wait for the summarizer, by the position of their memories.
const STEP_SUMMARIES: &str = "
ALTER TABLE memories ADD COLUMN summarized_by TEXT;
CREATE TABLE memory_summaries_due (
    memory INTEGER PRIMARY KEY,
    domain TEXT NOT NULL,
    agent_id TEXT,
    asked INTEGER NOT NULL
) STRICT;
CREATE INDEX memory_summaries_by_round ON memory_summaries_due (asked);
CREATE INDEX memory_summaries_by_agent ON memory_summaries_due (domain, agent_id, asked);
";

/// In a table by row, a vector of some hundred numbers shares its page with others; by its key it had one for itself.
const STEP_VECTORS_IN_ROWS: &str = "
DROP INDEX memory_vectors_by_model;
ALTER TABLE memory_vectors RENAME TO memory_vectors_by_key;
CREATE TABLE memory_vectors (
    memory INTEGER NOT NULL REFERENCES memories (position),
    model TEXT NOT NULL,
    vector BLOB NOT NULL,                -- f32, little-endian
    UNIQUE (memory, model)
) STRICT;
INSERT INTO memory_vectors SELECT memory, model, vector FROM memory_vectors_by_key ORDER BY memory, model;
DROP TABLE memory_vectors_by_key;
CREATE INDEX memory_vectors_by_model ON memory_vectors (model);
";
