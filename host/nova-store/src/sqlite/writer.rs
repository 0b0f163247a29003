//! The one thread that writes: group commit.
//!
//! Jobs queue up while a commit is synced to the disk; the next transaction takes all of
//! them, each inside a savepoint of its own, so that an error undoes one job and not its
//! neighbours. Answers go out after the commit: an answered job is on disk. Before them, and in their
//! order, the events of the commit are published.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use backon::{BlockingRetryable, ExponentialBuilder};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use nova_core::ports::{EventFeed, WriteJob};
use nova_core::{Backoff, Error, Event, Result};
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::kept::Kept;
use super::readers::Readers;
use super::schema;
use super::tx::Tx;
use crate::error::StoreError;

/// Something for the writer to do.
pub(super) enum Work {
    /// A job of the domain.
    Job(WriteJob),
    /// The smallest write: does the disk take it?
    Trial,
}

struct Item {
    work: Work,
    answer: oneshot::Sender<Result<()>>,
}

/// The door to the writer's thread.
pub(super) struct Writer {
    /// None once closing: the thread ends when the queue is empty and nobody can add to it.
    queue: RwLock<Option<mpsc::Sender<Item>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    failing: Arc<AtomicBool>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        queue_len: usize,
        batch_max: usize,
        retry: Backoff,
        feed: EventFeed,
        readers: Arc<Readers>,
    ) -> Result<Self, StoreError> {
        let (sender, queue) = mpsc::channel(queue_len);
        let failing = Arc::new(AtomicBool::new(false));
        let state = Arc::clone(&failing);
        let thread = thread::Builder::new()
            .name("nova-store-writer".to_owned())
            .spawn(move || serve(connection, queue, batch_max, retry, &state, &feed, &readers))
            .map_err(|_| StoreError::Thread("writer"))?;
        Ok(Self {
            queue: RwLock::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            failing,
        })
    }

    /// Queues work and waits for its commit. Work that is queued is done even when the caller
    /// does not wait for the answer.
    pub(super) async fn submit(&self, work: Work) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Item { work, answer })?;
        answered.await.map_err(|_| closed())?
    }

    fn enqueue(&self, item: Item) -> Result<()> {
        let queue = self.queue.read();
        match queue.as_ref().ok_or_else(closed)?.try_send(item) {
            Ok(()) => {
                gauge!("nova_store_queue_jobs").increment(1.0);
                Ok(())
            }
            Err(TrySendError::Full(_)) => {
                counter!("nova_store_jobs_total", "outcome" => "refused").increment(1);
                Err(Error::unavailable("the datastore's queue is full", 1))
            }
            Err(TrySendError::Closed(_)) => Err(closed()),
        }
    }

    /// An error once closing.
    pub(super) fn check_open(&self) -> Result<()> {
        match self.queue.read().as_ref() {
            Some(queue) if !queue.is_closed() => Ok(()),
            _ => Err(closed()),
        }
    }

    /// Whether the last commit failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Takes no more work; what is queued will still be done.
    pub(super) fn refuse(&self) {
        self.queue.write().take();
    }

    /// Waits (blocking) until the queue is done and the connection closed.
    pub(super) fn join(&self) -> Result<()> {
        match self.thread.lock().take() {
            // A job may hold the last handle to the datastore: a thread cannot wait for itself.
            Some(thread) if thread.thread().id() != thread::current().id() => thread
                .join()
                .map_err(|_| StoreError::Thread("writer").into()),
            _ => Ok(()),
        }
    }
}

fn closed() -> Error {
    Error::unavailable("the datastore is closed", 1)
}

fn serve(
    connection: Connection,
    mut queue: mpsc::Receiver<Item>,
    batch_max: usize,
    retry: Backoff,
    failing: &AtomicBool,
    feed: &EventFeed,
    readers: &Readers,
) {
    let mut batch = Vec::with_capacity(batch_max);
    let kept = Kept::new(&connection, readers.analyzer);
    while queue.blocking_recv_many(&mut batch, batch_max) > 0 {
        gauge!("nova_store_queue_jobs").decrement(batch.len() as f64);
        histogram!("nova_store_batch_jobs").record(batch.len() as f64);
        write(&kept, &mut batch, retry, failing, feed, readers);
    }
    drop(kept);
    finish(connection);
}

/// Leaves a small WAL behind, so that the next start is quick.
fn finish(connection: Connection) {
    let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
    let closed = checkpoint.and(connection.close().map_err(|(_, error)| error));
    if let Err(error) = closed {
        tracing::warn!(%error, "the datastore's last checkpoint failed; the next start makes up for it");
    }
}

/// Runs a batch in one transaction, publishes its events, notes whether the commit failed, and answers all of it.
fn write(
    kept: &Kept<'_>,
    batch: &mut Vec<Item>,
    retry: Backoff,
    failing: &AtomicBool,
    feed: &EventFeed,
    readers: &Readers,
) {
    let mut answers = Vec::with_capacity(batch.len());
    let mut events = Vec::new();
    readers.writing_begins();
    let done = transact(kept, batch, retry, &mut answers, &mut events);
    readers.writing_ends();
    let failure = match done {
        Ok(()) => {
            feed.publish(&events);
            None
        }
        Err(error) => {
            tracing::error!(%error, cause = ?error, jobs = answers.len() + batch.len(), "a commit failed");
            if !kept.conn.is_autocommit() && kept.step("ROLLBACK").is_err() {
                tracing::error!("a failed commit could not be rolled back");
            }
            // Jobs that had not begun share the fate of those that had.
            answers.extend(batch.drain(..).map(|item| (item.answer, Ok(()))));
            Some(Arc::new(error))
        }
    };
    // Before the answers: who has one and asks how the datastore is must hear of the same commit.
    failing.store(failure.is_some(), Ordering::Relaxed);
    let (mut committed, mut rejected) = (0, 0);
    for (answer, outcome) in answers {
        match outcome {
            Ok(()) => committed += 1,
            Err(_) => rejected += 1,
        }
        let outcome = outcome.and_then(|()| match &failure {
            None => Ok(()),
            Some(cause) => Err(StoreError::Commit(Arc::clone(cause)).into()),
        });
        // The caller may have gone away; its job is done all the same.
        let _ = answer.send(outcome);
    }
    let done = if failure.is_some() {
        "failed"
    } else {
        "committed"
    };
    counter!("nova_store_jobs_total", "outcome" => done).increment(committed);
    counter!("nova_store_jobs_total", "outcome" => "rejected").increment(rejected);
}

/// One answer to be sent, with what the job itself said.
type Answer = (oneshot::Sender<Result<()>>, Result<()>);

fn transact(
    kept: &Kept<'_>,
    batch: &mut Vec<Item>,
    retry: Backoff,
    answers: &mut Vec<Answer>,
    events: &mut Vec<Event>,
) -> Result<(), StoreError> {
    begin(kept, retry)?;
    for item in batch.drain(..) {
        let (outcome, alive) = run(kept, item.work, events);
        answers.push((item.answer, outcome));
        alive?;
    }
    let begun = Instant::now();
    kept.step("COMMIT")?;
    histogram!("nova_store_commit_seconds").record(begun.elapsed().as_secs_f64());
    Ok(())
}

/// Begins a transaction; again and again while another process holds the lock. Nothing was done yet, so that
/// this repeats nothing; what fails after it is never tried again here.
fn begin(kept: &Kept<'_>, retry: Backoff) -> Result<(), StoreError> {
    let pauses = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(retry.first)
        .with_max_delay(retry.longest)
        .with_max_times(retry.attempts_max.saturating_sub(1))
        .with_total_delay(Some(retry.total));
    (|| kept.step("BEGIN IMMEDIATE"))
        .retry(pauses)
        .when(StoreError::is_busy)
        .notify(|_, _| counter!("nova_retries_total", "of" => "datastore").increment(1))
        .call()
}

/// Runs one piece of work in a savepoint. Gives its own outcome, and whether the transaction
/// around it still stands.
fn run(
    kept: &Kept<'_>,
    work: Work,
    events: &mut Vec<Event>,
) -> (Result<()>, Result<(), StoreError>) {
    if let Err(error) = kept.step("SAVEPOINT job") {
        return (Ok(()), Err(error));
    }
    let attempt = || match work {
        Work::Job(job) => {
            let mut tx = Tx::writing(kept);
            job(&mut tx)?;
            events.extend(tx.into_events());
            Ok(())
        }
        Work::Trial => Ok(schema::mark(kept.conn)?),
    };
    // Nothing of a job survives its panic but the connection, which is rolled back.
    let outcome = catch_unwind(AssertUnwindSafe(attempt))
        .unwrap_or_else(|panic| Err(StoreError::Panic(panic_text(&*panic)).into()));
    // A full disk or an I/O error makes SQLite roll back the whole transaction by itself.
    if kept.conn.is_autocommit() {
        return (outcome, Err(StoreError::RolledBack));
    }
    let undone = match outcome {
        Ok(()) => Ok(()),
        Err(_) => kept.step("ROLLBACK TO job"),
    };
    (outcome, undone.and_then(|()| kept.step("RELEASE job")))
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned())
}

pub(super) fn describe_metrics() {
    describe_histogram!(
        "nova_store_commit_seconds",
        metrics::Unit::Seconds,
        "Time of a commit, sync included"
    );
    describe_histogram!("nova_store_batch_jobs", "Write jobs in one commit");
    describe_counter!(
        "nova_store_jobs_total",
        "Write jobs by outcome: committed, rejected, failed, refused"
    );
    describe_gauge!(
        "nova_store_queue_jobs",
        "Write jobs that wait for the writer"
    );
}
