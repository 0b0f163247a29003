//! The OpenAPI document and the interactive documentation, both from the binary.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use nova_core::Error;
use utoipa_swagger_ui::Config;

use super::ROUTED;
use crate::extract::{PartName, PathId};
use crate::problem::Problem;
use crate::router::OPENAPI;
use crate::wire::page::shown;

/// Written once: it never changes while the daemon runs.
static DOCUMENT: LazyLock<Result<Bytes, String>> = LazyLock::new(|| {
    crate::openapi()
        .to_json()
        .map(Bytes::from)
        .map_err(|error| error.to_string())
});

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    Arc::new(
        Config::from(OPENAPI)
            .try_it_out_enabled(true)
            .persist_authorization(true),
    )
});

/// This document.
#[utoipa::path(get, path = ROUTED, tag = "service", responses(
    (status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"),
))]
pub(crate) async fn openapi_json() -> Result<Response, Problem> {
    let bytes = DOCUMENT
        .as_ref()
        .map_err(|text| Problem::bug(text.as_str()))?;
    Ok(file(
        bytes.clone(),
        HeaderValue::from_static("application/json"),
    ))
}

/// Interactive documentation.
#[utoipa::path(get, path = ROUTED, tag = "service", responses(
    (status = 200, description = "A page that tries the endpoints", body = String, content_type = "text/html"),
))]
pub(crate) async fn page() -> Result<Response, Problem> {
    let index = asset("index.html")?.0;
    // The page is served without a slash at its end, its parts below it.
    let html = String::from_utf8_lossy(&index)
        .replace("href=\"./", "href=\"docs/")
        .replace("href=\"index.css", "href=\"docs/index.css")
        .replace("src=\"./", "src=\"docs/")
        .replace("<title>Swagger UI</title>", "<title>Nova API</title>");
    Ok(file(
        Bytes::from(html),
        HeaderValue::from_static("text/html; charset=utf-8"),
    ))
}

/// A part of the interactive documentation.
#[utoipa::path(get, path = ROUTED, tag = "service", responses(
    (status = 200, description = "A script, style sheet or image", body = String, content_type = "application/octet-stream"),
))]
pub(crate) async fn part(PathId(PartName(name)): PathId<PartName>) -> Result<Response, Problem> {
    let (bytes, kind) = asset(&name)?;
    Ok(file(bytes, kind))
}

fn asset(name: &str) -> Result<(Bytes, HeaderValue), Problem> {
    let found = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG));
    let found = found.map_err(|error| Problem::bug(error.to_string()))?;
    let asset = found.ok_or_else(|| Error::not_found("page", shown(name)))?;
    let kind = HeaderValue::try_from(asset.content_type).map_err(Problem::bug)?;
    let bytes = match asset.bytes {
        std::borrow::Cow::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
        std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
    };
    Ok((bytes, kind))
}

fn file(bytes: Bytes, kind: HeaderValue) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
