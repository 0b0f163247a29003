//! Flows.

use axum::extract::State;
use nova_core::{FlowId, FlowStatus};
use serde::Deserialize;
use utoipa::IntoParams;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, Json, OptionalJson, PathId, Query};
use crate::openapi::Decides;
use crate::problem::{Problem, refused};
use crate::router::{FLOW, location};
use crate::wire::answer::Answer;
use crate::wire::flow::{FlowAnswer, FlowRecord, NewFlowAnswer, NewFlowBody};
use crate::wire::optimize::{OptimizeAnswer, OptimizeBody};
use crate::wire::page::{List, PageQuery, shown};
use crate::wire::schema::FlowState;

/// Create a flow and its tasks, in one transaction.
#[utoipa::path(post, path = ROUTED, tag = "flows", operation_id = "create_flow", request_body = NewFlowBody, responses(
    (status = 201, description = "The flow and its tasks", body = NewFlowAnswer),
))]
pub(crate) async fn create(
    State(state): State<Shared>,
    actor: Actor,
    Json(body): Json<NewFlowBody>,
) -> Result<Answer<NewFlowAnswer>, Problem> {
    let (flow, tasks) = state
        .services
        .flows
        .create(&actor.domain, body.try_into()?)
        .await?;
    let answer = NewFlowAnswer::new(flow, tasks, state.clock.now());
    let location = location(FLOW, answer.flow_id());
    let version = answer.version();
    Ok(Answer::created(location, answer).version(version))
}

/// Which flows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FlowQuery {
    /// In this status.
    #[param(value_type = Option<FlowState>)]
    status: Option<String>,
}

impl FlowQuery {
    fn parse(&self) -> Result<Option<FlowStatus>, Problem> {
        let Some(text) = self.status.as_deref() else {
            return Ok(None);
        };
        FlowStatus::parse(text).map(Some).ok_or_else(|| {
            let names = FlowStatus::ALL.map(FlowStatus::as_str).join(", ");
            refused(
                "status",
                format!("status must be one of {names}, got '{}'", shown(text)),
                None,
            )
        })
    }
}

/// List flows, newest first.
#[utoipa::path(get, path = ROUTED, tag = "flows", operation_id = "list_flows", params(FlowQuery, PageQuery), responses(
    (status = 200, description = "A part of the list", body = List<FlowRecord>),
))]
pub(crate) async fn list(
    State(state): State<Shared>,
    actor: Actor,
    Query(filter): Query<FlowQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Answer<List<FlowRecord>>, Problem> {
    let page = state
        .services
        .flows
        .list(&actor.domain, filter.parse()?, page.parse()?)
        .await?;
    Ok(Answer::ok(List::from_page(page)))
}

/// One flow, with its graph, progress and critical path.
#[utoipa::path(get, path = ROUTED, tag = "flows", operation_id = "get_flow", responses(
    (status = 200, description = "The flow", body = FlowAnswer),
))]
pub(crate) async fn get(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<FlowId>,
) -> Result<Answer<FlowAnswer>, Problem> {
    let view = state.services.flows.get(&actor.domain, &id).await?;
    let answer = FlowAnswer::new(view, state.clock.now());
    let version = answer.version();
    Ok(Answer::ok(answer).version(version))
}

/// Decide which agent runs which task of a flow, and when.
///
/// With `apply` the assignments are written in one transaction.
#[utoipa::path(post, path = ROUTED, tag = "flows", operation_id = "optimize_flow", request_body = Option<OptimizeBody>, responses(
    (status = 200, description = "The plan", body = OptimizeAnswer),
    Decides,
))]
pub(crate) async fn optimize(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<FlowId>,
    OptionalJson(body): OptionalJson<OptimizeBody>,
) -> Result<Answer<OptimizeAnswer>, Problem> {
    let done = state
        .services
        .flows
        .optimize(&actor.domain, &id, body.into_request()?)
        .await?;
    Ok(Answer::ok(OptimizeAnswer::new(done, state.clock.now())))
}
