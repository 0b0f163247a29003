//! Replays of recorded decisions.

use axum::extract::State;
use axum::http::StatusCode;
use nova_core::Permission;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, Json, PathId, PluginName, ReplayId};
use crate::problem::Problem;
use crate::router::{REPLAY, location};
use crate::wire::answer::Answer;
use crate::wire::replay::{ReplayAnswer, ReplayBody};

/// Put recorded problems to a candidate and to the serving revision.
///
/// A job: the answer says where to look how far it is. One replay runs at a time.
#[utoipa::path(post, path = ROUTED, tag = "plugins", operation_id = "replay_decisions", request_body = ReplayBody, responses(
    (status = 202, description = "It has begun", body = ReplayAnswer),
))]
pub(crate) async fn begin(
    State(state): State<Shared>,
    actor: Actor,
    PathId(PluginName(plugin)): PathId<PluginName>,
    Json(body): Json<ReplayBody>,
) -> Result<Answer<ReplayAnswer>, Problem> {
    let reaches_all = actor.reaches_all(Permission::Admin);
    let request = body.into_request(plugin, actor.domain, reaches_all)?;
    let view = state.services.replays.begin(request).await?;
    let at = location(REPLAY, view.replay_id);
    let answer = ReplayAnswer::new(view, state.clock.now());
    Ok(Answer::created(at, answer).status(StatusCode::ACCEPTED))
}

/// How far a replay is, and what it has shown so far.
#[utoipa::path(get, path = ROUTED, tag = "plugins", operation_id = "get_replay", responses(
    (status = 200, description = "The replay", body = ReplayAnswer),
))]
pub(crate) async fn get(
    State(state): State<Shared>,
    actor: Actor,
    PathId(ReplayId(id)): PathId<ReplayId>,
) -> Result<Answer<ReplayAnswer>, Problem> {
    let replays = &state.services.replays;
    let view = replays.get(&actor.domain, actor.reaches_all(Permission::Read), id)?;
    Ok(Answer::ok(ReplayAnswer::new(view, state.clock.now())))
}

/// End a replay that runs.
#[utoipa::path(delete, path = ROUTED, tag = "plugins", operation_id = "cancel_replay", responses(
    (status = 200, description = "The replay; one that has ended stays as it was", body = ReplayAnswer),
))]
pub(crate) async fn cancel(
    State(state): State<Shared>,
    actor: Actor,
    PathId(ReplayId(id)): PathId<ReplayId>,
) -> Result<Answer<ReplayAnswer>, Problem> {
    let replays = &state.services.replays;
    let view = replays.cancel(&actor.domain, actor.reaches_all(Permission::Admin), id)?;
    Ok(Answer::ok(ReplayAnswer::new(view, state.clock.now())))
}
