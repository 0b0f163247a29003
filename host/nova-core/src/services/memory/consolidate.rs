//! Consolidation: what recurs in an agent's episodes becomes knowledge.
//!
//! One batch of one agent is one write job: it looks at the episodes that wait, and at what is known, and
//! writes all it concludes, or, when the daemon is killed on the way, nothing. An episode is looked at once:
//! - it has a time after which it is forgotten: nothing is concluded from it;
//! - it says what is known: the knowledge gains an occurrence and a source;
//! - it says what an earlier episode said: both become the sources of new knowledge;
//! - it is important by itself: it becomes knowledge at once;
//! - else it waits in the layer for another that says the same.
//!
//! In a full domain no new knowledge is made; what is said again once there is room, is.
//!
//! Knowledge that another statement takes the place of ends (`valid_to`) and is kept. Episodes are
//! never removed here.
//!
//! What an episode is compared with is looked up before the job begins, in the index in memory: the writer waits for no search.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::MemoryService;
use super::consolidate_batch::{Batch, CANDIDATES, Changed, Prepared};
use super::statement::Statement;
use crate::domain::{AgentId, Domain, MemoryId, MemoryLayer};
use crate::error::{Error, Result};
use crate::ports::{Alike, DatastoreExt, PendingEpisodes, ReadCost, StoredMemory};

/// Episodes of one write job.
pub(super) const BATCH: usize = 25;
/// Episodes of one agent in one turn of the background: one agent's many keep nobody waiting.
const TURN_MAX: u64 = 1000;
/// Episodes of one request; the background goes on with the rest.
const REQUEST_MAX: u64 = 10_000;
/// Waiting episodes of one agent that are counted at least.
const COUNTED_MIN: usize = 100;

/// What a consolidation did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Consolidation {
    /// Episodes looked at.
    pub episodes: u64,
    /// Episodes merged into an earlier one that says the same.
    pub merged: u64,
    /// New knowledge.
    pub promoted: u64,
    /// Knowledge that was said again.
    pub reinforced: u64,
    /// Knowledge whose place another took.
    pub superseded: u64,
    /// Episodes that still wait, at least so many.
    pub waiting: u64,
}

impl Consolidation {
    fn add(&mut self, other: Self) {
        self.episodes += other.episodes;
        self.merged += other.merged;
        self.promoted += other.promoted;
        self.reinforced += other.reinforced;
        self.superseded += other.superseded;
    }
}

impl MemoryService {
    /// Consolidates the episodes that wait in a domain, of one agent or of all, whether or not
    /// they are due; at most some thousands at once.
    ///
    /// # Errors
    /// As the datastore's; what was written before stays. [`Error::Unavailable`] while the datastore's words are
    /// made anew and the index is not complete either.
    pub async fn consolidate(
        &self,
        domain: &Domain,
        agent: Option<&AgentId>,
    ) -> Result<Consolidation> {
        let wanted = |p: &PendingEpisodes| {
            p.domain == *domain && (agent.is_none() || p.agent_id.as_ref() == agent)
        };
        let mut pending = self.pending().await?;
        pending.retain(wanted);
        let mut total = Consolidation::default();
        for of in &pending {
            let left = REQUEST_MAX - total.episodes.min(REQUEST_MAX);
            total.add(self.consolidate_some(of, left).await?);
        }
        let mut rest = self.pending().await?;
        rest.retain(wanted);
        total.waiting = rest.iter().map(|p| p.episodes).sum();
        Ok(total)
    }

    /// Consolidates what is due everywhere: enough episodes, an important one, or an old one. Of each agent some at a
    /// time; [`Consolidation::waiting`] says whether more is due.
    ///
    /// # Errors
    /// As [`MemoryService::consolidate`].
    pub async fn consolidate_due(&self) -> Result<Consolidation> {
        let (config, now) = (self.ports.config.memory, self.ports.clock.now());
        let mut pending = self.pending().await?;
        pending.retain(|p| {
            p.episodes >= config.consolidate_episodes
                || p.importance >= config.consolidate_importance
                || now.since_s(p.oldest) >= config.consolidate_after_s
        });
        let mut total = Consolidation::default();
        for of in &pending {
            let done = self.consolidate_some(of, TURN_MAX).await?;
            total.add(done);
            if done.episodes >= TURN_MAX {
                total.waiting += 1;
            }
        }
        Ok(total)
    }

    /// Episodes that wait, in one domain or in all; of each agent no more are counted than are due at once, and a hundred.
    ///
    /// # Errors
    /// As the datastore's.
    pub async fn waiting(&self, domain: Option<&Domain>) -> Result<u64> {
        let mut pending = self.pending().await?;
        pending.retain(|of| domain.is_none_or(|domain| *domain == of.domain));
        Ok(pending.iter().map(|of| of.episodes).sum())
    }

    async fn pending(&self) -> Result<Vec<PendingEpisodes>> {
        let due = usize::try_from(self.ports.config.memory.consolidate_episodes);
        let counted = due.unwrap_or(usize::MAX).max(COUNTED_MIN);
        self.ports
            .store
            .read(ReadCost::Scan, move |tx| tx.pending_episodes(counted))
            .await
    }

    /// Consolidates one agent's episodes, batch by batch, until so many are done or none waits.
    async fn consolidate_some(&self, of: &PendingEpisodes, most: u64) -> Result<Consolidation> {
        let _turn = self.consolidating.lock().await;
        let mut total = Consolidation::default();
        while total.episodes < most {
            let done = self.batch(&of.domain, of.agent_id.as_ref()).await?;
            total.add(done);
            if done.episodes < BATCH as u64 {
                break;
            }
        }
        Ok(total)
    }

    async fn batch(&self, domain: &Domain, agent: Option<&AgentId>) -> Result<Consolidation> {
        let prepared = self.prepare(domain, agent).await?;
        let config = self.ports.config.memory;
        let summarized = self.ports.memory.summarizer.is_some();
        let (of, agent) = (domain.clone(), agent.cloned());
        let (done, changed) = self
            .ports
            .write(move |tx, now| {
                let waiting = tx.waiting_episodes(&of, agent.as_ref(), BATCH)?;
                let mut batch = Batch::new(tx, config, &of, agent.as_ref(), now, &prepared);
                batch.summarized = summarized;
                for episode in waiting {
                    batch.take(episode)?;
                }
                Ok(batch.finish())
            })
            .await?;
        let index = &self.ports.memory.index;
        for Changed { memory, vectors } in changed {
            match memory.merged_into {
                Some(_) => index.remove(domain, memory.memory_id),
                None => index.put(&memory, &vectors),
            }
        }
        Ok(done)
    }

    /// Looks up what the next episodes are to be compared with; of none where the index is not complete, and then
    /// the datastore is searched. One consolidation runs at a time, so that what is found stays true but for what
    /// clients forget meanwhile.
    async fn prepare(
        &self,
        domain: &Domain,
        agent: Option<&AgentId>,
    ) -> Result<HashMap<MemoryId, Prepared>> {
        let index = Arc::clone(&self.ports.memory.index);
        if !index.progress().complete {
            if !self.words_progress().await?.is_complete() {
                let message = "the words of memories are being indexed anew";
                return Err(Error::unavailable(message, 5));
            }
            return Ok(HashMap::new());
        }
        let (of, agent) = (domain.clone(), agent.cloned());
        let waiting: Vec<StoredMemory> = self
            .ports
            .store
            .read(ReadCost::Scan, {
                let (of, agent) = (of.clone(), agent.clone());
                move |tx| tx.waiting_episodes(&of, agent.as_ref(), BATCH)
            })
            .await?;
        let now = self.ports.clock.now();
        let look = move || {
            let mut prepared = HashMap::with_capacity(waiting.len());
            for StoredMemory { memory, .. } in waiting {
                let (statement, text) = (Statement::of(&memory), memory.text());
                let alike = |layer, words: &[String], fact| {
                    let agent = agent.as_ref();
                    let alike = Alike {
                        layer,
                        agent,
                        now,
                        words,
                        text: &text,
                        fact,
                    };
                    index.alike(&of, &alike, CANDIDATES + 1)
                };
                let knowledge = alike(
                    MemoryLayer::Semantic,
                    &statement.subject(),
                    statement.fact(),
                );
                let episodes = alike(MemoryLayer::Episodic, &statement.marks(), None);
                if let (Some(knowledge), Some(mut episodes)) = (knowledge, episodes) {
                    episodes.retain(|id| *id != memory.memory_id);
                    let found = Prepared {
                        knowledge,
                        episodes,
                    };
                    prepared.insert(memory.memory_id, found);
                }
            }
            prepared
        };
        tokio::task::spawn_blocking(look)
            .await
            .map_err(Error::service)
    }
}
