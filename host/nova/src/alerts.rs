//! Alerts: evaluated and told in the background.

use std::time::Duration;

use anyhow::Result;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use nova_core::Backoff;
use nova_core::services::{AlertConfig, Services, WebhookName};
use nova_hooks::{Addresses, Webhook, WebhookConfig, Webhooks};

use crate::config::{Alerts, Retry};

const FIRING: &str = "nova_alerts_firing";
const RULES: &str = "nova_alert_rules";
const FAILED: &str = "nova_alert_evaluations_failed_total";

/// How often the datastore is asked for notices that nobody has told of: those of an earlier run, or after
/// the datastore was away.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What the core needs to know.
pub(crate) fn config(config: &Alerts) -> AlertConfig {
    AlertConfig {
        rules: config.rules(),
        webhooks: config
            .webhooks
            .iter()
            .map(|hook| WebhookName {
                name: hook.name.clone(),
                domains: hook.domains.clone(),
            })
            .collect(),
        rules_max: config.rules_max as usize,
        kept_max: config.kept_max as usize,
        deliveries_max: config.deliveries_max,
    }
}

/// How what passes is tried again.
pub(crate) fn backoff(config: &Retry) -> Backoff {
    Backoff {
        attempts_max: config.attempts_max as usize,
        first: Duration::from_millis(config.first_ms),
        longest: Duration::from_millis(config.longest_ms),
        total: Duration::from_millis(config.total_ms),
    }
}

/// The sender of notices.
pub(crate) fn webhooks(config: &Alerts, retry: &Retry) -> Result<Webhooks> {
    describe_metrics();
    let hooks = config.webhooks.iter();
    Ok(Webhooks::new(WebhookConfig {
        webhooks: hooks
            .map(|hook| Webhook {
                name: hook.name.clone(),
                url: hook.url.clone(),
                secret: hook.secret.0.clone(),
            })
            .collect(),
        addresses: Addresses::allowing(config.networks()?),
        timeout: Duration::from_millis(config.timeout_ms),
        retry: backoff(retry),
    }))
}

/// Evaluates every rule, again and again.
pub(crate) async fn evaluate(services: Services, every: Duration) {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        match services.alerts.evaluate().await {
            Ok(done) => {
                gauge!(FIRING).set(done.firing as f64);
                gauge!(RULES).set(done.rules as f64);
                counter!(FAILED).increment(done.failed as u64);
            }
            Err(error) => tracing::warn!(%error, "alerts could not be evaluated"),
        }
    }
}

/// Sends notices as they are written.
pub(crate) async fn deliver(services: Services, webhooks: Webhooks) {
    loop {
        match services.alerts.deliver(&webhooks).await {
            Ok(0) => services.alerts.notice_written(LOOK_INTERVAL).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "notices could not be read or removed");
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        }
    }
}

fn describe_metrics() {
    describe_gauge!(FIRING, "Alerts that fire now");
    describe_gauge!(RULES, "Alert rules");
    describe_counter!(FAILED, "Evaluations of an alert rule without a report");
    nova_hooks::describe_metrics();
}
