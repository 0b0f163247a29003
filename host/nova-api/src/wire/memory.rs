//! Memories as clients see them: record, answers, matches.

use nova_core::ports::{LegScores, MemoryUsage};
use nova_core::services::{Consolidation, EmbeddingProgress, Found, Remembered, SearchResult};
use nova_core::{AgentId, Domain, Memory, MemoryId, MemoryLayer, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::answer::FACT;
use super::memory_body::ContentSchema;
use super::memory_line::ImportFacts;
use super::schema::{Id, LayerName, Name, OpenObject, SearchModeName, Time, UnitInterval};

/// A memory, whole.
#[derive(Serialize, ToSchema)]
#[schema(as = Memory)]
pub(crate) struct MemoryRecord {
    #[schema(value_type = Id)]
    memory_id: MemoryId,
    #[schema(value_type = Name)]
    domain: Domain,
    /// Whose it is.
    #[schema(value_type = Option<Name>)]
    agent_id: Option<AgentId>,
    #[serde(rename = "type")]
    #[schema(value_type = LayerName)]
    layer: MemoryLayer,
    /// What was stored.
    #[schema(value_type = ContentSchema)]
    content: Value,
    #[schema(value_type = UnitInterval)]
    importance: f64,
    /// The circumstances.
    #[schema(value_type = OpenObject)]
    context: Map<String, Value>,
    /// What filters look at.
    #[schema(value_type = OpenObject)]
    metadata: Map<String, Value>,
    /// The episodes from which it was consolidated, oldest first; at most 1000, further ones are only counted in
    /// `occurrences`.
    #[schema(value_type = Vec<Id>, max_items = 1000)]
    provenance: Vec<MemoryId>,
    /// How many episodes said it.
    #[schema(minimum = 1, example = 1)]
    occurrences: u64,
    /// The record into which it was merged.
    #[schema(value_type = Option<Id>)]
    merged_into: Option<MemoryId>,
    /// From when a statement holds.
    #[schema(value_type = Time)]
    valid_from: Timestamp,
    /// Until when it held.
    #[schema(value_type = Option<Time>)]
    valid_to: Option<Timestamp>,
    /// How often it was read by id, found by a search, or stored again.
    #[schema(example = 3)]
    access_count: u64,
    #[schema(value_type = Option<Time>)]
    accessed_at: Option<Timestamp>,
    #[schema(value_type = Time)]
    created_at: Timestamp,
    /// When consolidation took account of it.
    #[schema(value_type = Option<Time>)]
    consolidated_at: Option<Timestamp>,
    /// When it is forgotten.
    #[schema(value_type = Option<Time>)]
    expires_at: Option<Timestamp>,
    /// The language model that drew it from its sources; null where it was stored, or the rules concluded it.
    #[schema(example = "llama-3.1-8b", max_length = 200)]
    summarized_by: Option<String>,
}

impl From<Memory> for MemoryRecord {
    fn from(memory: Memory) -> Self {
        Self {
            memory_id: memory.memory_id,
            domain: memory.domain,
            agent_id: memory.agent_id,
            layer: memory.layer,
            content: memory.content,
            importance: memory.importance,
            context: memory.context,
            metadata: memory.metadata,
            provenance: memory.provenance,
            occurrences: memory.occurrences,
            merged_into: memory.merged_into,
            valid_from: memory.valid_from,
            valid_to: memory.valid_to,
            access_count: memory.access_count,
            accessed_at: memory.accessed_at,
            created_at: memory.created_at,
            consolidated_at: memory.consolidated_at,
            expires_at: memory.expires_at,
            summarized_by: memory.summarized_by,
        }
    }
}

/// A memory in its envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct MemoryAnswer {
    #[schema(value_type = Id)]
    memory_id: MemoryId,
    /// `stored`, or `forgotten`.
    #[schema(example = "stored")]
    status: &'static str,
    /// Whether the same content was there already: the record is that one then.
    #[schema(example = false)]
    known: bool,
    /// The memory; null once it is forgotten.
    orchestration: Option<MemoryRecord>,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl MemoryAnswer {
    /// The envelope of what was stored.
    pub(crate) fn stored(remembered: Remembered, timestamp: Timestamp) -> Self {
        Self {
            known: remembered.known,
            ..Self::new(remembered.memory, timestamp)
        }
    }

    /// The envelope of a record.
    pub(crate) fn new(memory: Memory, timestamp: Timestamp) -> Self {
        Self {
            memory_id: memory.memory_id,
            status: "stored",
            known: true,
            orchestration: Some(memory.into()),
            confidence: FACT,
            timestamp,
        }
    }

    /// The envelope of what is gone.
    pub(crate) fn forgotten(memory_id: MemoryId, timestamp: Timestamp) -> Self {
        Self {
            memory_id,
            status: "forgotten",
            known: false,
            orchestration: None,
            confidence: FACT,
            timestamp,
        }
    }
}

/// The parts of a score.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"keyword": 4.2, "vector": 0.71, "nearby": 0.8, "recency": 1.0, "importance": 0.6}))]
pub(crate) struct Scores {
    /// BM25; 0 = no word matches.
    keyword: f64,
    /// Cosine; 0 where there is no vector.
    vector: f64,
    /// What the episodes just before and after add, in deviations of the other scores; 0 in searches that are not hybrid.
    nearby: f64,
    /// The factor of age.
    recency: f64,
    /// The record's importance.
    importance: f64,
}

impl From<LegScores> for Scores {
    fn from(scores: LegScores) -> Self {
        let LegScores {
            keyword,
            vector,
            nearby,
            recency,
            importance,
        } = scores;
        Self {
            keyword,
            vector,
            nearby,
            recency,
            importance,
        }
    }
}

/// A match: the memory with its score.
#[derive(Serialize, ToSchema)]
pub(crate) struct MemoryMatch {
    /// Higher is better; comparable within one answer.
    #[schema(example = 3.1)]
    score: f64,
    scores: Scores,
    #[serde(flatten)]
    memory: MemoryRecord,
}

impl From<Found> for MemoryMatch {
    fn from(found: Found) -> Self {
        Self {
            score: found.score,
            scores: found.scores.into(),
            memory: found.memory.into(),
        }
    }
}

/// How a search was done.
#[derive(Serialize, ToSchema)]
pub(crate) struct SearchFacts {
    /// The legs that were used.
    #[schema(value_type = SearchModeName)]
    mode: nova_core::ports::SearchMode,
    /// Why fewer legs were used than asked for.
    degraded: Option<&'static str>,
    /// Number of matches.
    #[schema(example = 1)]
    matches: usize,
}

/// What a search found.
#[derive(Serialize, ToSchema)]
pub(crate) struct MemorySearchAnswer {
    /// `searched`.
    #[schema(example = "searched")]
    status: &'static str,
    /// Best first.
    matches: Vec<MemoryMatch>,
    /// How it was searched.
    orchestration: SearchFacts,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl MemorySearchAnswer {
    /// The envelope.
    pub(crate) fn new(result: SearchResult, timestamp: Timestamp) -> Self {
        Self {
            status: "searched",
            orchestration: SearchFacts {
                mode: result.mode,
                degraded: result.degraded,
                matches: result.matches.len(),
            },
            matches: result.matches.into_iter().map(Into::into).collect(),
            confidence: FACT,
            timestamp,
        }
    }
}

/// What a consolidation did.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"episodes": 12, "merged": 2, "promoted": 1, "reinforced": 3, "superseded": 0,
    "waiting": 0}))]
pub(crate) struct ConsolidationFacts {
    /// Episodes looked at.
    episodes: u64,
    /// Episodes merged into an earlier one that says the same but for case, punctuation around words, and "the".
    merged: u64,
    /// New knowledge.
    promoted: u64,
    /// Knowledge that was said again.
    reinforced: u64,
    /// Knowledge whose place another took: one with the same `fact` in its metadata, or with another value of
    /// "lives in", "works for" and the like.
    superseded: u64,
    /// Episodes that still wait, at least so many: one request takes some thousands, and the background goes on.
    waiting: u64,
}

/// What many records came to.
#[derive(Serialize, ToSchema)]
pub(crate) struct MemoryWorkAnswer<T> {
    /// `consolidated`, `forgotten`, `imported` or `counted`.
    #[schema(example = "consolidated")]
    status: &'static str,
    /// What was done or found.
    orchestration: T,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl<T> MemoryWorkAnswer<T> {
    fn of(status: &'static str, orchestration: T, timestamp: Timestamp) -> Self {
        Self {
            status,
            orchestration,
            confidence: FACT,
            timestamp,
        }
    }
}

impl MemoryWorkAnswer<ConsolidationFacts> {
    /// The envelope of a consolidation.
    pub(crate) fn consolidated(done: Consolidation, timestamp: Timestamp) -> Self {
        let Consolidation {
            episodes,
            merged,
            promoted,
            reinforced,
            superseded,
            waiting,
        } = done;
        let facts = ConsolidationFacts {
            episodes,
            merged,
            promoted,
            reinforced,
            superseded,
            waiting,
        };
        Self::of("consolidated", facts, timestamp)
    }
}

/// How many were forgotten.
#[derive(Serialize, ToSchema)]
pub(crate) struct ForgottenFacts {
    /// Records.
    #[schema(example = 7)]
    forgotten: u64,
}

impl MemoryWorkAnswer<ForgottenFacts> {
    /// The envelope of what is gone.
    pub(crate) fn forgotten(forgotten: u64, timestamp: Timestamp) -> Self {
        Self::of("forgotten", ForgottenFacts { forgotten }, timestamp)
    }
}

/// What a domain's memories take.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"episodic": 1200, "semantic": 85, "bytes": 310000, "waiting": 4,
    "embedding": {"model": "nova-static-256", "share": 1.0}}))]
pub(crate) struct UsageFacts {
    /// Episodes.
    episodic: u64,
    /// Pieces of knowledge.
    semantic: u64,
    /// Bytes of contents, contexts and metadata.
    bytes: u64,
    /// Episodes that wait for consolidation, at least: of each agent a hundred are counted.
    waiting: u64,
    /// How far the vectors are, over all domains.
    embedding: EmbeddingFacts,
}

/// How far the present model's vectors are.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingFacts {
    /// The model's name.
    model: String,
    /// The part of all memories that has a vector of it, as last counted.
    #[schema(minimum = 0, maximum = 1)]
    share: f64,
}

impl MemoryWorkAnswer<UsageFacts> {
    /// The envelope of a domain's usage.
    pub(crate) fn usage(
        usage: MemoryUsage,
        waiting: u64,
        embedding: EmbeddingProgress,
        timestamp: Timestamp,
    ) -> Self {
        let MemoryUsage {
            episodic,
            semantic,
            bytes,
        } = usage;
        let facts = UsageFacts {
            episodic,
            semantic,
            bytes,
            waiting,
            embedding: EmbeddingFacts {
                share: embedding.share(),
                model: embedding.model,
            },
        };
        Self::of("counted", facts, timestamp)
    }
}

impl MemoryWorkAnswer<ImportFacts> {
    /// The envelope of an import.
    pub(crate) fn imported(facts: ImportFacts, timestamp: Timestamp) -> Self {
        Self::of("imported", facts, timestamp)
    }
}
