//! The wrapper around every handler.

use std::any::Any;
use std::io::Write as _;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::handler::Handler;
use axum::http::header::CONNECTION;
use axum::http::{HeaderName, HeaderValue, Method, Uri, Version};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use nova_core::services::Budget;
use tracing::Span;

use super::access::Line;
use super::admission::admit;
use super::meter::Meter;
use super::moved::moved;
use super::repeat::Named;
use super::request_id::{RequestId, X_REQUEST_ID};
use super::traced::Traced;
use crate::extract::{Actor, body};
use crate::problem::{Carried, Problem};
use crate::router::Access;
use crate::serve::Peer;
use crate::{ApiState, Shared};

const RATE_LIMIT: [HeaderName; 3] = [
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
];
const X_RESPONSE_TIME: HeaderName = HeaderName::from_static("x-response-time");

/// What the edge knows of a route.
pub(crate) struct Route {
    /// Its path as in the route table.
    pub(crate) path: &'static str,
    /// Who may come in.
    pub(crate) access: Access,
    /// Query parameters that the OpenAPI document lists.
    pub(crate) query_names: Vec<String>,
    /// Its body is a component, which may be larger than others.
    pub(crate) takes_component: bool,
    /// Its metrics.
    pub(crate) meter: Meter,
    /// Whether the handler reads the body as it comes, and bounds it itself.
    pub(crate) streams: bool,
    /// Whether the handler looks something up in microseconds, and so runs where the connection is served.
    pub(crate) at_once: bool,
}

impl Route {
    fn body_limit(&self, state: &ApiState) -> usize {
        if self.takes_component {
            state.config.max_component_bytes
        } else {
            state.config.max_body_bytes
        }
    }
}

/// A handler behind the edge.
#[derive(Clone)]
pub(crate) struct Guarded<H> {
    handler: H,
    route: Arc<Route>,
}

impl<H> Guarded<H> {
    /// Puts the edge around a handler.
    pub(crate) fn new(handler: H, route: Arc<Route>) -> Self {
        Self { handler, route }
    }
}

impl<H, T> Handler<T, Shared> for Guarded<H>
where
    H: Handler<T, Shared> + Sync,
    T: 'static,
{
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, state: Shared) -> Self::Future {
        let started = Instant::now();
        match &state.work {
            Some(runtime) if !self.route.at_once => {
                let runtime = runtime.clone();
                Box::pin(moved(runtime, self.answer(request, state, started)))
            }
            _ => Box::pin(self.answer(request, state, started)),
        }
    }
}

impl<H> Guarded<H> {
    async fn answer<T>(self, request: Request, state: Shared, started: Instant) -> Response
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        let Self { handler, route } = self;
        let _in_flight = route.meter.begin();
        let id = RequestId::of(request.headers());
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let version = request.version();
        let peer = request.extensions().get::<Peer>().map(|p| p.address);
        let mut admitted = None;
        // A refusal that leaves a part of the body unread must say that the connection ends with it.
        let reusable;
        let (entry, budget) = admit(&route, &state, &request);
        let actor = entry.as_ref().ok().and_then(Option::as_ref);
        let headers = request.headers();
        let traced = Traced::begin(&state.config, &route, &method, headers, id.as_str(), actor);
        let response = match entry {
            Ok(actor) => match arrived(request, &route, &state).await {
                Ok(mut request) => {
                    if let Some(actor) = actor {
                        admitted = Some(actor.clone());
                        request.extensions_mut().insert(actor);
                    }
                    // A stream is not kept in memory to be compared.
                    let (named, request) = match route.streams {
                        true => (None, request),
                        false => Named::of(&route, request).await,
                    };
                    let handling = handler.call(request, Arc::clone(&state));
                    let handled = AssertUnwindSafe(handling).catch_unwind();
                    let work = handled.map(caught);
                    let answer = match (named, &admitted) {
                        (Some(named), Some(actor)) => {
                            let once = named.answer(Arc::clone(&state), actor.caller.key_id, work);
                            traced.follow(once).await
                        }
                        _ => traced.follow(work).await,
                    };
                    // A stream that was refused has a rest that nobody reads.
                    reusable = !route.streams || answer.status().is_success();
                    answer
                }
                Err(refused) => {
                    reusable = refused.drained;
                    refused.problem.into_response()
                }
            },
            Err(problem) => {
                reusable = body::discard(request, &state).await;
                problem.into_response()
            }
        };
        let done = Done {
            route: &route,
            method,
            uri,
            peer,
            actor: admitted,
            budget,
            started,
        };
        let mut response = done.finish(&state, id, &traced.span, response);
        traced.end(&mut response);
        if !reusable && version < Version::HTTP_2 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response
    }
}

/// The request with its body, where the route wants all of it at once.
async fn arrived(
    request: Request,
    route: &Route,
    state: &Shared,
) -> Result<Request, body::Refused> {
    match route.streams {
        true => Ok(request),
        false => body::arrive(request, state, route.body_limit(state)).await,
    }
}

/// The answer of a handler, or of its panic.
fn caught(answer: Result<Response, Box<dyn Any + Send>>) -> Response {
    answer.unwrap_or_else(|payload| Problem::panic(&*payload).into_response())
}

/// A request that was handled.
struct Done<'a> {
    route: &'a Route,
    method: Method,
    uri: Uri,
    peer: Option<SocketAddr>,
    actor: Option<Actor>,
    budget: Option<Budget>,
    started: Instant,
}

impl Done<'_> {
    /// Renders a problem, counts, writes the access line and sets the headers.
    fn finish(
        self,
        state: &ApiState,
        id: RequestId,
        span: &Span,
        mut response: Response,
    ) -> Response {
        let mut code = None;
        if let Some(Carried(problem)) = response.extensions_mut().remove() {
            span.in_scope(|| problem.log());
            code = Some(problem.code());
            response = problem.render(id.as_str(), state.clock.now());
        }
        let took = self.started.elapsed();
        self.route.meter.answered(response.status(), took);
        let line = Line {
            method: &self.method,
            uri: &self.uri,
            route: self.route.path,
            peer: self.peer,
            caller: self.actor.as_ref().map(|a| &*a.caller),
            domain: self.actor.as_ref().map(|a| &a.domain),
            status: response.status(),
            code,
            took,
        };
        line.write(&state.config.access_sample, span);
        let headers = response.headers_mut();
        if let Some(budget) = self.budget {
            let [limit, remaining, reset] = RATE_LIMIT;
            headers.insert(limit, budget.limit.into());
            headers.insert(remaining, budget.remaining.into());
            headers.insert(reset, budget.reset_s.into());
        }
        headers.insert(X_REQUEST_ID, id.into_header());
        headers.insert(X_RESPONSE_TIME, seconds(took));
        response
    }
}

/// Seconds with microseconds, e.g. `0.000123`.
fn seconds(took: Duration) -> HeaderValue {
    let mut buffer = [0; 32];
    let mut free = &mut buffer[..];
    // 20 digits, a point and 6 digits fit.
    let _ = write!(free, "{}.{:06}", took.as_secs(), took.subsec_micros());
    let used = 32 - free.len();
    // Digits and a point always make a header.
    HeaderValue::from_bytes(&buffer[..used]).unwrap_or(HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_times_are_seconds() {
        let cases = [
            (Duration::ZERO, "0.000000"),
            (Duration::from_micros(123), "0.000123"),
            (Duration::from_millis(61_500), "61.500000"),
            (Duration::MAX, "18446744073709551615.999999"),
        ];
        for (took, text) in cases {
            assert_eq!(seconds(took), text);
        }
    }
}
