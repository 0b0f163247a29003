//! `Idempotency-Key`: a request that is sent again gets the first answer again.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use nova_core::ports::KeptAnswer;
use nova_core::services::{Admitted, Attempt};
use nova_core::{KeyId, Permission};
use tracing::Instrument;

use super::guard::Route;
use crate::Shared;
use crate::problem::Problem;
use crate::router::Access;
use crate::wire::answer::Secret;

/// The client's name for its request.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Whether an operation may be asked for under an idempotency key: every POST that changes something.
pub(crate) fn applies(method: &Method, access: Access) -> bool {
    let changes = matches!(access, Access::Key(Permission::Write | Permission::Admin));
    changes && *method == Method::POST
}

/// What a client asks under its name.
pub(crate) struct Named {
    name: HeaderValue,
    target: String,
    body: Bytes,
}

impl Named {
    /// The request's name, if it has one, and all that makes it the same request.
    pub(crate) async fn of(route: &Route, request: Request) -> (Option<Self>, Request) {
        let name = request.headers().get(&IDEMPOTENCY_KEY).cloned();
        let Some(name) = name.filter(|_| applies(request.method(), route.access)) else {
            return (None, request);
        };
        let (parts, body) = request.into_parts();
        // It has arrived whole already.
        let body = body
            .collect()
            .await
            .map(|b| b.to_bytes())
            .unwrap_or_default();
        let named = Self {
            name,
            target: parts
                .uri
                .path_and_query()
                .map_or_else(String::new, ToString::to_string),
            body: body.clone(),
        };
        (Some(named), Request::from_parts(parts, Body::from(body)))
    }

    /// The first answer again, or that of `work`, which is kept.
    pub(crate) async fn answer<W>(self, state: Shared, key: KeyId, work: W) -> Response
    where
        W: Future<Output = Response> + Send + 'static,
    {
        let asked: [&[u8]; 2] = [self.target.as_bytes(), &self.body];
        // What is no ASCII is refused like any other bad name.
        let name = self.name.to_str().unwrap_or("\u{fffd}");
        match state.services.idempotency.admit(key, name, &asked).await {
            Err(error) => Problem::from(error).into_response(),
            Ok(Admitted::Repeated(kept)) => replay(kept),
            Ok(Admitted::Fresh(attempt)) => {
                // In a task of its own: a client that gives up waiting is who will ask again.
                let whole = async move {
                    let response = attempt.run(work).await;
                    keep(attempt, response).await
                };
                let task = tokio::spawn(whole.in_current_span());
                task.await
                    .unwrap_or_else(|error| Problem::bug(error).into_response())
            }
        }
    }
}

/// Keeps the answer of a request that changed something. What was refused can be asked anew.
async fn keep(attempt: Attempt, response: Response) -> Response {
    if !attempt.has_changed_something() || !response.status().is_success() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Problem::bug(error).into_response(),
    };
    let header = |name: HeaderName| {
        let value = parts.headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let secret = parts.extensions.get::<Secret>().is_some();
    let kept = KeptAnswer {
        status: parts.status.as_u16(),
        location: header(LOCATION),
        etag: header(ETAG),
        body: (!secret).then(|| body.to_vec()),
    };
    if let Err(error) = attempt.keep(kept).await {
        tracing::warn!(%error, "an answer could not be kept; a repetition of its request will be refused");
    }
    Response::from_parts(parts, Body::from(body))
}

fn replay(kept: KeptAnswer) -> Response {
    let mut response = Response::new(Body::from(kept.body.unwrap_or_default()));
    *response.status_mut() = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    for (name, value) in [(LOCATION, kept.location), (ETAG, kept.etag)] {
        if let Some(value) = value.and_then(|v| HeaderValue::try_from(v).ok()) {
            headers.insert(name, value);
        }
    }
    response
}
