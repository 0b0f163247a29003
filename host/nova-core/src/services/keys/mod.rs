//! API keys: made, kept as keyed hashes, and recognised from memory.
//!
//! Authentication, the rate limit and tickets look into memory only. A change is written first and then
//! seen by the next request; what holds a key for longer (a WebSocket) follows
//! [`KeyService::changes`]. A secret is looked up by its keyed hash, which leaks no timing about the
//! secret itself.

mod change;
mod known;
mod peers;
mod roles;
mod secret;
mod tickets;
mod window;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use self::known::{Known, Live};
use self::peers::Peers;
use self::secret::Hasher;
use self::tickets::Tickets;
use crate::domain::{Caller, Clock, KeyId, RateLimit, Timestamp};
use crate::error::{Error, Result};
use crate::ports::{Datastore, DatastoreExt, ReadCost, WriteTx};

pub use change::{KEYS_MAX, KeyView, NewKey, ROTATION_GRACE_MAX_S};
pub use peers::PEERS_MAX;
pub use roles::{NewRole, ROLES_MAX};
pub use secret::{SECRET_MAX_CHARS, SECRET_MIN_CHARS, SECRET_PREFIX, is_well_formed};
pub use tickets::{KEY_TICKETS_MAX, TICKET_LIFE_S, TICKETS_MAX};
pub use window::Budget;

/// What keys need to know; each field's default is the daemon's.
#[derive(Clone, PartialEq, Debug)]
pub struct KeyConfig {
    /// The key of the keyed hash under which secrets are kept. The default, all zeros, is for tests.
    pub pepper: [u8; 32],
    /// The limit of keys that have none of their own: 100 in 60 s.
    pub rate_limit: RateLimit,
    /// The limit of the keys by which an operator gets in when all else fails (the bootstrap key, the first
    /// key of a fresh installation): 1,000,000 in 1 s.
    pub bootstrap_rate_limit: RateLimit,
    /// How long both secrets of a rotated key serve where the rotation does not say, in seconds: 3600.
    pub rotation_grace_s: f64,
    /// Failed authentications of one address before further ones are answered with 429: 30 in 60 s.
    pub failures: RateLimit,
}

impl Default for KeyConfig {
    fn default() -> Self {
        Self {
            pepper: [0; 32],
            rate_limit: RateLimit::default(),
            bootstrap_rate_limit: RateLimit {
                requests: RateLimit::REQUESTS_MAX,
                window_ms: 1000,
            },
            rotation_grace_s: 3600.0,
            failures: RateLimit {
                requests: 30,
                window_ms: 60_000,
            },
        }
    }
}

/// What the service holds. It needs no strategies, so that the command line can work on the datastore of
/// a stopped daemon.
struct Ports {
    store: Arc<dyn Datastore>,
    clock: Arc<dyn Clock>,
    config: KeyConfig,
}

impl Ports {
    async fn write<R, F>(&self, job: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&mut dyn WriteTx, Timestamp) -> Result<R> + Send + 'static,
    {
        let clock = Arc::clone(&self.clock);
        self.store.write(move |tx| job(tx, clock.now())).await
    }
}

/// Makes keys and recognises them.
pub struct KeyService {
    ports: Ports,
    hasher: Hasher,
    known: RwLock<Known>,
    tickets: Mutex<Tickets>,
    peers: Peers,
    /// The zero of the clock that never goes back.
    began: Instant,
    /// Held while something is written and then remembered, so that memory sees changes in the
    /// datastore's order.
    changing: tokio::sync::Mutex<()>,
    generation: watch::Sender<u64>,
}

impl KeyService {
    /// Over this datastore alone; [`KeyService::load`] is to be called once before anything else.
    pub fn new(store: Arc<dyn Datastore>, clock: Arc<dyn Clock>, config: KeyConfig) -> Self {
        let hasher = Hasher::new(&config.pepper);
        let peers = Peers::new(config.failures);
        let ports = Ports {
            store,
            clock,
            config,
        };
        Self {
            ports,
            hasher,
            known: RwLock::new(Known::empty()),
            tickets: Mutex::default(),
            peers,
            began: Instant::now(),
            changing: tokio::sync::Mutex::default(),
            generation: watch::Sender::new(0),
        }
    }

    /// Reads every key and role into memory. To be called once, before anybody is served.
    pub async fn load(&self) -> Result<()> {
        let read = |tx: &dyn crate::ports::ReadTx| Ok((tx.keys()?, tx.roles()?));
        let (keys, roles) = self.ports.store.read(ReadCost::Scan, read).await?;
        let mut fresh = Known::empty();
        fresh
            .roles
            .extend(roles.into_iter().map(|r| (r.name.clone(), r)));
        for key in keys {
            fresh.remember(key, self.ports.config.rate_limit);
        }
        *self.known.write() = fresh;
        Ok(())
    }

    /// Who has this secret. Looks into memory only.
    ///
    /// # Errors
    /// [`Error::Authentication`], the same for an unknown, an expired and a revoked key.
    pub fn authenticate(&self, secret: &str) -> Result<Arc<Caller>> {
        self.find(secret).map(|live| Arc::clone(&live.caller))
    }

    /// Who has this secret, with one request taken from the key's budget.
    ///
    /// # Errors
    /// As [`KeyService::authenticate`]; whether the budget allows it is in [`Budget::refused`].
    pub fn admit(&self, secret: &str) -> Result<(Arc<Caller>, Budget)> {
        let live = self.find(secret)?;
        let budget = live.spent.window.lock().take(self.now_us());
        Ok((Arc::clone(&live.caller), budget))
    }

    /// Takes one request from the key's budget, which REST and WebSockets share.
    ///
    /// # Errors
    /// [`Error::RateLimit`] when it is spent; [`Error::Authentication`] when the key no longer serves.
    pub fn take(&self, id: KeyId) -> Result<Budget> {
        let live = self.serving(id)?;
        live.spent.use_at(self.ports.clock.now());
        let budget = live.spent.window.lock().take(self.now_us());
        match budget.refused {
            false => Ok(budget),
            true => Err(Error::RateLimit {
                retry_after_s: budget.reset_s,
            }),
        }
    }

    /// What the key may do now, for those who hold on to it: to be asked again after every change (see
    /// [`KeyService::changes`]) and from time to time, since keys also expire.
    ///
    /// # Errors
    /// [`Error::Authentication`] when the key is revoked or expired.
    pub fn current(&self, id: KeyId) -> Result<Arc<Caller>> {
        self.serving(id).map(|live| Arc::clone(&live.caller))
    }

    /// A number that rises with every change of a key or role, at once after the change was committed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Counts a failed authentication of this address.
    ///
    /// # Errors
    /// [`Error::RateLimit`] when there were too many of them.
    pub fn failed_from(&self, peer: IpAddr) -> Result<()> {
        match self.peers.failed(peer, self.now_us()) {
            None => Ok(()),
            Some(retry_after_s) => Err(Error::RateLimit { retry_after_s }),
        }
    }

    /// A one-time ticket for this key, and when it ends.
    ///
    /// # Errors
    /// [`Error::RateLimit`] when too many are open.
    pub fn issue_ticket(&self, caller: &Caller) -> Result<(String, Timestamp)> {
        let ticket = secret::generate_ticket()?;
        let hash = self.hasher.hash(&ticket);
        let now = self.ports.clock.now();
        let end = self.tickets.lock().open(hash, caller.key_id, now)?;
        Ok((ticket, end))
    }

    /// Who has this ticket, which serves no second time, with one request taken from the key's budget.
    ///
    /// # Errors
    /// [`Error::Authentication`], the same for an unknown, a used and an expired ticket and for a key that
    /// no longer serves.
    pub fn redeem(&self, ticket: &str) -> Result<(Arc<Caller>, Budget)> {
        let hash = self.hasher.hash(ticket);
        let key = self.tickets.lock().redeem(&hash, self.ports.clock.now());
        let live = key.and_then(|id| self.serving(id).ok());
        let live = live.ok_or_else(|| Error::Authentication("the ticket is not valid".into()))?;
        let budget = live.spent.window.lock().take(self.now_us());
        Ok((Arc::clone(&live.caller), budget))
    }

    /// Writes down when keys were last used. Meant to be called every few seconds and at the end; requests
    /// never wait for it.
    pub async fn write_uses(&self) -> Result<()> {
        let uses = self.known.read().unwritten();
        if uses.is_empty() {
            return Ok(());
        }
        let job = uses.clone();
        self.ports
            .store
            .write(move |tx| job.iter().try_for_each(|(id, at)| tx.touch_key(*id, *at)))
            .await?;
        self.known.read().written(&uses);
        Ok(())
    }

    /// Whether there is no key at all, revoked ones included.
    pub fn is_empty(&self) -> bool {
        self.known.read().keys.is_empty()
    }

    fn find(&self, secret: &str) -> Result<Arc<Live>> {
        let invalid = || Error::Authentication("the API key is not valid".into());
        if secret.len() > SECRET_MAX_CHARS {
            return Err(invalid());
        }
        let hash = self.hasher.hash(secret);
        let now = self.ports.clock.now();
        let known = self.known.read();
        let live = known.by_hash(&hash, now).ok_or_else(invalid)?;
        live.spent.use_at(now);
        Ok(Arc::clone(live))
    }

    fn serving(&self, id: KeyId) -> Result<Arc<Live>> {
        let known = self.known.read();
        match known.by_id(id) {
            Some(live) if live.key.serves_at(self.ports.clock.now()) => Ok(Arc::clone(live)),
            _ => Err(Error::Authentication("the API key is not valid".into())),
        }
    }

    fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    fn changed(&self) {
        self.generation.send_modify(|n| *n += 1);
    }
}
