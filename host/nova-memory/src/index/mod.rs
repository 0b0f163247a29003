//! The index over all memories: words, vectors and attributes, in memory, one part a domain.
//!
//! Exact: nothing is left out but what the bits of [`vectors`] overlook in large collections. A domain is searched and
//! changed under its own lock, so that no domain waits for another.

mod attributes;
mod bits;
mod bm25;
mod domain;
mod episodes;
mod leg;
mod rows;
#[cfg(test)]
mod tests;
mod vectors;
mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use foldhash::fast::RandomState;
use nova_core::ports::{Alike, Hit, IndexProgress, IndexQuery, MemoryIndex, MemoryVector};
use nova_core::{Analyzer, Domain, Error, Memory, MemoryId, Result};
use parking_lot::RwLock;

use domain::DomainIndex;

/// As the standard one, with a hash that takes a tenth of the time: whoever builds an index looks up little else.
type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;

/// Records of a domain up to which a search runs on the caller's thread.
const INLINE_MAX: usize = 5000;

/// See the module.
#[derive(Default)]
pub struct Index {
    analyzer: Analyzer,
    domains: RwLock<HashMap<Domain, Arc<RwLock<DomainIndex>>>>,
    complete: AtomicBool,
}

impl Index {
    /// An empty index whose words are cut like this.
    pub fn new(analyzer: Analyzer) -> Self {
        Self {
            analyzer,
            ..Self::default()
        }
    }

    fn domain(&self, domain: &Domain) -> Option<Arc<RwLock<DomainIndex>>> {
        self.domains.read().get(domain).cloned()
    }

    /// The domain's part, made where there is none.
    fn made(&self, domain: &Domain) -> Arc<RwLock<DomainIndex>> {
        self.domain(domain).unwrap_or_else(|| {
            let mut domains = self.domains.write();
            let made = || Arc::new(RwLock::new(DomainIndex::new(self.analyzer)));
            Arc::clone(domains.entry(domain.clone()).or_insert_with(made))
        })
    }
}

#[async_trait]
impl MemoryIndex for Index {
    fn put(&self, memory: &Memory, vectors: &[MemoryVector]) {
        self.made(&memory.domain).write().put(memory, vectors);
    }

    fn put_vectors(&self, domain: &Domain, id: MemoryId, vectors: &[MemoryVector]) {
        if let Some(part) = self.domain(domain) {
            part.write().put_vectors(id, vectors);
        }
    }

    fn restore(&self, memory: &Memory, vectors: &[MemoryVector]) {
        self.made(&memory.domain).write().restore(memory, vectors);
    }

    fn remove(&self, domain: &Domain, id: MemoryId) {
        if self.complete.load(Ordering::Acquire) {
            if let Some(part) = self.domain(domain) {
                part.write().remove(id);
            }
        } else {
            self.made(domain).write().remove_while_built(id);
        }
    }

    async fn search(&self, domain: &Domain, query: IndexQuery) -> Result<Vec<Hit>> {
        let Some(part) = self.domain(domain) else {
            return Ok(Vec::new());
        };
        if part.read().len() <= INLINE_MAX {
            return Ok(part.read().search(&query));
        }
        tokio::task::spawn_blocking(move || part.read().search(&query))
            .await
            .map_err(Error::service)
    }

    fn alike(&self, domain: &Domain, alike: &Alike<'_>, limit: usize) -> Option<Vec<MemoryId>> {
        if !self.complete.load(Ordering::Acquire) {
            return None;
        }
        let part = self.domain(domain);
        Some(part.map_or_else(Vec::new, |part| part.read().alike(alike, limit)))
    }

    fn progress(&self) -> IndexProgress {
        let domains = self.domains.read();
        let complete = self.complete.load(Ordering::Acquire);
        IndexProgress {
            indexed: domains.values().map(|part| part.read().len() as u64).sum(),
            complete,
            building: !complete,
        }
    }

    fn mark_complete(&self) {
        self.complete.store(true, Ordering::Release);
        for part in self.domains.read().values() {
            part.write().built();
        }
    }
}

/// Keeps a column's entries that have a new number, in order.
fn keep<T>(column: &mut Vec<T>, new: &[Option<u32>]) {
    let mut at = 0;
    column.retain(|_| {
        at += 1;
        new.get(at - 1).is_some_and(Option::is_some)
    });
}
