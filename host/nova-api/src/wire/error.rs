//! The body of every refused or failed request.

use nova_core::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::schema::{ErrorCode, OpenObject, Time};

/// The one shape of every error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error, example = json!({
    "error": {
        "code": "VALIDATION_ERROR",
        "message": "priority must be 1 to 5, got 9",
        "details": {"field": "priority"}
    },
    "detail": {
        "code": "VALIDATION_ERROR",
        "message": "priority must be 1 to 5, got 9",
        "details": {"field": "priority"},
        "timestamp": "2026-01-31T12:00:00.000Z",
        "request_id": "019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50"
    }
}))]
pub(crate) struct ErrorAnswer<'a> {
    /// What a program reads.
    pub(crate) error: ErrorSummary<'a>,
    /// The same with the time and the request id, for a report.
    pub(crate) detail: ErrorDetail<'a>,
}

/// What a program reads of an error.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorSummary<'a> {
    #[schema(value_type = ErrorCode)]
    pub(crate) code: &'a str,
    /// For people: what was wrong and what is accepted.
    pub(crate) message: &'a str,
    /// Machine-readable parts: `field`, offending ids, `reason`, …
    #[schema(value_type = OpenObject)]
    pub(crate) details: &'a Map<String, Value>,
}

/// An error with the moment and the request it belongs to.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorDetail<'a> {
    #[schema(value_type = ErrorCode)]
    pub(crate) code: &'a str,
    /// As in `error`.
    pub(crate) message: &'a str,
    /// As in `error`.
    #[schema(value_type = OpenObject)]
    pub(crate) details: &'a Map<String, Value>,
    /// When it was answered.
    #[schema(value_type = Time)]
    pub(crate) timestamp: Timestamp,
    /// As in the header `X-Request-ID` and in every log line of the request.
    pub(crate) request_id: &'a str,
}
