//! Analytics questions that are asked again and again: one task for each distinct question, whoever
//! shares its answers.

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use nova_core::services::{AnalyticsRequest, AnalyticsService};
use nova_core::strategy::analytics::Scope;
use nova_core::{Clock, Domain, Error};
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use super::hub::Hub;
use super::server;
use super::spec::{Question, Topic};
use crate::problem::Problem;
use crate::wire::analytics::AnalyticsAnswer;

/// Asks until it is aborted, the first time at once. A failure is told when it begins or changes.
pub(super) async fn run(
    hub: Weak<Hub>,
    (analytics, clock): (Arc<AnalyticsService>, Arc<dyn Clock>),
    question: Question,
) {
    let Some(scope) = question.topic.scope() else {
        return;
    };
    let request = AnalyticsRequest {
        subject: question.subject.clone(),
        ..AnalyticsRequest::default()
    };
    let mut tick = tokio::time::interval(Duration::from_millis(question.interval_ms));
    // A question that takes longer than its interval is asked less often, never twice at a time.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = None;
    loop {
        tick.tick().await;
        let answer = ask(
            &analytics,
            &*clock,
            &question.domain,
            scope,
            request.clone(),
        )
        .await;
        let Some(hub) = hub.upgrade() else { return };
        match answer {
            Ok(text) => {
                failing = None;
                hub.update(&question, &text);
            }
            Err(problem) => {
                let text = server::error(&problem, &asked(&question));
                if failing.as_ref() != Some(&text) {
                    hub.update(&question, &text);
                    failing = Some(text);
                }
            }
        }
    }
}

/// One answer, rendered.
pub(super) async fn ask(
    analytics: &AnalyticsService,
    clock: &dyn Clock,
    domain: &Domain,
    scope: Scope,
    request: AnalyticsRequest,
) -> Result<Utf8Bytes, Problem> {
    let decided = analytics
        .report(domain, scope, request.clone())
        .await
        .map_err(|error: Error| Problem::from(error))?;
    let answer = AnalyticsAnswer::new(scope, domain.clone(), &request, decided, clock.now());
    let topic = Topic::of_scope(scope);
    Ok(server::update(topic, request.subject.as_deref(), &answer))
}

/// The message that would ask this once.
fn asked(question: &Question) -> Value {
    let (kind, id) = match question.topic.scope() {
        Some(Scope::Agents) => ("agent_analytics", "agent_id"),
        Some(Scope::Resources) => ("resource_analytics", "resource_id"),
        _ => ("flow_analytics", "flow_id"),
    };
    let mut message = json!({"type": kind, "domain": question.domain});
    if let Some(subject) = &question.subject {
        message[id] = json!(subject);
    }
    message
}
