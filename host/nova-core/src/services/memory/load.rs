//! The index's beginning, and vectors that come later.

use std::sync::atomic::Ordering;

use super::MemoryService;
use crate::domain::{Memory, MemoryId};
use crate::error::Result;
use crate::ports::{DatastoreExt, MemoryVector, ReadCost, StoredMemory};

/// Records read at a time while the index is built.
const LOAD_BATCH: usize = 2000;
/// Texts embedded at a time.
const EMBED_BATCH: usize = 64;

/// How far the present model's vectors are.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct EmbeddingProgress {
    /// The model.
    pub model: String,
    /// All memories.
    pub memories: u64,
    /// Those that have a vector of it.
    pub embedded: u64,
}

impl MemoryService {
    /// Builds the index from the datastore; searches go by words alone until it is done.
    ///
    /// # Errors
    /// As the datastore's; the index stays incomplete then.
    pub async fn load(&self) -> Result<u64> {
        let (mut position, mut count) = (0, 0);
        loop {
            let batch: Vec<StoredMemory> = self
                .ports
                .store
                .read(ReadCost::Scan, move |tx| {
                    tx.memories_after(position, LOAD_BATCH)
                })
                .await?;
            let Some(last) = batch.last() else { break };
            position = last.position;
            count += batch.len() as u64;
            for stored in batch.iter().filter(|s| s.memory.merged_into.is_none()) {
                self.ports.memory.index.put(stored);
            }
            // A record that changed or went since it was read must not come back as it was.
            self.correct(&batch).await?;
        }
        self.ports.memory.index.mark_complete();
        Ok(count)
    }

    async fn correct(&self, batch: &[StoredMemory]) -> Result<()> {
        let ids: Vec<_> = batch
            .iter()
            .map(|s| (s.memory.domain.clone(), s.memory.memory_id))
            .collect();
        let gone = self
            .ports
            .store
            .read(ReadCost::Scan, move |tx| {
                let mut gone = Vec::new();
                for (domain, id) in ids {
                    match tx.memory(&domain, id)? {
                        Some(memory) if memory.merged_into.is_none() => {}
                        _ => gone.push((domain, id)),
                    }
                }
                Ok(gone)
            })
            .await?;
        for (domain, id) in gone {
            self.ports.memory.index.remove(&domain, id);
        }
        Ok(())
    }

    /// Makes vectors for memories that have none of the present model: those of a slow provider, and all
    /// of them after the model was changed. Gives how many it made, at most one batch; resumes
    /// by itself after a restart.
    ///
    /// # Errors
    /// As the provider's and the datastore's.
    pub async fn embed_missing(&self) -> Result<u64> {
        let embedder = &self.ports.memory.embedder;
        let model = embedder.model().to_owned();
        let (of, from) = (model.clone(), self.embedded_to.load(Ordering::Acquire));
        let missing: Vec<(i64, Memory)> = self
            .ports
            .store
            .read(ReadCost::Scan, move |tx| {
                tx.memories_without_vector(&of, from, EMBED_BATCH)
            })
            .await?;
        let Some((last, _)) = missing.last() else {
            return Ok(0);
        };
        let last = *last;
        let texts = missing.iter().map(|(_, m)| m.text()).collect();
        let vectors = embedder.embed(texts).await?;
        let made: Vec<(MemoryId, MemoryVector)> = missing
            .iter()
            .zip(vectors)
            .map(|((_, memory), vector)| {
                let model = model.clone();
                (memory.memory_id, MemoryVector { model, vector })
            })
            .collect();
        let count = made.len() as u64;
        let changed = self
            .ports
            .write(move |tx, _| {
                let mut changed = Vec::new();
                for ((_, memory), (id, vector)) in missing.into_iter().zip(made) {
                    // It may have been forgotten meanwhile.
                    if tx.memory(&memory.domain, id)?.is_none() {
                        continue;
                    }
                    tx.put_memory_vector(id, &vector)?;
                    let (position, vectors) = tx.stored_parts(&memory.domain, id)?;
                    changed.push(StoredMemory {
                        position,
                        memory,
                        vectors,
                    });
                }
                Ok(changed)
            })
            .await?;
        for stored in changed.iter().filter(|s| s.memory.merged_into.is_none()) {
            self.ports.memory.index.put(stored);
        }
        self.embedded_to.fetch_max(last, Ordering::AcqRel);
        Ok(count)
    }

    /// How far the present model's vectors are.
    ///
    /// # Errors
    /// As the datastore's.
    pub async fn embedding_progress(&self) -> Result<EmbeddingProgress> {
        let model = self.ports.memory.embedder.model().to_owned();
        let of = model.clone();
        let (memories, embedded) = self
            .ports
            .store
            .read(ReadCost::Scan, move |tx| tx.vector_coverage(&of))
            .await?;
        Ok(EmbeddingProgress {
            model,
            memories,
            embedded,
        })
    }
}
