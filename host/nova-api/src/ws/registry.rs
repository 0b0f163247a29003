//! Which sockets are open: their places, and how they are told to close.

use std::collections::HashMap;
use std::sync::Arc;

use nova_core::{Caller, Error, KeyId};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::SocketConfig;
use super::metrics::METRICS;

/// Why the daemon closes a socket that did nothing wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Closing {
    /// The daemon ends.
    Draining,
}

/// The open sockets.
pub(super) struct Registry {
    state: Mutex<State>,
    count: watch::Sender<usize>,
    sockets_max: usize,
    per_key_max: usize,
}

#[derive(Default)]
struct State {
    draining: bool,
    next: u64,
    sockets: HashMap<u64, Entry>,
    by_key: HashMap<KeyId, usize>,
}

struct Entry {
    caller: Arc<Caller>,
    close: Option<oneshot::Sender<Closing>>,
}

/// A socket's place; given back when dropped.
pub(super) struct Place {
    registry: Arc<Registry>,
    id: u64,
}

impl Registry {
    pub(super) fn new(config: &SocketConfig) -> Self {
        Self {
            state: Mutex::default(),
            count: watch::Sender::new(0),
            sockets_max: config.sockets_max,
            per_key_max: config.sockets_per_key_max,
        }
    }

    /// A place for a socket of this key, and how it learns that it has to close.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while draining, or when too many are open.
    pub(super) fn enter(
        self: &Arc<Self>,
        caller: Arc<Caller>,
    ) -> Result<(Place, oneshot::Receiver<Closing>), Error> {
        let mut state = self.state.lock();
        if state.draining {
            return Err(Error::unavailable("the daemon is draining", 1));
        }
        if state.sockets.len() >= self.sockets_max {
            let text = format!("{} WebSockets are open already", self.sockets_max);
            return Err(Error::unavailable(text, 10));
        }
        let of_key = state.by_key.entry(caller.key_id).or_default();
        if *of_key >= self.per_key_max {
            let text = format!(
                "{} WebSockets of this key are open already",
                self.per_key_max
            );
            return Err(Error::unavailable(text, 10));
        }
        *of_key += 1;
        let (close, closing) = oneshot::channel();
        let id = state.next;
        state.next += 1;
        let close = Some(close);
        state.sockets.insert(id, Entry { caller, close });
        self.tell(&state);
        let registry = Arc::clone(self);
        Ok((Place { registry, id }, closing))
    }

    /// Lets no more in and closes all; [`Registry::emptied`] waits for their end.
    pub(super) fn drain(&self) {
        let mut state = self.state.lock();
        state.draining = true;
        for entry in state.sockets.values_mut() {
            entry.close(Closing::Draining);
        }
    }

    /// Resolves when no socket is open.
    pub(super) async fn emptied(&self) {
        // The sender lives as long as `self`.
        drop(self.count.subscribe().wait_for(|open| *open == 0).await);
    }

    fn leave(&self, id: u64) {
        let mut state = self.state.lock();
        if let Some(entry) = state.sockets.remove(&id) {
            let key_id = entry.caller.key_id;
            if let Some(of_key) = state.by_key.get_mut(&key_id) {
                *of_key -= 1;
                if *of_key == 0 {
                    state.by_key.remove(&key_id);
                }
            }
        }
        self.tell(&state);
    }

    fn tell(&self, state: &State) {
        METRICS.sockets.set(state.sockets.len() as f64);
        self.count.send_replace(state.sockets.len());
    }
}

impl Entry {
    fn close(&mut self, why: Closing) {
        if let Some(close) = self.close.take() {
            // An error says that it is closing already.
            let _ = close.send(why);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.leave(self.id);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nova_core::{Domain, DomainSet, Grant, Permission};

    use super::*;

    fn caller() -> Arc<Caller> {
        Arc::new(Caller {
            key_id: KeyId::generate(),
            grants: vec![Grant {
                permissions: [Permission::Read].into(),
                domains: DomainSet::All,
            }],
            default_domain: Domain::default(),
        })
    }

    #[tokio::test]
    async fn places_are_limited_over_all_and_for_each_key_and_are_given_back() {
        let registry = Arc::new(Registry::new(&SocketConfig {
            sockets_max: 3,
            sockets_per_key_max: 2,
            ..SocketConfig::default()
        }));
        let (a, b) = (caller(), caller());
        let first = registry.enter(Arc::clone(&a)).unwrap();
        let second = registry.enter(Arc::clone(&a)).unwrap();
        let refused = registry.enter(Arc::clone(&a)).err().unwrap();
        assert!(refused.to_string().starts_with("2 WebSockets of this key"));
        let third = registry.enter(Arc::clone(&b)).unwrap();
        let refused = registry.enter(b).err().unwrap();
        assert!(refused.to_string().starts_with("3 WebSockets are open"));
        drop(second);
        let again = registry.enter(a).unwrap();

        registry.drain();
        assert!(registry.enter(caller()).is_err());
        for (place, closing) in [first, third, again] {
            assert_eq!(closing.await, Ok(Closing::Draining));
            drop(place);
        }
        registry.emptied().await;
        assert!(registry.state.lock().by_key.is_empty());
    }
}
