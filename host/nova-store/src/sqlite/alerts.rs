//! Alert rules, alerts, and notices on their way.

use nova_core::alert::{Alert, AlertRule, AlertState, Comparison};
use nova_core::ports::{Delivery, Page, PageRequest};
use nova_core::strategy::analytics::{Scope, Severity};
use nova_core::{AlertId, DeliveryId, Domain, Result, RuleId};
use rusqlite::{Row, params};

use super::columns::{Bytes16, Columns, int, ms};
use super::listing::Listing;
use super::tx::Tx;

const RULE: &str = "SELECT 0, rule_id, domain, metric, scope, subject, quantile, comparison, threshold, for_s, window_s, severity FROM alert_rules ORDER BY position";
const RULE_OF: &str = "SELECT 0, rule_id, domain, metric, scope, subject, quantile, comparison, threshold, for_s, window_s, severity FROM alert_rules WHERE domain = ? ORDER BY position";

fn rule_from(row: &Row<'_>) -> rusqlite::Result<AlertRule> {
    let mut c = Columns::of(row);
    Ok(AlertRule {
        rule_id: c.name()?,
        domain: c.name()?,
        metric: c.get()?,
        scope: c.word_opt(Scope::parse)?,
        subject: c.get()?,
        quantile: c.get()?,
        comparison: c.word(Comparison::parse)?,
        threshold: c.get()?,
        for_s: c.get()?,
        window_s: c.get()?,
        severity: c.word(Severity::parse)?,
        configured: false,
    })
}

pub(super) fn rules(tx: &Tx<'_, '_>, domain: Option<&Domain>) -> Result<Vec<AlertRule>> {
    match domain {
        None => tx.many(RULE, (), rule_from),
        Some(domain) => tx.many(RULE_OF, params![domain.as_str()], rule_from),
    }
}

pub(super) fn put_rule(tx: &Tx<'_, '_>, rule: &AlertRule) -> Result<()> {
    let text = "INSERT INTO alert_rules (rule_id, domain, metric, scope, subject, quantile, comparison, threshold, for_s, window_s, severity) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
                ON CONFLICT (domain, rule_id) DO UPDATE SET metric = ?3, scope = ?4, subject = ?5, quantile = ?6, \
                comparison = ?7, threshold = ?8, for_s = ?9, window_s = ?10, severity = ?11";
    tx.run(
        text,
        params![
            rule.rule_id.as_str(),
            rule.domain.as_str(),
            rule.metric,
            rule.scope.map(Scope::as_str),
            rule.subject,
            rule.quantile,
            rule.comparison.as_str(),
            rule.threshold,
            rule.for_s,
            rule.window_s,
            rule.severity.as_str(),
        ],
    )?;
    Ok(())
}

pub(super) fn delete_rule(tx: &Tx<'_, '_>, domain: &Domain, id: &RuleId) -> Result<bool> {
    let text = "DELETE FROM alert_rules WHERE domain = ? AND rule_id = ?";
    Ok(tx.run(text, params![domain.as_str(), id.as_str()])? > 0)
}

fn alert_from(row: &Row<'_>) -> rusqlite::Result<Alert> {
    let mut c = Columns::of(row);
    Ok(Alert {
        alert_id: c.uuid(AlertId)?,
        domain: c.name()?,
        rule_id: c.name()?,
        state: c.word(AlertState::parse)?,
        value: c.get()?,
        since: c.time()?,
        fired_at: c.time_opt()?,
        resolved_at: c.time_opt()?,
    })
}

pub(super) const OPEN: &str = "SELECT position, alert_id, domain, rule_id, state, value, since_ms, fired_ms, resolved_ms \
    FROM alerts WHERE state <> 'resolved' ORDER BY position";

pub(super) fn open(tx: &Tx<'_, '_>) -> Result<Vec<Alert>> {
    tx.many(OPEN, (), alert_from)
}

/// The list of a domain's alerts.
pub(super) fn listing<'a>(domain: &'a Domain, state: Option<AlertState>) -> Listing<'a> {
    let select = "SELECT position, alert_id, domain, rule_id, state, value, since_ms, fired_ms, resolved_ms \
        FROM alerts WHERE domain = ?";
    let state = state.map(AlertState::as_str);
    Listing::new(select, "position", domain).equal("state", state)
}

pub(super) fn list(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    state: Option<AlertState>,
    page: PageRequest,
) -> Result<Page<Alert>> {
    listing(domain, state).page(tx, page, alert_from)
}

pub(super) fn put(tx: &Tx<'_, '_>, alert: &Alert) -> Result<()> {
    let text = "INSERT INTO alerts (alert_id, domain, rule_id, state, value, since_ms, fired_ms, resolved_ms) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
                ON CONFLICT (alert_id) DO UPDATE SET state = ?4, value = ?5, since_ms = ?6, fired_ms = ?7, resolved_ms = ?8";
    tx.run(
        text,
        params![
            alert.alert_id.bytes(),
            alert.domain.as_str(),
            alert.rule_id.as_str(),
            alert.state.as_str(),
            alert.value,
            alert.since.millis(),
            ms(alert.fired_at),
            ms(alert.resolved_at),
        ],
    )?;
    Ok(())
}

pub(super) fn prune(tx: &Tx<'_, '_>, domain: &Domain, keep: usize) -> Result<()> {
    let text = "DELETE FROM alerts WHERE domain = ?1 AND state = 'resolved' AND position <= coalesce(( \
                SELECT position FROM alerts WHERE domain = ?1 AND state = 'resolved' \
                ORDER BY position DESC LIMIT 1 OFFSET ?2), 0)";
    tx.run(text, params![domain.as_str(), int(keep as u64)?])?;
    Ok(())
}

const DELIVERIES: &str = "SELECT position, delivery_id, webhook, body, created_ms FROM deliveries ORDER BY position LIMIT ?";

pub(super) fn deliveries(tx: &Tx<'_, '_>, limit: usize) -> Result<Vec<Delivery>> {
    tx.many(DELIVERIES, params![int(limit as u64)?], |row| {
        let mut c = Columns::of(row);
        Ok(Delivery {
            delivery_id: c.uuid(DeliveryId)?,
            webhook: c.get()?,
            body: c.get()?,
            created_at: c.time()?,
        })
    })
}

pub(super) fn delivery_count(tx: &Tx<'_, '_>) -> Result<u64> {
    let text = "SELECT count(*) FROM deliveries";
    let count = tx.one(text, (), |row| row.get::<_, i64>(0))?;
    Ok(count.unwrap_or(0).unsigned_abs())
}

pub(super) fn insert_delivery(tx: &Tx<'_, '_>, delivery: &Delivery) -> Result<()> {
    let text =
        "INSERT INTO deliveries (delivery_id, webhook, body, created_ms) VALUES (?, ?, ?, ?)";
    tx.run(
        text,
        params![
            delivery.delivery_id.bytes(),
            delivery.webhook,
            delivery.body,
            delivery.created_at.millis(),
        ],
    )?;
    Ok(())
}

pub(super) fn delete_delivery(tx: &Tx<'_, '_>, id: DeliveryId) -> Result<()> {
    let text = "DELETE FROM deliveries WHERE delivery_id = ?";
    tx.run(text, params![id.bytes()])?;
    Ok(())
}
