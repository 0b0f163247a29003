//! The traits of memories, each method handed to the file of its record.

use std::ops::RangeInclusive;

use nova_core::ports::{
    MemoryFilter, MemoryPart, MemoryReads, MemoryUsage, MemoryVector, MemoryWrites, Page,
    PageRequest, PendingEpisodes, StoredMemory, Words, WordsProgress,
};
use nova_core::{AgentId, Domain, Memory, MemoryId, MemoryLayer, Result, Timestamp};

use super::tx::Tx;
use super::{memories, memory_part, memory_pending, memory_summaries, memory_words};

impl MemoryReads for Tx<'_, '_> {
    fn memory(&self, domain: &Domain, id: MemoryId) -> Result<Option<Memory>> {
        memories::get(self, domain, id)
    }
    fn memories_of(&self, domain: &Domain, ids: &[MemoryId]) -> Result<Vec<Memory>> {
        memories::of_ids(self, domain, ids)
    }
    fn memories(
        &self,
        domain: &Domain,
        filter: &MemoryFilter,
        now: Timestamp,
        page: PageRequest,
    ) -> Result<Page<Memory>> {
        memories::list(self, domain, filter, now, page)
    }
    fn memory_by_content(
        &self,
        domain: &Domain,
        agent: Option<&AgentId>,
        layer: MemoryLayer,
        content_hash: &[u8; 32],
        created: RangeInclusive<Timestamp>,
    ) -> Result<Option<Memory>> {
        memories::by_content(self, domain, agent, layer, content_hash, &created)
    }
    fn keyword_search(
        &self,
        domain: &Domain,
        words: Words<'_>,
        filter: &MemoryFilter,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Memory, f64)>> {
        memory_words::search(self, domain, words, filter, now, limit)
    }
    fn memories_after(&self, position: i64, limit: usize) -> Result<Vec<StoredMemory>> {
        memories::after(self, position, limit)
    }
    fn memories_in(
        &self,
        domain: &Domain,
        of: &MemoryPart,
        now: Timestamp,
        position: i64,
        limit: usize,
    ) -> Result<Vec<StoredMemory>> {
        memory_part::of_domain(self, domain, of, now, position, limit)
    }
    fn memory_exists(&self, id: MemoryId) -> Result<bool> {
        memory_part::exists(self, id)
    }
    fn memories_without_vector(
        &self,
        model: &str,
        position: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Memory)>> {
        memories::without_vector(self, model, position, limit)
    }
    fn newest_memory(&self) -> Result<i64> {
        memories::newest(self)
    }
    fn vector_coverage(&self, model: &str) -> Result<(u64, u64)> {
        memories::coverage(self, model)
    }
    fn memory_usage(&self, domain: &Domain) -> Result<MemoryUsage> {
        memories::usage(self, domain)
    }
    fn pending_episodes(&self, counted: usize) -> Result<Vec<PendingEpisodes>> {
        memory_pending::groups(self, counted)
    }
    fn words_progress(&self) -> Result<WordsProgress> {
        memory_words::progress(self)
    }
    fn waiting_episodes(
        &self,
        domain: &Domain,
        agent: Option<&AgentId>,
        limit: usize,
    ) -> Result<Vec<StoredMemory>> {
        memory_pending::waiting(self, domain, agent, limit)
    }
    fn due_summaries(&self, limit: usize) -> Result<Vec<Memory>> {
        memory_summaries::due(self, limit)
    }
    fn expired_memories(&self, now: Timestamp, limit: usize) -> Result<Vec<(Domain, MemoryId)>> {
        memories::expired(self, now, limit)
    }
    fn retired_episodes(
        &self,
        before: Timestamp,
        importance_below: f64,
        limit: usize,
    ) -> Result<Vec<(Domain, MemoryId)>> {
        memories::retired(self, before, importance_below, limit)
    }
}

impl MemoryWrites for Tx<'_, '_> {
    fn insert_memory(&mut self, memory: &Memory, content_hash: &[u8; 32]) -> Result<i64> {
        memories::insert(self, memory, content_hash)
    }
    fn update_memory(&mut self, memory: &Memory) -> Result<()> {
        memories::update(self, memory)
    }
    fn touch_memory(
        &mut self,
        domain: &Domain,
        id: MemoryId,
        accesses: u64,
        at: Timestamp,
    ) -> Result<()> {
        memories::touch(self, domain, id, accesses, at)
    }
    fn put_memory_vector(&mut self, id: MemoryId, vector: &MemoryVector) -> Result<()> {
        memories::put_vector(self, id, vector)
    }
    fn delete_other_vectors(&mut self, model: &str, limit: usize) -> Result<u64> {
        memory_part::delete_other_vectors(self, model, limit)
    }
    fn queue_summary(&mut self, id: MemoryId) -> Result<()> {
        memory_summaries::queue(self, id)
    }
    fn settle_summaries(&mut self, ids: &[MemoryId]) -> Result<Vec<MemoryId>> {
        memory_summaries::settle(self, ids)
    }
    fn fail_summaries(&mut self, ids: &[MemoryId], rounds_max: u32) -> Result<()> {
        memory_summaries::fail(self, ids, rounds_max)
    }
    fn remake_words(&mut self, limit: usize) -> Result<WordsProgress> {
        memory_words::remake(self, limit)
    }
    fn delete_memory(&mut self, domain: &Domain, id: MemoryId) -> Result<bool> {
        memories::delete(self, domain, id)
    }
}
