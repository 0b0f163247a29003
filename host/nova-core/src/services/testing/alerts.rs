//! Alerts of the datastore in memory.

use super::datastore::State;
use crate::domain::{Alert, AlertRule, AlertState, DeliveryId, Domain, RuleId};
use crate::error::Result;
use crate::ports::{AlertReads, AlertWrites, Delivery, Page, PageRequest};

/// Tables of alerts.
#[derive(Clone, Default)]
pub(super) struct AlertTables {
    rules: Vec<AlertRule>,
    /// The position is the index; none = removed.
    alerts: Vec<Option<Alert>>,
    deliveries: Vec<Delivery>,
}

impl AlertReads for State {
    fn alert_rules(&self, domain: Option<&Domain>) -> Result<Vec<AlertRule>> {
        let rules = self.alerts.rules.iter();
        let wanted = rules.filter(|r| domain.is_none_or(|d| r.domain == *d));
        Ok(wanted.cloned().collect())
    }

    fn open_alerts(&self) -> Result<Vec<Alert>> {
        let alerts = self.alerts.alerts.iter().flatten();
        let open = alerts.filter(|a| a.state != AlertState::Resolved);
        Ok(open.cloned().collect())
    }

    fn alerts(
        &self,
        domain: &Domain,
        state: Option<AlertState>,
        page: PageRequest,
    ) -> Result<Page<Alert>> {
        let before = page.before.unwrap_or(i64::MAX);
        let all = self.alerts.alerts.iter().enumerate().rev();
        let mut found: Vec<(i64, &Alert)> = all
            .filter_map(|(at, alert)| Some((at as i64 + 1, alert.as_ref()?)))
            .filter(|(at, alert)| {
                *at < before && alert.domain == *domain && state.is_none_or(|s| s == alert.state)
            })
            .take(page.limit + 1)
            .collect();
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let next = found.last().filter(|_| more).map(|(at, _)| *at);
        let items = found.into_iter().map(|(_, alert)| alert.clone()).collect();
        Ok(Page { items, next })
    }

    fn deliveries(&self, limit: usize) -> Result<Vec<Delivery>> {
        Ok(self.alerts.deliveries.iter().take(limit).cloned().collect())
    }

    fn delivery_count(&self) -> Result<u64> {
        Ok(self.alerts.deliveries.len() as u64)
    }
}

impl AlertWrites for State {
    fn put_alert_rule(&mut self, rule: &AlertRule) -> Result<()> {
        let rules = &mut self.alerts.rules;
        let same = |r: &&mut AlertRule| r.domain == rule.domain && r.rule_id == rule.rule_id;
        match rules.iter_mut().find(same) {
            Some(present) => *present = rule.clone(),
            None => rules.push(rule.clone()),
        }
        Ok(())
    }

    fn delete_alert_rule(&mut self, domain: &Domain, id: &RuleId) -> Result<bool> {
        let before = self.alerts.rules.len();
        let other = |r: &AlertRule| r.domain != *domain || r.rule_id != *id;
        self.alerts.rules.retain(other);
        Ok(self.alerts.rules.len() < before)
    }

    fn put_alert(&mut self, alert: &Alert) -> Result<()> {
        let mut alerts = self.alerts.alerts.iter_mut().flatten();
        match alerts.find(|a| a.alert_id == alert.alert_id) {
            Some(present) => *present = alert.clone(),
            None => self.alerts.alerts.push(Some(alert.clone())),
        }
        Ok(())
    }

    fn prune_alerts(&mut self, domain: &Domain, keep: usize) -> Result<()> {
        let all = self.alerts.alerts.iter_mut().rev();
        let resolved = all.filter(|a| {
            a.as_ref()
                .is_some_and(|a| a.domain == *domain && a.state == AlertState::Resolved)
        });
        resolved.skip(keep).for_each(|a| *a = None);
        Ok(())
    }

    fn insert_delivery(&mut self, delivery: &Delivery) -> Result<()> {
        self.alerts.deliveries.push(delivery.clone());
        Ok(())
    }

    fn delete_delivery(&mut self, id: DeliveryId) -> Result<()> {
        self.alerts.deliveries.retain(|d| d.delivery_id != id);
        Ok(())
    }
}
