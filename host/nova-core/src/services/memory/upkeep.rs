//! What the background does for memory: counts accesses, forgets what is over, retires episodes.

use super::MemoryService;
use crate::domain::{Domain, MemoryId};
use crate::error::Result;
use crate::ports::{DatastoreExt, MemoryFilter, ReadCost};

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
        let mut count = 0;
        loop {
            let due = self
                .ports
                .store
                .read(ReadCost::Scan, move |tx| {
                    let mut due = tx.expired_memories(now, FORGET_BATCH)?;
                    if config.episode_retention_s.is_finite() && due.len() < FORGET_BATCH {
                        let before = now.plus_s(-config.episode_retention_s);
                        let left = FORGET_BATCH - due.len();
                        due.extend(tx.retired_episodes(
                            before,
                            config.episode_keep_importance,
                            left,
                        )?);
                    }
                    Ok(due)
                })
                .await?;
            if due.is_empty() {
                return Ok(count);
            }
            count += self.forget_these(due).await?;
        }
    }

    /// Forgets all that pass a filter. Gives how many.
    ///
    /// # Errors
    /// As the datastore's; what was forgotten before stays so.
    pub async fn forget_all(&self, domain: &Domain, filter: MemoryFilter) -> Result<u64> {
        let (mut count, mut before) = (0, None);
        loop {
            let (of, filter) = (domain.clone(), filter.clone());
            let now = self.ports.clock.now();
            let page = crate::ports::PageRequest {
                limit: FORGET_BATCH,
                before,
            };
            let found = self
                .ports
                .store
                .read(ReadCost::Scan, move |tx| {
                    tx.memories(&of, &filter, now, page)
                })
                .await?;
            let next = found.next;
            let ids = found
                .items
                .into_iter()
                .map(|m| (m.domain, m.memory_id))
                .collect();
            count += self.forget_these(ids).await?;
            // What stays is looked at once; what is stored meanwhile is not meant.
            match next {
                Some(_) => before = next,
                None => return Ok(count),
            }
        }
    }

    async fn forget_these(&self, ids: Vec<(Domain, MemoryId)>) -> Result<u64> {
        let doomed = ids.clone();
        let count = self
            .ports
            .write(move |tx, _| {
                let mut count = 0;
                for (domain, id) in &doomed {
                    count += u64::from(tx.delete_memory(domain, *id)?);
                }
                Ok(count)
            })
            .await?;
        for (domain, id) in ids {
            self.ports.memory.index.remove(&domain, id);
        }
        Ok(count)
    }
}
