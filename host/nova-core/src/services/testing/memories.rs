//! Memories of the datastore in memory: every question is answered by looking at all of them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::datastore::State;
use crate::domain::{AgentId, Domain, Memory, MemoryId, MemoryLayer, Timestamp};
use crate::error::{Error, Result};
use crate::ports::{
    CLIENT_MODEL, MemoryFilter, MemoryPart, MemoryReads, MemoryUsage, MemoryVector, MemoryWrites,
    Page, PageRequest, PendingEpisodes, StoredMemory, Words, WordsProgress,
};

/// A memory with what the datastore keeps beside it.
#[derive(Clone)]
pub(super) struct MemoryRow {
    memory: Memory,
    content_hash: [u8; 32],
    vectors: BTreeMap<String, Vec<f32>>,
    /// How often the summarizer was asked about it; none = it does not wait for it.
    asked: Option<u32>,
}

impl MemoryRow {
    fn vectors(&self) -> Vec<MemoryVector> {
        let vectors = self.vectors.iter();
        vectors
            .map(|(model, vector)| MemoryVector {
                model: model.clone(),
                vector: vector.clone(),
            })
            .collect()
    }

    fn stored(&self, position: i64) -> StoredMemory {
        StoredMemory {
            position,
            memory: self.memory.clone(),
            vectors: self.vectors(),
        }
    }

    fn waits(&self) -> bool {
        self.memory.layer == MemoryLayer::Episodic && self.memory.consolidated_at.is_none()
    }
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|w| !w.is_empty())
        .map(str::to_lowercase)
        .collect()
}

impl MemoryReads for State {
    fn memory(&self, domain: &Domain, id: MemoryId) -> Result<Option<Memory>> {
        let row = self.memories.get(&id).map(|r| &r.memory);
        Ok(row.filter(|m| m.domain == *domain).cloned())
    }

    fn memories_of(&self, domain: &Domain, ids: &[MemoryId]) -> Result<Vec<Memory>> {
        let found = ids.iter().filter_map(|id| self.memories.get(id));
        Ok(found
            .map(|r| r.memory.clone())
            .filter(|m| m.domain == *domain)
            .collect())
    }

    fn memories(
        &self,
        domain: &Domain,
        filter: &MemoryFilter,
        now: Timestamp,
        page: PageRequest,
    ) -> Result<Page<Memory>> {
        let found = self.memories.page(page, |r| {
            r.memory.domain == *domain && filter.matches(&r.memory, now)
        });
        Ok(Page {
            items: found.items.into_iter().map(|r| r.memory).collect(),
            next: found.next,
        })
    }

    fn memory_by_content(
        &self,
        domain: &Domain,
        agent: Option<&AgentId>,
        layer: MemoryLayer,
        content_hash: &[u8; 32],
        created: RangeInclusive<Timestamp>,
    ) -> Result<Option<Memory>> {
        let same = |r: &MemoryRow| {
            r.memory.domain == *domain
                && r.memory.agent_id.as_ref() == agent
                && r.memory.layer == layer
                && r.content_hash == *content_hash
                && created.contains(&r.memory.created_at)
        };
        Ok(self.memories.all(same).pop().map(|r| r.memory))
    }

    fn keyword_search(
        &self,
        domain: &Domain,
        sought: Words<'_>,
        filter: &MemoryFilter,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Memory, f64)>> {
        let rows = self
            .memories
            .all(|r| r.memory.domain == *domain && filter.matches(&r.memory, now));
        let mut found: Vec<(Memory, f64)> = rows
            .into_iter()
            .map(|r| {
                let has = words(&r.memory.text());
                let holds = |all: &[String]| {
                    let mut parts = all.iter().flat_map(|w| words(w));
                    !all.is_empty() && parts.all(|w| has.contains(&w))
                };
                let score = match sought {
                    Words::Any(text) => words(text).iter().filter(|w| has.contains(w)).count(),
                    Words::All(all) => usize::from(holds(all)),
                };
                (r.memory, score as f64)
            })
            .filter(|(_, score)| *score > 0.0)
            .collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found.truncate(limit);
        Ok(found)
    }

    fn memories_after(&self, position: i64, limit: usize) -> Result<Vec<StoredMemory>> {
        let rows = self.memories.after(position).take(limit);
        Ok(rows.map(|(place, r)| r.stored(place)).collect())
    }

    fn memories_in(
        &self,
        domain: &Domain,
        of: &MemoryPart,
        now: Timestamp,
        position: i64,
        limit: usize,
    ) -> Result<Vec<StoredMemory>> {
        let rows = self.memories.after(position).filter(|(_, r)| {
            let m = &r.memory;
            m.domain == *domain
                && of.layer.is_none_or(|layer| layer == m.layer)
                && (of.agent_id.is_none() || of.agent_id == m.agent_id)
                && !m.is_over(now)
        });
        Ok(rows.take(limit).map(|(place, r)| r.stored(place)).collect())
    }

    fn memory_exists(&self, id: MemoryId) -> Result<bool> {
        Ok(self.memories.get(&id).is_some())
    }

    fn memories_without_vector(
        &self,
        model: &str,
        position: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Memory)>> {
        let rows = self.memories.after(position);
        Ok(rows
            .filter(|(_, r)| !r.vectors.contains_key(model))
            .take(limit)
            .map(|(place, r)| (place, r.memory.clone()))
            .collect())
    }

    fn newest_memory(&self) -> Result<i64> {
        Ok(self.memories.after(0).last().map_or(0, |(place, _)| place))
    }

    fn vector_coverage(&self, model: &str) -> Result<(u64, u64)> {
        let all = self.memories.all(|_| true);
        let with = all.iter().filter(|r| r.vectors.contains_key(model)).count();
        Ok((all.len() as u64, with as u64))
    }

    fn memory_usage(&self, domain: &Domain) -> Result<MemoryUsage> {
        let mut usage = MemoryUsage::default();
        for row in self.memories.all(|r| r.memory.domain == *domain) {
            match row.memory.layer {
                MemoryLayer::Episodic => usage.episodic += 1,
                MemoryLayer::Semantic => usage.semantic += 1,
            }
            usage.bytes += row.memory.size_bytes();
        }
        Ok(usage)
    }

    fn pending_episodes(&self, counted: usize) -> Result<Vec<PendingEpisodes>> {
        let mut pending: BTreeMap<(Domain, Option<AgentId>), PendingEpisodes> = BTreeMap::new();
        for row in self.memories.all(MemoryRow::waits) {
            let m = row.memory;
            let of = pending
                .entry((m.domain.clone(), m.agent_id.clone()))
                .or_insert(PendingEpisodes {
                    domain: m.domain,
                    agent_id: m.agent_id,
                    episodes: 0,
                    importance: 0.0,
                    oldest: m.created_at,
                });
            if of.episodes >= counted as u64 {
                continue;
            }
            of.episodes += 1;
            of.importance = of.importance.max(m.importance);
            of.oldest = of.oldest.min(m.created_at);
        }
        Ok(pending.into_values().collect())
    }

    fn words_progress(&self) -> Result<WordsProgress> {
        Ok(WordsProgress::default())
    }

    fn waiting_episodes(
        &self,
        domain: &Domain,
        agent: Option<&AgentId>,
        limit: usize,
    ) -> Result<Vec<StoredMemory>> {
        let rows = self.memories.after(0).filter(|(_, r)| {
            r.waits() && r.memory.domain == *domain && r.memory.agent_id.as_ref() == agent
        });
        Ok(rows.take(limit).map(|(place, r)| r.stored(place)).collect())
    }

    fn due_summaries(&self, limit: usize) -> Result<Vec<Memory>> {
        let due = self.memories.all(|r| r.asked.is_some());
        let Some(first) = due.iter().min_by_key(|r| r.asked) else {
            return Ok(Vec::new());
        };
        let (asked, of) = (first.asked, &first.memory);
        let same = due.iter().filter(|r| {
            r.asked == asked && r.memory.domain == of.domain && r.memory.agent_id == of.agent_id
        });
        Ok(same.take(limit).map(|r| r.memory.clone()).collect())
    }

    fn expired_memories(&self, now: Timestamp, limit: usize) -> Result<Vec<(Domain, MemoryId)>> {
        let due = self.memories.all(|r| r.memory.is_over(now));
        Ok(ids(due, limit))
    }

    fn retired_episodes(
        &self,
        before: Timestamp,
        importance_below: f64,
        limit: usize,
    ) -> Result<Vec<(Domain, MemoryId)>> {
        let due = self.memories.all(|r| {
            let m = &r.memory;
            m.layer == MemoryLayer::Episodic
                && m.consolidated_at.is_some()
                && m.created_at < before
                && m.importance < importance_below
        });
        Ok(ids(due, limit))
    }
}

fn ids(rows: Vec<MemoryRow>, limit: usize) -> Vec<(Domain, MemoryId)> {
    let ids = rows.into_iter().take(limit);
    ids.map(|r| (r.memory.domain, r.memory.memory_id)).collect()
}

impl State {
    fn change(&mut self, id: MemoryId, change: impl FnOnce(&mut MemoryRow)) -> Result<()> {
        let row = self.memories.get(&id).cloned();
        let mut row = row.ok_or_else(|| Error::service("no such memory"))?;
        change(&mut row);
        self.memories.update(&id, row)
    }
}

impl MemoryWrites for State {
    fn insert_memory(&mut self, memory: &Memory, content_hash: &[u8; 32]) -> Result<i64> {
        let row = MemoryRow {
            memory: memory.clone(),
            content_hash: *content_hash,
            vectors: BTreeMap::new(),
            asked: None,
        };
        self.memories.insert(memory.memory_id, row)?;
        let entry = self.memories.entry(&memory.memory_id);
        Ok(entry.map_or(0, |(position, _)| position))
    }

    fn update_memory(&mut self, memory: &Memory) -> Result<()> {
        let row = self.memories.get(&memory.memory_id).cloned();
        let row = row.ok_or_else(|| Error::service("no such memory"))?;
        let memory = memory.clone();
        self.memories
            .update(&memory.memory_id.clone(), MemoryRow { memory, ..row })
    }

    fn touch_memory(
        &mut self,
        domain: &Domain,
        id: MemoryId,
        accesses: u64,
        at: Timestamp,
    ) -> Result<()> {
        let Some(mut memory) = self.memory(domain, id)? else {
            return Ok(());
        };
        memory.access_count += accesses;
        memory.accessed_at = Some(at);
        self.update_memory(&memory)
    }

    fn put_memory_vector(&mut self, id: MemoryId, vector: &MemoryVector) -> Result<()> {
        let row = self.memories.get(&id).cloned();
        let mut row = row.ok_or_else(|| Error::service("a vector of no memory"))?;
        row.vectors
            .insert(vector.model.clone(), vector.vector.clone());
        self.memories.update(&id, row)
    }

    fn delete_other_vectors(&mut self, model: &str, limit: usize) -> Result<u64> {
        let rows = self.memories.after(0).map(|(_, row)| row.clone());
        let rows: Vec<MemoryRow> = rows.collect();
        let mut gone = 0;
        for mut row in rows {
            let stale = |m: &String| m != model && m != CLIENT_MODEL;
            let stale: Vec<String> = row.vectors.keys().filter(|m| stale(m)).cloned().collect();
            for model in stale.into_iter().take(limit - gone as usize) {
                row.vectors.remove(&model);
                gone += 1;
            }
            let id = row.memory.memory_id;
            self.memories.update(&id, row)?;
        }
        Ok(gone)
    }

    fn queue_summary(&mut self, id: MemoryId) -> Result<()> {
        self.change(id, |row| row.asked = Some(0))
    }

    fn settle_summaries(&mut self, ids: &[MemoryId]) -> Result<Vec<MemoryId>> {
        let waits = |id: &MemoryId| self.memories.get(id).is_some_and(|r| r.asked.is_some());
        let settled: Vec<MemoryId> = ids.iter().copied().filter(waits).collect();
        for id in &settled {
            self.change(*id, |row| row.asked = None)?;
        }
        Ok(settled)
    }

    fn fail_summaries(&mut self, ids: &[MemoryId], rounds_max: u32) -> Result<()> {
        for id in ids {
            if self.memories.get(id).is_some_and(|r| r.asked.is_some()) {
                self.change(*id, |row| {
                    let asked = row.asked.map(|asked| asked + 1);
                    row.asked = asked.filter(|asked| *asked < rounds_max);
                })?;
            }
        }
        Ok(())
    }

    fn remake_words(&mut self, _limit: usize) -> Result<WordsProgress> {
        self.words_progress()
    }

    fn delete_memory(&mut self, domain: &Domain, id: MemoryId) -> Result<bool> {
        if self.memory(domain, id)?.is_none() {
            return Ok(false);
        }
        self.memories.remove(&id)?;
        Ok(true)
    }
}
