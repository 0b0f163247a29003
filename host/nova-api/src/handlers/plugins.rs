//! Plugins.

use axum::extract::State;

use super::ROUTED;
use crate::Shared;
use crate::extract::{PathId, PluginName};
use crate::problem::Problem;
use crate::wire::answer::Answer;
use crate::wire::page::List;
use crate::wire::plugin::{PluginAnswer, PluginRecord};

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
