//! SQLite, embedded: one writer thread with group commit, a small pool of readers.
//!
//! Owns the database file. WAL mode, so that readers never wait for the writer; every commit
//! is synced (`synchronous=FULL`), so that what was answered survives a power cut.

mod agents;
mod alerts;
mod allocations;
mod columns;
mod events;
mod flows;
mod idempotency;
mod kept;
mod keys;
mod leases;
mod listing;
mod memories;
mod memory_part;
mod memory_pending;
mod memory_summaries;
mod memory_words;
mod open;
mod readers;
mod resources;
mod schema;
mod strategies;
mod tasks;
#[cfg(test)]
mod tests;
mod tx;
mod tx_alerts;
mod tx_memories;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nova_core::ports::{Datastore, EventFeed, NowJob, ReadCost, ReadJob, WriteJob};
use nova_core::{Analyzer, Backoff, Error, Result};

use self::readers::Readers;
use self::writer::{Work, Writer};
use crate::error::StoreError;

/// How long [`Datastore::ping`] waits for a trial write.
const PING_WAIT: Duration = Duration::from_secs(2);

/// Settings of the SQLite backend.
#[derive(Clone, Debug)]
pub struct SqliteConfig {
    /// The database file; it and its folder are made when absent.
    pub path: PathBuf,
    /// Read connections, 1 to 64. With 2 or more, long reads leave one to the short ones.
    pub readers: usize,
    /// Write jobs that may wait for the writer, 1 to 1 000 000; more are refused.
    pub queue_len: usize,
    /// Most write jobs of one commit, 1 to 65 536; 512 is a good choice.
    pub batch_max: usize,
    /// How a write begins again that finds the file locked by another process.
    pub retry: Backoff,
    /// Makes the words of memories: those that another one made are made anew. None = they are left as they are, and
    /// so is the schema, for who only looks at a file.
    pub analyzer: Option<Analyzer>,
}

impl SqliteConfig {
    fn check(&self) -> Result<(), StoreError> {
        let rules = [
            ("readers", self.readers, 64, "1 to 64"),
            ("queue_len", self.queue_len, 1_000_000, "1 to 1000000"),
            ("batch_max", self.batch_max, 65_536, "1 to 65536"),
        ];
        for (name, got, most, accepted) in rules {
            if !(1..=most).contains(&got) {
                return Err(StoreError::Setting {
                    name,
                    accepted,
                    got,
                });
            }
        }
        Ok(())
    }
}

/// A datastore in one SQLite file.
pub struct SqliteDatastore {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    feed: EventFeed,
}

impl SqliteDatastore {
    /// Opens the file, brings its schema up to date and starts the writer.
    ///
    /// # Errors
    /// A setting out of range, a file that cannot be written, that is no Nova datastore, or that a newer Nova has
    /// written; or an older one, for who only looks.
    pub fn open(config: SqliteConfig) -> Result<Self, StoreError> {
        config.check()?;
        let mut connection = open::writer(&config.path, config.analyzer.is_some())?;
        if let Some(analyzer) = config.analyzer {
            memory_words::adopt(&mut connection, analyzer)?;
        }
        let readers = (0..config.readers)
            .map(|_| open::reader(&config.path))
            .collect::<Result<Vec<_>, _>>()?;
        writer::describe_metrics();
        let feed = EventFeed::default();
        let readers = Arc::new(Readers::new(readers, config.analyzer.unwrap_or_default()));
        let writer = Writer::start(
            connection,
            config.queue_len,
            config.batch_max,
            config.retry,
            feed.clone(),
            Arc::clone(&readers),
        )?;
        tracing::debug!(path = %config.path.display(), readers = config.readers, "datastore opened");
        Ok(Self {
            writer: Arc::new(writer),
            readers,
            feed,
        })
    }
}

#[async_trait]
impl Datastore for SqliteDatastore {
    async fn execute(&self, job: WriteJob) -> Result<()> {
        self.writer.submit(Work::Job(job)).await
    }

    async fn query(&self, cost: ReadCost, job: ReadJob) -> Result<()> {
        match cost {
            ReadCost::Point => self.readers.point(job).await,
            ReadCost::Scan => self.readers.scan(job).await,
        }
    }

    fn query_now(&self, job: NowJob<'_>) -> Option<Result<()>> {
        self.readers.now(job)
    }

    /// Reads one row; after a failed commit, also tries a write, so that a full disk shows for
    /// as long as it is full and no longer.
    async fn ping(&self) -> Result<()> {
        self.writer.check_open()?;
        self.readers.ping().await?;
        if self.writer.is_failing() {
            return tokio::time::timeout(PING_WAIT, self.writer.submit(Work::Trial))
                .await
                .unwrap_or_else(|_| Err(Error::unavailable("the datastore does not answer", 1)));
        }
        Ok(())
    }

    fn feed(&self) -> &EventFeed {
        &self.feed
    }

    async fn close(&self) -> Result<()> {
        self.writer.refuse();
        self.readers.close().await;
        let writer = Arc::clone(&self.writer);
        tokio::task::spawn_blocking(move || writer.join())
            .await
            .map_err(Error::service)?
    }
}

impl Drop for SqliteDatastore {
    fn drop(&mut self) {
        self.readers.discard();
        self.writer.refuse();
        if let Err(error) = self.writer.join() {
            tracing::error!(%error, "the datastore did not close well");
        }
    }
}
