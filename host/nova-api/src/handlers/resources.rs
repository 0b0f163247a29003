//! Resources.

use axum::extract::State;
use nova_core::ResourceId;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, IfMatch, Json, PathId, Query};
use crate::problem::Problem;
use crate::router::{RESOURCE, location};
use crate::wire::answer::Answer;
use crate::wire::page::{List, PageQuery};
use crate::wire::resource::{
    NewResourceBody, ResourceAnswer, ResourceChangeBody, ResourceRecord, ResourceRemoved,
};

/// Create a resource.
#[utoipa::path(post, path = ROUTED, tag = "resources", operation_id = "create_resource", request_body = NewResourceBody, responses(
    (status = 201, description = "The resource", body = ResourceAnswer),
))]
pub(crate) async fn create(
    State(state): State<Shared>,
    actor: Actor,
    Json(body): Json<NewResourceBody>,
) -> Result<Answer<ResourceAnswer>, Problem> {
    let resource = state
        .services
        .resources
        .create(&actor.domain, body.try_into()?)
        .await?;
    let answer = ResourceAnswer::new(resource, state.clock.now());
    let location = location(RESOURCE, answer.resource_id());
    let version = answer.version();
    Ok(Answer::created(location, answer).version(version))
}

/// List resources, newest first.
#[utoipa::path(get, path = ROUTED, tag = "resources", operation_id = "list_resources", params(PageQuery), responses(
    (status = 200, description = "A part of the list", body = List<ResourceRecord>),
))]
pub(crate) async fn list(
    State(state): State<Shared>,
    actor: Actor,
    Query(page): Query<PageQuery>,
) -> Result<Answer<List<ResourceRecord>>, Problem> {
    let page = state
        .services
        .resources
        .list(&actor.domain, page.parse()?)
        .await?;
    Ok(Answer::ok(List::from_page(page)))
}

/// One resource.
#[utoipa::path(get, path = ROUTED, tag = "resources", operation_id = "get_resource", responses(
    (status = 200, description = "The resource", body = ResourceAnswer),
))]
pub(crate) async fn get(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<ResourceId>,
) -> Result<Answer<ResourceAnswer>, Problem> {
    let resource = state.services.resources.get(&actor.domain, &id).await?;
    let answer = ResourceAnswer::new(resource, state.clock.now());
    let version = answer.version();
    Ok(Answer::ok(answer).version(version))
}

/// Change a resource; its capacity not below what is in use.
#[utoipa::path(put, path = ROUTED, tag = "resources", operation_id = "update_resource", params(IfMatch), request_body = ResourceChangeBody, responses(
    (status = 200, description = "The resource", body = ResourceAnswer),
))]
pub(crate) async fn update(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<ResourceId>,
    IfMatch(expected): IfMatch,
    Json(body): Json<ResourceChangeBody>,
) -> Result<Answer<ResourceAnswer>, Problem> {
    let resource = state
        .services
        .resources
        .update(&actor.domain, &id, body.into_change(expected))
        .await?;
    let answer = ResourceAnswer::new(resource, state.clock.now());
    let version = answer.version();
    Ok(Answer::ok(answer).version(version))
}

/// Remove a resource; refused (409) while it is in use.
#[utoipa::path(delete, path = ROUTED, tag = "resources", operation_id = "delete_resource", responses(
    (status = 200, description = "It is gone", body = ResourceRemoved),
))]
pub(crate) async fn delete(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<ResourceId>,
) -> Result<Answer<ResourceRemoved>, Problem> {
    state.services.resources.delete(&actor.domain, &id).await?;
    Ok(Answer::ok(ResourceRemoved::new(id, state.clock.now())))
}
