//! Plugins: looked at, uploaded, rolled back, removed.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, Component, OptionalJson, PathId, PluginName, Query, is_set};
use crate::openapi::Takes;
use crate::problem::Problem;
use crate::router::{PLUGIN, location};
use crate::wire::answer::Answer;
use crate::wire::page::List;
use crate::wire::plugin::{PluginAnswer, PluginRecord, PluginRemoved, RollbackBody};
use crate::wire::schema::ComponentBytes;

/// Every plugin, by name, with what was refused and why.
#[utoipa::path(get, path = ROUTED, tag = "plugins", operation_id = "list_plugins", responses(
    (status = 200, description = "All of them", body = List<PluginRecord>),
))]
pub(crate) async fn list(State(state): State<Shared>) -> Answer<List<PluginRecord>> {
    let items = state
        .services
        .plugins
        .list()
        .into_iter()
        .map(Into::into)
        .collect();
    Answer::ok(List {
        items,
        next_cursor: None,
    })
}

/// One plugin.
#[utoipa::path(get, path = ROUTED, tag = "plugins", operation_id = "get_plugin", responses(
    (status = 200, description = "The plugin", body = PluginAnswer),
))]
pub(crate) async fn get(
    State(state): State<Shared>,
    PathId(PluginName(name)): PathId<PluginName>,
) -> Result<Answer<PluginAnswer>, Problem> {
    let status = state.services.plugins.get(&name)?;
    Ok(Answer::ok(PluginAnswer::new(status, state.clock.now())))
}

/// What becomes of an upload.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// It is to be tried out first: it is kept beside the serving revision, which goes on, under the number in
    /// `staged`. A canary or a shadow names it by that; its promotion, or a rollback to that number, has it serve. One
    /// at a time is staged, and none any more once another file takes over.
    #[param(value_type = Option<bool>, default = false)]
    stage: Option<String>,
}

/// Upload a component: it is validated, compiled and probed, then takes over, or is staged. The plugin directory
/// gets the file once it may serve; a refused one (422, with `stage` and `reason`) changes nothing.
#[utoipa::path(put, path = ROUTED, tag = "plugins", operation_id = "upload_plugin", params(UploadQuery, Component), request_body(content = ComponentBytes, content_type = "application/wasm"), responses(
    (status = 200, description = "The plugin, with its new revision", body = PluginAnswer),
    (status = 201, description = "The plugin, which is new", body = PluginAnswer),
    Takes,
))]
pub(crate) async fn install(
    State(state): State<Shared>,
    actor: Actor,
    PathId(PluginName(name)): PathId<PluginName>,
    Query(query): Query<UploadQuery>,
    Component(mut upload): Component,
) -> Result<Answer<PluginAnswer>, Problem> {
    let by = actor.caller.key_id;
    upload.stage = is_set("stage", query.stage.as_deref())?;
    let (is_new, status) = state.services.plugins.install(by, &name, upload).await?;
    let answer = PluginAnswer::new(status, state.clock.now());
    Ok(if is_new {
        Answer::created(location(PLUGIN, &name), answer)
    } else {
        Answer::ok(answer)
    })
}

/// Remove a plugin and its files; refused (409) while a route or the configuration names it.
#[utoipa::path(delete, path = ROUTED, tag = "plugins", operation_id = "remove_plugin", responses(
    (status = 200, description = "It is gone", body = PluginRemoved),
))]
pub(crate) async fn remove(
    State(state): State<Shared>,
    actor: Actor,
    PathId(PluginName(name)): PathId<PluginName>,
) -> Result<Answer<PluginRemoved>, Problem> {
    let by = actor.caller.key_id;
    state.services.plugins.remove(by, &name).await?;
    Ok(Answer::ok(PluginRemoved::new(name, state.clock.now())))
}

/// Serve the previous revision again, or the one that is named, a staged one as well. The file that the replaced one came from is not
/// loaded again, also after a restart; another file is.
#[utoipa::path(post, path = ROUTED, tag = "plugins", operation_id = "roll_back_plugin", request_body = Option<RollbackBody>, responses(
    (status = 200, description = "The plugin, with the revision that serves now", body = PluginAnswer),
))]
pub(crate) async fn roll_back(
    State(state): State<Shared>,
    actor: Actor,
    PathId(PluginName(name)): PathId<PluginName>,
    OptionalJson(body): OptionalJson<RollbackBody>,
) -> Result<Answer<PluginAnswer>, Problem> {
    let by = actor.caller.key_id;
    let to = body.revision();
    let status = state.services.plugins.roll_back(by, &name, to).await?;
    Ok(Answer::ok(PluginAnswer::new(status, state.clock.now())))
}
