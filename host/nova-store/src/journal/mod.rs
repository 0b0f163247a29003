//! The decision journal: a file of its own, written behind the decisions.
//!
//! Decisions are handed over without waiting for the disk: a queue that is bounded by the bytes it holds,
//! and one thread that compresses, writes and syncs what has come, a few times a second. While the
//! daemon lives and its disk keeps up, nothing is lost: when the queue is full, a decision waits for room, and
//! only after [`JournalConfig::wait`] it is lost, and counted.
//! At a crash (`kill -9`, power cut) what was decided within the last [`JournalConfig::flush`], and
//! what is still in the queue, is lost, at most [`JournalConfig::queue_bytes`]; nothing older.
//!
//! Kept apart from the datastore: its load never delays a write that a client waits for, and its
//! retention gives whole pages back to itself. The oldest decisions are forgotten by age and by size.

mod codec;
mod file;
mod queries;
mod writer;

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nova_core::ports::{
    DecisionFilter, DecisionJournal, DecisionSink, DecisionSummary, JournalUsage, Page,
    PageRequest, ReplayFilter, ReplaySpan,
};
use nova_core::strategy::decision::Decision;
use nova_core::{DecisionId, Domain, Error, Result};
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use self::writer::Writer;
use crate::error::StoreError;

pub use codec::check_record;

/// Reads at a time; further ones wait.
const READS: usize = 2;

/// Settings of the journal.
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// The file; it and its folder are made when absent.
    pub path: PathBuf,
    /// Decisions older than this are forgotten.
    pub max_age: Duration,
    /// Bytes that the file's content may take; the oldest decisions are forgotten for newer ones. The file
    /// itself may be larger by its write-ahead log (some MiB).
    pub max_bytes: u64,
    /// Bytes of decisions that may wait for the writer.
    pub queue_bytes: u64,
    /// Longest time that a decision waits before it is written; bounds what a crash loses.
    pub flush: Duration,
    /// Longest time that a decision waits for room in the queue; after it the record is lost, and counted.
    pub wait: Duration,
}

/// A journal in one SQLite file.
pub struct SqliteJournal {
    path: PathBuf,
    /// None: opened to be read.
    writer: Option<Arc<Writer>>,
    idle: Arc<Mutex<Vec<Connection>>>,
    reads: Arc<Semaphore>,
}

impl SqliteJournal {
    /// Opens the file, brings its schema up to date and starts the writer.
    ///
    /// # Errors
    /// A file that cannot be written, that is no journal, or that a newer Nova has written.
    pub fn open(config: JournalConfig) -> Result<Self, StoreError> {
        let connection = file::writer(&config.path)?;
        let path = config.path.clone();
        let writer = Writer::start(connection, config)?;
        Ok(Self::over(path, Some(Arc::new(writer))))
    }

    /// Opens an existing file to be read, beside the daemon that writes it or without one.
    ///
    /// # Errors
    /// There is no such file, it is no journal, or another Nova has written it.
    pub fn open_reading(path: PathBuf) -> Result<Self, StoreError> {
        let connection = file::existing(&path)?;
        let journal = Self::over(path, None);
        journal.idle.lock().push(connection);
        Ok(journal)
    }

    fn over(path: PathBuf, writer: Option<Arc<Writer>>) -> Self {
        Self {
            path,
            writer,
            idle: Arc::default(),
            reads: Arc::new(Semaphore::new(READS)),
        }
    }

    /// Runs a read on a blocking thread, after all that was handed over before it is written.
    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        if let Some(writer) = &self.writer {
            writer.flush().await?;
        }
        let turn = Arc::clone(&self.reads).acquire_owned().await;
        let turn = turn.map_err(|_| Error::unavailable("the decision journal is closed", 1))?;
        let (idle, path) = (Arc::clone(&self.idle), self.path.clone());
        let running = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let kept = idle.lock().pop();
            let connection = match kept {
                Some(connection) => connection,
                None => file::reader(&path)?,
            };
            let done = job(&connection);
            idle.lock().push(connection);
            done
        });
        Ok(running.await.map_err(Error::service)??)
    }
}

#[async_trait]
impl DecisionSink for SqliteJournal {
    async fn record(&self, decision: Decision) {
        match &self.writer {
            Some(writer) => writer.record(decision).await,
            None => tracing::error!("a decision was made over a journal that is only read"),
        }
    }
}

#[async_trait]
impl DecisionJournal for SqliteJournal {
    async fn list(
        &self,
        domain: &Domain,
        filter: DecisionFilter,
        page: PageRequest,
    ) -> Result<Page<DecisionSummary>> {
        let domain = domain.clone();
        self.read(move |connection| queries::list(connection, &domain, &filter, page))
            .await
    }

    async fn get(&self, domain: &Domain, id: DecisionId) -> Result<Option<Decision>> {
        let domain = domain.clone();
        self.read(move |connection| queries::get(connection, &domain, id))
            .await
    }

    async fn replay_span(&self, filter: ReplayFilter, decisions_max: u64) -> Result<ReplaySpan> {
        self.read(move |connection| queries::replay_span(connection, &filter, decisions_max))
            .await
    }

    async fn replay_part(
        &self,
        filter: ReplayFilter,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Decision)>> {
        self.read(move |connection| queries::replay_part(connection, &filter, after, limit))
            .await
    }

    async fn usage(&self) -> Result<JournalUsage> {
        self.read(queries::usage).await
    }

    async fn close(&self) -> Result<()> {
        let Some(writer) = &self.writer else {
            return Ok(());
        };
        self.reads.close();
        self.idle.lock().clear();
        let writer = Arc::clone(writer);
        let ended = tokio::task::spawn_blocking(move || writer.close()).await;
        ended.map_err(Error::service)?
    }
}
