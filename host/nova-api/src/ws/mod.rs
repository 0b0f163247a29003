//! The live side: WebSockets that follow events and analytics.
//!
//! One [`hub`] follows the committed events, renders each that somebody wants once, and puts the shared bytes
//! into one bounded broadcast for each distinct subscription. Every socket is a task that takes from its
//! broadcast at its own pace: one that is too slow loses its oldest frames and is told how many; it holds up
//! nobody and keeps nothing beyond the broadcast's length.

mod client;
mod follow;
mod hub;
mod metrics;
mod registry;
mod replay;
mod server;
mod session;
mod sockets;
mod spec;
mod ticker;
mod upgrade;

use std::time::Duration;

pub(crate) use client::ClientMessage;
pub(crate) use metrics::describe_metrics;
pub(crate) use server::ServerMessage;
pub use sockets::Sockets;
pub(crate) use upgrade::accept;

/// Limits of the live side.
#[derive(Clone, Debug)]
pub struct SocketConfig {
    /// Sockets at a time.
    pub sockets_max: usize,
    /// Sockets at a time of one key.
    pub sockets_per_key_max: usize,
    /// Longest message of a client, in bytes; one that is up to twice as long is refused and the socket stays
    /// open, a longer one ends it.
    pub message_max_bytes: usize,
    /// Pairs of domain and topic that one socket follows.
    pub subscriptions_max: usize,
    /// Distinct subscriptions over all sockets; each costs a look at every event, and its queue.
    pub streams_max: usize,
    /// Distinct analytics questions over all sockets that are asked again and again.
    pub questions_max: usize,
    /// Frames that a slow reader may be behind before it misses some.
    pub queue_len: usize,
    /// How far back `since_seq` reaches, in events of all domains.
    pub replay_max: u64,
    /// Shortest interval of analytics updates.
    pub interval_min: Duration,
    /// How often a ping frame is sent.
    pub ping_interval: Duration,
    /// A peer that was silent, or took nothing, for this long is closed.
    pub silent: Duration,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            sockets_max: 10_000,
            sockets_per_key_max: 10_000,
            message_max_bytes: 16 << 10,
            subscriptions_max: 24,
            streams_max: 2000,
            questions_max: 256,
            queue_len: 256,
            replay_max: 100_000,
            interval_min: Duration::from_millis(250),
            ping_interval: Duration::from_secs(20),
            silent: Duration::from_secs(60),
        }
    }
}
