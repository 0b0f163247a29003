//! What keys and roles permit, and how often: shared by both.

use std::collections::BTreeSet;

use nova_core::{Domain, DomainSet, Error, Grant, Permission, RateLimit};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::object::only_object;
use super::schema::PermissionName;

/// Every domain, in a list of domains.
const EVERY: &str = "*";

/// The domains of a list of names; `["*"]` = all.
///
/// # Errors
/// A name that is none, with its place in the list.
pub(crate) fn parse_domains(names: Vec<String>) -> Result<DomainSet, Error> {
    if names.iter().any(|name| name == EVERY) {
        return Ok(DomainSet::All);
    }
    let parse = |(at, name): (usize, String)| {
        name.parse::<Domain>().map_err(|error| {
            Error::field(format!("domains[{at}]"), format!("domains[{at}]: {error}"))
        })
    };
    let set: Result<BTreeSet<Domain>, Error> = names.into_iter().enumerate().map(parse).collect();
    Ok(DomainSet::Only(set?))
}

/// The names of a set of domains.
pub(crate) fn domain_names(domains: &DomainSet) -> Vec<String> {
    match domains {
        DomainSet::All => vec![EVERY.to_owned()],
        DomainSet::Only(set) => set.iter().map(Domain::to_string).collect(),
    }
}

/// Permissions, and where they hold.
#[derive(Serialize, ToSchema)]
#[schema(as = Grant)]
pub(crate) struct GrantRecord {
    #[schema(value_type = Vec<PermissionName>)]
    permissions: BTreeSet<Permission>,
    /// `["*"]` = all.
    domains: Vec<String>,
}

impl From<Grant> for GrantRecord {
    fn from(grant: Grant) -> Self {
        Self {
            domains: domain_names(&grant.domains),
            permissions: grant.permissions,
        }
    }
}

/// How often a key may ask: at most `requests` in any span of `window_s`.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = RateLimit, example = json!({"requests": 100, "window_s": 60.0}))]
pub(crate) struct RateLimitBody {
    /// Requests in a window.
    #[schema(minimum = 1, maximum = 1_000_000)]
    requests: u32,
    /// Length of the window, in seconds.
    #[schema(minimum = 0.001, maximum = 86_400.0)]
    window_s: f64,
}

only_object!(RateLimitBody, Serialize);

impl TryFrom<RateLimitBody> for RateLimit {
    type Error = Error;

    fn try_from(body: RateLimitBody) -> Result<Self, Error> {
        let longest = Self::WINDOW_MAX_MS as f64 / 1000.0;
        let window_s = body.window_s;
        if !(0.001..=longest).contains(&window_s) {
            return Err(Error::field(
                "rate_limit.window_s",
                format!("rate_limit.window_s must be 0.001 to {longest}, got {window_s}"),
            ));
        }
        let limit = Self {
            requests: body.requests,
            window_ms: (window_s * 1000.0).round() as u64,
        };
        limit.check("rate_limit")
    }
}

impl From<RateLimit> for RateLimitBody {
    fn from(limit: RateLimit) -> Self {
        Self {
            requests: limit.requests,
            window_s: limit.window_ms as f64 / 1000.0,
        }
    }
}
