//! The datastore's part for alerts: rules, alerts, and notices on their way to webhooks.

use async_trait::async_trait;

use super::datastore::{Page, PageRequest};
use crate::domain::{Alert, AlertRule, AlertState, DeliveryId, Domain, RuleId, Timestamp};
use crate::error::Result;

/// A notice on its way to a webhook.
#[derive(Clone, PartialEq, Debug)]
pub struct Delivery {
    /// Its id; the same at every attempt, so that a receiver can tell a repetition.
    pub delivery_id: DeliveryId,
    /// The webhook's name.
    pub webhook: String,
    /// What is sent: JSON.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
}

/// Reads of alerts.
pub trait AlertReads {
    /// The rules of a domain, or all, oldest first. Never configured ones.
    fn alert_rules(&self, domain: Option<&Domain>) -> Result<Vec<AlertRule>>;
    /// Alerts of any domain that are not resolved, oldest first.
    fn open_alerts(&self) -> Result<Vec<Alert>>;
    /// Alerts, newest first.
    fn alerts(
        &self,
        domain: &Domain,
        state: Option<AlertState>,
        page: PageRequest,
    ) -> Result<Page<Alert>>;
    /// Notices that are not delivered yet, oldest first, at most `limit`.
    fn deliveries(&self, limit: usize) -> Result<Vec<Delivery>>;
    /// How many these are.
    fn delivery_count(&self) -> Result<u64>;
}

/// Writes of alerts.
pub trait AlertWrites: AlertReads {
    /// Adds a rule, or replaces the one of that name.
    fn put_alert_rule(&mut self, rule: &AlertRule) -> Result<()>;
    /// Removes a rule; false = there was none.
    fn delete_alert_rule(&mut self, domain: &Domain, id: &RuleId) -> Result<bool>;
    /// Adds an alert, or replaces the one of that id.
    fn put_alert(&mut self, alert: &Alert) -> Result<()>;
    /// Removes the oldest resolved alerts of a domain, so that `keep` are left.
    fn prune_alerts(&mut self, domain: &Domain, keep: usize) -> Result<()>;
    /// Adds a notice.
    fn insert_delivery(&mut self, delivery: &Delivery) -> Result<()>;
    /// Removes a notice; one that is gone already is no error.
    fn delete_delivery(&mut self, id: DeliveryId) -> Result<()>;
}

/// Where notices go.
#[async_trait]
pub trait Notifier: Send + Sync + 'static {
    /// Sends a notice, and tries again what passes. An error is final.
    ///
    /// # Errors
    /// Why it did not arrive.
    async fn send(&self, delivery: &Delivery) -> Result<()>;
}
