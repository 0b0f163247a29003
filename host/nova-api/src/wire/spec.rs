//! TinyTroupe specifications as clients bring them, and what came of them.

use std::collections::BTreeSet;

use nova_core::domain::spec;
use nova_core::services::{SpecImport, SpecImported, SpecRemembered};
use nova_core::{AgentId, Error, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::agent::{AgentRecord, RESERVED};
use super::answer::{FACT, check_addressable};
use super::object::only_object;
use super::schema::{Name, OpenObject, Time};

/// An agent's file with what goes with it. The file as it is, with its `persona`, is accepted in its place.
#[derive(Deserialize, ToSchema, Default)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = AgentImport, example = json!({
    "agent": {"type": "TinyPerson", "persona": {"name": "Ann Lee", "occupation": {"title": "Baker"}, "skills": ["Bread"]}},
    "fragments": [{"type": "Fragment", "persona": {"preferences": {"likes": ["travelling"]}}}]
}))]
pub(crate) struct ImportBody {
    /// The content of a `*.agent.json`; none: the fragments are merged into the agent `agent_id`.
    #[serde(default)]
    #[schema(value_type = Option<OpenObject>)]
    agent: Option<Value>,
    /// The contents of `*.fragment.json` files, merged deeply and in this order.
    #[serde(default)]
    #[schema(value_type = Vec<OpenObject>, max_items = 20)]
    fragments: Vec<Value>,
    /// Defaults to the persona's name, letters and digits joined by `-`.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    agent_id: Option<AgentId>,
    /// For people; defaults to the persona's name.
    #[serde(default)]
    name: Option<String>,
    /// What it can do; where it is absent, what the skills and the occupation say.
    #[serde(default)]
    #[schema(value_type = Option<BTreeSet<String>>)]
    capabilities: Option<BTreeSet<String>>,
    /// Tasks it runs at a time.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10000)]
    max_concurrency: Option<u32>,
    /// Relative to a reference agent.
    #[serde(default)]
    speed: Option<f64>,
    /// The client's own.
    #[serde(default)]
    #[schema(value_type = Option<OpenObject>)]
    metadata: Option<Map<String, Value>>,
    /// Replace the specification of an agent that is there, in place of refusing it.
    #[serde(default)]
    #[schema(default = false)]
    update: bool,
    /// Leave the memories in the file alone.
    #[serde(default)]
    #[schema(default = false)]
    skip_memories: bool,
}

only_object!(ImportBody);

impl ImportBody {
    /// The body of a request: of a file as it is, the body that has it as its agent.
    pub(crate) fn wrapped(body: Value) -> Value {
        let is_file = body.get("persona").is_some() || body.get("type").is_some();
        match is_file {
            true => Value::Object(Map::from_iter([("agent".to_owned(), body)])),
            false => body,
        }
    }

    /// The request of the service.
    pub(crate) fn into_request(self, expected_version: Option<u64>) -> Result<SpecImport, Error> {
        let named = self.agent.as_ref().and_then(Value::as_object);
        let named = named.and_then(spec::name).and_then(spec::id_of);
        if let Some(id) = self.agent_id.as_ref().or(named.as_ref()) {
            check_addressable("agent_id", id.as_str(), &RESERVED)?;
        }
        Ok(SpecImport {
            agent: self.agent,
            fragments: self.fragments,
            agent_id: self.agent_id,
            name: self.name,
            capabilities: self.capabilities,
            max_concurrency: self.max_concurrency,
            speed: self.speed,
            metadata: self.metadata,
            update: self.update,
            expected_version,
            skip_memories: self.skip_memories,
        })
    }
}

/// What became of the memories in a file.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"episodic": 12, "semantic": 3, "known": 0, "skipped": 1}))]
pub(crate) struct ImportedMemories {
    /// Stored as episodes.
    episodic: usize,
    /// Stored as knowledge.
    semantic: usize,
    /// That were there already.
    known: usize,
    /// Without any text, and so not stored.
    skipped: usize,
}

/// An imported agent in its envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct AgentImportAnswer {
    #[schema(value_type = Name)]
    agent_id: AgentId,
    /// `imported`, or `updated` where the agent was there.
    #[schema(example = "imported")]
    status: &'static str,
    /// The agent.
    orchestration: AgentRecord,
    /// Its memories.
    memories: ImportedMemories,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl AgentImportAnswer {
    /// The envelope.
    pub(crate) fn new(imported: SpecImported, timestamp: Timestamp) -> Self {
        let SpecRemembered {
            episodic,
            semantic,
            known,
            skipped,
        } = imported.memories;
        Self {
            agent_id: imported.agent.agent_id.clone(),
            status: if imported.is_new {
                "imported"
            } else {
                "updated"
            },
            orchestration: imported.agent.into(),
            memories: ImportedMemories {
                episodic,
                semantic,
                known,
                skipped,
            },
            confidence: FACT,
            timestamp,
        }
    }
}
