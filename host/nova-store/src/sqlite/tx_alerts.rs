//! The traits of alerts, each method handed to the file of its record.

use nova_core::ports::{AlertReads, AlertWrites, Delivery, Page, PageRequest};
use nova_core::{Alert, AlertRule, AlertState, DeliveryId, Domain, Result, RuleId};

use super::alerts;
use super::tx::Tx;

impl AlertReads for Tx<'_, '_> {
    fn alert_rules(&self, domain: Option<&Domain>) -> Result<Vec<AlertRule>> {
        alerts::rules(self, domain)
    }

    fn open_alerts(&self) -> Result<Vec<Alert>> {
        alerts::open(self)
    }

    fn alerts(
        &self,
        domain: &Domain,
        state: Option<AlertState>,
        page: PageRequest,
    ) -> Result<Page<Alert>> {
        alerts::list(self, domain, state, page)
    }

    fn deliveries(&self, limit: usize) -> Result<Vec<Delivery>> {
        alerts::deliveries(self, limit)
    }

    fn delivery_count(&self) -> Result<u64> {
        alerts::delivery_count(self)
    }
}

impl AlertWrites for Tx<'_, '_> {
    fn put_alert_rule(&mut self, rule: &AlertRule) -> Result<()> {
        alerts::put_rule(self, rule)
    }

    fn delete_alert_rule(&mut self, domain: &Domain, id: &RuleId) -> Result<bool> {
        alerts::delete_rule(self, domain, id)
    }

    fn put_alert(&mut self, alert: &Alert) -> Result<()> {
        alerts::put(self, alert)
    }

    fn prune_alerts(&mut self, domain: &Domain, keep: usize) -> Result<()> {
        alerts::prune(self, domain, keep)
    }

    fn insert_delivery(&mut self, delivery: &Delivery) -> Result<()> {
        alerts::insert_delivery(self, delivery)
    }

    fn delete_delivery(&mut self, id: DeliveryId) -> Result<()> {
        alerts::delete_delivery(self, id)
    }
}
