//! The one mapping from errors to HTTP: code, status, body, headers.
//!
//! A handler answers a [`Problem`]; it travels as an extension of an empty answer to the
//! edge, which alone knows the request id, renders the body and logs the cause. So a cause
//! is logged once, and never reaches a client.

use std::any::Any;
use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use nova_core::{Error, Timestamp};
use serde_json::{Map, Value, json};

use crate::wire::error::{ErrorAnswer, ErrorDetail, ErrorSummary};

/// What went wrong, as clients read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// 400
    ValidationError,
    /// 401
    AuthenticationError,
    /// 403
    PermissionDenied,
    /// 404
    ResourceNotFound,
    /// 405
    MethodNotAllowed,
    /// 409
    Conflict,
    /// 413
    PayloadTooLarge,
    /// 422
    StrategyRejected,
    /// 429
    RateLimitExceeded,
    /// 500
    ServiceError,
    /// 502
    StrategyFailed,
    /// 503
    ServiceUnavailable,
    /// 504
    StrategyTimeout,
}

impl Code {
    /// Every code, by rising status.
    pub const ALL: [Self; 13] = [
        Self::ValidationError,
        Self::AuthenticationError,
        Self::PermissionDenied,
        Self::ResourceNotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::PayloadTooLarge,
        Self::StrategyRejected,
        Self::RateLimitExceeded,
        Self::ServiceError,
        Self::StrategyFailed,
        Self::ServiceUnavailable,
        Self::StrategyTimeout,
    ];

    /// The text in `error.code`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ValidationError => "VALIDATION_ERROR",
            Self::AuthenticationError => "AUTHENTICATION_ERROR",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceNotFound => "RESOURCE_NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::Conflict => "CONFLICT",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::StrategyRejected => "STRATEGY_REJECTED",
            Self::RateLimitExceeded => "RATE_LIMIT_EXCEEDED",
            Self::ServiceError => "SERVICE_ERROR",
            Self::StrategyFailed => "STRATEGY_FAILED",
            Self::ServiceUnavailable => "SERVICE_UNAVAILABLE",
            Self::StrategyTimeout => "STRATEGY_TIMEOUT",
        }
    }

    /// The status that goes with it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::ValidationError => StatusCode::BAD_REQUEST,
            Self::AuthenticationError => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::ResourceNotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::StrategyRejected => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimitExceeded => StatusCode::TOO_MANY_REQUESTS,
            Self::ServiceError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::StrategyFailed => StatusCode::BAD_GATEWAY,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::StrategyTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// A refused or failed request, on its way to the edge; boxed, since it is the rare case.
#[derive(Debug)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: Code,
    message: Cow<'static, str>,
    details: Map<String, Value>,
    retry_after_s: Option<u64>,
    cause: Option<Cause>,
}

/// What only the log gets.
#[derive(Debug)]
struct Cause {
    chain: String,
    backtrace: Option<Backtrace>,
}

/// A problem as an extension of an answer that is still to be rendered.
#[derive(Clone)]
pub(crate) struct Carried(pub(crate) Arc<Problem>);

/// The public text of every bug.
const INTERNAL: &str = "an internal error occurred; the log has it under this request id";

impl Problem {
    /// A problem of the edge's own: one that no use case knows.
    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>, details: Value) -> Self {
        let details = nova_core::error::object(details);
        Self(Box::new(Parts {
            code,
            message: message.into(),
            details,
            retry_after_s: None,
            cause: None,
        }))
    }

    /// A panic that was caught.
    pub(crate) fn panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        // The panic hook has already written the backtrace.
        let cause = Cause {
            chain: format!("panic: {text}"),
            backtrace: None,
        };
        let mut problem = Self::new(Code::ServiceError, INTERNAL, Value::Null);
        problem.0.cause = Some(cause);
        problem
    }

    /// An answer that could not be written; always a bug.
    pub(crate) fn bug(cause: impl Into<nova_core::error::Source>) -> Self {
        Error::service(cause).into()
    }

    /// The same of a line of many, before which so many were stored.
    pub(crate) fn in_line(mut self, line: u64, stored: u64) -> Self {
        self.0.message = format!("line {line}: {}", self.0.message).into();
        self.0.details.insert("line".to_owned(), line.into());
        self.0.details.insert("imported".to_owned(), stored.into());
        self
    }

    /// Writes the cause to the log, if there is one. To be called once, in the request's span.
    pub(crate) fn log(&self) {
        let Some(cause) = &self.0.cause else { return };
        match (self.0.code, &cause.backtrace) {
            (Code::ServiceError, Some(backtrace)) => {
                tracing::error!(error = %cause.chain, %backtrace, "internal error");
            }
            (Code::ServiceError, None) => tracing::error!(error = %cause.chain, "internal error"),
            _ => tracing::warn!(error = %cause.chain, "unavailable"),
        }
    }

    /// The error as a value, for protocols that carry their own envelope.
    pub(crate) fn summary(&self) -> Value {
        json!({"code": self.0.code.as_str(), "message": self.0.message, "details": self.0.details})
    }

    /// The code.
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// The text for people.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// Machine-readable parts.
    pub(crate) fn details(&self) -> &Map<String, Value> {
        &self.0.details
    }

    /// The whole answer.
    pub(crate) fn render(&self, request_id: &str, at: Timestamp) -> Response {
        let code = self.0.code.as_str();
        let body = ErrorAnswer {
            error: ErrorSummary {
                code,
                message: &self.0.message,
                details: &self.0.details,
            },
            detail: ErrorDetail {
                code,
                message: &self.0.message,
                details: &self.0.details,
                timestamp: at,
                request_id,
            },
        };
        // Strings, maps and a timestamp always serialize.
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = self.0.code.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.code == Code::AuthenticationError {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Validation { .. } => Code::ValidationError,
            Error::Authentication(_) => Code::AuthenticationError,
            Error::Authorization(_) => Code::PermissionDenied,
            Error::ResourceNotFound { .. } => Code::ResourceNotFound,
            Error::Conflict { .. } => Code::Conflict,
            Error::RateLimit { .. } => Code::RateLimitExceeded,
            Error::StrategyRejected { .. } => Code::StrategyRejected,
            Error::StrategyFailed { .. } => Code::StrategyFailed,
            Error::StrategyTimeout { .. } => Code::StrategyTimeout,
            Error::Unavailable { .. } => Code::ServiceUnavailable,
            Error::Service(_) => Code::ServiceError,
        };
        let retry_after_s = match &error {
            Error::RateLimit { retry_after_s } | Error::Unavailable { retry_after_s, .. } => {
                Some(*retry_after_s)
            }
            _ => None,
        };
        let cause = match &error {
            Error::Service(_) => Some(Cause {
                chain: chain(&error),
                backtrace: Some(Backtrace::force_capture()),
            }),
            Error::Unavailable {
                source: Some(_), ..
            } => Some(Cause {
                chain: chain(&error),
                backtrace: None,
            }),
            _ => None,
        };
        let message = match &error {
            Error::Service(_) => Cow::Borrowed(INTERNAL),
            other => Cow::Owned(other.to_string()),
        };
        Self(Box::new(Parts {
            code,
            message,
            details: error.details(),
            retry_after_s,
            cause,
        }))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.code.status();
        response.extensions_mut().insert(Carried(Arc::new(self)));
        response
    }
}

/// A refused field, as [`Error::field`], with what it was.
pub(crate) fn refused(field: &str, message: String, got: Option<String>) -> Problem {
    let mut details = json!({ "field": field });
    if let (Some(got), Some(map)) = (got, details.as_object_mut()) {
        map.insert("got".into(), Value::String(got));
    }
    Problem::new(Code::ValidationError, message, details)
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {source}");
        next = source.source();
    }
    text
}

#[cfg(test)]
impl Problem {
    /// The field to blame.
    pub(crate) fn field(&self) -> Option<&str> {
        self.0.details.get("field").and_then(Value::as_str)
    }
}
