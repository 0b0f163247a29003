//! What memory needs beside the datastore: vectors of texts, and a fast index over everything.
//!
//! Both are derived: the datastore keeps what counts, and the index is built from it at each start.

use std::sync::Arc;

use async_trait::async_trait;

use super::memories::{MemoryFilter, MemoryVector};
use super::summarizer::Summarizer;
use crate::domain::{AgentId, Domain, Memory, MemoryId, MemoryLayer, Timestamp};
use crate::error::Result;

/// Turns texts into vectors.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// Names the model: vectors of different names are never compared.
    fn model(&self) -> &str;
    /// Whether it answers in microseconds, so that a write may wait for it.
    fn is_local(&self) -> bool;
    /// One vector a text, each of length 1 (or all zero where nothing of the text is known, or a provider that answers
    /// others refuses it).
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] when the provider does not answer.
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>>;
}

/// Which legs a search stands on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchMode {
    /// Words and vectors.
    #[default]
    Hybrid,
    /// Words alone.
    Keyword,
    /// Vectors alone.
    Vector,
}

impl SearchMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Hybrid, Self::Keyword, Self::Vector];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Keyword => "keyword",
            Self::Vector => "vector",
        }
    }

    /// The mode of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.as_str() == text)
    }
}

/// How the parts of a score are weighed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ranking {
    /// Weight of the keyword leg's z-score.
    pub keyword_weight: f64,
    /// Weight of the vector leg's z-score.
    pub vector_weight: f64,
    /// What an episode gets in a hybrid search of the relevance of those just before and after it, 0 to 1; 0 = nothing.
    pub nearby_weight: f64,
    /// How far apart such episodes are at most, in seconds.
    pub nearby_within_s: f64,
    /// Half-life of an episode, in seconds; infinite = no decay.
    pub episodic_half_life_s: f64,
    /// Half-life of knowledge, in seconds; infinite = no decay.
    pub semantic_half_life_s: f64,
    /// What is left of the recency factor in the end, 0 to 1.
    pub recency_floor: f64,
    /// How far importance 0 or 1 moves a score down or up from importance 0.5, 0 to 1.
    pub importance_weight: f64,
}

impl Default for Ranking {
    fn default() -> Self {
        Self {
            keyword_weight: 1.0,
            vector_weight: 1.0,
            nearby_weight: 0.3,
            nearby_within_s: 3600.0,
            episodic_half_life_s: 30.0 * 86_400.0,
            semantic_half_life_s: f64::INFINITY,
            recency_floor: 0.5,
            importance_weight: 0.2,
        }
    }
}

impl Ranking {
    /// The recency factor of a record of this age.
    pub fn recency(&self, layer: crate::domain::MemoryLayer, age_s: f64) -> f64 {
        let half_life = match layer {
            crate::domain::MemoryLayer::Episodic => self.episodic_half_life_s,
            crate::domain::MemoryLayer::Semantic => self.semantic_half_life_s,
        };
        if half_life.is_infinite() {
            return 1.0;
        }
        let left = (-age_s.max(0.0) / half_life).exp2();
        self.recency_floor + (1.0 - self.recency_floor) * left
    }

    /// The importance factor.
    pub fn importance(&self, importance: f64) -> f64 {
        1.0 + self.importance_weight * 2.0 * (importance - 0.5)
    }

    /// The whole score: `ln(1 + e^relevance)`, which is positive and grows with the relevance, times
    /// recency and importance.
    pub fn score(&self, relevance: f64, recency: f64, importance: f64) -> f64 {
        // The same without overflow for large relevances.
        let positive = relevance.max(0.0) + (-relevance.abs()).exp().ln_1p();
        positive * recency * self.importance(importance)
    }
}

/// A search of one domain.
#[derive(Clone, Debug)]
pub struct IndexQuery {
    /// Words; none in a search by vector alone.
    pub text: Option<String>,
    /// A vector, and the model that made it.
    pub vector: Option<(String, Vec<f32>)>,
    /// Which legs.
    pub mode: SearchMode,
    /// What is let through, inside the search.
    pub filter: MemoryFilter,
    /// The moment for recency and expiry.
    pub now: Timestamp,
    /// How the parts are weighed.
    pub ranking: Ranking,
    /// At most this many.
    pub limit: usize,
}

/// What a statement is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Alike<'a> {
    /// Records of this layer,
    pub layer: MemoryLayer,
    /// of this agent; none = of nobody,
    pub agent: Option<&'a AgentId>,
    /// that hold and are not over at this moment,
    pub now: Timestamp,
    /// and have all of these words (first those about as long as this text),
    pub words: &'a [String],
    /// see `words`,
    pub text: &'a str,
    /// or name this fact in their metadata.
    pub fact: Option<&'a str>,
}

/// Something found.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Hit {
    /// Which memory.
    pub memory_id: MemoryId,
    /// The whole score.
    pub score: f64,
    /// The parts.
    pub scores: LegScores,
}

/// The parts of a score.
#[derive(Clone, Copy, PartialEq, Debug, Default, serde::Serialize)]
pub struct LegScores {
    /// BM25; 0 = no word matches.
    pub keyword: f64,
    /// Cosine, -1 to 1; 0 where there is no vector.
    pub vector: f64,
    /// What the episodes just before and after add to the relevance, in deviations of the other scores.
    pub nearby: f64,
    /// The recency factor.
    pub recency: f64,
    /// The record's importance.
    pub importance: f64,
}

/// How far the index is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IndexProgress {
    /// Records that it has.
    pub indexed: u64,
    /// Whether everything stored before the start is in it.
    pub complete: bool,
    /// Whether it will be complete; not so where there is no index.
    pub building: bool,
}

/// The fast index over all memories, in memory.
#[async_trait]
pub trait MemoryIndex: Send + Sync + 'static {
    /// Adds a record; of one that is there, takes over what may have changed. Adds the vectors given.
    fn put(&self, memory: &Memory, vectors: &[MemoryVector]);
    /// Adds vectors to a record that is there; nothing happens where it was taken out meanwhile.
    fn put_vectors(&self, domain: &Domain, id: MemoryId, vectors: &[MemoryVector]);
    /// While the index is built: adds a record as it was read, unless it was put or removed since.
    fn restore(&self, memory: &Memory, vectors: &[MemoryVector]);
    /// Takes a record out.
    fn remove(&self, domain: &Domain, id: MemoryId);
    /// The best matches, best first.
    async fn search(&self, domain: &Domain, query: IndexQuery) -> Result<Vec<Hit>>;
    /// Records that may say what another says, oldest first, at most `limit` by their words and as many by their
    /// fact; none while the index is not complete.
    fn alike(&self, domain: &Domain, alike: &Alike<'_>, limit: usize) -> Option<Vec<MemoryId>>;
    /// How far it is.
    fn progress(&self) -> IndexProgress;
    /// Everything stored before the start is in it now.
    fn mark_complete(&self);
}

/// The parts that memory stands on.
#[derive(Clone)]
pub struct MemoryPorts {
    /// Makes vectors.
    pub embedder: Arc<dyn Embedder>,
    /// The model before: its vectors serve until the present one has more. It must be local.
    pub previous: Option<Arc<dyn Embedder>>,
    /// Finds.
    pub index: Arc<dyn MemoryIndex>,
    /// Draws statements from episodes after they were consolidated; none = the rules alone do.
    pub summarizer: Option<Arc<dyn Summarizer>>,
}
