//! Alerts: rules kept, alerts listed, evaluated ([`evaluate`]) and told to webhooks ([`deliver`]).

mod deliver;
mod evaluate;

use std::sync::Arc;

use tokio::sync::Notify;

use super::{AnalyticsService, Ports};
use crate::domain::{Alert, AlertRule, AlertState, Domain, EventKind, NewEvent, RuleId, Timestamp};
use crate::error::{Error, Result};
use crate::ports::{DatastoreExt, Page, PageRequest, ReadCost, WriteTx};

pub use evaluate::Evaluation;

/// What alerts need to know; each field's default is the daemon's.
#[derive(Clone, Debug)]
pub struct AlertConfig {
    /// Rules of the configuration.
    pub rules: Vec<AlertRule>,
    /// Who is told of what fires, and of its end.
    pub webhooks: Vec<WebhookName>,
    /// Most rules of the API, over all domains: 1000.
    pub rules_max: usize,
    /// Resolved alerts that are kept in each domain: 1000.
    pub kept_max: usize,
    /// Notices that may wait for webhooks; further ones are dropped and counted: 10 000.
    pub deliveries_max: u64,
}

impl Default for AlertConfig {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            webhooks: Vec::new(),
            rules_max: 1000,
            kept_max: 1000,
            deliveries_max: 10_000,
        }
    }
}

/// A webhook as the core knows it.
#[derive(Clone, PartialEq, Debug)]
pub struct WebhookName {
    /// Its name; where it is and how it is signed is the notifier's.
    pub name: String,
    /// Of which domains it hears; empty = of all.
    pub domains: Vec<Domain>,
}

/// Use cases of alerts.
pub struct AlertService {
    ports: Ports,
    analytics: Arc<AnalyticsService>,
    /// A notice was written.
    written: Notify,
}

impl AlertService {
    pub(super) fn new(ports: Ports, analytics: Arc<AnalyticsService>) -> Self {
        Self {
            ports,
            analytics,
            written: Notify::new(),
        }
    }

    /// A domain's rules: those of the configuration first, then the others, oldest first.
    pub async fn rules(&self, domain: &Domain) -> Result<Vec<AlertRule>> {
        let of = domain.clone();
        let store = &self.ports.store;
        let kept = store
            .read(ReadCost::Point, move |tx| tx.alert_rules(Some(&of)))
            .await?;
        let configured = self.ports.config.alerts.rules.iter();
        let mut rules: Vec<_> = configured
            .filter(|r| r.domain == *domain)
            .cloned()
            .collect();
        rules.extend(kept);
        Ok(rules)
    }

    /// One rule.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`].
    pub async fn rule(&self, domain: &Domain, id: &RuleId) -> Result<AlertRule> {
        let rules = self.rules(domain).await?;
        let found = rules.into_iter().find(|r| r.rule_id == *id);
        found.ok_or_else(|| Error::not_found("alert rule", id))
    }

    /// Makes a rule, or changes the one of that name; an alert that is open goes on under the new rule.
    /// Gives whether it is new.
    ///
    /// # Errors
    /// [`Error::Validation`] with the field, [`Error::Conflict`] for a rule of the configuration or when there
    /// are too many.
    pub async fn put_rule(&self, rule: AlertRule) -> Result<bool> {
        rule.check()?;
        self.not_configured(&rule.domain, &rule.rule_id)?;
        let most = self.ports.config.alerts.rules_max;
        self.ports
            .write(move |tx, _| {
                let rules = tx.alert_rules(None)?;
                let same = |r: &AlertRule| r.domain == rule.domain && r.rule_id == rule.rule_id;
                let is_new = !rules.iter().any(same);
                if is_new && rules.len() >= most {
                    return Err(Error::conflict(
                        format!("there are {most} alert rules already"),
                        serde_json::json!({"rules_max": most}),
                    ));
                }
                tx.put_alert_rule(&rule)?;
                Ok(is_new)
            })
            .await
    }

    /// Removes a rule; its open alert is resolved.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`], [`Error::Conflict`] for a rule of the configuration.
    pub async fn delete_rule(&self, domain: &Domain, id: &RuleId) -> Result<()> {
        self.not_configured(domain, id)?;
        let (of, id) = (domain.clone(), id.clone());
        let told = self.telling(domain);
        self.ports
            .write(move |tx, now| {
                let rules = tx.alert_rules(Some(&of))?;
                let rule = rules.into_iter().find(|r| r.rule_id == id);
                let rule = rule.ok_or_else(|| Error::not_found("alert rule", &id))?;
                tx.delete_alert_rule(&of, &id)?;
                let open = tx.open_alerts()?;
                if let Some(open) = open.iter().find(|a| a.domain == of && a.rule_id == id) {
                    // Nothing is seen any more.
                    if let Some(ended) = crate::domain::alert::step(&rule, Some(open), None, now) {
                        told.apply(tx, &rule, &ended, now)?;
                    }
                }
                Ok(())
            })
            .await?;
        self.written.notify_one();
        Ok(())
    }

    /// A domain's alerts, newest first.
    pub async fn list(
        &self,
        domain: &Domain,
        state: Option<AlertState>,
        page: PageRequest,
    ) -> Result<Page<Alert>> {
        let domain = domain.clone();
        self.ports
            .store
            .read(ReadCost::Scan, move |tx| tx.alerts(&domain, state, page))
            .await
    }

    fn not_configured(&self, domain: &Domain, id: &RuleId) -> Result<()> {
        let mut configured = self.ports.config.alerts.rules.iter();
        if configured.any(|r| r.domain == *domain && r.rule_id == *id) {
            return Err(Error::conflict(
                format!("the alert rule '{id}' stands in the daemon's configuration"),
                serde_json::json!({"rule_id": id}),
            ));
        }
        Ok(())
    }

    fn telling(&self, domain: &Domain) -> Telling {
        let config = &self.ports.config.alerts;
        let hears = |w: &&WebhookName| w.domains.is_empty() || w.domains.contains(domain);
        let webhooks = config.webhooks.iter().filter(hears);
        Telling {
            webhooks: webhooks.map(|w| w.name.clone()).collect(),
            kept_max: config.kept_max,
            deliveries_max: config.deliveries_max,
        }
    }
}

/// What a change of an alert writes beside it: its event, and a notice for each webhook.
#[derive(Clone)]
struct Telling {
    webhooks: Vec<String>,
    kept_max: usize,
    deliveries_max: u64,
}

impl Telling {
    fn apply(
        &self,
        tx: &mut dyn WriteTx,
        rule: &AlertRule,
        alert: &Alert,
        now: Timestamp,
    ) -> Result<()> {
        tx.put_alert(alert)?;
        if alert.state == AlertState::Resolved {
            tx.prune_alerts(&alert.domain, self.kept_max)?;
        }
        let described = alert.describe(rule);
        let event = NewEvent::new(EventKind::AlertChanged, alert.value.unwrap_or_default());
        let event = event.with_detail(described.clone());
        let seq = tx.append_event(&alert.domain, now, &event)?;
        // Whoever is called wants to know of what fires, and of its end.
        if alert.fired_at.is_none() {
            return Ok(());
        }
        let mut waiting = tx.delivery_count()?;
        for webhook in &self.webhooks {
            if waiting >= self.deliveries_max {
                tracing::warn!(webhook, alert_id = %alert.alert_id, "too many notices wait; this one is dropped");
                continue;
            }
            waiting += 1;
            tx.insert_delivery(&deliver::notice(webhook, alert, &described, seq, now))?;
        }
        Ok(())
    }
}
