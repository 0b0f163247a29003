//! API keys: who may do what, and where.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::id::{Domain, KeyId};
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
    /// What it may do.
    pub permissions: BTreeSet<Permission>,
    /// Where.
    pub domains: DomainSet,
    /// The domain of requests that name none.
    pub default_domain: Domain,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Who is asking: an authenticated key.
#[derive(Clone, PartialEq, Debug)]
pub struct Caller {
    /// The key's public id.
    pub key_id: KeyId,
    /// What it may do.
    pub permissions: BTreeSet<Permission>,
    /// Where.
    pub domains: DomainSet,
    /// The domain of requests that name none.
    pub default_domain: Domain,
}

impl Caller {
    /// Refuses a permission that the key does not carry.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.permissions.contains(&permission) {
            return Ok(());
        }
        Err(Error::Authorization(format!(
            "this key lacks the permission '{}'",
            permission.as_str()
        )))
    }

    /// The domain that a request acts in: the one it names, else the key's default.
    pub fn enter(&self, domain: Option<Domain>) -> Result<Domain> {
        let domain = domain.unwrap_or_else(|| self.default_domain.clone());
        if self.domains.contains(&domain) {
            return Ok(domain);
        }
        Err(Error::Authorization(format!(
            "this key does not reach the domain '{domain}'"
        )))
    }
}
