//! `If-Match: "<version>"`: the version that a change is based on.

use axum::extract::FromRequestParts;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Ref, Required};
use utoipa::{IntoParams, ToSchema};

use crate::problem::{Problem, refused};
use crate::wire::page::shown;
use crate::wire::schema::VersionTag;

/// The expected version; none when the client does not mind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IfMatch(pub(crate) Option<u64>);

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            ParameterBuilder::new()
                .name("If-Match")
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .schema(Some(Ref::from_schema_name(VersionTag::name())))
                .build(),
        ]
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(header) = parts.headers.get(IF_MATCH) else {
            return Ok(Self(None));
        };
        parse(header.to_str().unwrap_or_default()).map(Self)
    }
}

fn parse(text: &str) -> Result<Option<u64>, Problem> {
    let text = text.trim();
    if text == "*" {
        return Ok(None);
    }
    let digits = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    match digits.and_then(|d| d.parse().ok()) {
        Some(version) => Ok(Some(version)),
        None => {
            let message = format!(
                "If-Match must be a version in quotes, e.g. \"3\", or *, got '{}'",
                shown(text)
            );
            Err(refused("If-Match", message, None))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_quoted_numbers() {
        let cases = [
            ("\"3\"", Some(Some(3))),
            (" \"18446744073709551615\" ", Some(Some(u64::MAX))),
            ("*", Some(None)),
            ("3", None),
            ("\"\"", None),
            ("\"-1\"", None),
            ("W/\"3\"", None),
            ("\"1\", \"2\"", None),
            ("\"18446744073709551616\"", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }
}
