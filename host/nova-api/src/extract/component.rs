//! An uploaded component: its bytes as they came.

use axum::extract::{FromRequest, Request};
use serde_json::json;

use super::body::whole;
use crate::Shared;
use crate::problem::{Code, Problem};

/// Content types that a component may come with.
const TYPES: [&str; 2] = ["application/wasm", "application/octet-stream"];

/// A component's bytes, not looked at yet.
pub(crate) struct Component(pub(crate) Vec<u8>);

impl FromRequest<Shared> for Component {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, Problem> {
        let bytes = whole(request, &TYPES).await?;
        if bytes.is_empty() {
            return Err(Problem::new(
                Code::ValidationError,
                "the body is empty; a WebAssembly component is expected",
                json!({}),
            ));
        }
        Ok(Self(bytes.into()))
    }
}
