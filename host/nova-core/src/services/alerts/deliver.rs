//! Notices to webhooks: written with the alert's change, sent after it, removed when they have arrived or
//! were given up. Whatever is killed in between, a notice is sent at least once.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use super::AlertService;
use crate::domain::{Alert, DeliveryId, Timestamp};
use crate::error::Result;
use crate::ports::{DatastoreExt, Delivery, Notifier, ReadCost};

/// Notices taken in one go.
const DELIVERIES_READ: usize = 64;

impl AlertService {
    /// Sends what waits; each webhook's notices one after the other, so that they arrive in order, and no
    /// webhook waits for another. Gives how many were taken.
    ///
    /// # Errors
    /// When the datastore cannot be read or written.
    pub async fn deliver(&self, notifier: &dyn Notifier) -> Result<usize> {
        let store = &self.ports.store;
        let waiting = store
            .read(ReadCost::Point, |tx| tx.deliveries(DELIVERIES_READ))
            .await?;
        let taken = waiting.len();
        let mut by_webhook: BTreeMap<String, Vec<Delivery>> = BTreeMap::new();
        for delivery in waiting {
            let queue = by_webhook.entry(delivery.webhook.clone()).or_default();
            queue.push(delivery);
        }
        let queues = by_webhook.into_values();
        let sent = join_all(queues.map(|queue| self.send_all(notifier, queue))).await;
        sent.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(taken)
    }

    /// Waits until there is a notice, at most so long.
    pub async fn notice_written(&self, at_most: Duration) {
        // Either way it is time to look.
        drop(tokio::time::timeout(at_most, self.written.notified()).await);
    }

    async fn send_all(&self, notifier: &dyn Notifier, queue: Vec<Delivery>) -> Result<()> {
        for delivery in queue {
            if let Err(error) = notifier.send(&delivery).await {
                tracing::warn!(webhook = delivery.webhook, delivery_id = %delivery.delivery_id, %error, "a notice is given up");
            }
            let id = delivery.delivery_id;
            self.ports
                .store
                .write(move |tx| tx.delete_delivery(id))
                .await?;
        }
        Ok(())
    }
}

/// The notice of an alert's change for a webhook.
pub(super) fn notice(
    webhook: &str,
    alert: &Alert,
    described: &Map<String, Value>,
    seq: u64,
    now: Timestamp,
) -> Delivery {
    let delivery_id = DeliveryId::generate();
    let body = json!({
        "type": "alert",
        "delivery_id": delivery_id,
        "seq": seq,
        "at": now,
        "domain": alert.domain,
        "alert": described,
    });
    Delivery {
        delivery_id,
        webhook: webhook.to_owned(),
        body: body.to_string(),
        created_at: now,
    }
}
