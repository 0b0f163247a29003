//! What only this backend has: files, the queue's length, query plans; and the common suite.
#![allow(clippy::unwrap_used)]

mod faults;
mod files;
mod plans;
mod words;

use std::path::Path;

use nova_core::ports::DatastoreExt as _;
use nova_core::{EventKind, NewEvent, Task, TaskStatus};
use tempfile::TempDir;

use super::*;
use crate::conformance::{Fresh, samples};

fn config(folder: &Path) -> SqliteConfig {
    SqliteConfig {
        path: folder.join("nova.db"),
        readers: 4,
        queue_len: 1000,
        batch_max: 512,
        retry: Backoff::default(),
        analyzer: Some(Analyzer::default()),
    }
}

fn open(folder: &Path) -> Arc<dyn Datastore> {
    Arc::new(SqliteDatastore::open(config(folder)).unwrap())
}

async fn fresh() -> Fresh {
    let folder = TempDir::new().unwrap();
    Fresh {
        datastore: open(folder.path()),
        keep: Box::new(folder),
    }
}

mod suite {
    crate::conformance!(crate::sqlite::tests::fresh);
}

async fn insert(store: &Arc<dyn Datastore>, n: u32) -> Vec<Task> {
    let tasks: Vec<Task> = (0..n).map(|_| samples::task("d")).collect();
    for task in tasks.clone() {
        store
            .write(move |tx| {
                tx.insert_task(&task)?;
                tx.append_transition(task.task_id, &samples::step(None, TaskStatus::Ready, 1))?;
                tx.append_event(
                    &task.domain,
                    samples::at(0),
                    &NewEvent::new(EventKind::TaskCreated, 1.0),
                )
            })
            .await
            .unwrap();
    }
    tasks
}

async fn assert_has(store: &Arc<dyn Datastore>, tasks: &[Task]) {
    let tasks = tasks.to_vec();
    store
        .read(ReadCost::Scan, move |tx| {
            for task in &tasks {
                assert_eq!(tx.task(&task.domain, task.task_id)?.as_ref(), Some(task));
                assert_eq!(tx.transitions(task.task_id)?.len(), 1);
            }
            assert_eq!(tx.events_after(None, 0, 100_000)?.len(), tasks.len());
            Ok(())
        })
        .await
        .unwrap();
}
