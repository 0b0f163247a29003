//! Health, readiness, the entry point, metrics.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use nova_core::services::HealthStatus;

use super::ROUTED;
use crate::problem::Problem;
use crate::router::{DOCS, OPENAPI, ROUTES};
use crate::wire::answer::Answer;
use crate::wire::service::{HealthAnswer, ProbeAnswer, RootAnswer};
use crate::{Shared, VERSION};

/// The daemon's health, part by part.
#[utoipa::path(get, path = ROUTED, tag = "service", responses(
    (status = 200, description = "Healthy or degraded", body = HealthAnswer),
    (status = 503, description = "Unhealthy", body = HealthAnswer),
))]
pub(crate) async fn health(State(state): State<Shared>) -> Answer<HealthAnswer> {
    let health = state.services.health.check().await;
    let status = match health.status {
        HealthStatus::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        HealthStatus::Healthy | HealthStatus::Degraded => StatusCode::OK,
    };
    Answer::ok(HealthAnswer::new(health, VERSION)).status(status)
}

/// Whether the process answers at all.
#[utoipa::path(get, path = ROUTED, tag = "service", responses(
    (status = 200, description = "It does", body = ProbeAnswer),
))]
pub(crate) async fn live(State(state): State<Shared>) -> Answer<ProbeAnswer> {
    Answer::ok(ProbeAnswer {
        status: "live",
        timestamp: state.clock.now(),
    })
}

/// Whether requests may be sent here; 503 while starting or draining.
#[utoipa::path(get, path = ROUTED, tag = "service", responses(
    (status = 200, description = "They may", body = ProbeAnswer),
))]
pub(crate) async fn ready(State(state): State<Shared>) -> Result<Answer<ProbeAnswer>, Problem> {
    state.services.health.ready()?;
    Ok(Answer::ok(ProbeAnswer {
        status: "ready",
        timestamp: state.clock.now(),
    }))
}

/// What this service is and where its endpoints are.
#[utoipa::path(get, path = ROUTED, tag = "service", responses(
    (status = 200, description = "The entry point", body = RootAnswer),
))]
pub(crate) async fn root() -> Answer<RootAnswer> {
    Answer::ok(RootAnswer {
        name: "Nova API",
        version: VERSION,
        docs_url: DOCS,
        openapi_url: OPENAPI,
        endpoints: ROUTES.iter().map(Into::into).collect(),
    })
}

/// Metrics in Prometheus' text format.
#[utoipa::path(get, path = ROUTED, tag = "service", responses(
    (status = 200, description = "Prometheus text exposition 0.0.4", body = String, content_type = "text/plain",
        example = "nova_http_requests_total{method=\"GET\",route=\"/health\",status=\"200\"} 1\n"),
))]
pub(crate) async fn metrics(State(state): State<Shared>) -> Response {
    let mut response = state.metrics.render().into_response();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
