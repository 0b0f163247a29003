//! How many connections there are, at all and of each peer.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The counts; as large as the connections that are open.
pub(super) struct Peers {
    max: usize,
    per_peer_max: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Places below the limit that are taken.
    taken: usize,
    of: HashMap<IpAddr, usize>,
}

/// A connection's place; given back when dropped.
pub(super) struct Place {
    peers: Arc<Peers>,
    peer: IpAddr,
    is_over: bool,
}

impl Place {
    /// Whether it lies past the limit of connections.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

impl Peers {
    pub(super) fn new(max: usize, per_peer_max: usize) -> Self {
        Self {
            max,
            per_peer_max,
            counts: Mutex::default(),
        }
    }

    /// A place for this peer; none when it has as many as it may.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let peer = group(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = counts.taken >= self.max;
        let own = counts.of.entry(peer).or_default();
        if *own >= self.per_peer_max {
            return None;
        }
        *own += 1;
        if !is_over {
            counts.taken += 1;
        }
        drop(counts);
        Some(Place {
            peers: Arc::clone(self),
            peer,
            is_over,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self
            .peers
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !self.is_over {
            counts.taken -= 1;
        }
        if let Some(own) = counts.of.get_mut(&self.peer) {
            *own -= 1;
            if *own == 0 {
                counts.of.remove(&self.peer);
            }
        }
    }
}

/// Whose an address is: an IPv6 peer commands a whole /64 network.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_peer_does_not_take_the_places_of_others() {
        let peers = Arc::new(Peers::new(3, 2));
        let held = [
            peers.enter(ip("10.0.0.1")),
            peers.enter(ip("::ffff:10.0.0.1")),
        ];
        assert!(held.iter().all(Option::is_some));
        assert!(peers.enter(ip("10.0.0.1")).is_none());
        let other = peers.enter(ip("2001:db8::1")).unwrap();
        assert!(!other.is_over());
        let past = peers.enter(ip("2001:db8::2")).unwrap();
        assert!(past.is_over(), "the limit of all");
        assert!(peers.enter(ip("2001:db8::3")).is_none(), "one network");
        drop(held);
        drop(past);
        assert!(!peers.enter(ip("10.0.0.1")).unwrap().is_over());
        drop(other);
        let counts = peers.counts.lock().unwrap();
        assert_eq!(
            (counts.taken, counts.of.len()),
            (0, 0),
            "nothing is left behind"
        );
    }
}
