//! Keys made, listed, rotated and revoked.
//!
//! Nobody gives more than they have: a key made, rotated or revoked by a caller must not reach further than
//! the caller's own, and others are as if they did not exist. Without a caller (the command line on a
//! stopped daemon, the first key) everything is allowed. Every change is recorded as an event of the daemon.

use std::collections::BTreeSet;

use serde_json::json;

use super::{KeyService, secret};
use crate::domain::task::check_label;
use crate::domain::{
    ApiKey, Caller, Domain, DomainSet, EventKind, FormerSecret, Grant, KeyId, NewEvent, Permission,
    RateLimit, RoleName, Timestamp,
};
use crate::error::{Error, Result, object};
use crate::ports::{Page, PageRequest, WriteTx};

/// Keys that may serve at a time.
pub const KEYS_MAX: usize = 10_000;
/// Longest time that both secrets of a rotated key serve: 30 days, in seconds.
pub const ROTATION_GRACE_MAX_S: f64 = 2_592_000.0;

/// A key as an administrator asks for it.
#[derive(Clone, PartialEq, Debug)]
pub struct NewKey {
    /// For people.
    pub name: String,
    /// What it may do in all of its domains.
    pub permissions: BTreeSet<Permission>,
    /// Roles that it has; with `permissions` at least one.
    pub roles: BTreeSet<RoleName>,
    /// Where; at least one domain.
    pub domains: DomainSet,
    /// The domain of requests that name none; none = `general` where the key reaches it, else its
    /// first one.
    pub default_domain: Option<Domain>,
    /// How often it may ask; none = as often as the configuration says.
    pub rate_limit: Option<RateLimit>,
    /// When it ends; none = never.
    pub expires_at: Option<Timestamp>,
}

impl Default for NewKey {
    /// A key that may do nothing yet, anywhere.
    fn default() -> Self {
        Self {
            name: "key".into(),
            permissions: BTreeSet::new(),
            roles: BTreeSet::new(),
            domains: DomainSet::All,
            default_domain: None,
            rate_limit: None,
            expires_at: None,
        }
    }
}

/// A key with what follows from it.
#[derive(Clone, PartialEq, Debug)]
pub struct KeyView {
    /// The key; `last_used_at` is the newest.
    pub key: ApiKey,
    /// What it may do, roles included.
    pub grants: Vec<Grant>,
    /// The limit in force.
    pub rate_limit: RateLimit,
    /// Whether it serves now.
    pub active: bool,
}

impl KeyService {
    /// Makes a key and gives it with its secret, which is kept nowhere.
    ///
    /// # Errors
    /// [`Error::Validation`] for a bad name, no permission and no role, an unknown role, no domain, a
    /// default domain that the key does not reach, a limit out of range, or an end that is over;
    /// [`Error::Authorization`] for more than the caller has; [`Error::Conflict`] when there are
    /// [`KEYS_MAX`].
    pub async fn create(&self, by: Option<&Caller>, new: NewKey) -> Result<(KeyView, String)> {
        let _turn = self.changing.lock().await;
        let now = self.ports.clock.now();
        let default_domain = check(&new, now)?;
        let secret = secret::generate()?;
        let key = ApiKey {
            key_id: KeyId::generate(),
            name: new.name,
            secret_hash: self.hasher.hash(&secret),
            secret_prefix: Some(secret::shown_prefix(&secret)),
            former: None,
            permissions: new.permissions,
            roles: new.roles,
            domains: new.domains,
            default_domain,
            rate_limit: new.rate_limit,
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
            last_used_at: None,
        };
        self.check_new(by, &key, now)?;
        let key = self
            .write_key("created", by, key, |tx, key| tx.insert_key(key))
            .await?;
        Ok((self.view(key.key_id)?, secret))
    }

    /// Keys that reach no further than the caller's, newest first, revoked ones too.
    pub fn list(&self, by: Option<&Caller>, page: PageRequest) -> Page<KeyView> {
        let known = self.known.read();
        let end = page.before.map_or(known.keys.len(), |before| {
            usize::try_from(before).unwrap_or(0).min(known.keys.len())
        });
        let now = self.ports.clock.now();
        let visible = |live: &&std::sync::Arc<super::Live>| {
            by.is_none_or(|by| by.covers(&live.caller.grants))
        };
        let places = (0..end).rev();
        let mut found = places.filter_map(|at| Some((at, known.keys.get(at)?)));
        let mut items = Vec::new();
        let mut next = None;
        for (at, live) in found.by_ref() {
            if !visible(&live) {
                continue;
            }
            if items.len() == page.limit {
                next = i64::try_from(at + 1).ok();
                break;
            }
            items.push(view(live, self.ports.config.rate_limit, now));
        }
        Page { items, next }
    }

    /// One key.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`], also for one that reaches further than the caller's.
    pub fn get(&self, by: Option<&Caller>, id: KeyId) -> Result<KeyView> {
        self.reachable(by, id)?;
        self.view(id)
    }

    /// Gives the key a new secret; the one it has serves on for `grace_s` (none = as configured), one
    /// before that no longer.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`]; [`Error::Conflict`] when the key no longer serves;
    /// [`Error::Validation`] for a grace that is negative or beyond [`ROTATION_GRACE_MAX_S`].
    pub async fn rotate(
        &self,
        by: Option<&Caller>,
        id: KeyId,
        grace_s: Option<f64>,
    ) -> Result<(KeyView, String)> {
        let grace_s = grace_s.unwrap_or(self.ports.config.rotation_grace_s);
        if !(0.0..=ROTATION_GRACE_MAX_S).contains(&grace_s) {
            return Err(Error::field(
                "grace_s",
                format!("grace_s must be 0 to {ROTATION_GRACE_MAX_S}, got {grace_s}"),
            ));
        }
        let _turn = self.changing.lock().await;
        let mut key = self.reachable(by, id)?;
        let now = self.ports.clock.now();
        if !key.serves_at(now) {
            return Err(Error::conflict(
                "the key is revoked or expired: make another",
                json!({"key_id": id.to_string()}),
            ));
        }
        let secret = secret::generate()?;
        key.former = (grace_s > 0.0).then_some(FormerSecret {
            hash: key.secret_hash,
            until: now.plus_s(grace_s),
        });
        key.secret_hash = self.hasher.hash(&secret);
        key.secret_prefix = Some(secret::shown_prefix(&secret));
        self.write_key("rotated", by, key, |tx, key| tx.update_key(key))
            .await?;
        Ok((self.view(id)?, secret))
    }

    /// Ends a key: the next request with it is refused. Once more changes nothing.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`].
    pub async fn revoke(&self, by: Option<&Caller>, id: KeyId) -> Result<KeyView> {
        let _turn = self.changing.lock().await;
        let mut key = self.reachable(by, id)?;
        if key.revoked_at.is_none() {
            key.revoked_at = Some(self.ports.clock.now());
            key.former = None;
            self.write_key("revoked", by, key, |tx, key| tx.update_key(key))
                .await?;
        }
        self.view(id)
    }

    /// Makes sure that this secret opens everything: a key with all permissions in all domains, without
    /// end, under the bootstrap limit. One that has the secret already is changed to that where it differs.
    ///
    /// # Errors
    /// [`Error::Validation`] for a secret that is too short, too long or not printable ASCII.
    pub async fn ensure(&self, secret: &str, name: &str) -> Result<ApiKey> {
        check_label("name", name)?;
        secret::check_chosen(secret)?;
        let _turn = self.changing.lock().await;
        let secret_hash = self.hasher.hash(secret);
        let present = {
            let known = self.known.read();
            let has = |live: &&std::sync::Arc<super::Live>| live.key.secret_hash == secret_hash;
            known.keys.iter().find(has).map(|live| live.key.clone())
        };
        let mut key = present.clone().unwrap_or_else(|| ApiKey {
            key_id: KeyId::generate(),
            name: name.to_owned(),
            secret_hash,
            secret_prefix: None,
            former: None,
            permissions: BTreeSet::new(),
            roles: BTreeSet::new(),
            domains: DomainSet::All,
            default_domain: Domain::default(),
            rate_limit: None,
            created_at: self.ports.clock.now(),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        });
        key.permissions = Permission::ALL.into();
        key.domains = DomainSet::All;
        key.rate_limit = Some(self.ports.config.bootstrap_rate_limit);
        (key.expires_at, key.revoked_at) = (None, None);
        match present {
            None => {
                self.write_key("created", None, key, |tx, key| tx.insert_key(key))
                    .await
            }
            Some(before) if before != key => {
                self.write_key("restored", None, key, |tx, key| tx.update_key(key))
                    .await
            }
            Some(_) => Ok(key),
        }
    }

    /// Writes a key with its event, remembers it, tells those who follow changes.
    async fn write_key(
        &self,
        change: &'static str,
        by: Option<&Caller>,
        key: ApiKey,
        write: impl FnOnce(&mut dyn WriteTx, &ApiKey) -> Result<()> + Send + 'static,
    ) -> Result<ApiKey> {
        let detail = json!({
            "change": change,
            "key_id": key.key_id.to_string(),
            "name": key.name,
            "by": by.map(|by| by.key_id.to_string()),
        });
        let event = NewEvent::new(EventKind::KeyChanged, 1.0).with_detail(object(detail));
        let stored = key.clone();
        self.ports
            .write(move |tx, now| {
                write(tx, &stored)?;
                tx.append_daemon_event(now, &event).map(|_| ())
            })
            .await?;
        self.known
            .write()
            .remember(key.clone(), self.ports.config.rate_limit);
        self.changed();
        tracing::info!(change, key_id = %key.key_id, by = by.map(|by| tracing::field::display(by.key_id)), "API key changed");
        Ok(key)
    }

    /// What is checked against the other keys and the roles.
    fn check_new(&self, by: Option<&Caller>, key: &ApiKey, now: Timestamp) -> Result<()> {
        let known = self.known.read();
        if let Some(unknown) = key
            .roles
            .iter()
            .find(|name| !known.roles.contains_key(*name))
        {
            return Err(Error::field(
                "roles",
                format!("there is no role '{unknown}'"),
            ));
        }
        let grants = known.grants(key);
        if by.is_some_and(|by| !by.covers(&grants)) {
            return Err(Error::Authorization(
                "a key can only give permissions and domains that it has itself".into(),
            ));
        }
        let serving = known.keys.iter().filter(|l| l.key.serves_at(now)).count();
        if serving >= KEYS_MAX {
            return Err(Error::conflict(
                format!("there are {KEYS_MAX} keys already; revoke some first"),
                json!({"keys_max": KEYS_MAX}),
            ));
        }
        Ok(())
    }

    /// A key that the caller may change.
    fn reachable(&self, by: Option<&Caller>, id: KeyId) -> Result<ApiKey> {
        let known = self.known.read();
        match known.by_id(id) {
            Some(live) if by.is_none_or(|by| by.covers(&live.caller.grants)) => {
                Ok(live.key.clone())
            }
            _ => Err(Error::not_found("key", id)),
        }
    }

    fn view(&self, id: KeyId) -> Result<KeyView> {
        let known = self.known.read();
        let live = known.by_id(id).ok_or_else(|| Error::not_found("key", id))?;
        Ok(view(
            live,
            self.ports.config.rate_limit,
            self.ports.clock.now(),
        ))
    }
}

fn view(live: &super::Live, default: RateLimit, now: Timestamp) -> KeyView {
    let mut key = live.key.clone();
    key.last_used_at = live.spent.last_used();
    KeyView {
        active: key.serves_at(now),
        rate_limit: key.rate_limit.unwrap_or(default),
        grants: live.caller.grants.clone(),
        key,
    }
}

/// Checks what a new key says of itself and gives its default domain.
fn check(new: &NewKey, now: Timestamp) -> Result<Domain> {
    check_label("name", &new.name)?;
    if new.permissions.is_empty() && new.roles.is_empty() {
        return Err(Error::field(
            "permissions",
            "permissions must name at least one of read, write, admin, or roles at least one role",
        ));
    }
    if let Some(limit) = new.rate_limit {
        limit.check("rate_limit")?;
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
