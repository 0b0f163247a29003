//! Memories.

use axum::extract::State;
use nova_core::ports::MemoryFilter;
use nova_core::{AgentId, MemoryId, MemoryLayer};
use serde::Deserialize;
use utoipa::IntoParams;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, Json, OptionalJson, PathId, Query};
use crate::problem::{Problem, refused};
use crate::router::{MEMORY, location};
use crate::wire::answer::Answer;
use crate::wire::memory::{
    ConsolidationFacts, ForgottenFacts, MemoryAnswer, MemoryRecord, MemorySearchAnswer,
    MemoryWorkAnswer, UsageFacts,
};
use crate::wire::memory_body::{ConsolidateBody, ForgetBody, NewMemoryBody, SearchBody};
use crate::wire::page::{List, PageQuery, shown};
use crate::wire::schema::{LayerName, Name};

/// Store a memory.
///
/// The same content, context and metadata of the same agent and layer within a day are recognised: the answer is the record
/// that is there. It takes over the longer life (without `ttl_s`: it lasts), the higher importance, and the embedding.
#[utoipa::path(post, path = ROUTED, tag = "memory", operation_id = "store_memory", request_body = NewMemoryBody, responses(
    (status = 201, description = "The memory", body = MemoryAnswer),
    (status = 200, description = "The memory that was there already", body = MemoryAnswer),
))]
pub(crate) async fn store(
    State(state): State<Shared>,
    actor: Actor,
    Json(body): Json<NewMemoryBody>,
) -> Result<Answer<MemoryAnswer>, Problem> {
    let stored = state
        .services
        .memories
        .store(&actor.domain, body.into())
        .await?;
    let (known, id) = (stored.known, stored.memory.memory_id);
    let answer = MemoryAnswer::stored(stored, state.clock.now());
    if known {
        return Ok(Answer::ok(answer));
    }
    Ok(Answer::created(location(MEMORY, id), answer))
}

/// Which memories.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MemoryQuery {
    /// Of this layer.
    #[serde(rename = "type")]
    #[param(rename = "type", value_type = Option<LayerName>)]
    layer: Option<String>,
    /// Of this agent.
    #[param(value_type = Option<Name>)]
    agent_id: Option<String>,
}

impl MemoryQuery {
    fn parse(self) -> Result<MemoryFilter, Problem> {
        Ok(MemoryFilter {
            layer: self.layer.as_deref().map(layer).transpose()?,
            agent_id: self
                .agent_id
                .map(|text| text.parse::<AgentId>())
                .transpose()?,
            superseded: true,
            ..MemoryFilter::default()
        })
    }
}

/// The layer of that name.
pub(super) fn layer(text: &str) -> Result<MemoryLayer, Problem> {
    MemoryLayer::parse(text).ok_or_else(|| {
        let names = MemoryLayer::ALL.map(MemoryLayer::as_str).join(", ");
        refused(
            "type",
            format!("type must be one of {names}, got '{}'", shown(text)),
            None,
        )
    })
}

/// List memories, newest first.
#[utoipa::path(get, path = ROUTED, tag = "memory", operation_id = "list_memories", params(MemoryQuery, PageQuery), responses(
    (status = 200, description = "A part of the list", body = List<MemoryRecord>),
))]
pub(crate) async fn list(
    State(state): State<Shared>,
    actor: Actor,
    Query(filter): Query<MemoryQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Answer<List<MemoryRecord>>, Problem> {
    let page = state
        .services
        .memories
        .list(&actor.domain, filter.parse()?, page.parse()?)
        .await?;
    Ok(Answer::ok(List::from_page(page)))
}

/// One memory, with its layer, provenance and access count.
#[utoipa::path(get, path = ROUTED, tag = "memory", operation_id = "get_memory", responses(
    (status = 200, description = "The memory", body = MemoryAnswer),
))]
pub(crate) async fn get(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<MemoryId>,
) -> Result<Answer<MemoryAnswer>, Problem> {
    let memory = state.services.memories.get(&actor.domain, id).await?;
    Ok(Answer::ok(MemoryAnswer::new(memory, state.clock.now())))
}

/// Find memories by words, by vectors, or by both.
///
/// A hybrid search ranks by both scores together, each by how far it stands out; an episode also gets part of what the two
/// before and the two after it have.
#[utoipa::path(post, path = ROUTED, tag = "memory", operation_id = "search_memories", request_body = SearchBody, responses(
    (status = 200, description = "What was found, best first", body = MemorySearchAnswer),
))]
pub(crate) async fn search(
    State(state): State<Shared>,
    actor: Actor,
    Json(body): Json<SearchBody>,
) -> Result<Answer<MemorySearchAnswer>, Problem> {
    let found = state
        .services
        .memories
        .search(&actor.domain, body.try_into()?)
        .await?;
    Ok(Answer::ok(MemorySearchAnswer::new(
        found,
        state.clock.now(),
    )))
}

/// Consolidate the episodes that wait, now.
///
/// At most some thousands at once; `waiting` says how many are left, and the background goes on with them. Where the domain
/// has no room left (`memory.records_max`, `memory.bytes_max`), episodes are looked at all the same, but no new
/// knowledge is made of them: what is said again once there is room, is. What is known already is still reinforced.
#[utoipa::path(post, path = ROUTED, tag = "memory", operation_id = "consolidate_memories", request_body = Option<ConsolidateBody>, responses(
    (status = 200, description = "What was done", body = MemoryWorkAnswer<ConsolidationFacts>),
))]
pub(crate) async fn consolidate(
    State(state): State<Shared>,
    actor: Actor,
    OptionalJson(body): OptionalJson<ConsolidateBody>,
) -> Result<Answer<MemoryWorkAnswer<ConsolidationFacts>>, Problem> {
    let done = state
        .services
        .memories
        .consolidate(&actor.domain, body.agent_id.as_ref())
        .await?;
    Ok(Answer::ok(MemoryWorkAnswer::consolidated(
        done,
        state.clock.now(),
    )))
}

/// Forget all memories that pass a filter.
#[utoipa::path(post, path = ROUTED, tag = "memory", operation_id = "forget_memories", request_body = ForgetBody, responses(
    (status = 200, description = "How many are gone", body = MemoryWorkAnswer<ForgottenFacts>),
))]
pub(crate) async fn forget(
    State(state): State<Shared>,
    actor: Actor,
    Json(body): Json<ForgetBody>,
) -> Result<Answer<MemoryWorkAnswer<ForgottenFacts>>, Problem> {
    let count = state
        .services
        .memories
        .forget_all(&actor.domain, body.try_into()?)
        .await?;
    Ok(Answer::ok(MemoryWorkAnswer::forgotten(
        count,
        state.clock.now(),
    )))
}

/// What the domain's memories take, and how far consolidation and vectors are.
#[utoipa::path(get, path = ROUTED, tag = "memory", operation_id = "memory_usage", responses(
    (status = 200, description = "Records and bytes", body = MemoryWorkAnswer<UsageFacts>),
))]
pub(crate) async fn usage(
    State(state): State<Shared>,
    actor: Actor,
) -> Result<Answer<MemoryWorkAnswer<UsageFacts>>, Problem> {
    let memories = &state.services.memories;
    let usage = memories.usage(&actor.domain).await?;
    let waiting = memories.waiting(Some(&actor.domain)).await?;
    Ok(Answer::ok(MemoryWorkAnswer::usage(
        usage,
        waiting,
        memories.embedding_progress(),
        state.clock.now(),
    )))
}

/// Forget one memory.
#[utoipa::path(delete, path = ROUTED, tag = "memory", operation_id = "forget_memory", responses(
    (status = 200, description = "It is gone", body = MemoryAnswer),
))]
pub(crate) async fn delete(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<MemoryId>,
) -> Result<Answer<MemoryAnswer>, Problem> {
    state.services.memories.forget(&actor.domain, id).await?;
    Ok(Answer::ok(MemoryAnswer::forgotten(id, state.clock.now())))
}
