//! The span of a request, and its place in a trace.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use futures_util::future::Either;
use nova_core::trace::{self, TRACEPARENT, TraceContext};
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};

use super::guard::Route;
use crate::ApiConfig;
use crate::extract::Actor;

const HEADER: HeaderName = HeaderName::from_static(TRACEPARENT);

/// Who records spans as traces. None is asked where none is configured.
pub trait Tracer: Send + Sync + 'static {
    /// Puts the span where the request says it belongs, or at the beginning of a trace of its own. Gives its place;
    /// none when it is not recorded.
    fn place(&self, span: &Span, from: Option<TraceContext>) -> Option<TraceContext>;
}

impl fmt::Debug for dyn Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracer")
    }
}

/// A request as logs and traces know it.
pub(super) struct Traced {
    /// Every line written on the request's behalf stands in it.
    pub(super) span: Span,
    /// Handed on to other programs; none when the client brought none and nobody records.
    pub(super) place: Option<TraceContext>,
    recorded: bool,
}

impl Traced {
    /// Opens the span, at the highest level, so that a line of any level carries it. Every request pays for its
    /// fields, so they are few unless somebody records them.
    pub(super) fn begin(
        config: &ApiConfig,
        route: &Route,
        method: &Method,
        headers: &HeaderMap,
        request_id: &str,
        actor: Option<&Actor>,
    ) -> Self {
        let header = headers.get(HEADER).and_then(|value| value.to_str().ok());
        let from: Option<TraceContext> = header.and_then(|text| text.parse().ok());
        let key_id = actor.map(|actor| display(actor.caller.key_id));
        let domain = actor.map(|actor| actor.domain.as_str());
        let Some(tracer) = &config.tracer else {
            let span = tracing::error_span!(
                "request",
                request_id,
                key_id,
                domain,
                trace_id = from.map(|from| display(TraceId(from.trace_id))),
                plugin = Empty,
                revision = Empty,
            );
            return Self {
                span,
                place: from.map(TraceContext::child),
                recorded: false,
            };
        };
        let span = tracing::error_span!(
            "request",
            otel.name = format!("{method} {}", route.path),
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = method.as_str(),
            http.route = route.path,
            http.response.status_code = Empty,
            request_id,
            key_id,
            domain,
            trace_id = Empty,
            plugin = Empty,
            revision = Empty,
        );
        let place = tracer.place(&span, from);
        if let Some(place) = place {
            span.record("trace_id", display(TraceId(place.trace_id)));
        }
        Self {
            span,
            place: place.or(from.map(TraceContext::child)),
            recorded: place.is_some(),
        }
    }

    /// Does work in the span, at its place.
    pub(super) fn follow<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        let work = work.instrument(self.span.clone());
        match self.place {
            None => Either::Left(work),
            Some(place) => Either::Right(trace::scope(place, work)),
        }
    }

    /// Tells the span and the client how it ended.
    pub(super) fn end(&self, response: &mut Response) {
        let status: StatusCode = response.status();
        if self.recorded {
            self.span
                .record("http.response.status_code", status.as_u16());
            if status.is_server_error() {
                self.span.record("otel.status_code", "ERROR");
            }
        }
        if let Some(place) = self.place
            && let Ok(value) = HeaderValue::try_from(place.to_string())
        {
            response.headers_mut().insert(HEADER, value);
        }
    }
}

struct TraceId(u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
