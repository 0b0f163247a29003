//! Who may come in: the key, its budget and permission, the names in the query, the domain.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use nova_core::services::Budget;
use nova_core::{Caller, Domain, Error, Permission};
use serde_json::json;

use super::guard::Route;
use crate::ApiState;
use crate::extract::Actor;
use crate::problem::{Code, Problem, refused};
use crate::router::Access;
use crate::serve::Peer;
use crate::wire::page::shown;

/// The query parameter that stands for a key where a client cannot send headers.
const TICKET: &str = "ticket";

/// Counts refused requests by what was over its limit: `key` or `peer`.
pub(super) const REFUSED_METRIC: &str = "nova_rate_limit_refused_total";

/// Admits a request, with what is left of its key's budget; no actor and no budget for a route that needs no
/// key.
///
/// # Errors
/// 503 where there are too many connections, 401 without a valid key, 429 for a key that asks, or a peer that
/// fails, too often, 403 without the permission or the domain, 400 for an unknown name in the query.
pub(crate) fn admit(
    route: &Route,
    state: &ApiState,
    request: &Request,
) -> (Result<Option<Actor>, Problem>, Option<Budget>) {
    let permission = match route.access {
        Access::Open => return (Ok(None), None),
        Access::Metrics if state.config.metrics_open => return (Ok(None), None),
        Access::Metrics => Permission::Read,
        Access::Key(permission) => permission,
    };
    if request
        .extensions()
        .get::<Peer>()
        .is_some_and(|p| p.in_reserve)
    {
        let full = Error::unavailable("too many connections are open", 1);
        return (Err(full.into()), None);
    }
    match identify(route, state, request) {
        Err(error) => (Err(error.into()), None),
        Ok((caller, budget)) => {
            let actor = enter(route, permission, caller, budget, request.uri().query());
            (actor.map(Some), Some(budget))
        }
    }
}

/// Whose request it is. A failure counts against the peer, and is told when there were too many.
fn identify(
    route: &Route,
    state: &ApiState,
    request: &Request,
) -> Result<(Arc<Caller>, Budget), Error> {
    let keys = &state.services.keys;
    let found = match secret(request.headers()) {
        Ok(Some(secret)) => keys.admit(secret),
        Ok(None) => match ticket(route, request.uri().query()) {
            Some(ticket) => keys.redeem(&ticket),
            // Nothing was guessed.
            None => {
                return Err(Error::Authentication(
                    "an API key is required: X-API-Key: <key>, or Authorization: Bearer <key>"
                        .to_owned(),
                ));
            }
        },
        Err(error) => Err(error),
    };
    // Behind a proxy the address is the proxy's.
    let peer = request.extensions().get::<Peer>();
    if let (Err(Error::Authentication(_)), Some(peer)) = (&found, peer) {
        keys.failed_from(peer.address.ip())
            .inspect_err(|_| refused_for("peer"))?;
    }
    found
}

/// What the caller may do here.
fn enter(
    route: &Route,
    permission: Permission,
    caller: Arc<Caller>,
    budget: Budget,
    query: Option<&str>,
) -> Result<Actor, Problem> {
    if budget.refused {
        refused_for("key");
        let retry_after_s = budget.reset_s;
        return Err(Error::RateLimit { retry_after_s }.into());
    }
    caller.require(permission)?;
    let domain = match query {
        None => None,
        Some(query) => domain_of(query, &route.query_names)?,
    };
    let domain = caller.allow(permission, domain)?;
    Ok(Actor { caller, domain })
}

fn refused_for(subject: &'static str) {
    metrics::counter!(REFUSED_METRIC, "subject" => subject).increment(1);
}

/// The secret that the headers carry, if any.
fn secret(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let bad = || Error::Authentication("the API key is not valid".to_owned());
    if let Some(value) = headers.get("x-api-key") {
        return value.to_str().map(Some).map_err(|_| bad());
    }
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let (scheme, secret) = value
        .to_str()
        .map_err(|_| bad())?
        .split_once(' ')
        .ok_or_else(bad)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(secret.trim()))
    } else {
        Err(bad())
    }
}

/// The ticket in the query of a route that takes one.
fn ticket<'q>(route: &Route, query: Option<&'q str>) -> Option<Cow<'q, str>> {
    if !route.query_names.iter().any(|name| name == TICKET) {
        return None;
    }
    let mut pairs = form_urlencoded::parse(query?.as_bytes());
    pairs
        .find(|(name, _)| name == TICKET)
        .map(|(_, value)| value)
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
            assert_eq!(
                secret(&headers).ok().flatten(),
                expected,
                "{name} {value:?}"
            );
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
