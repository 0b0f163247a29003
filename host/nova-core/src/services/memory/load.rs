//! The index's beginning, and vectors that come later.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::MemoryService;
use crate::domain::Memory;
use crate::error::{Error, Result};
use crate::ports::{DatastoreExt, MemoryVector, ReadCost, StoredMemory, WordsProgress};

/// Records read at a time while the index is built.
const LOAD_BATCH: usize = 2000;
/// Texts embedded at a time.
const EMBED_BATCH: usize = 64;
/// Records whose words are made anew in one transaction.
const WORDS_BATCH: usize = 200;
/// Vectors of other models removed in one transaction.
const STALE_BATCH: usize = 1000;

/// How far the present model's vectors are.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct EmbeddingProgress {
    /// The model.
    pub model: String,
    /// All memories.
    pub memories: u64,
    /// Those that have a vector of it.
    pub embedded: u64,
    /// The model before, while it has more vectors and so serves searches.
    pub serving: Option<String>,
}

impl EmbeddingProgress {
    /// Whether every memory has its vector.
    pub fn is_complete(&self) -> bool {
        self.embedded >= self.memories
    }

    /// The part that has one, 0 to 1.
    pub fn share(&self) -> f64 {
        match self.memories {
            0 => 1.0,
            all => (self.embedded as f64 / all as f64).min(1.0),
        }
    }
}

impl MemoryService {
    /// Builds the index from the datastore; searches go by words alone until it is done.
    ///
    /// # Errors
    /// As the datastore's; the index stays incomplete then.
    pub async fn load(&self) -> Result<u64> {
        let progress = self.words_progress().await?;
        *self.words.lock() = progress;
        let mut count = 0;
        let mut batch = self.after(0).await?;
        while let Some(last) = batch.last().map(|stored| stored.position) {
            count += batch.len() as u64;
            let index = Arc::clone(&self.ports.memory.index);
            let restore = move || {
                for StoredMemory {
                    memory, vectors, ..
                } in batch
                {
                    if memory.merged_into.is_none() {
                        index.restore(&memory, &vectors);
                    }
                }
            };
            // The next records are read while these are taken in.
            let (next, restored) =
                tokio::join!(self.after(last), tokio::task::spawn_blocking(restore));
            restored.map_err(Error::service)?;
            batch = next?;
        }
        self.ports.memory.index.mark_complete();
        Ok(count)
    }

    async fn after(&self, position: i64) -> Result<Vec<StoredMemory>> {
        self.ports
            .store
            .read(ReadCost::Scan, move |tx| {
                tx.memories_after(position, LOAD_BATCH)
            })
            .await
    }

    /// Makes the datastore's words of the next records anew, where another analyzer made them. Gives how far that is;
    /// resumes by itself after a restart.
    ///
    /// # Errors
    /// As the datastore's.
    pub async fn remake_words(&self) -> Result<WordsProgress> {
        let progress = match self.words_progress().await? {
            complete if complete.is_complete() => complete,
            _ => {
                self.ports
                    .write(|tx, _| tx.remake_words(WORDS_BATCH))
                    .await?
            }
        };
        *self.words.lock() = progress;
        Ok(progress)
    }

    /// How far the datastore's words are.
    pub(super) async fn words_progress(&self) -> Result<WordsProgress> {
        self.ports
            .store
            .read(ReadCost::Point, |tx| tx.words_progress())
            .await
    }

    /// How far the datastore's words were when the background looked.
    pub(crate) fn words_seen(&self) -> WordsProgress {
        *self.words.lock()
    }

    /// Makes vectors for memories that have none of the present model: those of a slow provider, and all
    /// of them after the model was changed. For when the index is complete. Gives how many it made, at most one batch; resumes
    /// by itself after a restart.
    ///
    /// # Errors
    /// As the provider's and the datastore's.
    pub(in crate::services) async fn embed_missing(&self) -> Result<u64> {
        let embedder = &self.ports.memory.embedder;
        let model = embedder.model().to_owned();
        let (of, from) = (model.clone(), self.embedded_to.load(Ordering::Acquire));
        let (missing, newest): (Vec<(i64, Memory)>, i64) = self
            .ports
            .store
            .read(ReadCost::Scan, move |tx| {
                let missing = tx.memories_without_vector(&of, from, EMBED_BATCH)?;
                Ok((missing, tx.newest_memory()?))
            })
            .await?;
        // What was looked at is not looked at again: with a million records that takes a second.
        let looked_to = match missing.last() {
            Some((last, _)) if missing.len() == EMBED_BATCH => *last,
            _ => newest,
        };
        if missing.is_empty() {
            self.embedded_to.fetch_max(looked_to, Ordering::AcqRel);
            return Ok(0);
        }
        let texts = missing.iter().map(|(_, m)| m.text()).collect();
        let vectors = embedder.embed(texts).await?;
        let count = missing.len() as u64;
        let made = missing
            .into_iter()
            .zip(vectors)
            .map(|((_, memory), vector)| {
                let model = model.clone();
                (memory, MemoryVector { model, vector })
            });
        let mut made: Vec<(Memory, MemoryVector)> = made.collect();
        let made = self
            .ports
            .write(move |tx, _| {
                // One may have been forgotten meanwhile, or merged away.
                let mut there = Vec::with_capacity(made.len());
                for (memory, vector) in made.drain(..) {
                    if let Some(memory) = tx.memory(&memory.domain, memory.memory_id)? {
                        tx.put_memory_vector(memory.memory_id, &vector)?;
                        there.push((memory, vector));
                    }
                }
                Ok(there)
            })
            .await?;
        let index = &self.ports.memory.index;
        for (memory, vector) in &made {
            let vectors = std::slice::from_ref(vector);
            index.put_vectors(&memory.domain, memory.memory_id, vectors);
        }
        self.embedded_to.fetch_max(looked_to, Ordering::AcqRel);
        Ok(count)
    }

    /// One turn of the background: makes vectors that are missing, so many batches of them; once none is missing, removes
    /// those of models that serve no more, also what a restart left of them. Gives how far that is, none where
    /// there was nothing to do. [`MemoryService::embedding_progress`] says it also where the provider gives none.
    ///
    /// # Errors
    /// As the provider's and the datastore's.
    pub async fn embed_some(&self, batches: usize) -> Result<Option<EmbeddingProgress>> {
        let made = self.make(batches).await;
        if matches!(made, Ok(0)) && self.swept.load(Ordering::Acquire) {
            return Ok(None);
        }
        let progress = self.look_at_embedding().await?;
        made?;
        if progress.is_complete() {
            while self.drop_stale_vectors().await? > 0 {}
            self.swept.store(true, Ordering::Release);
        }
        Ok(Some(progress))
    }

    async fn make(&self, batches: usize) -> Result<u64> {
        let mut made = 0;
        for _ in 0..batches {
            match self.embed_missing().await? {
                0 => break,
                count => made += count,
            }
        }
        Ok(made)
    }

    /// How far the present model's vectors are, as [`MemoryService::look_at_embedding`] last found.
    pub fn embedding_progress(&self) -> EmbeddingProgress {
        self.progress.lock().clone()
    }

    /// Whether searches still go by the vectors of the model before.
    pub(super) fn old_serves(&self) -> bool {
        self.progress.lock().serving.is_some()
    }

    /// Counts how far the present model's vectors are.
    ///
    /// # Errors
    /// As the datastore's.
    pub async fn look_at_embedding(&self) -> Result<EmbeddingProgress> {
        let ports = &self.ports.memory;
        let model = ports.embedder.model().to_owned();
        let before = ports.previous.as_ref().map(|p| p.model().to_owned());
        let before = before.filter(|name| *name != model);
        let (of, old) = (model.clone(), before.clone());
        let ((memories, embedded), old) = self
            .ports
            .store
            .read(ReadCost::Scan, move |tx| {
                let old = old.map(|old| tx.vector_coverage(&old)).transpose()?;
                Ok((tx.vector_coverage(&of)?, old.map_or(0, |(_, with)| with)))
            })
            .await?;
        let progress = EmbeddingProgress {
            model,
            memories,
            embedded,
            serving: before.filter(|_| old > embedded),
        };
        *self.progress.lock() = progress.clone();
        Ok(progress)
    }

    /// Removes vectors of models that serve no more, once every memory has one of the present model. Gives how
    /// many, at most one batch.
    ///
    /// # Errors
    /// As the datastore's.
    async fn drop_stale_vectors(&self) -> Result<u64> {
        if !self.look_at_embedding().await?.is_complete() {
            return Ok(0);
        }
        let model = self.ports.memory.embedder.model().to_owned();
        self.ports
            .write(move |tx, _| tx.delete_other_vectors(&model, STALE_BATCH))
            .await
    }
}
