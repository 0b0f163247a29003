//! Health and the entry point.

use std::collections::BTreeMap;

use nova_core::Timestamp;
use nova_core::services::Health;
use serde::Serialize;
use utoipa::ToSchema;

use super::schema::Time;
use crate::router::RouteSpec;

/// Whether the daemon serves.
#[derive(Serialize, ToSchema)]
#[schema(as = Health, example = json!({
    "status": "healthy",
    "version": "0.1.0",
    "timestamp": "2026-01-31T12:00:00.000Z",
    "uptime_s": 86400.0,
    "checks": {"store": {"status": "healthy", "detail": "ok"}, "plugins": {"status": "healthy", "detail": "3 active"}}
}))]
pub(crate) struct HealthAnswer {
    /// `healthy`, `degraded` or `unhealthy`.
    status: &'static str,
    version: &'static str,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
    /// Seconds since it started.
    uptime_s: f64,
    /// By part.
    #[schema(value_type = BTreeMap<String, CheckRecord>)]
    checks: BTreeMap<&'static str, CheckRecord>,
}

/// The health of one part.
#[derive(Serialize, ToSchema)]
#[schema(as = Check)]
pub(crate) struct CheckRecord {
    /// `healthy`, `degraded` or `unhealthy`.
    status: &'static str,
    /// For people.
    detail: String,
}

impl HealthAnswer {
    /// The answer to a check.
    pub(crate) fn new(health: Health, version: &'static str) -> Self {
        let checks = health.checks.into_iter().map(|(name, check)| {
            (
                name,
                CheckRecord {
                    status: check.status.as_str(),
                    detail: check.detail,
                },
            )
        });
        Self {
            status: health.status.as_str(),
            version,
            timestamp: health.at,
            uptime_s: health.uptime_s,
            checks: checks.collect(),
        }
    }
}

/// A state for a load balancer.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProbeAnswer {
    /// `live` or `ready`.
    #[schema(example = "ready")]
    pub(crate) status: &'static str,
    #[schema(value_type = Time)]
    pub(crate) timestamp: Timestamp,
}

/// What this service is and where its endpoints are.
#[derive(Serialize, ToSchema)]
pub(crate) struct RootAnswer {
    /// `Nova API`.
    #[schema(example = "Nova API")]
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    #[schema(example = "/docs")]
    pub(crate) docs_url: &'static str,
    #[schema(example = "/openapi.json")]
    pub(crate) openapi_url: &'static str,
    /// Every endpoint.
    pub(crate) endpoints: Vec<EndpointRecord>,
}

/// An endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointRecord {
    #[schema(example = "GET")]
    method: &'static str,
    #[schema(example = "/api/orchestration/tasks")]
    path: &'static str,
    /// The permission that it needs; null = none.
    #[schema(example = "read")]
    permission: Option<&'static str>,
}

impl From<&'static RouteSpec> for EndpointRecord {
    fn from(spec: &'static RouteSpec) -> Self {
        Self {
            method: spec.method.as_str(),
            path: spec.path,
            permission: spec.access.permission().map(|p| p.as_str()),
        }
    }
}
