//! Who may come in: the key, its permission, the names in the query, the domain.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use nova_core::{Domain, Error};
use serde_json::json;

use super::guard::Route;
use crate::ApiState;
use crate::extract::Actor;
use crate::problem::{Code, Problem, refused};
use crate::router::Access;
use crate::serve::Peer;
use crate::wire::page::shown;

/// Admits a request; none for a route that needs no key.
///
/// # Errors
/// 503 where there are too many connections, 401 without a valid key, 403 without the permission or the domain, 400 for an unknown
/// name in the query.
pub(crate) fn admit(
    route: &Route,
    state: &ApiState,
    request: &Request,
) -> Result<Option<Actor>, Problem> {
    let permission = match route.access {
        Access::Open => return Ok(None),
        Access::Metrics if state.config.metrics_open => return Ok(None),
        Access::Metrics => nova_core::Permission::Read,
        Access::Key(permission) => permission,
    };
    if request
        .extensions()
        .get::<Peer>()
        .is_some_and(|p| p.in_reserve)
    {
        return Err(Error::unavailable("too many connections are open", 1).into());
    }
    let caller = state
        .services
        .keys
        .authenticate(secret(request.headers())?)?;
    caller.require(permission)?;
    let domain = match request.uri().query() {
        None => None,
        Some(query) => domain_of(query, &route.query_names)?,
    };
    let domain = caller.enter(domain)?;
    Ok(Some(Actor { caller, domain }))
}

fn secret(headers: &HeaderMap) -> Result<&str, Error> {
    let bad = || Error::Authentication("the API key is not valid".to_owned());
    if let Some(value) = headers.get("x-api-key") {
        return value.to_str().map_err(|_| bad());
    }
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Err(Error::Authentication(
            "an API key is required: X-API-Key: <key>, or Authorization: Bearer <key>".to_owned(),
        ));
    };
    let (scheme, secret) = value
        .to_str()
        .map_err(|_| bad())?
        .split_once(' ')
        .ok_or_else(bad)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(secret.trim())
    } else {
        Err(bad())
    }
}

/// Refuses names that the route does not document, and finds the domain.
fn domain_of(query: &str, known: &[String]) -> Result<Option<Domain>, Problem> {
    let mut domain: Option<Cow<'_, str>> = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name == "domain" {
            if domain.replace(value).is_some() {
                return Err(refused("domain", "domain is given twice".to_owned(), None));
            }
        } else if !known.iter().any(|k| *k == name) {
            let name = shown(&name);
            let message = format!(
                "'{name}' is not a query parameter here; accepted: {}",
                known.join(", ")
            );
            return Err(Problem::new(
                Code::ValidationError,
                message,
                json!({"field": name, "accepted": known}),
            ));
        }
    }
    Ok(domain.map(|d| d.parse()).transpose()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn keys_come_in_either_header() {
        let cases: [(&'static str, &'static [u8], Option<&str>); 8] = [
            ("x-api-key", b"s3cret", Some("s3cret")),
            ("authorization", b"Bearer s3cret", Some("s3cret")),
            ("authorization", b"bearer  s3cret ", Some("s3cret")),
            ("authorization", b"Basic s3cret", None),
            ("authorization", b"s3cret", None),
            ("authorization", b"Bearer \xff", None),
            ("x-api-key", b"\xff", None),
            ("x-other", b"s3cret", None),
        ];
        for (name, value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_bytes(value).unwrap());
            assert_eq!(secret(&headers).ok(), expected, "{name} {value:?}");
        }
    }

    #[test]
    fn unknown_names_in_the_query_are_refused() {
        let known = ["domain".to_owned(), "limit".to_owned()];
        let cases = [
            ("", Some(None)),
            ("limit=3", Some(None)),
            ("domain=a", Some(Some("a"))),
            ("limit=3&domain=a%2Db", Some(Some("a-b"))),
            ("domain=a&domain=b", None),
            ("domain=", None),
            ("domain=%ff", None),
            ("domain=a/b", None),
            ("limt=3", None),
            ("%ff=%ff", None),
        ];
        for (query, expected) in cases {
            let found = domain_of(query, &known)
                .ok()
                .map(|d| d.map(|d| d.to_string()));
            assert_eq!(found, expected.map(|d| d.map(str::to_owned)), "{query}");
        }
    }
}
