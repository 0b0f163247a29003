//! Memories: stored, found, consolidated, forgotten.
//!
//! The datastore keeps what counts and finds by words; the index, derived from it, finds by words and
//! vectors at once. A record is in both before its storing is acknowledged, so that a search
//! sees every write that was answered.

mod consolidate;
mod consolidate_batch;
mod fallback;
mod load;
mod search;
mod statement;
mod store;
mod summarize;
mod transfer;
mod upkeep;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

use parking_lot::Mutex;

pub use consolidate::Consolidation;
pub use load::EmbeddingProgress;
pub use search::{Found, MATCHES_MAX, QUERY_MAX_BYTES, SearchRequest, SearchResult};
pub(super) use store::{Kept, Prepared, keep_all};
pub use summarize::{Summarized, SummarizerConfig};
pub use transfer::{EMBED_TEXTS_MAX, MemoryRecordIn, TRANSFER_BATCH, Transferred};

use super::Ports;
use crate::domain::memory::check_unit;
use crate::domain::{Domain, Memory, MemoryId};
use crate::error::{Error, Result};
use crate::ports::{
    DatastoreExt, MemoryFilter, MemoryPorts, MemoryUsage, Page, PageRequest, Ranking, ReadCost,
    WordsProgress,
};

/// What memory needs to know; each field's default is the daemon's.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MemoryConfig {
    /// The same content of the same agent within so many seconds is the same memory: a day.
    pub same_within_s: f64,
    /// Most records of one domain: 5 million.
    pub records_max: u64,
    /// Most bytes of contents, contexts and metadata of one domain: 4 GiB.
    pub bytes_max: u64,
    /// How the parts of a score are weighed.
    pub ranking: Ranking,
    /// Milliseconds that a search waits for the vector of its query from a service: 2000. Without it
    /// the search goes by words.
    pub query_timeout_ms: u64,
    /// Episodes that wait before an agent's are consolidated: 10.
    pub consolidate_episodes: u64,
    /// Importance of one episode that does not wait: 0.8.
    pub consolidate_importance: f64,
    /// Seconds that the oldest episode waits at most: 300.
    pub consolidate_after_s: f64,
    /// Seconds that a consolidated episode is kept at least; infinite = for ever, the default.
    pub episode_retention_s: f64,
    /// Episodes at least so important are kept for ever: 0.8.
    pub episode_keep_importance: f64,
    /// What the summarizer's step keeps to.
    pub summarizer: SummarizerConfig,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            same_within_s: 86_400.0,
            records_max: 5_000_000,
            bytes_max: 4 << 30,
            ranking: Ranking::default(),
            query_timeout_ms: 2000,
            consolidate_episodes: 10,
            consolidate_importance: 0.8,
            consolidate_after_s: 300.0,
            episode_retention_s: f64::INFINITY,
            episode_keep_importance: 0.8,
            summarizer: SummarizerConfig::default(),
        }
    }
}

/// What came of storing a memory.
#[derive(Clone, PartialEq, Debug)]
pub struct Remembered {
    /// The record.
    pub memory: Memory,
    /// Whether it was there already, and was only counted again.
    pub known: bool,
}

/// Use cases of memories.
pub struct MemoryService {
    ports: Ports,
    /// Accesses that are not yet in the datastore.
    touched: Mutex<HashMap<(Domain, MemoryId), u64>>,
    /// Every record up to this position has a vector of the present model.
    embedded_to: AtomicI64,
    /// No vector of a model that serves no more is left.
    swept: AtomicBool,
    /// How far the present model's vectors were when the background looked.
    progress: Mutex<EmbeddingProgress>,
    /// How far the datastore's words were when the background looked.
    words: Mutex<WordsProgress>,
    /// One consolidation at a time.
    consolidating: tokio::sync::Mutex<()>,
}

impl MemoryService {
    pub(super) fn new(ports: Ports) -> Self {
        Self {
            ports,
            embedded_to: AtomicI64::new(0),
            swept: AtomicBool::new(false),
            touched: Mutex::default(),
            progress: Mutex::default(),
            words: Mutex::default(),
            consolidating: tokio::sync::Mutex::default(),
        }
    }

    /// One memory; counts as an access.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`], also for one whose time is over.
    pub async fn get(&self, domain: &Domain, id: MemoryId) -> Result<Memory> {
        let (of, now) = (domain.clone(), self.ports.clock.now());
        let found = self
            .ports
            .store
            .read(ReadCost::Point, move |tx| tx.memory(&of, id))
            .await?;
        let mut memory = found
            .filter(|m| !m.is_over(now))
            .ok_or_else(|| Error::not_found("memory", id))?;
        memory.access_count += self.touch(domain, id);
        memory.accessed_at = Some(now);
        Ok(memory)
    }

    /// Memories, newest first. Not an access.
    ///
    /// # Errors
    /// [`Error::Validation`] for an importance outside 0 to 1.
    pub async fn list(
        &self,
        domain: &Domain,
        filter: MemoryFilter,
        page: PageRequest,
    ) -> Result<Page<Memory>> {
        if let Some(least) = filter.min_importance {
            check_unit("min_importance", least)?;
        }
        let (domain, now) = (domain.clone(), self.ports.clock.now());
        self.ports
            .store
            .read(ReadCost::Scan, move |tx| {
                tx.memories(&domain, &filter, now, page)
            })
            .await
    }

    /// Forgets one memory.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`].
    pub async fn forget(&self, domain: &Domain, id: MemoryId) -> Result<()> {
        let of = domain.clone();
        let gone = self
            .ports
            .write(move |tx, _| tx.delete_memory(&of, id))
            .await?;
        if !gone {
            return Err(Error::not_found("memory", id));
        }
        self.ports.memory.index.remove(domain, id);
        Ok(())
    }

    /// What a domain's memories take.
    ///
    /// # Errors
    /// As the datastore's.
    pub async fn usage(&self, domain: &Domain) -> Result<MemoryUsage> {
        let domain = domain.clone();
        self.ports
            .store
            .read(ReadCost::Point, move |tx| tx.memory_usage(&domain))
            .await
    }

    /// Counts an access; gives those that are not yet in the datastore.
    fn touch(&self, domain: &Domain, id: MemoryId) -> u64 {
        let mut touched = self.touched.lock();
        let count = touched.entry((domain.clone(), id)).or_default();
        *count += 1;
        *count
    }
}

/// Memory without an index: found by words through the datastore. What [`super::Services::new`] begins with.
pub(super) fn keyword_only() -> MemoryPorts {
    MemoryPorts {
        embedder: Arc::new(fallback::NoEmbedder),
        previous: None,
        index: Arc::new(fallback::NoIndex),
        summarizer: None,
    }
}
