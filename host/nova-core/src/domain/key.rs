//! API keys: who may do what, and where.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::id::{Domain, KeyId, RoleName};
use super::time::Timestamp;
use crate::error::{Error, Result};

/// What a key may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Look and search.
    Read,
    /// Change tasks, agents, flows, resources, memories.
    Write,
    /// Keys and plugins.
    Admin,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The wire and datastore name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The permission of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == text)
    }
}

/// The domains a key may enter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DomainSet {
    /// All of them, written `*`.
    All,
    /// These.
    Only(BTreeSet<Domain>),
}

impl DomainSet {
    /// Whether `domain` is in it.
    pub fn contains(&self, domain: &Domain) -> bool {
        match self {
            Self::All => true,
            Self::Only(set) => set.contains(domain),
        }
    }

    /// Whether every domain of `other` is in it.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Only(_), Self::All) => false,
            (Self::Only(mine), Self::Only(theirs)) => theirs.is_subset(mine),
        }
    }

    /// The domains that are in both.
    pub fn shared_with(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, rest) | (rest, Self::All) => rest.clone(),
            (Self::Only(a), Self::Only(b)) => Self::Only(a & b),
        }
    }

    /// The domains that are in either.
    pub fn joined_with(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::Only(a | b),
            _ => Self::All,
        }
    }
}

/// Permissions, and the domains in which they hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// What may be done.
    pub permissions: BTreeSet<Permission>,
    /// Where.
    pub domains: DomainSet,
}

/// How often a key may ask: at most `requests` in any span of `window_ms`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RateLimit {
    /// Requests in a window, 1 to [`RateLimit::REQUESTS_MAX`].
    pub requests: u32,
    /// Length of the window in milliseconds, 1 to [`RateLimit::WINDOW_MAX_MS`].
    pub window_ms: u64,
}

impl RateLimit {
    /// Most requests in a window.
    pub const REQUESTS_MAX: u32 = 1_000_000;
    /// Longest window: a day, in milliseconds.
    pub const WINDOW_MAX_MS: u64 = 86_400_000;

    /// Refuses what is out of range; `field` is its path.
    pub fn check(self, field: &str) -> Result<Self> {
        let (most, longest) = (Self::REQUESTS_MAX, Self::WINDOW_MAX_MS);
        if !(1..=most).contains(&self.requests) {
            return Err(Error::field(
                format!("{field}.requests"),
                format!(
                    "{field}.requests must be 1 to {most}, got {}",
                    self.requests
                ),
            ));
        }
        if !(1..=longest).contains(&self.window_ms) {
            return Err(Error::field(
                format!("{field}.window_s"),
                format!(
                    "{field}.window_s must be 0.001 to {}, got {}",
                    longest / 1000,
                    self.window_ms as f64 / 1000.0
                ),
            ));
        }
        Ok(self)
    }
}

impl Default for RateLimit {
    /// 100 in 60 s.
    fn default() -> Self {
        Self {
            requests: 100,
            window_ms: 60_000,
        }
    }
}

/// The secret that a rotated key had before, while it still serves.
#[derive(Clone, PartialEq, Debug)]
pub struct FormerSecret {
    /// Its hash, as [`ApiKey::secret_hash`].
    pub hash: [u8; 32],
    /// When it ends.
    pub until: Timestamp,
}

/// A key as the datastore keeps it. The secret is nowhere in it.
#[derive(Clone, PartialEq, Debug)]
pub struct ApiKey {
    /// Public id.
    pub key_id: KeyId,
    /// For people.
    pub name: String,
    /// HMAC-SHA-256 of the secret under the installation's pepper.
    pub secret_hash: [u8; 32],
    /// What the secret begins with, so that people recognise it; none for one that an operator chose.
    pub secret_prefix: Option<String>,
    /// The secret before the last rotation.
    pub former: Option<FormerSecret>,
    /// What it may do by itself, in all of its domains.
    pub permissions: BTreeSet<Permission>,
    /// Roles whose permissions it has too, in those of the role's domains that are its own.
    pub roles: BTreeSet<RoleName>,
    /// Where it may act at most.
    pub domains: DomainSet,
    /// The domain of requests that name none.
    pub default_domain: Domain,
    /// How often it may ask; none = as often as the configuration says.
    pub rate_limit: Option<RateLimit>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to within the interval in which that is written down. Not changed by an
    /// update of the key, only by [`crate::ports::WriteTx::touch_key`].
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it opens anything at this time.
    pub fn serves_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Who is asking: an authenticated key.
#[derive(Clone, PartialEq, Debug)]
pub struct Caller {
    /// The key's public id.
    pub key_id: KeyId,
    /// What it may do and where, each part for itself.
    pub grants: Vec<Grant>,
    /// The domain of requests that name none.
    pub default_domain: Domain,
}

impl Caller {
    /// Refuses a permission that the key has nowhere.
    pub fn require(&self, permission: Permission) -> Result<()> {
        let has = |g: &Grant| g.permissions.contains(&permission);
        if self.grants.iter().any(has) {
            return Ok(());
        }
        Err(Error::Authorization(format!(
            "this key lacks the permission '{}'",
            permission.as_str()
        )))
    }

    /// The domain that a request acts in: the one it names, else the key's default. The key must reach
    /// it with some permission; [`Caller::allow`] asks for a certain one.
    pub fn enter(&self, domain: Option<Domain>) -> Result<Domain> {
        let domain = domain.unwrap_or_else(|| self.default_domain.clone());
        if self.grants.iter().any(|g| g.domains.contains(&domain)) {
            return Ok(domain);
        }
        Err(Error::Authorization(format!(
            "this key does not reach the domain '{domain}'"
        )))
    }

    /// The domain that a request acts in, where the key has this permission in it.
    ///
    /// # Errors
    /// [`Error::Authorization`], whether the permission, the domain or their pair is missing.
    pub fn allow(&self, permission: Permission, domain: Option<Domain>) -> Result<Domain> {
        self.require(permission)?;
        let domain = self.enter(domain)?;
        let fits = |g: &Grant| g.permissions.contains(&permission) && g.domains.contains(&domain);
        if self.grants.iter().any(fits) {
            return Ok(domain);
        }
        Err(Error::Authorization(format!(
            "this key lacks the permission '{}' in the domain '{domain}'",
            permission.as_str()
        )))
    }

    /// The domains in which the key has this permission.
    pub fn reach(&self, permission: Permission) -> DomainSet {
        let parts = self.grants.iter();
        parts
            .filter(|g| g.permissions.contains(&permission))
            .fold(DomainSet::Only(BTreeSet::new()), |all, g| {
                all.joined_with(&g.domains)
            })
    }

    /// Whether the key may do all that these grants permit: only that it may give to others.
    pub fn covers(&self, grants: &[Grant]) -> bool {
        grants.iter().all(|g| {
            let mut permissions = g.permissions.iter();
            permissions.all(|p| self.reach(*p).covers(&g.domains))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn only(names: &[&str]) -> DomainSet {
        DomainSet::Only(names.iter().map(|n| n.parse().unwrap()).collect())
    }

    fn grant(permissions: &[Permission], domains: DomainSet) -> Grant {
        Grant {
            permissions: permissions.iter().copied().collect(),
            domains,
        }
    }

    #[test]
    fn permissions_hold_in_their_own_domains_only() {
        use Permission::{Admin, Read, Write};
        let caller = Caller {
            key_id: KeyId::generate(),
            grants: vec![
                grant(&[Read], only(&["a", "b"])),
                grant(&[Read, Write], only(&["c"])),
            ],
            default_domain: "a".parse().unwrap(),
        };
        let cases = [
            (Read, Some("a"), true),
            (Read, None, true),
            (Read, Some("c"), true),
            (Read, Some("d"), false),
            (Write, Some("c"), true),
            (Write, Some("a"), false),
            (Write, None, false),
            (Admin, Some("c"), false),
        ];
        for (permission, domain, allowed) in cases {
            let domain = domain.map(|d| d.parse().unwrap());
            let answer = caller.allow(permission, domain.clone());
            assert_eq!(answer.is_ok(), allowed, "{permission:?} in {domain:?}");
        }
        let covered = [
            (grant(&[Read], only(&["a", "b", "c"])), true),
            (grant(&[Read], DomainSet::All), false),
            (grant(&[Write], only(&["c"])), true),
            (grant(&[Read, Write], only(&["a"])), false),
            (grant(&[], DomainSet::All), true),
        ];
        for (grant, expected) in covered {
            assert_eq!(
                caller.covers(std::slice::from_ref(&grant)),
                expected,
                "{grant:?}"
            );
        }
    }
}
