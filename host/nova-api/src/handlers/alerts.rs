//! Alerts and their rules.

use axum::extract::State;
use nova_core::RuleId;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, Json, PathId, Query, RuleName};
use crate::problem::Problem;
use crate::router::{ALERT_RULE, location};
use crate::wire::alert::{AlertQuery, AlertRecord, RuleAnswer, RuleBody, RuleRecord, RulesAnswer};
use crate::wire::answer::{Answer, FACT};
use crate::wire::page::{List, PageQuery};

/// List alerts, newest first.
#[utoipa::path(get, path = ROUTED, tag = "alerts", operation_id = "list_alerts", params(AlertQuery, PageQuery), responses(
    (status = 200, description = "A part of the list", body = List<AlertRecord>),
))]
pub(crate) async fn list(
    State(state): State<Shared>,
    actor: Actor,
    Query(query): Query<AlertQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Answer<List<AlertRecord>>, Problem> {
    let alerts = &state.services.alerts;
    let page = alerts
        .list(&actor.domain, query.state()?, page.parse()?)
        .await?;
    Ok(Answer::ok(List::from_page(page)))
}

/// List alert rules: those of the configuration first, then the others, oldest first.
#[utoipa::path(get, path = ROUTED, tag = "alerts", operation_id = "list_alert_rules", responses(
    (status = 200, description = "All of the domain's rules", body = RulesAnswer),
))]
pub(crate) async fn rules(
    State(state): State<Shared>,
    actor: Actor,
) -> Result<Answer<RulesAnswer>, Problem> {
    let rules = state.services.alerts.rules(&actor.domain).await?;
    let items = rules.into_iter().map(RuleRecord::from).collect();
    Ok(Answer::ok(RulesAnswer { items }))
}

/// One alert rule.
#[utoipa::path(get, path = ROUTED, tag = "alerts", operation_id = "get_alert_rule", responses(
    (status = 200, description = "The rule", body = RuleAnswer),
))]
pub(crate) async fn rule(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<RuleId>,
) -> Result<Answer<RuleAnswer>, Problem> {
    let rule = state.services.alerts.rule(&actor.domain, &id).await?;
    Ok(Answer::ok(active(rule.into(), id, &state)))
}

/// Make an alert rule, or change the one of that name.
///
/// An alert is `pending` while the condition holds, `firing` once it has held for `for_s`, and `resolved` when it
/// holds no longer or the report has the metric no longer. Each change is an event of the topic `alerts`; what
/// fires and its end are also told to the configured webhooks.
#[utoipa::path(put, path = ROUTED, tag = "alerts", operation_id = "put_alert_rule", request_body = RuleBody, responses(
    (status = 200, description = "The changed rule", body = RuleAnswer),
    (status = 201, description = "The new rule", body = RuleAnswer),
))]
pub(crate) async fn put_rule(
    State(state): State<Shared>,
    actor: Actor,
    PathId(RuleName(name)): PathId<RuleName>,
    Json(body): Json<RuleBody>,
) -> Result<Answer<RuleAnswer>, Problem> {
    let id: RuleId = name.parse()?;
    let rule = body.into_rule(actor.domain, id.clone());
    let is_new = state.services.alerts.put_rule(rule.clone()).await?;
    let found_at = location(ALERT_RULE, &id);
    let answer = active(rule.into(), id, &state);
    Ok(if is_new {
        Answer::created(found_at, answer)
    } else {
        Answer::ok(answer)
    })
}

/// Remove an alert rule; its open alert is resolved.
#[utoipa::path(delete, path = ROUTED, tag = "alerts", operation_id = "delete_alert_rule", responses(
    (status = 200, description = "It is gone", body = RuleAnswer),
))]
pub(crate) async fn delete_rule(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<RuleId>,
) -> Result<Answer<RuleAnswer>, Problem> {
    state
        .services
        .alerts
        .delete_rule(&actor.domain, &id)
        .await?;
    Ok(Answer::ok(RuleAnswer {
        rule_id: id,
        status: "deleted",
        rule: None,
        confidence: FACT,
        timestamp: state.clock.now(),
    }))
}

fn active(rule: RuleRecord, rule_id: RuleId, state: &Shared) -> RuleAnswer {
    RuleAnswer {
        rule_id,
        status: "active",
        rule: Some(rule),
        confidence: FACT,
        timestamp: state.clock.now(),
    }
}
