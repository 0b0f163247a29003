//! What goes wrong below: full queues and disks, locks, lost transactions, damage.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::mpsc;

use nova_core::ports::{ReadTx, WriteTx};
use nova_core::{Backoff, Domain};
use rusqlite::Connection;

use super::*;

/// With the writer held up, exactly `queue_len` jobs wait; the next is refused at once; all
/// that were accepted are committed in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_and_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let queue_len = 8;
    let store: Arc<dyn Datastore> = Arc::new(
        SqliteDatastore::open(SqliteConfig {
            queue_len,
            ..config(folder.path())
        })
        .unwrap(),
    );
    let (begun, running) = tokio::sync::oneshot::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let holding = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            store
                .write(move |_| {
                    begun.send(()).unwrap();
                    wait.recv().unwrap();
                    Ok(())
                })
                .await
        }
    });
    running.await.unwrap();
    let note = |n: usize| NewEvent::new(EventKind::UserMetric, n as f64);
    let (sent, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..queue_len + 5 {
        let (store, sent) = (Arc::clone(&store), sent.clone());
        tokio::spawn(async move {
            let answer = store
                .write(move |tx| tx.append_event(&Domain::default(), samples::at(0), &note(n)))
                .await;
            sent.send((n, answer)).unwrap();
        });
    }
    for _ in 0..5 {
        let (_, refused) = outcomes.recv().await.unwrap();
        match refused.unwrap_err() {
            Error::Unavailable {
                message,
                retry_after_s: 1,
                ..
            } => assert!(message.ends_with("queue is full")),
            other => panic!("{other:?}"),
        }
    }
    store.ping().await.unwrap();
    go_on.send(()).unwrap();
    holding.await.unwrap().unwrap();
    let mut accepted = Vec::new();
    for _ in 0..queue_len {
        let (n, answer) = outcomes.recv().await.unwrap();
        answer.unwrap();
        accepted.push(n as f64);
    }
    let mut kept: Vec<f64> = store
        .read(ReadCost::Scan, |tx| {
            Ok(tx
                .events_after(None, 0, 100)?
                .iter()
                .map(|e| e.body.value)
                .collect())
        })
        .await
        .unwrap();
    accepted.sort_by(f64::total_cmp);
    kept.sort_by(f64::total_cmp);
    assert_eq!(kept, accepted);
}

/// A datastore with this writer, which begins again as told, and one reader.
fn over(writer: Connection, path: &Path, retry: Backoff) -> Arc<dyn Datastore> {
    let readers = Arc::new(Readers::new(
        vec![open::reader(path).unwrap()],
        Analyzer::default(),
    ));
    let feed = EventFeed::default();
    let writer = Writer::start(writer, 100, 10, retry, feed.clone(), Arc::clone(&readers)).unwrap();
    Arc::new(SqliteDatastore {
        writer: Arc::new(writer),
        feed,
        readers,
    })
}

/// What does not fit on the disk is refused as unavailable; what fits is still taken.
#[tokio::test]
async fn a_full_disk_is_unavailable() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nova.db");
    let connection = open::writer(&path, true).unwrap();
    let pages: i64 = connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    connection
        .pragma_update_and_check(None, "max_page_count", pages + 2, |_| Ok(()))
        .unwrap();
    let store = over(connection, &path, Backoff::default());
    let kept = insert(&store, 1).await;
    let mut large = samples::task("d");
    large.error = Some("x".repeat(100_000));
    let refused = store
        .write(move |tx| tx.insert_task(&large))
        .await
        .unwrap_err();
    match refused {
        Error::Unavailable {
            message,
            source: Some(_),
            ..
        } => assert_eq!(message, "the datastore's disk is full"),
        other => panic!("{other:?}"),
    }
    assert_has(&store, &kept).await;
    store.ping().await.unwrap();
}

fn often(attempts_max: usize) -> Backoff {
    Backoff {
        attempts_max,
        first: Duration::from_millis(1),
        longest: Duration::from_millis(50),
        total: Duration::from_secs(60),
    }
}

/// A write begins again until the other process lets go of the lock.
#[tokio::test]
async fn a_lock_that_passes_is_waited_for() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nova.db");
    let connection = open::writer(&path, true).unwrap();
    connection.busy_timeout(Duration::from_millis(1)).unwrap();
    let store = over(connection, &path, often(10_000));
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let writing = insert(&store, 1);
    tokio::pin!(writing);
    // Far beyond what one attempt waits.
    let early = tokio::time::timeout(Duration::from_millis(100), &mut writing).await;
    assert!(early.is_err(), "written past a lock");
    other.execute_batch("ROLLBACK").unwrap();
    let tasks = writing.await;
    assert_has(&store, &tasks).await;
}

/// Another process that keeps the write lock is waited for, then told as unavailable.
#[tokio::test]
async fn a_locked_database_is_unavailable() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nova.db");
    let connection = open::writer(&path, true).unwrap();
    connection
        .busy_timeout(std::time::Duration::from_millis(20))
        .unwrap();
    let store = over(connection, &path, often(3));
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.write(|_| Ok(())).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
    let ping = store.ping().await.unwrap_err();
    assert!(matches!(ping, Error::Unavailable { .. }), "{ping:?}");
    other.execute_batch("ROLLBACK").unwrap();
    store.ping().await.unwrap();
    insert(&store, 1).await;
}

/// A job may hold the last handle and drop it: the writer does not wait for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_may_drop_the_datastore() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let (begun, running) = tokio::sync::oneshot::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let (dropped, done) = tokio::sync::oneshot::channel();
    let last = Arc::clone(&store);
    let caller = tokio::spawn(async move {
        let job = move |_: &mut dyn WriteTx| {
            begun.send(()).unwrap();
            wait.recv().unwrap();
            assert_eq!(Arc::strong_count(&last), 1);
            drop(last);
            dropped.send(()).unwrap();
            Ok(())
        };
        store.execute(Box::new(job)).await
    });
    running.await.unwrap();
    // The caller goes away with its handle; the job goes on.
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    go_on.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(20), done)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(insert(&open(folder.path()), 1).await.len(), 1);
}

/// When the database undoes the whole transaction, every job of it fails, nothing of it stays,
/// and the next one works.
#[tokio::test]
async fn a_lost_transaction_acknowledges_nothing() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let raw = Connection::open(folder.path().join("nova.db")).unwrap();
    raw.execute_batch(
        "CREATE TRIGGER lose BEFORE INSERT ON agents BEGIN SELECT RAISE(ROLLBACK, 'lost'); END",
    )
    .unwrap();
    let (go_on, wait) = mpsc::channel::<()>();
    let (begun, running) = tokio::sync::oneshot::channel();
    let holding: WriteJob = Box::new(move |_| {
        begun.send(()).unwrap();
        wait.recv().unwrap();
        Ok(())
    });
    let note = |n: f64| NewEvent::new(EventKind::UserMetric, n);
    let append = move |n| -> WriteJob {
        Box::new(move |tx| {
            tx.append_event(&Domain::default(), samples::at(0), &note(n))
                .map(|_| ())
        })
    };
    let losing: WriteJob = Box::new(|tx| tx.insert_agent(&samples::agent("d", "a", &[])));
    let spawn = |job: WriteJob| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.execute(job).await })
    };
    // While the first is held up, the others queue up for one transaction.
    let first = spawn(holding);
    running.await.unwrap();
    let batch = [spawn(append(1.0)), spawn(losing), spawn(append(2.0))];
    tokio::task::yield_now().await;
    go_on.send(()).unwrap();
    first.await.unwrap().unwrap();
    let [before, loser, after] = batch;
    for bystander in [before, after] {
        let answer = bystander.await.unwrap();
        assert!(
            matches!(answer, Err(Error::Unavailable { .. })),
            "{answer:?}"
        );
    }
    assert!(matches!(loser.await.unwrap(), Err(Error::Service(_))));
    store.ping().await.unwrap();
    spawn(append(3.0)).await.unwrap().unwrap();
    let kept = store
        .read(ReadCost::Scan, |tx| tx.events_after(None, 0, 10))
        .await
        .unwrap();
    assert_eq!(kept.iter().map(|e| e.body.value).collect::<Vec<_>>(), [3.0]);
}

/// Readers cannot write, whatever they are asked.
#[test]
fn readers_only_read() {
    let folder = TempDir::new().unwrap();
    drop(SqliteDatastore::open(config(folder.path())).unwrap());
    let reader = open::reader(&folder.path().join("nova.db")).unwrap();
    assert!(reader.execute_batch("DELETE FROM tasks").is_err());
}

/// A column that was damaged from outside is an error, not a default.
#[tokio::test]
async fn damaged_rows_are_errors() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let task = insert(&store, 1).await.remove(0);
    let raw = Connection::open(folder.path().join("nova.db")).unwrap();
    for damage in [
        "status = 'lost'",
        "parameters = '{'",
        "domain = 'd', dependencies = x'00'",
        "priority = 9",
    ] {
        raw.execute_batch(&format!("BEGIN; UPDATE tasks SET {damage}; COMMIT"))
            .unwrap();
        let id = task.task_id;
        let read = move |tx: &dyn ReadTx| tx.task(&samples::domain("d"), id);
        // Readers look at the file anew after a commit of their own process; nobody else is to write it.
        store.write(|_| Ok(())).await.unwrap();
        let found = store.read(ReadCost::Point, read).await;
        assert!(
            matches!(found, Err(Error::Service(_))),
            "{damage}: {found:?}"
        );
        let repair = "UPDATE tasks SET status = 'ready', parameters = '{}', dependencies = x'', priority = 1";
        raw.execute_batch(repair).unwrap();
        store.write(|_| Ok(())).await.unwrap();
        assert_eq!(
            store.read(ReadCost::Point, read).await.unwrap(),
            Some(task.clone())
        );
    }
}
