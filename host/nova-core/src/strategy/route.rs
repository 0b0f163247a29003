//! Which plugin serves a kind: by default, and in single domains.
//!
//! What an operator says here stands above the configuration and lasts over a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Kind;
use super::canary::Canary;
use super::shadow::Shadow;
use crate::domain::{Domain, KeyId, Timestamp};
use crate::error::{Error, Result};

/// Longest name of a plugin, in bytes.
pub const PLUGIN_NAME_MAX_BYTES: usize = 64;
/// Domains of one kind that may have a route of their own.
pub const DOMAIN_ROUTES_MAX: usize = 1000;

/// The routes of one kind.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KindRoute {
    /// Who serves when nothing else is said; none = whom the configuration names.
    pub default: Option<String>,
    /// Who serves in a domain.
    pub domains: BTreeMap<Domain, String>,
    /// Who gets a share of the default's calls, on trial.
    pub canary: Option<Canary>,
    /// Who is asked the same as the default, and serves nobody.
    pub shadow: Option<Shadow>,
}

/// The routes of every kind that has some.
pub type Routes = BTreeMap<Kind, KindRoute>;

/// The routes of a kind as the datastore keeps them.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredRoute {
    /// Of which kind.
    pub kind: Kind,
    /// The routes.
    pub route: KindRoute,
    /// Rises by one with every change.
    pub version: u64,
    /// The last change.
    pub updated_at: Timestamp,
    /// The key that made it; none = the daemon.
    pub updated_by: Option<KeyId>,
}

impl StoredRoute {
    /// A kind of which nothing was said yet.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            route: KindRoute::default(),
            version: 0,
            updated_at: Timestamp::from_millis(0),
            updated_by: None,
        }
    }
}

/// Refuses a name that no plugin can have; `field` is its path.
///
/// # Errors
/// [`Error::Validation`].
pub fn check_plugin_name(field: &str, name: &str) -> Result<()> {
    let fits = (1..=PLUGIN_NAME_MAX_BYTES).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    Err(Error::field(
        field,
        format!(
            "a plugin's name has 1 to {PLUGIN_NAME_MAX_BYTES} characters of [A-Za-z0-9._-], got '{shown}'"
        ),
    ))
}
