//! Every key and role in memory, so that a request looks into nothing else.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

use super::secret::same;
use super::window::SlidingWindow;
use crate::domain::{ApiKey, Caller, Grant, KeyId, RateLimit, Role, RoleName, Timestamp};

/// A key as requests meet it.
pub(super) struct Live {
    pub(super) key: ApiKey,
    pub(super) caller: Arc<Caller>,
    /// Shared by all that stood for this key before it was changed.
    pub(super) spent: Arc<Spent>,
}

/// What a key has used.
pub(super) struct Spent {
    limit: RateLimit,
    pub(super) window: Mutex<SlidingWindow>,
    /// Milliseconds since 1970; 0 = never.
    last_used_ms: AtomicI64,
    /// As in the datastore.
    written_ms: AtomicI64,
}

impl Spent {
    fn new(limit: RateLimit, last_used: Option<Timestamp>) -> Self {
        let ms = last_used.map_or(0, Timestamp::millis);
        Self {
            limit,
            window: Mutex::new(SlidingWindow::new(limit)),
            last_used_ms: AtomicI64::new(ms),
            written_ms: AtomicI64::new(ms),
        }
    }

    pub(super) fn use_at(&self, now: Timestamp) {
        self.last_used_ms.store(now.millis(), Ordering::Relaxed);
    }

    pub(super) fn last_used(&self) -> Option<Timestamp> {
        match self.last_used_ms.load(Ordering::Relaxed) {
            0 => None,
            ms => Some(Timestamp::from_millis(ms)),
        }
    }

    /// The last use, where the datastore does not have it yet.
    fn unwritten(&self) -> Option<Timestamp> {
        let used = self.last_used_ms.load(Ordering::Relaxed);
        (used != self.written_ms.load(Ordering::Relaxed)).then(|| Timestamp::from_millis(used))
    }
}

/// The keys in the order in which they were made, found by secret and by id, and the roles.
#[derive(Default)]
pub(super) struct Known {
    pub(super) keys: Vec<Arc<Live>>,
    places: HashMap<KeyId, usize>,
    by_hash: HashMap<[u8; 32], usize>,
    pub(super) roles: BTreeMap<RoleName, Role>,
}

impl Known {
    /// No keys, and the built-in roles.
    pub(super) fn empty() -> Self {
        let roles = Role::built_in().into_iter();
        Self {
            roles: roles.map(|role| (role.name.clone(), role)).collect(),
            ..Self::default()
        }
    }

    /// A key by the hash of a secret that serves now.
    pub(super) fn by_hash(&self, hash: &[u8; 32], now: Timestamp) -> Option<&Arc<Live>> {
        let live = self.keys.get(*self.by_hash.get(hash)?)?;
        let former = live.key.former.as_ref();
        let secret_serves = same(&live.key.secret_hash, hash)
            || former.is_some_and(|f| same(&f.hash, hash) && now < f.until);
        (secret_serves && live.key.serves_at(now)).then_some(live)
    }

    /// A key by its id, whether it serves or not.
    pub(super) fn by_id(&self, id: KeyId) -> Option<&Arc<Live>> {
        self.keys.get(*self.places.get(&id)?)
    }

    /// Takes a key in, new or changed.
    pub(super) fn remember(&mut self, key: ApiKey, default: RateLimit) {
        let place = self.places.get(&key.key_id).copied();
        let present = place.and_then(|at| self.keys.get(at)).cloned();
        if let Some(present) = &present {
            self.by_hash.remove(&present.key.secret_hash);
            if let Some(former) = &present.key.former {
                self.by_hash.remove(&former.hash);
            }
        }
        let limit = key.rate_limit.unwrap_or(default);
        let spent = match present {
            Some(present) if present.spent.limit == limit => Arc::clone(&present.spent),
            Some(present) => Arc::new(Spent::new(limit, present.spent.last_used())),
            None => Arc::new(Spent::new(limit, key.last_used_at)),
        };
        let place = place.unwrap_or(self.keys.len());
        self.places.insert(key.key_id, place);
        if let Some(former) = &key.former {
            self.by_hash.insert(former.hash, place);
        }
        self.by_hash.insert(key.secret_hash, place);
        let live = Arc::new(Live {
            caller: Arc::new(self.caller(&key)),
            key,
            spent,
        });
        match self.keys.get_mut(place) {
            Some(old) => *old = live,
            None => self.keys.push(live),
        }
    }

    /// Works out anew what the keys of a role may do.
    pub(super) fn refresh(&mut self, role: &RoleName) {
        for place in 0..self.keys.len() {
            let old = Arc::clone(&self.keys[place]);
            if old.key.roles.contains(role) {
                self.keys[place] = Arc::new(Live {
                    caller: Arc::new(self.caller(&old.key)),
                    key: old.key.clone(),
                    spent: Arc::clone(&old.spent),
                });
            }
        }
    }

    /// What a key may do: its own permissions, and those of its roles where both reach.
    pub(super) fn grants(&self, key: &ApiKey) -> Vec<Grant> {
        let own = Grant {
            permissions: key.permissions.clone(),
            domains: key.domains.clone(),
        };
        let roles = key.roles.iter().filter_map(|name| self.roles.get(name));
        let of_roles = roles.map(|role| Grant {
            permissions: role.permissions.clone(),
            domains: role.domains.shared_with(&key.domains),
        });
        let all = std::iter::once(own).chain(of_roles);
        all.filter(|g| !g.permissions.is_empty()).collect()
    }

    fn caller(&self, key: &ApiKey) -> Caller {
        Caller {
            key_id: key.key_id,
            grants: self.grants(key),
            default_domain: key.default_domain.clone(),
        }
    }

    /// Uses that the datastore does not have yet.
    pub(super) fn unwritten(&self) -> Vec<(KeyId, Timestamp)> {
        let all = self.keys.iter();
        all.filter_map(|live| Some((live.key.key_id, live.spent.unwritten()?)))
            .collect()
    }

    /// The datastore has these uses.
    pub(super) fn written(&self, uses: &[(KeyId, Timestamp)]) {
        for (id, at) in uses {
            if let Some(live) = self.by_id(*id) {
                live.spent.written_ms.store(at.millis(), Ordering::Relaxed);
            }
        }
    }
}
