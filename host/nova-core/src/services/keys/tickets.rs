//! Tickets: a key's word for one WebSocket, for browsers, which cannot send a header with it.
//!
//! They are kept in memory only, as keyed hashes, and serve once within 30 s.

use std::collections::{HashMap, VecDeque};

use crate::domain::{KeyId, Timestamp};
use crate::error::{Error, Result};

/// How long a ticket serves, in seconds.
pub const TICKET_LIFE_S: u32 = 30;
/// Tickets of one key that may be open at a time.
pub const KEY_TICKETS_MAX: usize = 100;
/// Tickets of all keys that may be open at a time.
pub const TICKETS_MAX: usize = 10_000;

/// The open tickets.
#[derive(Default)]
pub(super) struct Tickets {
    open: HashMap<[u8; 32], KeyId>,
    /// In the order in which they end, redeemed ones included, so that the bounds also hold for what is
    /// issued in any 30 s.
    order: VecDeque<([u8; 32], KeyId, Timestamp)>,
    of_key: HashMap<KeyId, usize>,
}

impl Tickets {
    /// Opens a ticket and says when it ends.
    ///
    /// # Errors
    /// [`Error::RateLimit`] where too many were issued within a ticket's life.
    pub(super) fn open(&mut self, hash: [u8; 32], key: KeyId, now: Timestamp) -> Result<Timestamp> {
        self.forget(now);
        let own = self.of_key.get(&key).copied().unwrap_or(0);
        if own >= KEY_TICKETS_MAX || self.order.len() >= TICKETS_MAX {
            let whose = |(_, owner, _): &&([u8; 32], KeyId, Timestamp)| {
                own < KEY_TICKETS_MAX || *owner == key
            };
            let first = self
                .order
                .iter()
                .find(whose)
                .map_or(now, |(_, _, end)| *end);
            return Err(Error::RateLimit {
                retry_after_s: (first.since_s(now).ceil() as u64).clamp(1, TICKET_LIFE_S.into()),
            });
        }
        let end = now.plus_s(f64::from(TICKET_LIFE_S));
        self.open.insert(hash, key);
        self.order.push_back((hash, key, end));
        *self.of_key.entry(key).or_default() += 1;
        Ok(end)
    }

    /// Takes a ticket; it serves no second time.
    pub(super) fn redeem(&mut self, hash: &[u8; 32], now: Timestamp) -> Option<KeyId> {
        self.forget(now);
        self.open.remove(hash)
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((hash, key, end)) = self.order.front().copied() {
            if now < end {
                break;
            }
            self.order.pop_front();
            self.open.remove(&hash);
            if let Some(count) = self.of_key.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.of_key.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hash(n: usize) -> [u8; 32] {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&n.to_le_bytes());
        hash
    }

    #[test]
    fn tickets_serve_once_and_are_bounded_by_key_and_over_all() {
        let mut tickets = Tickets::default();
        let start = Timestamp::from_millis(0);
        let key = KeyId::generate();
        let end = tickets.open(hash(0), key, start).unwrap();
        assert_eq!(end, start.plus_s(30.0));
        assert_eq!(tickets.redeem(&hash(0), start), Some(key));
        assert_eq!(tickets.redeem(&hash(0), start), None, "a second time");
        assert_eq!(tickets.redeem(&hash(1), start), None, "unknown");
        for n in 1..KEY_TICKETS_MAX {
            tickets.open(hash(n), key, start.plus_s(10.0)).unwrap();
        }
        let past = tickets.open(hash(101), key, start.plus_s(10.0));
        assert!(
            matches!(past, Err(Error::RateLimit { retry_after_s: 20 })),
            "{past:?}"
        );
        let other = KeyId::generate();
        tickets.open(hash(102), other, start.plus_s(10.0)).unwrap();
        assert_eq!(tickets.redeem(&hash(1), end), Some(key));
        assert_eq!(
            tickets.redeem(&hash(102), start.plus_s(40.0)),
            None,
            "too late"
        );
        assert!(tickets.open.is_empty() && tickets.order.is_empty() && tickets.of_key.is_empty());
        for n in 0..TICKETS_MAX {
            tickets.open(hash(n), KeyId::generate(), end).unwrap();
        }
        assert!(
            tickets
                .open(hash(TICKETS_MAX), KeyId::generate(), end)
                .is_err()
        );
    }
}
