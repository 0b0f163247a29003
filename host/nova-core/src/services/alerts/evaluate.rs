//! Looks at the reports and moves alerts on.

use std::collections::HashMap;

use super::AlertService;
use crate::domain::alert::step;
use crate::domain::{Alert, AlertRule, AlertState, Domain};
use crate::error::{Error, Result};
use crate::ports::{DatastoreExt, ReadCost};
use crate::services::AnalyticsRequest;
use crate::strategy::analytics::{AnalyticsReport, Scope};

/// What an evaluation found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Evaluation {
    /// Rules that were looked at.
    pub rules: usize,
    /// Rules whose report could not be had; their alerts stay as they are.
    pub failed: usize,
    /// Alerts that changed.
    pub changed: usize,
    /// Alerts that fire now.
    pub firing: usize,
}

/// Which report a rule reads.
type Question = (Domain, &'static str, Option<String>, Option<u64>);

/// What is known of a rule's number.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    Seen(Option<f64>),
    /// The report could not be had.
    Unknown,
}

impl AlertService {
    /// Evaluates every rule once.
    ///
    /// # Errors
    /// When the datastore cannot be read or written; a report that fails is only counted.
    pub async fn evaluate(&self) -> Result<Evaluation> {
        let store = &self.ports.store;
        let (kept, open) = store
            .read(ReadCost::Point, |tx| {
                Ok((tx.alert_rules(None)?, tx.open_alerts()?))
            })
            .await?;
        let configured = &self.ports.config.alerts.rules;
        let rules: Vec<_> = configured.iter().cloned().chain(kept).collect();
        // A rule that left the configuration leaves its alert behind.
        let orphaned = open
            .iter()
            .any(|alert| !rules.iter().any(|rule| is_of(alert, rule)));
        let mut done = Evaluation {
            rules: rules.len(),
            firing: open
                .iter()
                .filter(|a| a.state == AlertState::Firing)
                .count(),
            ..Evaluation::default()
        };
        let mut reports = HashMap::new();
        let mut moving = Vec::new();
        let now = self.ports.clock.now();
        for rule in rules {
            match self.read(&rule, &mut reports).await {
                Reading::Unknown => done.failed += 1,
                Reading::Seen(seen) => {
                    if step(&rule, of(&open, &rule), seen, now).is_some() {
                        moving.push((rule, seen));
                    }
                }
            }
        }
        if moving.is_empty() && !orphaned {
            return Ok(done);
        }
        let (changed, firing) = self.write(moving).await?;
        (done.changed, done.firing) = (changed, firing);
        Ok(done)
    }

    /// Moves alerts on, by the rules and alerts as they are inside the job.
    async fn write(&self, moving: Vec<(AlertRule, Option<f64>)>) -> Result<(usize, usize)> {
        let moving: Vec<_> = moving
            .into_iter()
            .map(|(rule, seen)| {
                let told = self.telling(&rule.domain);
                (rule, seen, told)
            })
            .collect();
        let configured = self.ports.config.alerts.rules.clone();
        let counts = self
            .ports
            .write(move |tx, now| {
                let (kept, open) = (tx.alert_rules(None)?, tx.open_alerts()?);
                let mut changed = 0;
                for (rule, seen, told) in &moving {
                    // One that was changed or removed meanwhile waits for the next evaluation.
                    if !rule.configured && !kept.contains(rule) {
                        continue;
                    }
                    if let Some(next) = step(rule, of(&open, rule), *seen, now) {
                        told.apply(tx, rule, &next, now)?;
                        changed += 1;
                    }
                }
                for alert in &open {
                    let mut rules = kept.iter().chain(&configured);
                    if !rules.any(|rule| is_of(alert, rule)) {
                        let mut ended = alert.clone();
                        (ended.state, ended.resolved_at) = (AlertState::Resolved, Some(now));
                        tx.put_alert(&ended)?;
                        changed += 1;
                    }
                }
                let firing = tx.open_alerts()?;
                let firing = firing
                    .iter()
                    .filter(|a| a.state == AlertState::Firing)
                    .count();
                Ok((changed, firing))
            })
            .await?;
        self.written.notify_one();
        Ok(counts)
    }

    async fn read(
        &self,
        rule: &AlertRule,
        reports: &mut HashMap<Question, Option<AnalyticsReport>>,
    ) -> Reading {
        let scopes: &[Scope] = match &rule.scope {
            Some(scope) => std::slice::from_ref(scope),
            None => &[Scope::Flows, Scope::Agents, Scope::Resources],
        };
        let mut unknown = false;
        for scope in scopes {
            let window = rule.window_s.map(f64::to_bits);
            let question = (
                rule.domain.clone(),
                scope.as_str(),
                rule.subject.clone(),
                window,
            );
            if !reports.contains_key(&question) {
                let report = self.report(rule, *scope).await;
                reports.insert(question.clone(), report);
            }
            match reports.get(&question) {
                Some(Some(report)) => {
                    if let Some(value) = number(report, rule) {
                        return Reading::Seen(Some(value));
                    }
                }
                _ => unknown = true,
            }
        }
        if unknown {
            Reading::Unknown
        } else {
            Reading::Seen(None)
        }
    }

    /// The report that a rule reads; an empty one for a subject that does not exist, none for one that
    /// could not be had.
    async fn report(&self, rule: &AlertRule, scope: Scope) -> Option<AnalyticsReport> {
        let request = AnalyticsRequest {
            subject: rule.subject.clone(),
            window_s: rule.window_s,
            ..AnalyticsRequest::default()
        };
        match self.analytics.report(&rule.domain, scope, request).await {
            Ok(decided) => Some(decided.answer),
            Err(Error::ResourceNotFound { .. }) => Some(AnalyticsReport::default()),
            Err(error) => {
                tracing::warn!(rule = %rule.rule_id, domain = %rule.domain, %error, "an alert rule has no report");
                None
            }
        }
    }
}

fn of<'a>(open: &'a [Alert], rule: &AlertRule) -> Option<&'a Alert> {
    open.iter().find(|alert| is_of(alert, rule))
}

fn is_of(alert: &Alert, rule: &AlertRule) -> bool {
    alert.domain == rule.domain && alert.rule_id == rule.rule_id
}

fn number(report: &AnalyticsReport, rule: &AlertRule) -> Option<f64> {
    let mut metrics = report.metrics.iter();
    let metric = metrics.find(|m| m.name == rule.metric && m.subject == rule.subject)?;
    match rule.quantile {
        None => Some(metric.value),
        Some(wanted) => {
            let mut quantiles = metric.quantiles.iter();
            quantiles
                .find(|(q, _)| (q - wanted).abs() < 1e-9)
                .map(|(_, value)| *value)
        }
    }
}
