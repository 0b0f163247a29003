//! API keys, and tickets for WebSockets.

use axum::extract::State;
use nova_core::KeyId;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, Json, OptionalJson, PathId, Query};
use crate::problem::Problem;
use crate::router::{KEY, location};
use crate::wire::answer::Answer;
use crate::wire::key::{KeyAnswer, KeyRecord, NewKeyBody, RotateBody, SecretAnswer, TicketAnswer};
use crate::wire::page::{List, PageQuery};

/// Create a key. Its secret is shown this once; it gives no more than the caller has.
#[utoipa::path(post, path = ROUTED, tag = "keys", operation_id = "create_key", request_body = NewKeyBody, responses(
    (status = 201, description = "The key, with its secret", body = SecretAnswer),
))]
pub(crate) async fn create(
    State(state): State<Shared>,
    actor: Actor,
    Json(body): Json<NewKeyBody>,
) -> Result<Answer<SecretAnswer>, Problem> {
    let keys = &state.services.keys;
    let (view, secret) = keys.create(Some(&actor.caller), body.try_into()?).await?;
    let answer = SecretAnswer::new(view, secret, state.clock.now());
    Ok(Answer::created(location(KEY, answer.key_id()), answer).secret())
}

/// List keys that reach no further than the caller's, newest first, revoked ones too.
#[utoipa::path(get, path = ROUTED, tag = "keys", operation_id = "list_keys", params(PageQuery), responses(
    (status = 200, description = "A part of the list", body = List<KeyRecord>),
))]
pub(crate) async fn list(
    State(state): State<Shared>,
    actor: Actor,
    Query(page): Query<PageQuery>,
) -> Result<Answer<List<KeyRecord>>, Problem> {
    let page = state.services.keys.list(Some(&actor.caller), page.parse()?);
    Ok(Answer::ok(List::from_page(page)))
}

/// One key.
#[utoipa::path(get, path = ROUTED, tag = "keys", operation_id = "get_key", responses(
    (status = 200, description = "The key", body = KeyAnswer),
))]
pub(crate) async fn get(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<KeyId>,
) -> Result<Answer<KeyAnswer>, Problem> {
    let view = state.services.keys.get(Some(&actor.caller), id)?;
    Ok(Answer::ok(KeyAnswer::new(view, state.clock.now())))
}

/// Give a key a new secret; the present one serves on for a grace period.
#[utoipa::path(post, path = ROUTED, tag = "keys", operation_id = "rotate_key", request_body = Option<RotateBody>, responses(
    (status = 200, description = "The key, with its new secret", body = SecretAnswer),
))]
pub(crate) async fn rotate(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<KeyId>,
    OptionalJson(body): OptionalJson<RotateBody>,
) -> Result<Answer<SecretAnswer>, Problem> {
    let keys = &state.services.keys;
    let (view, secret) = keys.rotate(Some(&actor.caller), id, body.grace_s).await?;
    let answer = SecretAnswer::new(view, secret, state.clock.now());
    Ok(Answer::ok(answer).secret())
}

/// Revoke a key: its next request is refused, and its sockets are closed.
#[utoipa::path(delete, path = ROUTED, tag = "keys", operation_id = "revoke_key", responses(
    (status = 200, description = "The key as it ended", body = KeyAnswer),
))]
pub(crate) async fn revoke(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<KeyId>,
) -> Result<Answer<KeyAnswer>, Problem> {
    let view = state.services.keys.revoke(Some(&actor.caller), id).await?;
    Ok(Answer::ok(KeyAnswer::new(view, state.clock.now())))
}

/// Get a one-time ticket for the WebSocket, for browsers, which cannot send a key with it.
#[utoipa::path(post, path = ROUTED, tag = "keys", operation_id = "issue_ticket", responses(
    (status = 200, description = "The ticket; it serves once, within 30 s", body = TicketAnswer),
))]
pub(crate) async fn ticket(
    State(state): State<Shared>,
    actor: Actor,
) -> Result<Answer<TicketAnswer>, Problem> {
    let (ticket, expires_at) = state.services.keys.issue_ticket(&actor.caller)?;
    let answer = TicketAnswer {
        ticket,
        expires_at,
        status: "issued",
        timestamp: state.clock.now(),
    };
    Ok(Answer::ok(answer).secret())
}
