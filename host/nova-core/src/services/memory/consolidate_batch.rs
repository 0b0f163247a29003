//! One batch of a consolidation: what one write job concludes from one agent's episodes.

use std::collections::{BTreeMap, HashMap};

use super::MemoryConfig;
use super::consolidate::Consolidation;
use super::statement::Statement;
use super::store::check_quota;
use crate::domain::{AgentId, Domain, Memory, MemoryId, MemoryLayer, NewMemory, Timestamp};
use crate::error::Result;
use crate::ports::{MemoryFilter, MemoryUsage, MemoryVector, StoredMemory, Words, WriteTx};

/// Candidates looked at for each episode and layer.
pub(super) const CANDIDATES: usize = 50;
/// Sources that one record names at most; further ones are counted only.
pub(super) const PROVENANCE_MAX: usize = 1000;

/// A record that the batch has written, with the vectors that are new.
pub(super) struct Changed {
    pub(super) memory: Memory,
    pub(super) vectors: Vec<MemoryVector>,
}

/// What an episode is to be compared with, as found before the batch.
pub(super) struct Prepared {
    /// Knowledge that may say the same, or whose place it may take.
    pub(super) knowledge: Vec<MemoryId>,
    /// Episodes that may say the same.
    pub(super) episodes: Vec<MemoryId>,
}

/// One write job's consolidation of one agent's episodes.
pub(super) struct Batch<'a> {
    tx: &'a mut dyn WriteTx,
    domain: &'a Domain,
    agent: Option<&'a AgentId>,
    now: Timestamp,
    config: MemoryConfig,
    /// Whether the episodes wait for the summarizer then.
    pub(super) summarized: bool,
    prepared: &'a HashMap<MemoryId, Prepared>,
    /// What the domain takes, once that was asked.
    usage: Option<MemoryUsage>,
    done: Consolidation,
    /// What the index must hear of after the commit.
    changed: BTreeMap<MemoryId, Changed>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        tx: &'a mut dyn WriteTx,
        config: MemoryConfig,
        domain: &'a Domain,
        agent: Option<&'a AgentId>,
        now: Timestamp,
        prepared: &'a HashMap<MemoryId, Prepared>,
    ) -> Self {
        Self {
            tx,
            domain,
            agent,
            now,
            config,
            summarized: false,
            prepared,
            usage: None,
            done: Consolidation::default(),
            changed: BTreeMap::new(),
        }
    }

    /// What was done, and what the index must hear of after the commit.
    pub(super) fn finish(self) -> (Consolidation, Vec<Changed>) {
        (self.done, self.changed.into_values().collect())
    }

    pub(super) fn take(&mut self, mut episode: StoredMemory) -> Result<()> {
        self.done.episodes += 1;
        if episode.memory.expires_at.is_some() {
            // What is to be forgotten becomes nothing that lasts, and is no source of it.
            episode.memory.consolidated_at = Some(self.now);
            return self.write(episode.memory);
        }
        let statement = Statement::of(&episode.memory);
        let id = episode.memory.memory_id;
        let (known, earlier) = match self.prepared.get(&id) {
            Some(found) => (
                self.found(MemoryLayer::Semantic, &found.knowledge)?,
                self.found(MemoryLayer::Episodic, &found.episodes)?,
            ),
            None => {
                let known = self.known(&episode.memory, &statement)?;
                let marks = statement.marks();
                let words = Words::All(&marks);
                (known, self.candidates(MemoryLayer::Episodic, words, id)?)
            }
        };
        let same = |of: &Memory| of.expires_at.is_none() && Statement::of(of).same_as(&statement);
        let twin = earlier
            .into_iter()
            .find(|e| e.consolidated_at.is_some() && same(e));
        if let Some(knowledge) = known.iter().find(|k| same(k)) {
            self.reinforce(knowledge.clone(), &episode.memory)?;
        } else if let Some(twin) = &twin {
            self.promote(&episode, &statement, &known, &[twin.memory_id])?;
        } else if episode.memory.importance >= self.config.consolidate_importance {
            self.promote(&episode, &statement, &known, &[])?;
        }
        episode.memory.consolidated_at = Some(self.now);
        if let Some(twin) = twin {
            episode.memory.merged_into = Some(twin.memory_id);
            self.done.merged += 1;
        } else if self.summarized {
            self.tx.queue_summary(id)?;
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

    /// The records found before, as they are now, and those of the batch itself.
    fn found(&self, layer: MemoryLayer, ids: &[MemoryId]) -> Result<Vec<Memory>> {
        let mut records = self.tx.memories_of(self.domain, ids)?;
        let own = self.changed.values().map(|changed| &changed.memory);
        records.extend(own.filter(|m| !ids.contains(&m.memory_id)).cloned());
        let filter = MemoryFilter {
            layer: Some(layer),
            ..MemoryFilter::default()
        };
        records.retain(|m| m.agent_id.as_ref() == self.agent && filter.matches(m, self.now));
        Ok(records)
    }

    /// The agent's knowledge that says the same as an episode, or whose place it may take.
    fn known(&self, episode: &Memory, statement: &Statement) -> Result<Vec<Memory>> {
        let layer = MemoryLayer::Semantic;
        if statement.fact().is_some() {
            // The fact stands in the metadata; what was said of it may be worded in any way.
            let text: String = episode.text().chars().take(1000).collect();
            return self.candidates(layer, Words::Any(&text), episode.memory_id);
        }
        self.candidates(layer, Words::All(&statement.subject()), episode.memory_id)
    }

    /// The agent's records of a layer that have the words.
    fn candidates(
        &self,
        layer: MemoryLayer,
        words: Words<'_>,
        not: MemoryId,
    ) -> Result<Vec<Memory>> {
        let mut found = self.matching(words, &self.filter(layer))?;
        found.retain(|m| m.memory_id != not);
        Ok(found)
    }

    fn filter(&self, layer: MemoryLayer) -> MemoryFilter {
        MemoryFilter {
            layer: Some(layer),
            agent_id: self.agent.cloned(),
            ..MemoryFilter::default()
        }
    }

    fn matching(&self, words: Words<'_>, filter: &MemoryFilter) -> Result<Vec<Memory>> {
        let (domain, now) = (self.domain, self.now);
        let found = self
            .tx
            .keyword_search(domain, words, filter, now, CANDIDATES + 1)?;
        // An agent's statements are its own: nobody's are compared with nobody's.
        let found = found.into_iter().map(|(memory, _)| memory);
        Ok(found
            .filter(|m| m.agent_id.as_ref() == self.agent)
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

    /// Makes knowledge of an episode; of none in a full domain, where it is left to whatever says the same later.
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
            at: Some(said.created_at),
            ..NewMemory::default()
        };
        let hash = super::store::content_hash(&new);
        let mut knowledge = super::store::record(self.domain.clone(), new, self.now);
        knowledge.provenance = sources.iter().copied().chain([said.memory_id]).collect();
        knowledge.occurrences = knowledge.provenance.len() as u64;
        // What was said earlier, and is brought only now, ended when what is known began.
        let (later, earlier): (Vec<&Memory>, Vec<&Memory>) = known
            .iter()
            .filter(|old| statement.supersedes(&Statement::of(old)))
            .partition(|old| knowledge.valid_from < old.valid_from);
        knowledge.valid_to = later.iter().map(|old| old.valid_from).min();
        if let Some(mut ended) = self.ended(statement, &knowledge)? {
            ended.valid_from = ended.valid_from.min(knowledge.valid_from);
            return self.reinforce(ended, said);
        }
        if !self.has_room(knowledge.size_bytes())? {
            tracing::warn!(domain = %self.domain, "the domain is full: what an episode says is not made knowledge");
            return Ok(());
        }
        for old in earlier {
            self.supersede(old.clone(), knowledge.valid_from)?;
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

    /// The knowledge that said the same in the time of knowledge that has ended.
    fn ended(&self, statement: &Statement, new: &Memory) -> Result<Option<Memory>> {
        let Some(end) = new.valid_to else {
            return Ok(None);
        };
        let filter = MemoryFilter {
            superseded: true,
            ..self.filter(MemoryLayer::Semantic)
        };
        // The batch's own first: the datastore finds what was committed.
        let own = self.changed.values().map(|changed| changed.memory.clone());
        let found = self.matching(Words::All(&statement.marks()), &filter)?;
        let in_its_time = |m: &Memory| {
            m.valid_from <= end && m.valid_to.is_some_and(|until| until >= new.valid_from)
        };
        Ok(own
            .filter(|m| filter.matches(m, self.now))
            .chain(found)
            .find(|m| {
                in_its_time(m) && m.expires_at.is_none() && Statement::of(m).same_as(statement)
            }))
    }

    /// Whether the domain has room for new knowledge of so many bytes, which is counted then.
    fn has_room(&mut self, size: u64) -> Result<bool> {
        let usage = match &mut self.usage {
            Some(usage) => usage,
            none => none.insert(self.tx.memory_usage(self.domain)?),
        };
        if check_quota(usage, &self.config, size).is_err() {
            return Ok(false);
        }
        usage.semantic += 1;
        usage.bytes += size;
        Ok(true)
    }

    fn supersede(&mut self, mut old: Memory, at: Timestamp) -> Result<()> {
        old.valid_to = Some(at.max(old.valid_from));
        self.done.superseded += 1;
        self.write(old)
    }
}
