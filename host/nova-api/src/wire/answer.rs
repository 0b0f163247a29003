//! Answers as HTTP responses: JSON, with `Location` and `ETag` where they belong.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::extract::Json;
use crate::problem::Problem;

/// `confidence` of facts read from the datastore.
pub(crate) const FACT: f64 = 1.0;

/// First size of an answer's buffer, in bytes: most records fit.
const BUFFER_BYTES: usize = 1024;

/// How many headers an answer may come to have without being put into a larger map.
const HEADERS: usize = 12;

/// Marks an answer with a secret in it, which is to be kept nowhere.
#[derive(Clone)]
pub(crate) struct Secret;

/// JSON with a status and headers.
pub(crate) struct Answer<T> {
    status: StatusCode,
    location: Option<String>,
    version: Option<u64>,
    secret: bool,
    body: T,
}

impl<T: Serialize> Answer<T> {
    /// 200.
    pub(crate) fn ok(body: T) -> Self {
        Self {
            status: StatusCode::OK,
            location: None,
            version: None,
            secret: false,
            body,
        }
    }

    /// 201, with the path where the new record is found.
    pub(crate) fn created(location: String, body: T) -> Self {
        Self {
            status: StatusCode::CREATED,
            ..Self::ok(body).located(location)
        }
    }

    /// With the path where the record is found.
    pub(crate) fn located(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }

    /// With a secret in it.
    pub(crate) fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// With the record's version as its `ETag`.
    pub(crate) fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// With another status.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.body).into_response();
        if response.status() != StatusCode::OK {
            return response;
        }
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(location) = self.location.and_then(|l| HeaderValue::try_from(l).ok()) {
            headers.insert(LOCATION, location);
        }
        if let Some(tag) = self
            .version
            .and_then(|v| HeaderValue::try_from(format!("\"{v}\"")).ok())
        {
            headers.insert(ETAG, tag);
        }
        if self.secret {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response.extensions_mut().insert(Secret);
        }
        response
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut bytes = Vec::with_capacity(BUFFER_BYTES);
        if let Err(error) = serde_json::to_writer(&mut bytes, &self.0) {
            return Problem::bug(error).into_response();
        }
        let mut response = Response::new(Body::from(bytes));
        let headers = response.headers_mut();
        headers.reserve(HEADERS);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Refuses a client's choice of id that no path could address.
pub(crate) fn check_addressable(
    field: &str,
    id: &str,
    taken: &[&str],
) -> Result<(), nova_core::Error> {
    if matches!(id, "." | "..") || taken.contains(&id) {
        return Err(nova_core::Error::field(
            field,
            format!("{field} must not be '{id}': that path has a meaning of its own"),
        ));
    }
    Ok(())
}
