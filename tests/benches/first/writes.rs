//! Acknowledged writes per second: creating tasks through the datastore against raw rusqlite that commits the
//! same rows in groups of the same size, with the same pragmas, on the same disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nova_core::ports::Datastore;
use nova_core::services::{ServiceConfig, Services};
use nova_core::{Domain, NewTask, SystemClock};
use nova_runtime::Runtime;
use rusqlite::types::Value;
use rusqlite::{Connection, ToSql};

use crate::open;

const WRITES: usize = 40_000;
const GROUP: usize = 512;
const ROUNDS: usize = 3;

/// Prints the table.
pub(crate) async fn run(home: &Path, runtime: &Arc<Runtime>) {
    println!(
        "\nacknowledged writes per second: a task with its transitions and events, groups of {GROUP}, best of {ROUNDS}"
    );
    let (mut raw, mut ours) = (0.0_f64, 0.0_f64);
    for round in 0..ROUNDS {
        let rows = sample(&home.join(format!("sample-{round}.db")), runtime).await;
        let path = home.join(format!("raw-{round}.db"));
        open(&path).close().await.unwrap();
        raw = raw.max(tokio::task::block_in_place(|| raw_writes(&path, &rows)));
        ours = ours.max(our_writes(&home.join(format!("ours-{round}.db")), runtime).await);
    }
    println!("{:<32} {raw:>10.0}", "raw rusqlite, group commit");
    println!(
        "{:<32} {ours:>10.0} {:>8.2}",
        "through the services",
        ours / raw
    );
}

async fn our_writes(path: &Path, runtime: &Arc<Runtime>) -> f64 {
    let store = open(path);
    let services = services(&store, runtime);
    let begun = Instant::now();
    let clients: Vec<_> = (0..2 * GROUP)
        .map(|_| {
            let services = services.clone();
            tokio::spawn(async move {
                for _ in 0..WRITES / (2 * GROUP) {
                    create(&services).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let rate = (WRITES / (2 * GROUP) * 2 * GROUP) as f64 / begun.elapsed().as_secs_f64();
    store.close().await.unwrap();
    rate
}

async fn create(services: &Services) {
    let task = NewTask {
        kind: "work".to_owned(),
        ..NewTask::default()
    };
    services
        .tasks
        .create(&Domain::default(), task)
        .await
        .unwrap();
}

/// Services over this datastore; the strategies are not asked here.
fn services(store: &Arc<dyn Datastore>, runtime: &Arc<Runtime>) -> Services {
    let (store, clock) = (Arc::clone(store), Arc::new(SystemClock));
    Services::new(store, runtime.clone(), clock, ServiceConfig::default())
}

/// One row, read back from what the services wrote, and the statement that inserts one like it.
struct Row {
    insert: String,
    columns: Vec<String>,
    values: Vec<Value>,
}

/// All rows that one created task consists of.
async fn sample(path: &Path, runtime: &Arc<Runtime>) -> Vec<Row> {
    let store = open(path);
    create(&services(&store, runtime)).await;
    store.close().await.unwrap();
    let connection = Connection::open(path).unwrap();
    let mut rows = Vec::new();
    for table in ["tasks", "transitions", "events"] {
        let mut statement = connection
            .prepare(&format!("SELECT * FROM {table}"))
            .unwrap();
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let found = statement.query_map((), |row| (0..columns.len()).map(|i| row.get(i)).collect());
        let found: Vec<Vec<Value>> = found.unwrap().map(Result::unwrap).collect();
        let marks = vec!["?"; columns.len()].join(", ");
        let insert = format!(
            "INSERT INTO {table} ({}) VALUES ({marks})",
            columns.join(", ")
        );
        rows.extend(found.into_iter().map(|values| Row {
            insert: insert.clone(),
            columns: columns.clone(),
            values,
        }));
    }
    rows
}

fn raw_writes(path: &Path, rows: &[Row]) -> f64 {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536; PRAGMA mmap_size=1073741824;
             PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=4000; PRAGMA foreign_keys=ON;",
        )
        .unwrap();
    let begun = Instant::now();
    let mut written: i64 = 0;
    while written < WRITES as i64 {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..GROUP {
            written += 1;
            for row in rows {
                insert(&connection, row, written);
            }
        }
        connection.execute_batch("COMMIT").unwrap();
    }
    written as f64 / begun.elapsed().as_secs_f64()
}

/// Inserts a copy of the row as part of task number `n`.
fn insert(connection: &Connection, row: &Row, n: i64) {
    let mut id = [0_u8; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    let id = id.as_slice();
    let values: Vec<&dyn ToSql> = row
        .columns
        .iter()
        .zip(&row.values)
        .map(|(column, value)| match column.as_str() {
            "position" | "task" => &n as &dyn ToSql,
            "seq" => &Value::Null,
            "task_id" => &id,
            _ => value,
        })
        .collect();
    connection
        .prepare_cached(&row.insert)
        .unwrap()
        .execute(values.as_slice())
        .unwrap();
}
