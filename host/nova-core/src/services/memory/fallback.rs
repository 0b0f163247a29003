//! Memory without vectors and without an index: the datastore's keyword search alone.

use async_trait::async_trait;

use crate::domain::{Domain, Memory, MemoryId};
use crate::error::{Error, Result};
use crate::ports::{Alike, Embedder, Hit, IndexProgress, IndexQuery, MemoryIndex, MemoryVector};

/// Makes no vectors.
pub(super) struct NoEmbedder;

#[async_trait]
impl Embedder for NoEmbedder {
    fn model(&self) -> &str {
        "none"
    }

    fn is_local(&self) -> bool {
        false
    }

    async fn embed(&self, _texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        Err(Error::unavailable("no embedding model is configured", 60))
    }
}

/// Is never complete, so that it is never asked.
pub(super) struct NoIndex;

#[async_trait]
impl MemoryIndex for NoIndex {
    fn put(&self, _memory: &Memory, _vectors: &[MemoryVector]) {}

    fn put_vectors(&self, _domain: &Domain, _id: MemoryId, _vectors: &[MemoryVector]) {}

    fn restore(&self, _memory: &Memory, _vectors: &[MemoryVector]) {}

    fn remove(&self, _domain: &Domain, _id: MemoryId) {}

    async fn search(&self, _domain: &Domain, _query: IndexQuery) -> Result<Vec<Hit>> {
        Ok(Vec::new())
    }

    fn alike(&self, _domain: &Domain, _to: &Alike<'_>, _limit: usize) -> Option<Vec<MemoryId>> {
        None
    }

    fn progress(&self) -> IndexProgress {
        IndexProgress::default()
    }

    fn mark_complete(&self) {}
}
