//! What the limits of WebSockets may be.

use anyhow::{Result, bail};

use super::model::WebSocket;

impl WebSocket {
    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> Result<()> {
        let (sockets, per_key) = (self.sockets_max.into(), self.sockets_per_key_max.into());
        let ranges = [
            ("sockets_max", sockets, 1, 1_000_000),
            ("sockets_per_key_max", per_key, 1, 1_000_000),
            ("message_max_bytes", self.message_max_bytes, 64, 1 << 24),
            ("subscriptions_max", self.subscriptions_max.into(), 1, 1000),
            ("streams_max", self.streams_max.into(), 1, 100_000),
            ("questions_max", self.questions_max.into(), 1, 100_000),
            ("queue_len", self.queue_len.into(), 1, 65_536),
            ("interval_min_ms", self.interval_min_ms, 1, 86_400_000),
            ("ping_interval_ms", self.ping_interval_ms, 1, 86_400_000),
            ("silent_ms", self.silent_ms, 1, 86_400_000),
        ];
        for (key, got, least, most) in ranges {
            if !(least..=most).contains(&got) {
                bail!("websocket.{key} must be {least} to {most}, got {got}");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_checked_at_and_past_their_bounds() {
        let check = |queue_len, silent_ms| {
            let limits = WebSocket {
                queue_len,
                silent_ms,
                ..WebSocket::default()
            };
            limits.check().map_err(|e| e.to_string())
        };
        assert_eq!(check(1, 1), Ok(()));
        assert_eq!(check(65_536, 86_400_000), Ok(()));
        assert!(check(0, 1).is_err_and(|e| e.contains("websocket.queue_len must be 1 to 65536")));
        assert!(check(65_537, 1).is_err());
        assert!(check(1, 0).is_err_and(|e| e.contains("silent_ms")));
    }
}
