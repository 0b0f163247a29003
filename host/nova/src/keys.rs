//! API keys and repeated requests as the daemon runs them: configuration and upkeep.

use std::time::Duration;

use nova_core::RateLimit;
use nova_core::services::{IdempotencyConfig, KeyConfig, Services};

use crate::config::Config;

/// What the configuration says of keys.
pub(crate) fn config(config: &Config, pepper: [u8; 32]) -> KeyConfig {
    let auth = &config.auth;
    KeyConfig {
        pepper,
        rate_limit: limit(auth.rate_requests, auth.rate_window_s),
        bootstrap_rate_limit: limit(auth.operator_rate_requests, auth.operator_rate_window_s),
        rotation_grace_s: auth.rotation_grace_s,
        failures: limit(auth.failures_max, auth.failures_window_s),
    }
}

/// What the configuration says of repeated requests.
pub(crate) fn idempotency(config: &Config) -> IdempotencyConfig {
    IdempotencyConfig {
        keep_s: config.idempotency.keep_s,
        answer_max_bytes: config.idempotency.answer_max_bytes as usize,
    }
}

/// Writes down, again and again, when keys were last used.
pub(crate) async fn write_uses(services: Services, every: Duration) {
    let mut tick = tokio::time::interval(every);
    loop {
        tick.tick().await;
        if let Err(error) = services.keys.write_uses().await {
            tracing::warn!(%error, "the last uses of keys could not be written down");
        }
    }
}

/// Removes, again and again, answers that are no longer kept.
pub(crate) async fn prune_answers(services: Services, every: Duration) {
    let mut tick = tokio::time::interval(every);
    loop {
        tick.tick().await;
        if let Err(error) = services.idempotency.prune().await {
            tracing::warn!(%error, "old answers could not be removed");
        }
    }
}

fn limit(requests: u32, window_s: f64) -> RateLimit {
    RateLimit {
        requests,
        window_ms: (window_s * 1000.0).round() as u64,
    }
}
