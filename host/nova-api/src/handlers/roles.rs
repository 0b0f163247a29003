//! Roles: named sets of permissions and domains that keys refer to.

use axum::extract::State;
use axum::http::StatusCode;
use nova_core::RoleName;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, IfMatch, Json, PathId, RoleText};
use crate::problem::Problem;
use crate::wire::answer::Answer;
use crate::wire::page::List;
use crate::wire::role::{RoleAnswer, RoleBody, RoleRecord};

/// Every role, by name, the built-in ones included.
#[utoipa::path(get, path = ROUTED, tag = "keys", operation_id = "list_roles", responses(
    (status = 200, description = "All of them", body = List<RoleRecord>),
))]
pub(crate) async fn list(State(state): State<Shared>) -> Answer<List<RoleRecord>> {
    let roles = state.services.keys.roles();
    Answer::ok(List {
        items: roles.into_iter().map(Into::into).collect(),
        next_cursor: None,
    })
}

/// One role.
#[utoipa::path(get, path = ROUTED, tag = "keys", operation_id = "get_role", responses(
    (status = 200, description = "The role", body = RoleAnswer),
))]
pub(crate) async fn get(
    State(state): State<Shared>,
    PathId(name): PathId<RoleName>,
) -> Result<Answer<RoleAnswer>, Problem> {
    let role = state.services.keys.role(&name)?;
    let version = role.version;
    Ok(Answer::ok(RoleAnswer::new(role, state.clock.now())).version(version))
}

/// Create a role, or replace what it permits; its keys may do that at once.
#[utoipa::path(put, path = ROUTED, tag = "keys", operation_id = "put_role", params(IfMatch), request_body = RoleBody, responses(
    (status = 200, description = "The changed role", body = RoleAnswer),
    (status = 201, description = "The new role", body = RoleAnswer),
))]
pub(crate) async fn put(
    State(state): State<Shared>,
    actor: Actor,
    PathId(RoleText(name)): PathId<RoleText>,
    IfMatch(expected): IfMatch,
    Json(body): Json<RoleBody>,
) -> Result<Answer<RoleAnswer>, Problem> {
    let new = body.named(name.parse()?)?;
    let keys = &state.services.keys;
    let (role, made) = keys.put_role(&actor.caller, new, expected).await?;
    let (version, name) = (role.version, role.name.clone());
    let answer = Answer::ok(RoleAnswer::new(role, state.clock.now())).version(version);
    Ok(match made {
        true => answer
            .status(StatusCode::CREATED)
            .located(crate::router::location(crate::router::ROLE, name)),
        false => answer,
    })
}

/// Remove a role; refused (409) while a key has it.
#[utoipa::path(delete, path = ROUTED, tag = "keys", operation_id = "delete_role", responses(
    (status = 200, description = "It is gone", body = RoleAnswer),
))]
pub(crate) async fn delete(
    State(state): State<Shared>,
    actor: Actor,
    PathId(name): PathId<RoleName>,
) -> Result<Answer<RoleAnswer>, Problem> {
    let keys = &state.services.keys;
    keys.delete_role(&actor.caller, &name).await?;
    Ok(Answer::ok(RoleAnswer::deleted(name, state.clock.now())))
}
