//! Routes to strategies.

use axum::extract::State;
use nova_core::Permission;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, Json, KindInPath, PathId};
use crate::problem::Problem;
use crate::wire::answer::Answer;
use crate::wire::route::{StrategiesAnswer, StrategiesBody};
use crate::wire::shadow::ShadowAnswer;

/// Which plugin serves which kind, by default and by domain.
#[utoipa::path(get, path = ROUTED, tag = "plugins", operation_id = "list_strategies", responses(
    (status = 200, description = "The routes of every kind", body = StrategiesAnswer),
))]
pub(crate) async fn list(State(state): State<Shared>) -> Result<Answer<StrategiesAnswer>, Problem> {
    let views = state.services.strategies.list().await?;
    Ok(Answer::ok(StrategiesAnswer::new(views, state.clock.now())))
}

/// Change routes while the daemon runs; calls from then on see all of the change.
#[utoipa::path(put, path = ROUTED, tag = "plugins", operation_id = "change_strategies", request_body = StrategiesBody, responses(
    (status = 200, description = "The routes of every kind", body = StrategiesAnswer),
))]
pub(crate) async fn change(
    State(state): State<Shared>,
    actor: Actor,
    Json(body): Json<StrategiesBody>,
) -> Result<Answer<StrategiesAnswer>, Problem> {
    let (by, changes) = (Some(actor.caller.key_id), body.into_changes());
    let views = state.services.strategies.change(by, changes).await?;
    Ok(Answer::ok(StrategiesAnswer::new(views, state.clock.now())))
}

/// What a kind's shadow has shown.
///
/// The one that runs, else the last one that ended since the daemon started.
#[utoipa::path(get, path = ROUTED, tag = "plugins", operation_id = "get_shadow", responses(
    (status = 200, description = "The shadow", body = ShadowAnswer),
))]
pub(crate) async fn shadow(
    State(state): State<Shared>,
    actor: Actor,
    PathId(KindInPath(kind)): PathId<KindInPath>,
) -> Result<Answer<ShadowAnswer>, Problem> {
    let reaches_all = actor.reaches_all(Permission::Read);
    let strategies = &state.services.strategies;
    let view = strategies.shadow(kind, &actor.domain, reaches_all)?;
    Ok(Answer::ok(ShadowAnswer::new(view, state.clock.now())))
}
