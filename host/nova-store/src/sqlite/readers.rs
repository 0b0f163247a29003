//! The pool of connections that read.
//!
//! Short reads run on the caller's thread: they take microseconds, less than a change of thread.
//! Long ones run on the runtime's blocking threads and never take the last connection, so that
//! short ones do not wait behind them. Nobody waits without end.
//!
//! A transaction's begin and end cost more than a short read: four locks on files. So a connection keeps
//! the one it has read in, and reads on in it for as long as nothing was committed since. Invariants: a read sees
//! all that was committed before it; while the writer works, no idle connection holds a transaction, so that
//! the write-ahead log is emptied as ever. Only this process writes the file, and only its writer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nova_core::ports::{NowJob, ReadJob, ReadTx};
use nova_core::{Analyzer, Error, Result};
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::tx::Tx;
use super::writer::panic_text;
use crate::error::StoreError;

/// How long a read waits for a connection, and closing for the reads that run.
const READER_WAIT: Duration = Duration::from_secs(5);

pub(super) struct Readers {
    /// Last used first, whose caches are warm.
    idle: Mutex<Vec<Reader>>,
    /// Commits so far.
    commits: AtomicU64,
    /// Whether the writer works now.
    writing: AtomicBool,
    /// One permit for each connection in `idle`.
    free: Semaphore,
    /// How many long reads may run.
    scans: Arc<Semaphore>,
    count: u32,
    /// How long a read waits for its turn before it is refused.
    patience: Duration,
    /// Makes the words of memories, here and at the writer.
    pub(super) analyzer: Analyzer,
}

/// A connection, and how many commits its open transaction shows; none = it has none.
struct Reader {
    connection: Connection,
    shows: Option<u64>,
}

impl Reader {
    /// Ends the transaction that is open, if any.
    fn release(&mut self) -> Result<(), StoreError> {
        self.shows = None;
        if self.connection.is_autocommit() {
            return Ok(());
        }
        step(&self.connection, "ROLLBACK")
    }

    /// Sees to a transaction that shows this many commits or more.
    fn show(&mut self, commits: u64) -> Result<(), StoreError> {
        if self.shows == Some(commits) && !self.connection.is_autocommit() {
            return Ok(());
        }
        self.release()?;
        step(&self.connection, "BEGIN")?;
        self.shows = Some(commits);
        Ok(())
    }
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>, analyzer: Analyzer) -> Self {
        let count = connections.len();
        let idle = connections.into_iter().map(|connection| Reader {
            connection,
            shows: None,
        });
        Self {
            idle: Mutex::new(idle.collect()),
            commits: AtomicU64::new(0),
            writing: AtomicBool::new(false),
            free: Semaphore::new(count),
            scans: Arc::new(Semaphore::new(count.saturating_sub(1).max(1))),
            count: u32::try_from(count).unwrap_or(u32::MAX),
            patience: READER_WAIT,
            analyzer,
        }
    }

    /// The writer begins: idle connections let go of their transactions, and keep none until it ends.
    pub(super) fn writing_begins(&self) {
        let mut idle = self.idle.lock();
        self.writing.store(true, Ordering::Relaxed);
        for reader in idle.iter_mut() {
            if reader.release().is_err() {
                tracing::warn!("a reader of the datastore could not end its transaction");
            }
        }
    }

    /// The writer has committed, or has given up; in either case before anybody is answered.
    pub(super) fn writing_ends(&self) {
        self.commits.fetch_add(1, Ordering::Release);
        self.writing.store(false, Ordering::Relaxed);
    }

    /// Runs a short job on this thread.
    pub(super) async fn point(self: &Arc<Self>, job: ReadJob) -> Result<()> {
        self.lease().await?.run(job)
    }

    /// As [`Readers::point`], where a connection is free; none = one has to be waited for.
    pub(super) fn now(self: &Arc<Self>, job: NowJob<'_>) -> Option<Result<()>> {
        let permit = self.free.try_acquire().ok()?;
        Some(self.take(permit).and_then(|lease| lease.run(job)))
    }

    /// Runs a long job where it blocks nobody.
    pub(super) async fn scan(self: &Arc<Self>, job: ReadJob) -> Result<()> {
        let turn = self.turn().await?;
        let lease = self.lease().await?;
        let running = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            lease.run(job)
        });
        running.await.map_err(Error::service)?
    }

    /// Reads something that is always there.
    pub(super) async fn ping(self: &Arc<Self>) -> Result<()> {
        let lease = self.lease().await?;
        let reader = lease.reader.as_ref().ok_or_else(closed)?;
        step(&reader.connection, "SELECT 1 FROM sqlite_schema LIMIT 1")?;
        Ok(())
    }

    /// Refuses new reads and lets the running ones end.
    pub(super) async fn close(&self) {
        self.scans.close();
        if let Ok(Ok(all)) = timeout(self.patience, self.free.acquire_many(self.count)).await {
            all.forget();
        }
        self.discard();
    }

    /// Refuses new reads and closes the connections that do not read.
    pub(super) fn discard(&self) {
        self.scans.close();
        self.free.close();
        self.idle.lock().clear();
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        match timeout(self.patience, Arc::clone(&self.scans).acquire_owned()).await {
            Ok(turn) => turn.map_err(|_| closed()),
            Err(_) => Err(busy()),
        }
    }

    async fn lease(self: &Arc<Self>) -> Result<Lease> {
        let permit = match self.free.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match timeout(self.patience, self.free.acquire()).await {
                Ok(permit) => permit.map_err(|_| closed())?,
                Err(_) => return Err(busy()),
            },
        };
        self.take(permit)
    }

    fn take(self: &Arc<Self>, permit: SemaphorePermit<'_>) -> Result<Lease> {
        let reader = self.idle.lock().pop().ok_or_else(closed)?;
        // Given back with the connection, by the lease.
        permit.forget();
        Ok(Lease {
            readers: Arc::clone(self),
            reader: Some(reader),
        })
    }
}

/// A connection out of the pool; it goes back when this is dropped.
struct Lease {
    readers: Arc<Readers>,
    /// None only while being dropped.
    reader: Option<Reader>,
}

impl Lease {
    /// Runs a job on one state of the database.
    fn run(mut self, job: impl FnOnce(&dyn ReadTx) -> Result<()>) -> Result<()> {
        // Read before the transaction begins: what it shows is this or later, never earlier.
        let commits = self.readers.commits.load(Ordering::Acquire);
        let reader = self.reader.as_mut().ok_or_else(closed)?;
        reader.show(commits)?;
        // Nothing of a job survives its panic but the connection, whose transaction ends.
        let tx = Tx::reading(&reader.connection, self.readers.analyzer);
        match catch_unwind(AssertUnwindSafe(|| job(&tx))) {
            Ok(outcome) => outcome,
            Err(panic) => {
                reader.release()?;
                Err(StoreError::Panic(panic_text(&*panic)).into())
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.readers.free.is_closed() {
            return;
        }
        let Some(mut reader) = self.reader.take() else {
            return;
        };
        let mut idle = self.readers.idle.lock();
        // Under the lock: whoever begins to write now finds this connection among the idle ones.
        if self.readers.writing.load(Ordering::Relaxed) && reader.release().is_err() {
            tracing::warn!("a reader of the datastore could not end its transaction");
        }
        idle.push(reader);
        drop(idle);
        self.readers.free.add_permits(1);
    }
}

/// Runs a statement that has no parameters and whose answer does not matter.
fn step(connection: &Connection, text: &str) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(text)?;
    statement.query(())?.next()?;
    Ok(())
}

fn busy() -> Error {
    Error::unavailable("every reader of the datastore is busy", 1)
}

fn closed() -> Error {
    Error::unavailable("the datastore is closed", 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pool(count: usize) -> Arc<Readers> {
        let connections = (0..count).map(|_| Connection::open_in_memory().unwrap());
        let readers = Readers::new(connections.collect(), Analyzer::default());
        Arc::new(Readers {
            patience: Duration::from_millis(20),
            ..readers
        })
    }

    #[tokio::test]
    async fn waiting_for_a_reader_ends() {
        let readers = pool(2);
        let held = [
            readers.lease().await.unwrap(),
            readers.lease().await.unwrap(),
        ];
        let mut runs = 0;
        let mut count = |_: &dyn ReadTx| {
            runs += 1;
            Ok(())
        };
        assert!(readers.now(&mut count).is_none(), "it would have to wait");
        let refused = readers.point(Box::new(|_| Ok(()))).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
        drop(held);
        readers.now(&mut count).unwrap().unwrap();
        assert_eq!(runs, 1);
        readers.point(Box::new(|_| Ok(()))).await.unwrap();
    }

    #[tokio::test]
    async fn long_reads_leave_a_connection_to_short_ones() {
        let readers = pool(3);
        let turns = [readers.turn().await.unwrap(), readers.turn().await.unwrap()];
        let refused = readers.scan(Box::new(|_| Ok(()))).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
        readers.point(Box::new(|_| Ok(()))).await.unwrap();
        drop(turns);
    }

    #[tokio::test]
    async fn a_panic_in_a_job_gives_the_connection_back() {
        let readers = pool(1);
        for _ in 0..3 {
            let error = readers
                .point(Box::new(|_| panic!("in a read")))
                .await
                .unwrap_err();
            assert!(matches!(error, Error::Service(_)), "{error:?}");
        }
        readers.point(Box::new(|_| Ok(()))).await.unwrap();
    }

    #[tokio::test]
    async fn a_transaction_is_kept_until_something_is_committed() {
        let readers = pool(1);
        let open = || {
            let idle = readers.idle.lock();
            (!idle[0].connection.is_autocommit(), idle[0].shows)
        };
        let read = || readers.point(Box::new(|_| Ok(())));
        read().await.unwrap();
        read().await.unwrap();
        assert_eq!(open(), (true, Some(0)));
        readers.writing_begins();
        assert_eq!(open(), (false, None), "the writer finds no transaction");
        read().await.unwrap();
        assert_eq!(open(), (false, None), "and none is kept while it works");
        readers.writing_ends();
        read().await.unwrap();
        assert_eq!(open(), (true, Some(1)));
    }
}
