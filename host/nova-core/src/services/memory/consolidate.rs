//! Consolidation: what recurs in an agent's episodes becomes knowledge.
//!
//! One batch of one agent is one write job: it looks at the episodes that wait, and at what is known, and
//! writes all it concludes, or, when the daemon is killed on the way, nothing. An episode is looked at once:
//! - it says what is known: the knowledge gains an occurrence and a source;
//! - it says what an earlier episode said: both become the sources of new knowledge;
//! - it is important by itself: it becomes knowledge at once;
//! - else it waits in the layer for another that says the same.
//!
//! Knowledge that another statement takes the place of ends (`valid_to`) and is kept. Episodes are
//! never removed here.

use std::collections::BTreeMap;

use serde::Serialize;

use super::MemoryService;
use super::statement::Statement;
use crate::domain::{AgentId, Domain, Memory, MemoryId, MemoryLayer, NewMemory, Timestamp};
use crate::error::Result;
use crate::ports::{MemoryFilter, MemoryVector, PendingEpisodes, StoredMemory, Words, WriteTx};

/// Episodes of one write job.
const BATCH: usize = 25;
/// Candidates looked at for each episode and layer.
const CANDIDATES: usize = 50;
/// Sources that one record names at most; further ones are counted only.
const PROVENANCE_MAX: usize = 1000;

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
    /// they are due.
    ///
    /// # Errors
    /// As the datastore's; what was written before stays.
    pub async fn consolidate(
        &self,
        domain: &Domain,
        agent: Option<&AgentId>,
    ) -> Result<Consolidation> {
        let pending = self.pending().await?;
        let wanted = pending
            .into_iter()
            .filter(|p| p.domain == *domain)
            .filter(|p| agent.is_none() || p.agent_id.as_ref() == agent);
        self.consolidate_all(wanted.collect()).await
    }

    /// Consolidates what is due everywhere: enough episodes, an important one, or an old one.
    ///
    /// # Errors
    /// As the datastore's.
    pub async fn consolidate_due(&self) -> Result<Consolidation> {
        let (config, now) = (self.ports.config.memory, self.ports.clock.now());
        let mut pending = self.pending().await?;
        pending.retain(|p| {
            p.episodes >= config.consolidate_episodes
                || p.importance >= config.consolidate_importance
                || now.since_s(p.oldest) >= config.consolidate_after_s
        });
        self.consolidate_all(pending).await
    }

    async fn pending(&self) -> Result<Vec<PendingEpisodes>> {
        use crate::ports::{DatastoreExt, ReadCost};
        self.ports
            .store
            .read(ReadCost::Scan, |tx| tx.pending_episodes())
            .await
    }

    async fn consolidate_all(&self, pending: Vec<PendingEpisodes>) -> Result<Consolidation> {
        let _turn = self.consolidating.lock().await;
        let mut total = Consolidation::default();
        for PendingEpisodes {
            domain, agent_id, ..
        } in pending
        {
            loop {
                let done = self.batch(&domain, agent_id.as_ref()).await?;
                total.add(done);
                if done.episodes < BATCH as u64 {
                    break;
                }
            }
        }
        Ok(total)
    }

    async fn batch(&self, domain: &Domain, agent: Option<&AgentId>) -> Result<Consolidation> {
        let config = self.ports.config.memory;
        let (of, agent) = (domain.clone(), agent.cloned());
        let (done, changed) = self
            .ports
            .write(move |tx, now| {
                let waiting = tx.waiting_episodes(&of, agent.as_ref(), BATCH)?;
                let mut batch = Batch {
                    tx,
                    domain: &of,
                    agent: agent.as_ref(),
                    now,
                    important: config.consolidate_importance,
                    done: Consolidation::default(),
                    changed: BTreeMap::new(),
                };
                for episode in waiting {
                    batch.take(episode)?;
                }
                Ok((batch.done, batch.changed))
            })
            .await?;
        let index = &self.ports.memory.index;
        for Changed { memory, vectors } in changed.into_values() {
            match memory.merged_into {
                Some(_) => index.remove(domain, memory.memory_id),
                None => index.put(&memory, &vectors),
            }
        }
        Ok(done)
    }
}

/// A record that the batch has written, with the vectors that are new.
struct Changed {
    memory: Memory,
    vectors: Vec<MemoryVector>,
}

struct Batch<'a> {
    tx: &'a mut dyn WriteTx,
    domain: &'a Domain,
    agent: Option<&'a AgentId>,
    now: Timestamp,
    /// Importance from which one episode is knowledge.
    important: f64,
    done: Consolidation,
    /// What the index must hear of after the commit.
    changed: BTreeMap<MemoryId, Changed>,
}

impl Batch<'_> {
    fn take(&mut self, mut episode: StoredMemory) -> Result<()> {
        self.done.episodes += 1;
        let statement = Statement::of(&episode.memory);
        let marks = statement.marks();
        let known = self.known(&episode.memory, &statement, &marks)?;
        let id = episode.memory.memory_id;
        let earlier = self.candidates(MemoryLayer::Episodic, Words::Groups(&marks), id)?;
        let same = |of: &Memory| Statement::of(of).same_as(&statement);
        let twin = earlier
            .into_iter()
            .find(|e| e.consolidated_at.is_some() && same(e));
        if let Some(knowledge) = known.iter().find(|k| same(k)) {
            self.reinforce(knowledge.clone(), &episode.memory)?;
        } else if let Some(twin) = &twin {
            self.promote(&episode, &statement, &known, &[twin.memory_id])?;
        } else if episode.memory.importance >= self.important {
            self.promote(&episode, &statement, &known, &[])?;
        }
        episode.memory.consolidated_at = Some(self.now);
        if let Some(twin) = twin {
            episode.memory.merged_into = Some(twin.memory_id);
            self.done.merged += 1;
        }
        self.write(episode.memory)
    }

    /// Writes a record that was there.
    fn write(&mut self, memory: Memory) -> Result<()> {
        self.tx.update_memory(&memory)?;
        match self.changed.get_mut(&memory.memory_id) {
            Some(changed) => changed.memory = memory,
            None => {
                let vectors = Vec::new();
                let id = memory.memory_id;
                self.changed.insert(id, Changed { memory, vectors });
            }
        }
        Ok(())
    }

    /// The agent's knowledge that says the same as an episode, or whose place it may take.
    fn known(
        &self,
        episode: &Memory,
        statement: &Statement,
        marks: &[Vec<String>],
    ) -> Result<Vec<Memory>> {
        let layer = MemoryLayer::Semantic;
        if statement.names_fact() {
            // The fact stands in the metadata; what was said of it may be worded in any way.
            let text: String = episode.text().chars().take(1000).collect();
            return self.candidates(layer, Words::Any(&text), episode.memory_id);
        }
        let mut groups = marks.to_vec();
        groups.extend(statement.subject().cloned());
        self.candidates(layer, Words::Groups(&groups), episode.memory_id)
    }

    /// The agent's records of a layer that have the words.
    fn candidates(
        &self,
        layer: MemoryLayer,
        words: Words<'_>,
        not: MemoryId,
    ) -> Result<Vec<Memory>> {
        let filter = MemoryFilter {
            layer: Some(layer),
            agent_id: self.agent.cloned(),
            ..MemoryFilter::default()
        };
        let found =
            self.tx
                .keyword_search(self.domain, words, &filter, self.now, CANDIDATES + 1)?;
        // An agent's statements are its own: nobody's are compared with nobody's.
        Ok(found
            .into_iter()
            .map(|(memory, _)| memory)
            .filter(|m| m.memory_id != not && m.agent_id.as_ref() == self.agent)
            .collect())
    }

    fn reinforce(&mut self, mut knowledge: Memory, episode: &Memory) -> Result<()> {
        knowledge.occurrences += 1;
        knowledge.importance = knowledge.importance.max(episode.importance);
        if knowledge.provenance.len() < PROVENANCE_MAX {
            knowledge.provenance.push(episode.memory_id);
        }
        self.done.reinforced += 1;
        self.write(knowledge)
    }

    fn promote(
        &mut self,
        episode: &StoredMemory,
        statement: &Statement,
        known: &[Memory],
        sources: &[MemoryId],
    ) -> Result<()> {
        let said = &episode.memory;
        let new = NewMemory {
            content: said.content.clone(),
            layer: MemoryLayer::Semantic,
            importance: said.importance,
            agent_id: said.agent_id.clone(),
            context: said.context.clone(),
            metadata: said.metadata.clone(),
            embedding: None,
            ttl_s: None,
            at: Some(said.created_at),
            identity: None,
        };
        let hash = super::store::content_hash(&new);
        let mut knowledge = super::store::record(self.domain.clone(), new, self.now);
        knowledge.provenance = sources.iter().copied().chain([said.memory_id]).collect();
        knowledge.occurrences = knowledge.provenance.len() as u64;
        for old in known {
            if statement.supersedes(&Statement::of(old)) {
                self.supersede(old.clone(), knowledge.valid_from)?;
            }
        }
        self.tx.insert_memory(&knowledge, &hash)?;
        for vector in &episode.vectors {
            self.tx.put_memory_vector(knowledge.memory_id, vector)?;
        }
        self.done.promoted += 1;
        let changed = Changed {
            memory: knowledge,
            vectors: episode.vectors.clone(),
        };
        self.changed.insert(changed.memory.memory_id, changed);
        Ok(())
    }

    fn supersede(&mut self, mut old: Memory, at: Timestamp) -> Result<()> {
        old.valid_to = Some(at.max(old.valid_from));
        self.done.superseded += 1;
        self.write(old)
    }
}
