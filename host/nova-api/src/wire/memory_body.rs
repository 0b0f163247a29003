//! Memories as clients bring them, look for them and forget them.

use nova_core::ports::{MemoryFilter, SearchMode};
use nova_core::services::SearchRequest;
use nova_core::{AgentId, Error, MemoryLayer, MetadataFilter, NewMemory, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::object::only_object;
use super::schema::{LayerName, Name, OpenObject, SearchModeName, Time, UnitInterval};

/// Matches of a search that asks for no number.
const LIMIT_DEFAULT: usize = 10;

/// A memory to be stored.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = NewMemory, example = json!({
    "content": "Ann prefers short answers.", "type": "episodic", "importance": 0.6, "agent_id": "assistant-1",
    "context": {"task": "support"}, "metadata": {"topic": "style", "year": 2026}
}))]
pub(crate) struct NewMemoryBody {
    /// Text, or an object that is searched by the text in it.
    #[schema(value_type = ContentSchema)]
    content: Value,
    /// The layer.
    #[serde(rename = "type", default)]
    #[schema(value_type = LayerName)]
    layer: MemoryLayer,
    /// How much it matters.
    #[serde(default = "importance")]
    #[schema(value_type = UnitInterval, default = 0.5)]
    importance: f64,
    /// Whose it is.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    agent_id: Option<AgentId>,
    /// The circumstances.
    #[serde(default)]
    #[schema(value_type = OpenObject)]
    context: Map<String, Value>,
    /// What filters look at.
    #[serde(default)]
    #[schema(value_type = OpenObject)]
    metadata: Map<String, Value>,
    /// The client's own vector.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 4096)]
    embedding: Option<Vec<f32>>,
    /// Seconds until it is forgotten. An episode with such a time is never made knowledge.
    #[serde(default)]
    #[schema(exclusive_minimum = 0.0)]
    ttl_s: Option<f64>,
}

only_object!(NewMemoryBody);

fn importance() -> f64 {
    nova_core::domain::memory::IMPORTANCE_DEFAULT
}

impl From<NewMemoryBody> for NewMemory {
    fn from(body: NewMemoryBody) -> Self {
        Self {
            content: body.content,
            layer: body.layer,
            importance: body.importance,
            agent_id: body.agent_id,
            context: body.context,
            metadata: body.metadata,
            embedding: body.embedding,
            ttl_s: body.ttl_s,
            ..Self::default()
        }
    }
}

/// Schema of a content: a string or an object.
pub(crate) struct ContentSchema;

impl utoipa::PartialSchema for ContentSchema {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Object]))
            .description(Some("Text, or an object with text in it."))
            .examples(["Ann prefers short answers."])
            .into()
    }
}

impl ToSchema for ContentSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "MemoryContent".into()
    }
}

/// What to look for.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = MemorySearch, example = json!({
    "query": "How does Ann like answers?", "agent_id": "assistant-1", "filter": {"topic": "style", "year": {"gte": 2025}}, "limit": 5
}))]
pub(crate) struct SearchBody {
    /// Words.
    #[serde(default)]
    query: Option<String>,
    /// In place of `query`: an object, searched by the text in it.
    #[serde(default)]
    #[schema(value_type = Option<OpenObject>)]
    content: Option<Map<String, Value>>,
    /// Only this layer.
    #[serde(rename = "type", default)]
    #[schema(value_type = Option<LayerName>)]
    layer: Option<MemoryLayer>,
    /// Only of this agent.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    agent_id: Option<AgentId>,
    /// Over the metadata: `{"key": value}`, `{"key": {"gt"|"gte"|"lt"|"lte": bound}}`, `{"key": {"in": [values]}}`,
    /// joined by `$and`, `$or`, `$not`.
    #[serde(default)]
    #[schema(value_type = OpenObject)]
    filter: Map<String, Value>,
    /// Stored at this time or later.
    #[serde(default)]
    #[schema(value_type = Option<Time>)]
    since: Option<Timestamp>,
    /// Stored before this time.
    #[serde(default)]
    #[schema(value_type = Option<Time>)]
    until: Option<Timestamp>,
    /// At least as important.
    #[serde(default)]
    #[schema(value_type = Option<UnitInterval>)]
    min_importance: Option<f64>,
    /// Statements that no longer hold, too.
    #[serde(default)]
    #[schema(default = false)]
    include_superseded: bool,
    /// Most matches.
    #[serde(default = "limit")]
    #[schema(minimum = 1, maximum = 200, default = 10)]
    limit: usize,
    /// Which legs.
    #[serde(default)]
    #[schema(value_type = SearchModeName)]
    mode: SearchMode,
    /// The client's own vector, compared with those that clients stored.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 4096)]
    embedding: Option<Vec<f32>>,
}

only_object!(SearchBody);

fn limit() -> usize {
    LIMIT_DEFAULT
}

impl TryFrom<SearchBody> for SearchRequest {
    type Error = Error;

    fn try_from(body: SearchBody) -> Result<Self, Error> {
        let query = match (body.query, body.content) {
            (Some(_), Some(_)) => {
                return Err(Error::field(
                    "content",
                    "a search has a query or a content, not both",
                ));
            }
            (Some(query), None) => Some(Value::String(query)),
            (None, Some(content)) => Some(Value::Object(content)),
            (None, None) => None,
        };
        Ok(Self {
            query,
            embedding: body.embedding,
            mode: body.mode,
            filter: MemoryFilter {
                layer: body.layer,
                agent_id: body.agent_id,
                metadata: MetadataFilter::parse(&body.filter)?,
                since: body.since,
                until: body.until,
                min_importance: body.min_importance,
                superseded: body.include_superseded,
                merged: false,
            },
            limit: body.limit,
        })
    }
}

/// What is to be forgotten: all that passes.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = MemoryForget, example = json!({"agent_id": "assistant-1", "until": "2026-01-01T00:00:00.000Z"}))]
pub(crate) struct ForgetBody {
    /// Only this layer.
    #[serde(rename = "type", default)]
    #[schema(value_type = Option<LayerName>)]
    layer: Option<MemoryLayer>,
    /// Only of this agent.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    agent_id: Option<AgentId>,
    /// Over the metadata, as in a search.
    #[serde(default)]
    #[schema(value_type = OpenObject)]
    filter: Map<String, Value>,
    /// Stored at this time or later.
    #[serde(default)]
    #[schema(value_type = Option<Time>)]
    since: Option<Timestamp>,
    /// Stored before this time.
    #[serde(default)]
    #[schema(value_type = Option<Time>)]
    until: Option<Timestamp>,
}

only_object!(ForgetBody);

impl TryFrom<ForgetBody> for MemoryFilter {
    type Error = Error;

    /// Refuses to forget everything by an empty body.
    fn try_from(body: ForgetBody) -> Result<Self, Error> {
        let filter = Self {
            layer: body.layer,
            agent_id: body.agent_id,
            metadata: MetadataFilter::parse(&body.filter)?,
            since: body.since,
            until: body.until,
            superseded: true,
            ..Self::default()
        };
        let all = Self {
            superseded: true,
            ..Self::default()
        };
        if filter == all {
            return Err(Error::field(
                "filter",
                "say what is to be forgotten: type, agent_id, filter, since or until",
            ));
        }
        Ok(filter)
    }
}

/// Whose episodes are to be consolidated.
#[derive(Deserialize, ToSchema, Default)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = MemoryConsolidate, example = json!({"agent_id": "assistant-1"}))]
pub(crate) struct ConsolidateBody {
    /// Only of this agent; none = of all.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    pub(crate) agent_id: Option<AgentId>,
}

only_object!(ConsolidateBody);
