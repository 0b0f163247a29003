//! What the background does for memory: counts accesses, forgets what is over, retires episodes.

use super::MemoryService;
use crate::domain::{Domain, Memory, MemoryId};
use crate::error::Result;
use crate::ports::{DatastoreExt, MemoryFilter, ReadCost, ReadTx};

/// Records forgotten in one job.
const FORGET_BATCH: usize = 500;

impl MemoryService {
    /// Writes the accesses counted since the last time. What was not yet written when the daemon is
    /// killed is lost: an access is no acknowledged write.
    ///
    /// # Errors
    /// As the datastore's.
    pub async fn flush_accesses(&self) -> Result<()> {
        let touched = std::mem::take(&mut *self.touched.lock());
        if touched.is_empty() {
            return Ok(());
        }
        self.ports
            .write(move |tx, now| {
                for ((domain, id), accesses) in &touched {
                    tx.touch_memory(domain, *id, *accesses, now)?;
                }
                Ok(())
            })
            .await
    }

    /// Forgets what is over, and consolidated episodes past their retention. Gives how many.
    ///
    /// # Errors
    /// As the datastore's.
    pub async fn expire(&self) -> Result<u64> {
        let (config, now) = (self.ports.config.memory, self.ports.clock.now());
        let over = self
            .forget_due(
                move |tx| tx.expired_memories(now, FORGET_BATCH),
                move |memory| memory.is_over(now),
            )
            .await?;
        if !config.episode_retention_s.is_finite() {
            return Ok(over);
        }
        let before = now.plus_s(-config.episode_retention_s);
        let keep = config.episode_keep_importance;
        let retired = self
            .forget_due(
                move |tx| tx.retired_episodes(before, keep, FORGET_BATCH),
                move |memory| memory.created_at < before && memory.importance < keep,
            )
            .await?;
        Ok(over + retired)
    }

    /// Forgets batch after batch of what is due, and still is when it is forgotten.
    async fn forget_due(
        &self,
        due: impl Fn(&dyn ReadTx) -> Result<Vec<(Domain, MemoryId)>> + Copy + Send + 'static,
        still: impl Fn(&Memory) -> bool + Copy + Send + 'static,
    ) -> Result<u64> {
        let mut count = 0;
        loop {
            let ids = self.ports.store.read(ReadCost::Scan, due).await?;
            if ids.is_empty() {
                return Ok(count);
            }
            count += self.forget_these(ids, still).await?;
        }
    }

    /// Forgets all that pass a filter, what was merged into another too. Gives how many.
    ///
    /// # Errors
    /// As the datastore's; what was forgotten before stays so.
    pub async fn forget_all(&self, domain: &Domain, filter: MemoryFilter) -> Result<u64> {
        // What was merged away is still exported, found by its id, and takes room.
        let filter = MemoryFilter {
            merged: true,
            ..filter
        };
        let (mut count, mut before) = (0, None);
        loop {
            let (of, wanted) = (domain.clone(), filter.clone());
            let now = self.ports.clock.now();
            let page = crate::ports::PageRequest {
                limit: FORGET_BATCH,
                before,
            };
            let found = self
                .ports
                .store
                .read(ReadCost::Scan, move |tx| {
                    tx.memories(&of, &wanted, now, page)
                })
                .await?;
            let next = found.next;
            let ids = found
                .items
                .into_iter()
                .map(|m| (m.domain, m.memory_id))
                .collect();
            let wanted = filter.clone();
            let still = move |memory: &Memory| wanted.matches(memory, now);
            count += self.forget_these(ids, still).await?;
            // What stays is looked at once; what is stored meanwhile is not meant.
            match next {
                Some(_) => before = next,
                None => return Ok(count),
            }
        }
    }

    /// Forgets those that still are to be forgotten: an import may have put another in the place of one.
    async fn forget_these(
        &self,
        ids: Vec<(Domain, MemoryId)>,
        still: impl Fn(&Memory) -> bool + Send + 'static,
    ) -> Result<u64> {
        let gone = self
            .ports
            .write(move |tx, _| {
                let mut gone = Vec::with_capacity(ids.len());
                for (domain, id) in ids {
                    if tx.memory(&domain, id)?.is_some_and(|memory| still(&memory)) {
                        tx.delete_memory(&domain, id)?;
                        gone.push((domain, id));
                    }
                }
                Ok(gone)
            })
            .await?;
        for (domain, id) in &gone {
            self.ports.memory.index.remove(domain, *id);
        }
        Ok(gone.len() as u64)
    }
}
