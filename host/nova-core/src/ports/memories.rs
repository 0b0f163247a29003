//! The datastore's part for memories: records, their vectors, and keyword search.

use std::ops::RangeInclusive;

use crate::domain::{AgentId, Domain, Memory, MemoryId, MemoryLayer, MetadataFilter, Timestamp};
use crate::error::Result;

use super::datastore::{Page, PageRequest};

/// Which memories; every part that is set must hold.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MemoryFilter {
    /// Of this layer.
    pub layer: Option<MemoryLayer>,
    /// Of this agent.
    pub agent_id: Option<AgentId>,
    /// Whose metadata passes.
    pub metadata: MetadataFilter,
    /// Stored at this time or later.
    pub since: Option<Timestamp>,
    /// Stored before this time.
    pub until: Option<Timestamp>,
    /// At least as important.
    pub min_importance: Option<f64>,
    /// Statements that no longer hold, too.
    pub superseded: bool,
    /// Those merged into another, too.
    pub merged: bool,
}

impl MemoryFilter {
    /// Whether a record passes at `now`: not expired, and as asked for.
    pub fn matches(&self, memory: &Memory, now: Timestamp) -> bool {
        !memory.is_over(now)
            && (self.merged || memory.merged_into.is_none())
            && (self.superseded || memory.valid_to.is_none())
            && self.layer.is_none_or(|layer| layer == memory.layer)
            && (self.agent_id.is_none() || self.agent_id == memory.agent_id)
            && self.since.is_none_or(|since| memory.created_at >= since)
            && self.until.is_none_or(|until| memory.created_at < until)
            && self
                .min_importance
                .is_none_or(|least| memory.importance >= least)
            && self.metadata.matches(&memory.metadata)
    }
}

/// A part of a domain's memories.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MemoryPart {
    /// Of this layer.
    pub layer: Option<MemoryLayer>,
    /// Of this agent.
    pub agent_id: Option<AgentId>,
}

/// A vector of a memory, and the model that made it.
#[derive(Clone, PartialEq, Debug)]
pub struct MemoryVector {
    /// The model's id; [`CLIENT_MODEL`] for what the client brought.
    pub model: String,
    /// Finite, not all zero.
    pub vector: Vec<f32>,
}

/// The model id of vectors that clients bring themselves.
pub const CLIENT_MODEL: &str = "client";

/// A memory with all that an index needs to know of it.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredMemory {
    /// The order of storing.
    pub position: i64,
    /// The record.
    pub memory: Memory,
    /// Its vectors, at most one a model.
    pub vectors: Vec<MemoryVector>,
}

/// What one domain's memories take.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MemoryUsage {
    /// Records of each layer.
    pub episodic: u64,
    /// Records of each layer.
    pub semantic: u64,
    /// Bytes of their contents, contexts and metadata.
    pub bytes: u64,
}

/// Agents with episodes that wait for consolidation.
#[derive(Clone, PartialEq, Debug)]
pub struct PendingEpisodes {
    /// In this domain.
    pub domain: Domain,
    /// Of this agent; none = of nobody in particular.
    pub agent_id: Option<AgentId>,
    /// How many wait, as far as they are counted.
    pub episodes: u64,
    /// The most important of those counted.
    pub importance: f64,
    /// When the oldest of them was stored.
    pub oldest: Timestamp,
}

/// How far the words of memories are made anew, after another analyzer was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WordsProgress {
    /// Positions up to here are done.
    pub done: i64,
    /// Of positions up to here; those after it were made by the present analyzer.
    pub until: i64,
}

impl WordsProgress {
    /// Whether nothing is left.
    pub fn is_complete(&self) -> bool {
        self.done >= self.until
    }
}

/// What a search by keywords looks for.
#[derive(Clone, Copy, Debug)]
pub enum Words<'a> {
    /// One word of the text at least.
    Any(&'a str),
    /// All of these words.
    All(&'a [String]),
}

/// Reads of memories.
pub trait MemoryReads {
    /// One memory, merged and expired ones too.
    fn memory(&self, domain: &Domain, id: MemoryId) -> Result<Option<Memory>>;
    /// Memories of these ids, those that the domain has, in the order asked.
    fn memories_of(&self, domain: &Domain, ids: &[MemoryId]) -> Result<Vec<Memory>>;
    /// Memories that pass, newest first.
    fn memories(
        &self,
        domain: &Domain,
        filter: &MemoryFilter,
        now: Timestamp,
        page: PageRequest,
    ) -> Result<Page<Memory>>;
    /// The newest memory with this content hash of this agent and layer, of those of this time.
    fn memory_by_content(
        &self,
        domain: &Domain,
        agent: Option<&AgentId>,
        layer: MemoryLayer,
        content_hash: &[u8; 32],
        created: RangeInclusive<Timestamp>,
    ) -> Result<Option<Memory>>;
    /// Memories that pass and have the words, each with its BM25 score (higher is better): best first, of
    /// [`Words::All`] oldest first; at most `limit`. Reads what is committed.
    fn keyword_search(
        &self,
        domain: &Domain,
        words: Words<'_>,
        filter: &MemoryFilter,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Memory, f64)>>;
    /// Memories of every domain after a position, in order, with their vectors; at most `limit`.
    fn memories_after(&self, position: i64, limit: usize) -> Result<Vec<StoredMemory>>;
    /// Memories of one domain after a position, in order, merged ones too, with their vectors; of one layer
    /// or agent where given; at most `limit`. Not those whose time is over.
    fn memories_in(
        &self,
        domain: &Domain,
        of: &MemoryPart,
        now: Timestamp,
        position: i64,
        limit: usize,
    ) -> Result<Vec<StoredMemory>>;
    /// Whether a memory of this id is in any domain.
    fn memory_exists(&self, id: MemoryId) -> Result<bool>;
    /// Memories after a position that have no vector of `model`, in order; at most `limit`.
    fn memories_without_vector(
        &self,
        model: &str,
        position: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Memory)>>;
    /// The position of the newest memory, the greatest; 0 = there is none.
    fn newest_memory(&self) -> Result<i64>;
    /// How many memories there are, and how many of them have a vector of `model`.
    fn vector_coverage(&self, model: &str) -> Result<(u64, u64)>;
    /// What a domain's memories take.
    fn memory_usage(&self, domain: &Domain) -> Result<MemoryUsage>;
    /// Agents with episodes that wait for consolidation; of each the first so many are counted.
    fn pending_episodes(&self, counted: usize) -> Result<Vec<PendingEpisodes>>;
    /// How far the words of memories are made as the present analyzer does.
    fn words_progress(&self) -> Result<WordsProgress>;
    /// Episodes of one agent that wait for consolidation, oldest first, with their vectors.
    fn waiting_episodes(
        &self,
        domain: &Domain,
        agent: Option<&AgentId>,
        limit: usize,
    ) -> Result<Vec<StoredMemory>>;
    /// Episodes of one agent that wait for the summarizer, those first that it was asked about least, in order of
    /// storing; at most `limit`.
    fn due_summaries(&self, limit: usize) -> Result<Vec<Memory>>;
    /// Memories whose time is over, at most `limit`.
    fn expired_memories(&self, now: Timestamp, limit: usize) -> Result<Vec<(Domain, MemoryId)>>;
    /// Consolidated episodes older than a time and less important than a bound, at most `limit`.
    fn retired_episodes(
        &self,
        before: Timestamp,
        importance_below: f64,
        limit: usize,
    ) -> Result<Vec<(Domain, MemoryId)>>;
}

/// Writes of memories.
pub trait MemoryWrites: MemoryReads {
    /// Adds a memory; it is found by its words from the commit on. Gives its position.
    fn insert_memory(&mut self, memory: &Memory, content_hash: &[u8; 32]) -> Result<i64>;
    /// Replaces what may change of a memory: all but its content, layer, agent and metadata.
    fn update_memory(&mut self, memory: &Memory) -> Result<()>;
    /// Counts so many accesses; nothing happens where there is no such memory.
    fn touch_memory(
        &mut self,
        domain: &Domain,
        id: MemoryId,
        accesses: u64,
        at: Timestamp,
    ) -> Result<()>;
    /// Puts a vector in the place of the one of the same model.
    fn put_memory_vector(&mut self, id: MemoryId, vector: &MemoryVector) -> Result<()>;
    /// Removes vectors of models other than this one and [`CLIENT_MODEL`], at most `limit`; how many.
    fn delete_other_vectors(&mut self, model: &str, limit: usize) -> Result<u64>;
    /// An episode waits for the summarizer from now on.
    fn queue_summary(&mut self, id: MemoryId) -> Result<()>;
    /// Episodes wait no longer; gives those that did.
    fn settle_summaries(&mut self, ids: &[MemoryId]) -> Result<Vec<MemoryId>>;
    /// The summarizer was asked about episodes in vain: those that it was asked about `rounds_max` times wait no longer.
    fn fail_summaries(&mut self, ids: &[MemoryId], rounds_max: u32) -> Result<()>;
    /// Makes the words of the next memories anew, at most `limit`, where another analyzer made them.
    fn remake_words(&mut self, limit: usize) -> Result<WordsProgress>;
    /// Removes a memory with its vectors; whether there was one.
    fn delete_memory(&mut self, domain: &Domain, id: MemoryId) -> Result<bool>;
}
