//! Agents.

use axum::extract::State;
use nova_core::AgentId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, Json, PathId, Query};
use crate::problem::Problem;
use crate::router::{AGENT, FLOW, location};
use crate::wire::agent::{AgentAnswer, AgentRecord, NewAgentBody};
use crate::wire::answer::Answer;
use crate::wire::coordination::{AssignBody, AssignmentAnswer, CoordinateBody, CoordinationAnswer};
use crate::wire::page::{List, PageQuery};

/// Register an agent.
#[utoipa::path(post, path = ROUTED, tag = "agents", operation_id = "register_agent", request_body = NewAgentBody, responses(
    (status = 201, description = "The agent", body = AgentAnswer),
))]
pub(crate) async fn register(
    State(state): State<Shared>,
    actor: Actor,
    Json(body): Json<NewAgentBody>,
) -> Result<Answer<AgentAnswer>, Problem> {
    let agent = state
        .services
        .specs
        .register(&actor.domain, body.try_into()?)
        .await?;
    let answer = AgentAnswer::new(agent, state.clock.now());
    let location = location(AGENT, answer.agent_id());
    let version = answer.version();
    Ok(Answer::created(location, answer).version(version))
}

/// Which agents.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AgentQuery {
    /// That have this capability.
    #[param(example = "rust")]
    capability: Option<String>,
}

/// List agents, newest first.
#[utoipa::path(get, path = ROUTED, tag = "agents", operation_id = "list_agents", params(AgentQuery, PageQuery), responses(
    (status = 200, description = "A part of the list", body = List<AgentRecord>),
))]
pub(crate) async fn list(
    State(state): State<Shared>,
    actor: Actor,
    Query(filter): Query<AgentQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Answer<List<AgentRecord>>, Problem> {
    let page = state
        .services
        .agents
        .list(&actor.domain, filter.capability, page.parse()?)
        .await?;
    Ok(Answer::ok(List::from_page(page)))
}

/// One agent, with what it has to do.
#[utoipa::path(get, path = ROUTED, tag = "agents", operation_id = "get_agent", responses(
    (status = 200, description = "The agent", body = AgentAnswer),
))]
pub(crate) async fn get(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<AgentId>,
) -> Result<Answer<AgentAnswer>, Problem> {
    let view = state.services.agents.get(&actor.domain, &id).await?;
    let answer = AgentAnswer::new(view, state.clock.now());
    let version = answer.version();
    Ok(Answer::ok(answer).version(version))
}

/// Make a flow of concrete tasks over several agents, by a pattern.
#[utoipa::path(post, path = ROUTED, tag = "agents", operation_id = "coordinate_agents", request_body = CoordinateBody, responses(
    (status = 201, description = "The flow", body = CoordinationAnswer),
))]
pub(crate) async fn coordinate(
    State(state): State<Shared>,
    actor: Actor,
    Json(body): Json<CoordinateBody>,
) -> Result<Answer<CoordinationAnswer>, Problem> {
    let request = body.into_request(state.clock.now())?;
    let made = state
        .services
        .agents
        .coordinate(&actor.domain, request)
        .await?;
    let answer = CoordinationAnswer::new(made, state.clock.now());
    let location = location(FLOW, answer.flow_id());
    Ok(Answer::created(location, answer))
}

/// Give an agent a task: a new one or one that exists.
///
/// Refused (409) when capabilities or concurrency do not fit; the details say which.
#[utoipa::path(post, path = ROUTED, tag = "agents", operation_id = "assign_task", request_body = AssignBody, responses(
    (status = 200, description = "The assigned task", body = AssignmentAnswer),
))]
pub(crate) async fn assign(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<AgentId>,
    Json(body): Json<AssignBody>,
) -> Result<Answer<AssignmentAnswer>, Problem> {
    let what = body.into_assignee(state.clock.now())?;
    let task = state
        .services
        .agents
        .assign(&actor.domain, &id, what)
        .await?;
    Ok(Answer::ok(AssignmentAnswer::new(
        id,
        task,
        state.clock.now(),
    )))
}
