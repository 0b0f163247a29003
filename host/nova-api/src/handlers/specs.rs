//! Agents by their TinyTroupe specification.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use axum::response::{IntoResponse, Response};
use nova_core::AgentId;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, IfMatch, Json, PathId, Query, is_set, parse_value};
use crate::problem::Problem;
use crate::router::{AGENT, location};
use crate::wire::answer::Answer;
use crate::wire::schema::OpenObject;
use crate::wire::spec::{AgentImportAnswer, ImportBody};

/// Import an agent from its TinyTroupe file, with fragments and memories.
///
/// The body is an object with the file as `agent`, or the file as it is. An agent that is there is refused unless
/// `update` is set; importing the same file again stores no memory twice.
#[utoipa::path(post, path = ROUTED, tag = "agents", operation_id = "import_agent", request_body = ImportBody, responses(
    (status = 201, description = "The agent, registered", body = AgentImportAnswer),
    (status = 200, description = "The agent, changed", body = AgentImportAnswer),
))]
pub(crate) async fn import(
    State(state): State<Shared>,
    actor: Actor,
    IfMatch(expected): IfMatch,
    Json(body): Json<Value>,
) -> Result<Answer<AgentImportAnswer>, Problem> {
    let body: ImportBody = parse_value("", ImportBody::wrapped(body))?;
    let imported = state
        .services
        .specs
        .import(&actor.domain, body.into_request(expected)?)
        .await?;
    let (is_new, version) = (imported.is_new, imported.agent.version);
    let location = location(AGENT, &imported.agent.agent_id);
    let answer = AgentImportAnswer::new(imported, state.clock.now());
    let answer = match is_new {
        true => Answer::created(location, answer),
        false => Answer::ok(answer),
    };
    Ok(answer.version(version))
}

/// What the file has in it.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// Whether the agent's memories are in it, under `nova_memory`.
    #[param(value_type = Option<bool>, default = false)]
    memories: Option<String>,
}

/// The agent's file, which TinyTroupe loads.
///
/// Memories stand under a key that TinyTroupe passes over, since it cannot load those that it writes itself.
#[utoipa::path(get, path = ROUTED, tag = "agents", operation_id = "export_agent", params(ExportQuery), responses(
    (status = 200, description = "A `*.agent.json`", body = OpenObject),
))]
pub(crate) async fn export(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<AgentId>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let memories = is_set("memories", query.memories.as_deref())?;
    let file = state
        .services
        .specs
        .export(&actor.domain, &id, memories)
        .await?;
    let mut response = Json(file).into_response();
    // An id is letters, digits and `._-`: it needs no quoting.
    let name = format!("attachment; filename=\"{id}.agent.json\"");
    if let Ok(name) = HeaderValue::try_from(name) {
        response.headers_mut().insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
