//! The live side's configuration.

use std::time::Duration;

use nova_api::SocketConfig;

use crate::config::WebSocket;

/// Limits of WebSockets.
pub(crate) fn limits(config: &WebSocket) -> SocketConfig {
    SocketConfig {
        sockets_max: config.sockets_max as usize,
        sockets_per_key_max: config.sockets_per_key_max as usize,
        message_max_bytes: config.message_max_bytes as usize,
        subscriptions_max: config.subscriptions_max as usize,
        streams_max: config.streams_max as usize,
        questions_max: config.questions_max as usize,
        queue_len: config.queue_len as usize,
        replay_max: config.replay_max_events,
        interval_min: Duration::from_millis(config.interval_min_ms),
        ping_interval: Duration::from_millis(config.ping_interval_ms),
        silent: Duration::from_millis(config.silent_ms),
    }
}
