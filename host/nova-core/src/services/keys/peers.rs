//! Failed authentications by address, so that nobody goes on guessing at full speed.
//!
//! Only failures count and only failures are refused: a good key passes from any address, so that nobody
//! can lock out those behind the same address. An IPv6 address stands for its /64, which one host has to
//! itself. The table is bounded; an address that finds no place in it is not limited.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;

use crate::domain::RateLimit;

/// Addresses that are remembered at a time.
pub const PEERS_MAX: usize = 8192;

/// Failures in the present window, which begins with the first failure of all.
pub(super) struct Peers {
    limit: RateLimit,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    began_us: u64,
    failures: HashMap<IpAddr, u32>,
}

impl Peers {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            window: Mutex::default(),
        }
    }

    /// Counts a failure; whole seconds to wait where there were too many.
    pub(super) fn failed(&self, peer: IpAddr, now_us: u64) -> Option<u64> {
        let peer = network(peer);
        let window_us = self.limit.window_ms.saturating_mul(1000);
        let mut window = self.window.lock();
        if now_us.saturating_sub(window.began_us) >= window_us || window.failures.is_empty() {
            window.failures.clear();
            window.began_us = now_us;
        }
        let rest_us = (window.began_us + window_us).saturating_sub(now_us);
        let room = window.failures.len() < PEERS_MAX;
        match window.failures.get_mut(&peer) {
            Some(count) if *count >= self.limit.requests => {
                Some(rest_us.div_ceil(1_000_000).max(1))
            }
            Some(count) => {
                *count += 1;
                None
            }
            None => {
                if room {
                    window.failures.insert(peer, 1);
                }
                None
            }
        }
    }
}

/// What stands for one peer: an IPv4 address, also one mapped into IPv6; a /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) >> 64 << 64;
            IpAddr::V6(prefix.into())
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FAILURES_MAX: u32 = 30;
    const WINDOW_US: u64 = 60_000_000;

    fn peers() -> Peers {
        Peers::new(RateLimit {
            requests: FAILURES_MAX,
            window_ms: WINDOW_US / 1000,
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_limited_for_itself_and_a_window_long() {
        let peers = peers();
        for n in 0..FAILURES_MAX {
            let from = ["10.0.0.1", "::ffff:10.0.0.1"][n as usize % 2];
            assert_eq!(peers.failed(ip(from), 5), None);
        }
        assert_eq!(peers.failed(ip("10.0.0.1"), 5), Some(60));
        assert_eq!(peers.failed(ip("10.0.0.1"), WINDOW_US - 5), Some(1));
        assert_eq!(peers.failed(ip("10.0.0.2"), 6), None, "another address");
        assert_eq!(
            peers.failed(ip("10.0.0.1"), WINDOW_US + 5),
            None,
            "a new window"
        );
    }

    #[test]
    fn a_host_cannot_hop_within_its_network() {
        let peers = peers();
        for n in 0..FAILURES_MAX {
            peers.failed(ip(&format!("2001:db8::{n:x}")), 0);
        }
        assert!(peers.failed(ip("2001:db8::ffff:1"), 0).is_some());
        assert!(peers.failed(ip("2001:db8:0:1::1"), 0).is_none());
    }

    #[test]
    fn the_table_is_bounded() {
        let peers = peers();
        for n in 0..PEERS_MAX as u32 + 100 {
            assert_eq!(peers.failed(std::net::Ipv4Addr::from(n).into(), 0), None);
        }
        assert_eq!(peers.window.lock().failures.len(), PEERS_MAX);
    }
}
