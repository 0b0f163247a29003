//! Allocations.

use axum::extract::State;
use nova_core::ports::AllocationFilter;
use nova_core::{AllocationId, AllocationStatus, ResourceId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, Json, PathId, Query};
use crate::openapi::Decides;
use crate::problem::{Problem, refused};
use crate::router::{ALLOCATION, ALLOCATIONS, location};
use crate::wire::allocate::{AllocateBody, AllocateDecision};
use crate::wire::allocation::{AllocationAnswer, AllocationRecord};
use crate::wire::answer::Answer;
use crate::wire::page::{List, PageQuery, shown};
use crate::wire::schema::{AllocationState, Name};

/// Decide who gets how much, and write it.
///
/// Capacity is never oversold. With `dry_run` nothing is written and the answer is 200.
#[utoipa::path(post, path = ROUTED, tag = "resources", operation_id = "allocate_resources", request_body = AllocateBody, responses(
    (status = 201, description = "What was given", body = AllocateDecision),
    (status = 200, description = "What would be given (`dry_run`)", body = AllocateDecision),
    Decides,
))]
pub(crate) async fn allocate(
    State(state): State<Shared>,
    actor: Actor,
    Json(body): Json<AllocateBody>,
) -> Result<Answer<AllocateDecision>, Problem> {
    let batch = body.is_batch();
    let answer = state
        .services
        .resources
        .allocate(&actor.domain, body.into_request()?)
        .await?;
    let decision = AllocateDecision::new(answer, batch, state.clock.now());
    if decision.is_dry_run() {
        return Ok(Answer::ok(decision));
    }
    let location = match decision.allocation_id() {
        Some(id) => location(ALLOCATION, id),
        None => ALLOCATIONS.to_owned(),
    };
    Ok(Answer::created(location, decision))
}

/// Which allocations.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AllocationQuery {
    /// In this status.
    #[param(value_type = Option<AllocationState>)]
    status: Option<String>,
    /// That hold or held some of this resource.
    #[param(value_type = Option<Name>)]
    resource_id: Option<String>,
    /// Of this consumer.
    consumer: Option<String>,
}

impl AllocationQuery {
    fn parse(self) -> Result<AllocationFilter, Problem> {
        Ok(AllocationFilter {
            status: self.status.as_deref().map(status).transpose()?,
            resource_id: self
                .resource_id
                .map(|text| text.parse::<ResourceId>())
                .transpose()?,
            consumer: self.consumer,
        })
    }
}

fn status(text: &str) -> Result<AllocationStatus, Problem> {
    AllocationStatus::parse(text).ok_or_else(|| {
        let names = AllocationStatus::ALL
            .map(AllocationStatus::as_str)
            .join(", ");
        refused(
            "status",
            format!("status must be one of {names}, got '{}'", shown(text)),
            None,
        )
    })
}

/// List allocations, newest first.
#[utoipa::path(get, path = ROUTED, tag = "resources", operation_id = "list_allocations", params(AllocationQuery, PageQuery), responses(
    (status = 200, description = "A part of the list", body = List<AllocationRecord>),
))]
pub(crate) async fn list(
    State(state): State<Shared>,
    actor: Actor,
    Query(filter): Query<AllocationQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Answer<List<AllocationRecord>>, Problem> {
    let page = state
        .services
        .resources
        .allocations(&actor.domain, filter.parse()?, page.parse()?)
        .await?;
    Ok(Answer::ok(List::from_page(page)))
}

/// One allocation.
#[utoipa::path(get, path = ROUTED, tag = "resources", operation_id = "get_allocation", responses(
    (status = 200, description = "The allocation", body = AllocationAnswer),
))]
pub(crate) async fn get(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<AllocationId>,
) -> Result<Answer<AllocationAnswer>, Problem> {
    let allocation = state
        .services
        .resources
        .allocation(&actor.domain, id)
        .await?;
    let version = allocation.version;
    Ok(Answer::ok(AllocationAnswer::new(allocation, state.clock.now())).version(version))
}

/// Give an allocation back.
#[utoipa::path(post, path = ROUTED, tag = "resources", operation_id = "release_allocation", responses(
    (status = 200, description = "The released allocation", body = AllocationAnswer),
))]
pub(crate) async fn release(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<AllocationId>,
) -> Result<Answer<AllocationAnswer>, Problem> {
    let allocation = state.services.resources.release(&actor.domain, id).await?;
    let version = allocation.version;
    Ok(Answer::ok(AllocationAnswer::new(allocation, state.clock.now())).version(version))
}
