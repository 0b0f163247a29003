//! API keys: made, kept as keyed hashes, and recognised from memory.
//!
//! A secret is 256 random bits, so that a fast keyed hash (HMAC-SHA-256, RFC 2104) is enough: there is
//! nothing to guess. It is looked up by its hash, which leaks no timing about the secret itself.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::RwLock;
use sha2::Sha256;

use super::Ports;
use crate::domain::task::check_label;
use crate::domain::{ApiKey, Caller, Domain, DomainSet, KeyId, Permission, Timestamp};
use crate::error::{Error, Result};
use crate::ports::{DatastoreExt, ReadCost};

/// Shortest secret that an operator may choose, in characters.
pub const SECRET_MIN_CHARS: usize = 16;
/// Longest secret that an operator may choose, in characters.
pub const SECRET_MAX_CHARS: usize = 256;

/// A key as an administrator asks for it.
#[derive(Clone, PartialEq, Debug)]
pub struct NewKey {
    /// For people.
    pub name: String,
    /// What it may do; at least one.
    pub permissions: BTreeSet<Permission>,
    /// Where; at least one domain.
    pub domains: DomainSet,
    /// The domain of requests that name none; none = `general` where the key reaches it, else its
    /// first one.
    pub default_domain: Option<Domain>,
    /// When it ends; none = never.
    pub expires_at: Option<Timestamp>,
}

/// Makes keys and recognises them.
pub struct KeyService {
    ports: Ports,
    hasher: Hmac<Sha256>,
    known: RwLock<HashMap<[u8; 32], Known>>,
}

struct Known {
    key: ApiKey,
    caller: Arc<Caller>,
}

impl Known {
    fn new(key: ApiKey) -> Self {
        let caller = Arc::new(Caller {
            key_id: key.key_id,
            permissions: key.permissions.clone(),
            domains: key.domains.clone(),
            default_domain: key.default_domain.clone(),
        });
        Self { key, caller }
    }

    fn is_valid(&self, now: impl FnOnce() -> Timestamp) -> bool {
        self.key.revoked_at.is_none() && self.key.expires_at.is_none_or(|end| now() < end)
    }
}

impl KeyService {
    pub(super) fn new(ports: Ports) -> Self {
        let block = hmac_key(&ports.config.pepper);
        Self {
            ports,
            hasher: block,
            known: RwLock::default(),
        }
    }

    /// Reads every key into memory. To be called once, before anybody is served.
    pub async fn load(&self) -> Result<()> {
        let keys = self
            .ports
            .store
            .read(ReadCost::Scan, |tx| tx.keys())
            .await?;
        *self.known.write() = keys
            .into_iter()
            .map(|key| (key.secret_hash, Known::new(key)))
            .collect();
        Ok(())
    }

    /// Who has this secret. Looks into memory only.
    ///
    /// # Errors
    /// [`Error::Authentication`], the same for an unknown, an expired and a revoked key.
    pub fn authenticate(&self, secret: &str) -> Result<Arc<Caller>> {
        let hash = self.hash(secret);
        let known = self.known.read();
        match known.get(&hash) {
            Some(entry) if entry.is_valid(|| self.ports.clock.now()) => {
                Ok(Arc::clone(&entry.caller))
            }
            _ => Err(Error::Authentication("the API key is not valid".into())),
        }
    }

    /// Makes a key and gives it with its secret (`nova_` and 43 characters), which is kept nowhere.
    ///
    /// # Errors
    /// [`Error::Validation`] for a bad name, no permission, no domain, a default domain that the key does
    /// not reach, or an end that is over.
    pub async fn create(&self, new: NewKey) -> Result<(ApiKey, String)> {
        let default_domain = check(&new, self.ports.clock.now())?;
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(|e| Error::service(format!("no random bits: {e}")))?;
        let secret = format!("nova_{}", URL_SAFE_NO_PAD.encode(bits));
        let key = ApiKey {
            key_id: KeyId::generate(),
            name: new.name,
            secret_hash: self.hash(&secret),
            permissions: new.permissions,
            domains: new.domains,
            default_domain,
            created_at: self.ports.clock.now(),
            expires_at: new.expires_at,
            revoked_at: None,
        };
        let stored = key.clone();
        self.ports
            .store
            .write(move |tx| tx.insert_key(&stored))
            .await?;
        self.remember(key.clone());
        Ok((key, secret))
    }

    /// Makes sure that this secret opens everything: a key with all permissions in all domains, without
    /// end. One that has the secret already is changed to that where it differs.
    ///
    /// # Errors
    /// [`Error::Validation`] for a secret that is too short, too long or not printable ASCII.
    pub async fn ensure(&self, secret: &str, name: &str) -> Result<ApiKey> {
        check_label("name", name)?;
        let fits = (SECRET_MIN_CHARS..=SECRET_MAX_CHARS).contains(&secret.len());
        if !fits || !secret.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::field(
                "secret",
                format!(
                    "the secret must be {SECRET_MIN_CHARS} to {SECRET_MAX_CHARS} printable ASCII characters without spaces"
                ),
            ));
        }
        let secret_hash = self.hash(secret);
        let name = name.to_owned();
        let key = self
            .ports
            .write(move |tx, now| {
                let present = tx
                    .keys()?
                    .into_iter()
                    .find(|k| k.secret_hash == secret_hash);
                let mut key = present.clone().unwrap_or_else(|| ApiKey {
                    key_id: KeyId::generate(),
                    name,
                    secret_hash,
                    permissions: BTreeSet::new(),
                    domains: DomainSet::All,
                    default_domain: Domain::default(),
                    created_at: now,
                    expires_at: None,
                    revoked_at: None,
                });
                key.permissions = Permission::ALL.into();
                key.domains = DomainSet::All;
                (key.expires_at, key.revoked_at) = (None, None);
                match present {
                    None => tx.insert_key(&key)?,
                    Some(before) if before != key => tx.update_key(&key)?,
                    Some(_) => {}
                }
                Ok(key)
            })
            .await?;
        self.remember(key.clone());
        Ok(key)
    }

    /// Whether there is no key at all, revoked ones included.
    pub fn is_empty(&self) -> bool {
        self.known.read().is_empty()
    }

    fn remember(&self, key: ApiKey) {
        self.known.write().insert(key.secret_hash, Known::new(key));
    }

    fn hash(&self, secret: &str) -> [u8; 32] {
        let mut hasher = self.hasher.clone();
        hasher.update(secret.as_bytes());
        hasher.finalize().into_bytes().into()
    }
}

/// The hash with the pepper already in it, so that authentication does not pay for it again.
fn hmac_key(pepper: &[u8; 32]) -> Hmac<Sha256> {
    // HMAC takes keys of any length up to its block; 32 bytes are shorter and padded with zeros.
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..pepper.len()].copy_from_slice(pepper);
    Hmac::new(&block)
}

/// Checks a new key and gives its default domain.
fn check(new: &NewKey, now: Timestamp) -> Result<Domain> {
    check_label("name", &new.name)?;
    if new.permissions.is_empty() {
        return Err(Error::field(
            "permissions",
            "permissions must name at least one of read, write, admin",
        ));
    }
    let first = match &new.domains {
        DomainSet::All => None,
        DomainSet::Only(set) => match set.first() {
            None => {
                return Err(Error::field(
                    "domains",
                    "domains must name at least one domain, or '*'",
                ));
            }
            first => first.filter(|_| !set.contains(&Domain::default())),
        },
    };
    let default = new
        .default_domain
        .clone()
        .or_else(|| first.cloned())
        .unwrap_or_default();
    if !new.domains.contains(&default) {
        return Err(Error::field(
            "default_domain",
            format!("the default domain '{default}' is none of the key's domains"),
        ));
    }
    match new.expires_at {
        Some(end) if end <= now => Err(Error::field(
            "expires_at",
            format!("expires_at must be in the future, got {end}"),
        )),
        _ => Ok(default),
    }
}
