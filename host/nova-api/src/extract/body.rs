//! Reading a body: bounded in bytes and time.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde_json::json;

use crate::Shared;
use crate::problem::{Code, Problem, refused};
use crate::wire::page::shown;

/// How much of a refused body is still read, in multiples of the limit, so that the client
/// gets to read the answer in place of a broken connection.
const DRAIN_FACTOR: usize = 4;
/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// A body that is not taken.
pub(crate) struct Refused {
    /// Why.
    pub(crate) problem: Problem,
    /// Whether all of it was read, so that the connection can serve the next request.
    pub(crate) drained: bool,
}

/// The request with its body, of at most `limit` bytes, read: the connection stays usable whatever becomes of the request.
///
/// # Errors
/// Too many bytes, too much time, or a broken connection.
pub(crate) async fn arrive(
    request: Request,
    state: &Shared,
    limit: usize,
) -> Result<Request, Refused> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let declared = declared_length(request.headers());
    if declared.is_some_and(|length| length > limit as u64) {
        let drained = discard(request, state).await;
        let problem = too_large(limit);
        return Err(Refused { problem, drained });
    }
    let (parts, body) = request.into_parts();
    let capacity = declared
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or_default();
    let wait = state.config.body_read_timeout;
    match tokio::time::timeout(wait, collect(body, capacity, limit)).await {
        Ok(bytes) => Ok(Request::from_parts(parts, Body::from(bytes?))),
        Err(_) => {
            let seconds = wait.as_secs_f64();
            let problem = Problem::new(
                Code::ValidationError,
                format!("the body did not arrive within {seconds} s"),
                json!({"timeout_s": seconds}),
            );
            Err(Refused {
                problem,
                drained: false,
            })
        }
    }
}

/// Reads what a refused client sends all the same, within bounds. Whether that was all of it.
pub(crate) async fn discard(request: Request, state: &Shared) -> bool {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return true;
    }
    // A client that asks first has sent nothing yet, and shall not.
    !parts.headers.contains_key(EXPECT) && drain(body, state.config.max_body_bytes).await
}

/// The bytes of a body that has arrived, of a request that says it is JSON, or says nothing.
///
/// # Errors
/// Another content type.
pub(super) async fn read(request: Request) -> Result<Bytes, Problem> {
    whole(request, &[]).await
}

/// As [`read`], of a request that says it is one of `types`, or says nothing; no types = JSON.
///
/// # Errors
/// Another content type.
pub(super) async fn whole(request: Request, types: &[&str]) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    check_content_type(&parts.headers, types)?;
    let whole = body.collect().await.map_err(|_| broken())?;
    Ok(whole.to_bytes())
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Code::PayloadTooLarge,
        format!("the body may have at most {limit} bytes"),
        json!({"max_body_bytes": limit}),
    )
}

fn check_content_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Problem> {
    let Some(header) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let text = header.to_str().unwrap_or_default();
    let essence = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if types.contains(&&*essence) {
        return Ok(());
    }
    if !types.is_empty() {
        let message = format!(
            "Content-Type must be {}, got '{}'",
            types.join(" or "),
            shown(text)
        );
        return Err(refused("Content-Type", message, None));
    }
    if essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
    {
        return Ok(());
    }
    let message = format!(
        "Content-Type must be application/json, got '{}'",
        shown(text)
    );
    Err(refused("Content-Type", message, None))
}

fn broken() -> Problem {
    let message = "the body broke off before its end";
    Problem::new(Code::ValidationError, message, json!({}))
}

async fn collect(mut body: Body, capacity: usize, limit: usize) -> Result<Bytes, Refused> {
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            let problem = broken();
            return Err(Refused {
                problem,
                drained: false,
            });
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let so_far = first.as_ref().map_or(whole.len(), Bytes::len);
        if so_far + data.len() > limit {
            let drained = drain(body, limit).await;
            let problem = too_large(limit);
            return Err(Refused { problem, drained });
        }
        // Most bodies come in one piece, which needs no copy.
        match first.take() {
            None if whole.is_empty() => first = Some(data),
            None => whole.extend_from_slice(&data),
            Some(piece) => {
                whole.reserve(capacity.min(limit));
                whole.extend_from_slice(&piece);
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

/// Whether the body ended within its bounds.
async fn drain(mut body: Body, limit: usize) -> bool {
    let most = limit.saturating_mul(DRAIN_FACTOR);
    let work = async {
        let mut seen = 0;
        while seen <= most {
            match body.frame().await {
                Some(Ok(frame)) => seen += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) => return false,
                None => return true,
            }
        }
        false
    };
    tokio::time::timeout(DRAIN_TIME, work)
        .await
        .unwrap_or(false)
}
