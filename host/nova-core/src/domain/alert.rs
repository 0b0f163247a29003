//! Alerts: a rule over a number of the analytics reports, and what becomes of it.
//!
//! An alert is pending while its rule's condition holds, fires once it has held for long enough, and is
//! resolved when it holds no longer. [`step`] is the whole state machine, without a clock of its own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::id::{AlertId, Domain, RuleId, check_name};
use super::time::Timestamp;
use crate::error::{Error, Result, object};
use crate::strategy::analytics::{Scope, Severity};

/// Longest time that a condition may have to hold, in seconds (30 days).
pub const HOLD_MAX_S: f64 = 2_592_000.0;

/// How a number is compared with the threshold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// More than.
    Above,
    /// More than, or the same.
    AtLeast,
    /// Less than.
    Below,
    /// Less than, or the same.
    AtMost,
}

impl Comparison {
    /// Every comparison.
    pub const ALL: [Self; 4] = [Self::Above, Self::AtLeast, Self::Below, Self::AtMost];

    /// The wire and datastore name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::AtLeast => "at_least",
            Self::Below => "below",
            Self::AtMost => "at_most",
        }
    }

    /// The comparison of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == text)
    }

    /// Whether `value` is so.
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::AtLeast => value >= threshold,
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
        }
    }
}

/// When to alert.
#[derive(Clone, PartialEq, Debug)]
pub struct AlertRule {
    /// Its name in the domain.
    pub rule_id: RuleId,
    /// Whose reports it reads.
    pub domain: Domain,
    /// A metric of the reports, a user metric included.
    pub metric: String,
    /// In which report; none = in the first of flows, agents, resources that has it.
    pub scope: Option<Scope>,
    /// Of one flow, agent or resource; none = of the whole scope.
    pub subject: Option<String>,
    /// This quantile of the metric, 0 to 1; none = its value.
    pub quantile: Option<f64>,
    /// Compared how.
    pub comparison: Comparison,
    /// With what.
    pub threshold: f64,
    /// For how many seconds it must hold before the alert fires.
    pub for_s: f64,
    /// The report looks back this many seconds; none = everything.
    pub window_s: Option<f64>,
    /// How bad it is.
    pub severity: Severity,
    /// It stands in the daemon's configuration and cannot be changed through the API.
    pub configured: bool,
}

impl AlertRule {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Validation`] with the field.
    pub fn check(&self) -> Result<()> {
        let metric = self.metric.as_bytes();
        let fits = (1..=128).contains(&metric.len());
        if !fits || metric.iter().any(|b| !b.is_ascii_graphic()) {
            return Err(Error::field(
                "metric",
                "metric must be 1 to 128 printable ASCII characters without spaces",
            ));
        }
        if self.subject.is_some() && self.scope.is_none() {
            let text = "a subject needs a scope: flows, agents or resources";
            return Err(Error::field("scope", text));
        }
        if let Some(subject) = &self.subject {
            check_name("subject", subject)?;
        }
        let unit = |q: f64| (0.0..=1.0).contains(&q);
        let window = |s: f64| s > 0.0 && s <= crate::services::WINDOW_MAX_S;
        let rules = [
            (
                "quantile",
                self.quantile,
                self.quantile.is_none_or(unit),
                "0 to 1",
            ),
            (
                "threshold",
                Some(self.threshold),
                self.threshold.is_finite(),
                "a finite number",
            ),
            (
                "for_s",
                Some(self.for_s),
                (0.0..=HOLD_MAX_S).contains(&self.for_s),
                "0 to 2592000",
            ),
            (
                "window_s",
                self.window_s,
                self.window_s.is_none_or(window),
                "above 0, at most 3153600000",
            ),
        ];
        match rules.into_iter().find(|(_, _, fits, _)| !fits) {
            None => Ok(()),
            Some((field, got, _, accepted)) => {
                let got = got.unwrap_or_default();
                Err(Error::field(
                    field,
                    format!("{field} must be {accepted}, got {got}"),
                ))
            }
        }
    }

    fn holds(&self, value: f64) -> bool {
        self.comparison.holds(value, self.threshold)
    }
}

/// How far an alert is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The condition holds, but not for long enough.
    Pending,
    /// It has held for long enough.
    Firing,
    /// It holds no longer.
    Resolved,
}

impl AlertState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Firing, Self::Resolved];

    /// The wire and datastore name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }

    /// The state of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// One time that a rule's condition held.
#[derive(Clone, PartialEq, Debug)]
pub struct Alert {
    /// Its id.
    pub alert_id: AlertId,
    /// Whose.
    pub domain: Domain,
    /// The rule.
    pub rule_id: RuleId,
    /// How far it is.
    pub state: AlertState,
    /// The number that was seen at its last change; none = there was none any more.
    pub value: Option<f64>,
    /// Since when the condition has held.
    pub since: Timestamp,
    /// When it fired; none = it did not.
    pub fired_at: Option<Timestamp>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
}

impl Alert {
    /// What an event and a webhook say of it.
    pub fn describe(&self, rule: &AlertRule) -> Map<String, Value> {
        object(json!({
            "alert_id": self.alert_id,
            "rule_id": self.rule_id,
            "state": self.state,
            "metric": rule.metric,
            "scope": rule.scope,
            "subject": rule.subject,
            "comparison": rule.comparison,
            "threshold": rule.threshold,
            "severity": rule.severity,
            "seen": self.value,
            "since": self.since,
            "fired_at": self.fired_at,
            "resolved_at": self.resolved_at,
        }))
    }
}

/// The next state of a rule's open alert, or of the alert that begins; none = nothing changes. `seen` is the
/// number now; none = the report has no such number, and so nothing to alert of.
pub fn step(
    rule: &AlertRule,
    open: Option<&Alert>,
    seen: Option<f64>,
    now: Timestamp,
) -> Option<Alert> {
    let holds = seen.is_some_and(|value| rule.holds(value));
    let fresh = || Alert {
        alert_id: AlertId::generate(),
        domain: rule.domain.clone(),
        rule_id: rule.rule_id.clone(),
        state: AlertState::Pending,
        value: seen,
        since: now,
        fired_at: None,
        resolved_at: None,
    };
    let mut next = match open {
        None if !holds => return None,
        None => fresh(),
        Some(open) => Alert {
            value: seen,
            ..open.clone()
        },
    };
    if !holds {
        next.state = AlertState::Resolved;
        next.resolved_at = Some(now);
        return Some(next);
    }
    let held_s = (now.millis() - next.since.millis()) as f64 / 1000.0;
    if next.state == AlertState::Pending && held_s >= rule.for_s {
        next.state = AlertState::Firing;
        next.fired_at = Some(now);
        return Some(next);
    }
    // One that goes on as it was is not written again.
    open.is_none().then_some(next)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rule(for_s: f64) -> AlertRule {
        AlertRule {
            rule_id: "hot".parse().unwrap(),
            domain: Domain::default(),
            metric: "temperature".into(),
            scope: None,
            subject: None,
            quantile: None,
            comparison: Comparison::Above,
            threshold: 10.0,
            for_s,
            window_s: None,
            severity: Severity::Warning,
            configured: false,
        }
    }

    /// Feeds one number a second and gives each second's state, `-` for none.
    fn run(for_s: f64, seen: &[Option<f64>]) -> Vec<&'static str> {
        let rule = rule(for_s);
        let mut open: Option<Alert> = None;
        let mut ids = Vec::new();
        let mut states = Vec::new();
        for (second, seen) in seen.iter().enumerate() {
            let now = Timestamp::from_millis(1000 * second as i64);
            if let Some(next) = step(&rule, open.as_ref(), *seen, now) {
                assert_eq!(next.value, *seen);
                assert_eq!(
                    next.resolved_at.is_some(),
                    next.state == AlertState::Resolved
                );
                assert!(next.since <= next.fired_at.unwrap_or(now));
                ids.push(next.alert_id);
                open = Some(next);
            }
            states.push(open.as_ref().map_or("-", |a| a.state.as_str()));
            open = open.filter(|a| a.state != AlertState::Resolved);
        }
        ids.dedup();
        let ended = states.iter().filter(|s| **s == "resolved").count();
        let open = usize::from(open.is_some());
        assert_eq!(ids.len(), ended + open, "one id from its begin to its end");
        states
    }

    #[test]
    fn alerts_go_from_pending_to_firing_to_resolved() {
        let (hot, cold) = (Some(11.0), Some(10.0));
        assert_eq!(
            run(2.0, &[cold, hot, hot, hot, hot, cold, cold]),
            [
                "-", "pending", "pending", "firing", "firing", "resolved", "-"
            ]
        );
        assert_eq!(
            run(0.0, &[cold, hot, cold, hot]),
            ["-", "firing", "resolved", "firing"],
            "no time to wait"
        );
        assert_eq!(
            run(2.0, &[hot, hot, cold, hot, hot, hot]),
            [
                "pending", "pending", "resolved", "pending", "pending", "firing"
            ],
            "it has to hold without a break"
        );
        assert_eq!(
            run(1.0, &[None, hot, hot, None, None]),
            ["-", "pending", "firing", "resolved", "-"],
            "a number that is gone alerts of nothing"
        );
    }

    #[test]
    fn comparisons_differ_at_the_threshold() {
        let at: Vec<_> = Comparison::ALL
            .map(|c| [9.0, 10.0, 11.0].map(|v| c.holds(v, 10.0)))
            .into();
        assert_eq!(
            at,
            [
                [false, false, true],
                [false, true, true],
                [true, false, false],
                [true, true, false]
            ]
        );
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        type Spoil = fn(&mut AlertRule);
        let cases: [(Spoil, &str); 7] = [
            (|r| r.metric = String::new(), "metric"),
            (|r| r.metric = "two words".into(), "metric"),
            (|r| r.subject = Some("a".into()), "scope"),
            (|r| r.quantile = Some(1.1), "quantile"),
            (|r| r.threshold = f64::NAN, "threshold"),
            (|r| r.for_s = -1.0, "for_s"),
            (|r| r.window_s = Some(0.0), "window_s"),
        ];
        assert!(rule(0.0).check().is_ok());
        for (spoil, field) in cases {
            let mut rule = rule(0.0);
            spoil(&mut rule);
            let error = rule.check().unwrap_err();
            assert_eq!(error.details()["field"], field, "{error}");
        }
    }
}
