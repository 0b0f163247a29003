//! Reading a body: bounded in bytes and time.

use std::time::Duration;

use axum::body::Body;
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

/// The whole body of a request that says it is JSON, or says nothing.
///
/// # Errors
/// Another content type, too many bytes, too much time, or a broken connection.
pub(super) async fn read(request: Request, state: &Shared) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    let limit = state.config.max_body_bytes;
    let declared = declared_length(&parts.headers);
    if declared.is_some_and(|length| length > limit as u64) {
        // A client that asks first has sent nothing yet.
        if !parts.headers.contains_key(EXPECT) {
            drain(body, limit).await;
        }
        return Err(too_large(limit));
    }
    check_content_type(&parts.headers)?;
    let capacity = declared
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or_default();
    match tokio::time::timeout(
        state.config.body_read_timeout,
        collect(body, capacity, limit),
    )
    .await
    {
        Ok(result) => result,
        Err(_) => {
            let seconds = state.config.body_read_timeout.as_secs_f64();
            Err(Problem::new(
                Code::ValidationError,
                format!("the body did not arrive within {seconds} s"),
                json!({"timeout_s": seconds}),
            ))
        }
    }
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

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
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

async fn collect(mut body: Body, capacity: usize, limit: usize) -> Result<Bytes, Problem> {
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Problem::new(
                Code::ValidationError,
                "the body broke off before its end",
                json!({}),
            ));
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let so_far = first.as_ref().map_or(whole.len(), Bytes::len);
        if so_far + data.len() > limit {
            drain(body, limit).await;
            return Err(too_large(limit));
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

async fn drain(mut body: Body, limit: usize) {
    let most = limit.saturating_mul(DRAIN_FACTOR);
    let work = async {
        let mut seen = 0;
        while seen <= most {
            match body.frame().await {
                Some(Ok(frame)) => seen += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) | None => return,
            }
        }
    };
    // Whatever is left: the connection closes then.
    let _ = tokio::time::timeout(DRAIN_TIME, work).await;
}
