//! An uploaded component: its bytes as they came, and its signature.

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nova_core::ports::runtime::Upload;
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::body::whole;
use crate::Shared;
use crate::problem::{Code, Problem, refused};

/// Content types that a component may come with.
const TYPES: [&str; 2] = ["application/wasm", "application/octet-stream"];
/// The header with the component's signature.
const SIGNATURE: &str = "X-Component-Signature";

/// A component's bytes and its signature, not looked at yet.
pub(crate) struct Component(pub(crate) Upload);

impl FromRequest<Shared> for Component {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, Problem> {
        let signature = signature(request.headers())?;
        let bytes = whole(request, &TYPES).await?;
        if bytes.is_empty() {
            return Err(Problem::new(
                Code::ValidationError,
                "the body is empty; a WebAssembly component is expected",
                json!({}),
            ));
        }
        Ok(Self(Upload {
            stage: false,
            component: bytes.into(),
            signature,
        }))
    }
}

impl IntoParams for Component {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .content_encoding("base64");
        vec![
            ParameterBuilder::new()
                .name(SIGNATURE)
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some(
                    "The component's detached signature in minisign format (the file that `nova plugin sign` makes), \
                     in Base64. Needed where `plugins.signers` is configured; it is kept beside the component.",
                ))
                .schema(Some(text))
                .build(),
        ]
    }
}

/// The signature's text, where there is one.
fn signature(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(header) = headers.get(SIGNATURE) else {
        return Ok(None);
    };
    let bytes = STANDARD.decode(header.as_bytes().trim_ascii()).ok();
    match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(text) => Ok(Some(text)),
        None => Err(refused(
            SIGNATURE,
            format!("{SIGNATURE} must be a signature file's text in Base64"),
            None,
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_signature_comes_as_one_line() {
        let of = |text: &str| {
            let headers =
                HeaderMap::from_iter([(SIGNATURE.parse().unwrap(), text.parse().unwrap())]);
            signature(&headers).ok()
        };
        assert_eq!(of("YQpi"), Some(Some("a\nb".to_owned())));
        assert_eq!(of(""), Some(Some(String::new())));
        for wrong in ["a", "untrusted comment: x", "/w=="] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(signature(&HeaderMap::new()).ok(), Some(None));
    }
}
