//! Analytics: one question, three scopes.

use std::fmt::Display;

use axum::extract::State;
use nova_core::strategy::analytics::Scope;
use nova_core::{AgentId, FlowId, ResourceId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, Json, PathName, Query, find_id};
use crate::openapi::Decides;
use crate::problem::Problem;
use crate::wire::analytics::{AnalyticsAnswer, ReportQuery};
use crate::wire::answer::Answer;
use crate::wire::measure::{MetricsAnswer, MetricsBody};

/// Which flow.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FlowSubject {
    /// One flow; absent = all.
    flow_id: Option<String>,
}

/// Which agent.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AgentSubject {
    /// One agent; absent = all.
    agent_id: Option<String>,
}

/// Which resource.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResourceSubject {
    /// One resource; absent = all.
    resource_id: Option<String>,
}

/// How flows do: durations, success, what holds them up.
#[utoipa::path(get, path = ROUTED, tag = "analytics", operation_id = "flow_analytics", params(FlowSubject, ReportQuery), responses(
    (status = 200, description = "The report", body = AnalyticsAnswer),
    Decides,
))]
pub(crate) async fn flows(
    State(state): State<Shared>,
    actor: Actor,
    Query(subject): Query<FlowSubject>,
    Query(query): Query<ReportQuery>,
) -> Result<Answer<AnalyticsAnswer>, Problem> {
    report::<FlowId>(&state, actor, Scope::Flows, subject.flow_id, query).await
}

/// How agents do: throughput, success rate, latency quantiles, queue, time to go.
#[utoipa::path(get, path = ROUTED, tag = "analytics", operation_id = "agent_analytics", params(AgentSubject, ReportQuery), responses(
    (status = 200, description = "The report", body = AnalyticsAnswer),
    Decides,
))]
pub(crate) async fn agents(
    State(state): State<Shared>,
    actor: Actor,
    Query(subject): Query<AgentSubject>,
    Query(query): Query<ReportQuery>,
) -> Result<Answer<AnalyticsAnswer>, Problem> {
    report::<AgentId>(&state, actor, Scope::Agents, subject.agent_id, query).await
}

/// How resources do: utilization now, its history, and a forecast with an interval.
#[utoipa::path(get, path = ROUTED, tag = "analytics", operation_id = "resource_analytics", params(ResourceSubject, ReportQuery), responses(
    (status = 200, description = "The report", body = AnalyticsAnswer),
    Decides,
))]
pub(crate) async fn resources(
    State(state): State<Shared>,
    actor: Actor,
    Query(subject): Query<ResourceSubject>,
    Query(query): Query<ReportQuery>,
) -> Result<Answer<AnalyticsAnswer>, Problem> {
    report::<ResourceId>(&state, actor, Scope::Resources, subject.resource_id, query).await
}

/// Record user metrics.
///
/// Numbers that the client measured itself, such as tokens or temperatures. Reports show them under their names
/// beside what they compute, with forecasts and anomalies.
#[utoipa::path(post, path = ROUTED, tag = "analytics", operation_id = "record_metrics", request_body = MetricsBody, responses(
    (status = 200, description = "All of them are recorded", body = MetricsAnswer),
))]
pub(crate) async fn record(
    State(state): State<Shared>,
    actor: Actor,
    Json(body): Json<MetricsBody>,
) -> Result<Answer<MetricsAnswer>, Problem> {
    let measured = body.into_measurements();
    let recorded = measured.len();
    let seq = state
        .services
        .analytics
        .record(&actor.domain, measured)
        .await?;
    Ok(Answer::ok(MetricsAnswer {
        status: "recorded",
        recorded,
        seq,
        confidence: 1.0,
        timestamp: state.clock.now(),
    }))
}

async fn report<T: PathName + Display>(
    state: &Shared,
    actor: Actor,
    scope: Scope,
    subject: Option<String>,
    query: ReportQuery,
) -> Result<Answer<AnalyticsAnswer>, Problem> {
    let subject = subject.map(|text| find_id::<T>(&text)).transpose()?;
    let request = query.into_request(subject.map(|id| id.to_string()))?;
    let decided = state
        .services
        .analytics
        .report(&actor.domain, scope, request.clone())
        .await?;
    Ok(Answer::ok(AnalyticsAnswer::new(
        scope,
        actor.domain,
        &request,
        decided,
        state.clock.now(),
    )))
}
