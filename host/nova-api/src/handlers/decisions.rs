//! Recorded decisions.

use axum::extract::State;
use nova_core::ports::DecisionFilter;
use nova_core::strategy::Kind;
use nova_core::strategy::decision::OUTCOMES;
use nova_core::{DecisionId, FlowId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, PathId, Query};
use crate::openapi::Journaled;
use crate::problem::{Problem, refused};
use crate::wire::answer::Answer;
use crate::wire::decision::{DecisionAnswer, DecisionRecord};
use crate::wire::page::{List, PageQuery, shown};
use crate::wire::schema::{KindName, Name, OutcomeName};

/// Which decisions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DecisionQuery {
    /// Of this kind.
    #[param(value_type = Option<KindName>)]
    kind: Option<String>,
    /// By this plugin.
    plugin: Option<String>,
    /// About this flow.
    #[param(value_type = Option<Name>)]
    flow_id: Option<String>,
    /// That ended so.
    #[param(value_type = Option<OutcomeName>)]
    outcome: Option<String>,
}

impl DecisionQuery {
    fn parse(self) -> Result<DecisionFilter, Problem> {
        Ok(DecisionFilter {
            kind: self.kind.as_deref().map(kind).transpose()?,
            plugin: self.plugin,
            flow_id: self
                .flow_id
                .map(|text| text.parse::<FlowId>())
                .transpose()?,
            outcome: self.outcome.as_deref().map(outcome).transpose()?,
        })
    }
}

fn kind(text: &str) -> Result<Kind, Problem> {
    Kind::parse(text).ok_or_else(|| {
        let names = Kind::ALL.map(Kind::as_str).join(", ");
        refused(
            "kind",
            format!("kind must be one of {names}, got '{}'", shown(text)),
            None,
        )
    })
}

fn outcome(text: &str) -> Result<&'static str, Problem> {
    OUTCOMES.into_iter().find(|o| *o == text).ok_or_else(|| {
        let names = OUTCOMES.join(", ");
        refused(
            "outcome",
            format!("outcome must be one of {names}, got '{}'", shown(text)),
            None,
        )
    })
}

/// List recorded decisions, newest first.
#[utoipa::path(get, path = ROUTED, tag = "decisions", operation_id = "list_decisions", params(DecisionQuery, PageQuery), responses(
    (status = 200, description = "A part of the list", body = List<DecisionRecord>),
    Journaled,
))]
pub(crate) async fn list(
    State(state): State<Shared>,
    actor: Actor,
    Query(filter): Query<DecisionQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Answer<List<DecisionRecord>>, Problem> {
    let (filter, page) = (filter.parse()?, page.parse()?);
    let page = state
        .services
        .decisions
        .list(&actor.domain, filter, page)
        .await?;
    Ok(Answer::ok(List::from_page(page)))
}

/// One decision, with its problem and its answer.
#[utoipa::path(get, path = ROUTED, tag = "decisions", operation_id = "get_decision", responses(
    (status = 200, description = "The decision", body = DecisionAnswer),
    Journaled,
))]
pub(crate) async fn get(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<DecisionId>,
) -> Result<Answer<DecisionAnswer>, Problem> {
    let decision = state.services.decisions.get(&actor.domain, id).await?;
    Ok(Answer::ok(DecisionAnswer::new(decision, state.clock.now())))
}
