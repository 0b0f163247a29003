//! Memories as lines: what an export writes, and what an import reads.

use nova_core::ports::{CLIENT_MODEL, StoredMemory};
use nova_core::services::MemoryRecordIn;
use nova_core::{AgentId, Domain, Memory, MemoryId, MemoryLayer, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::memory::MemoryRecord;
use super::object::only_object;
use super::page::encode;

/// A line of an export: a record, its client's vector, and where to go on after it.
#[derive(Serialize)]
pub(crate) struct MemoryLine {
    #[serde(flatten)]
    record: MemoryRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Vec<f32>>,
    cursor: String,
}

impl From<StoredMemory> for MemoryLine {
    fn from(stored: StoredMemory) -> Self {
        let own = stored.vectors.into_iter().find(|v| v.model == CLIENT_MODEL);
        Self {
            record: stored.memory.into(),
            embedding: own.map(|v| v.vector),
            cursor: encode(stored.position),
        }
    }
}

/// The last line of an export: without it the export broke off.
#[derive(Serialize)]
pub(crate) struct EndLine {
    /// Always true.
    pub(crate) end: bool,
    /// Records before it.
    pub(crate) exported: u64,
}

/// A line of an import: as an export writes it; only `content` must be there.
#[derive(Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub(crate) struct MemoryLineIn {
    content: Value,
    #[serde(default)]
    memory_id: Option<MemoryId>,
    /// Of an export: from where. The import's own domain counts.
    #[serde(default)]
    #[serde(rename = "domain")]
    _domain: Option<Domain>,
    #[serde(default)]
    agent_id: Option<AgentId>,
    #[serde(rename = "type", default)]
    layer: MemoryLayer,
    #[serde(default)]
    importance: Option<f64>,
    #[serde(default)]
    context: Map<String, Value>,
    #[serde(default)]
    metadata: Map<String, Value>,
    #[serde(default)]
    provenance: Vec<MemoryId>,
    #[serde(default)]
    occurrences: Option<u64>,
    #[serde(default)]
    merged_into: Option<MemoryId>,
    #[serde(default)]
    valid_from: Option<Timestamp>,
    #[serde(default)]
    valid_to: Option<Timestamp>,
    #[serde(default)]
    access_count: u64,
    #[serde(default)]
    accessed_at: Option<Timestamp>,
    #[serde(default)]
    created_at: Option<Timestamp>,
    #[serde(default)]
    consolidated_at: Option<Timestamp>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    summarized_by: Option<String>,
    #[serde(default)]
    embedding: Option<Vec<f32>>,
    #[serde(default)]
    #[serde(rename = "cursor")]
    _cursor: Option<String>,
}

only_object!(MemoryLineIn);

impl MemoryLineIn {
    /// The record; what the line leaves out is as of now.
    pub(crate) fn into_record(self, domain: &Domain, now: Timestamp) -> MemoryRecordIn {
        let created_at = self.created_at.unwrap_or(now);
        MemoryRecordIn {
            has_id: self.memory_id.is_some(),
            memory: Memory {
                memory_id: self.memory_id.unwrap_or_else(MemoryId::generate),
                domain: domain.clone(),
                agent_id: self.agent_id,
                layer: self.layer,
                content: self.content,
                importance: self
                    .importance
                    .unwrap_or(nova_core::domain::memory::IMPORTANCE_DEFAULT),
                context: self.context,
                metadata: self.metadata,
                provenance: self.provenance,
                occurrences: self.occurrences.unwrap_or(1).max(1),
                merged_into: self.merged_into,
                valid_from: self.valid_from.unwrap_or(created_at),
                valid_to: self.valid_to,
                access_count: self.access_count.min(i64::MAX as u64),
                accessed_at: self.accessed_at,
                created_at,
                consolidated_at: self.consolidated_at,
                expires_at: self.expires_at,
                summarized_by: self.summarized_by,
            },
            embedding: self.embedding,
        }
    }
}

/// What an import came to.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"lines": 120, "imported": 118, "known": 2}))]
pub(crate) struct ImportFacts {
    /// Records that were read.
    pub(crate) lines: u64,
    /// Stored.
    pub(crate) imported: u64,
    /// That were there already.
    pub(crate) known: u64,
}
