//! The query string as a struct of texts, which its own methods turn into values.
//!
//! Names that the OpenAPI document does not list were refused at the edge already.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::problem::{Code, Problem, refused};
use crate::wire::page::shown;

/// A query string.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        match serde_urlencoded::from_str(query) {
            Ok(value) => Ok(Self(value)),
            // Only a name given twice is left to go wrong.
            Err(error) => Err(Problem::new(
                Code::ValidationError,
                format!("the query string: {error}"),
                json!({}),
            )),
        }
    }
}

/// Whether a query parameter says `true`; absent = it does not.
pub(crate) fn is_set(name: &str, value: Option<&str>) -> Result<bool, Problem> {
    match value {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => {
            let message = format!("{name} must be true or false, got '{}'", shown(other));
            Err(refused(name, message, None))
        }
    }
}
