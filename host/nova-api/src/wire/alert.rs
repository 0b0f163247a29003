//! Alert rules and alerts.

use nova_core::alert::{Alert, AlertRule, AlertState, Comparison};
use nova_core::strategy::analytics::{Scope, Severity};
use nova_core::{AlertId, Domain, RuleId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::object::only_object;
use super::page::shown;
use super::schema::{
    AlertStateName, ComparisonName, Id, Name, ScopeName, SeverityName, Time, WindowSeconds,
};
use crate::problem::{Problem, refused};

/// A rule as a client sets it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schema(example = json!({
    "metric": "success-ratio", "scope": "agents", "comparison": "below", "threshold": 0.9, "for_s": 60, "window_s": 600
}))]
pub(crate) struct RuleBody {
    /// A metric of the analytics reports, a user metric included.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]{1,128}$")]
    metric: String,
    /// In which report; absent = the first of flows, agents, resources that has the metric.
    #[serde(default)]
    #[schema(value_type = Option<ScopeName>)]
    scope: Option<Scope>,
    /// One flow, agent or resource, with `scope`; absent = the total.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    subject: Option<String>,
    /// This quantile of the metric, one that the report has; absent = its value.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1)]
    quantile: Option<f64>,
    #[schema(value_type = ComparisonName)]
    comparison: Comparison,
    threshold: f64,
    /// For how many seconds it must hold before the alert fires.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2_592_000)]
    for_s: f64,
    /// The report looks back this many seconds; absent = everything that was recorded.
    #[serde(default)]
    #[schema(value_type = Option<WindowSeconds>)]
    window_s: Option<f64>,
    #[serde(default = "warning")]
    #[schema(value_type = Option<SeverityName>)]
    severity: Severity,
}
only_object!(RuleBody);

fn warning() -> Severity {
    Severity::Warning
}

impl RuleBody {
    /// The rule of that name.
    pub(crate) fn into_rule(self, domain: Domain, rule_id: RuleId) -> AlertRule {
        AlertRule {
            rule_id,
            domain,
            metric: self.metric,
            scope: self.scope,
            subject: self.subject,
            quantile: self.quantile,
            comparison: self.comparison,
            threshold: self.threshold,
            for_s: self.for_s,
            window_s: self.window_s,
            severity: self.severity,
            configured: false,
        }
    }
}

/// A rule.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertRule)]
pub(crate) struct RuleRecord {
    #[schema(value_type = Name)]
    rule_id: RuleId,
    #[schema(value_type = Name)]
    domain: Domain,
    metric: String,
    #[schema(value_type = Option<ScopeName>)]
    scope: Option<Scope>,
    subject: Option<String>,
    quantile: Option<f64>,
    #[schema(value_type = ComparisonName)]
    comparison: Comparison,
    threshold: f64,
    for_s: f64,
    window_s: Option<f64>,
    #[schema(value_type = SeverityName)]
    severity: Severity,
    /// It stands in the daemon's configuration, and cannot be changed here.
    configured: bool,
}

impl From<AlertRule> for RuleRecord {
    fn from(rule: AlertRule) -> Self {
        Self {
            rule_id: rule.rule_id,
            domain: rule.domain,
            metric: rule.metric,
            scope: rule.scope,
            subject: rule.subject,
            quantile: rule.quantile,
            comparison: rule.comparison,
            threshold: rule.threshold,
            for_s: rule.for_s,
            window_s: rule.window_s,
            severity: rule.severity,
            configured: rule.configured,
        }
    }
}

/// What became of a rule, or a rule that was asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleAnswer {
    #[schema(value_type = Name)]
    pub(crate) rule_id: RuleId,
    /// `active`, or `deleted`.
    pub(crate) status: &'static str,
    /// The rule; null when it was deleted.
    pub(crate) rule: Option<RuleRecord>,
    /// 1: a fact.
    pub(crate) confidence: f64,
    #[schema(value_type = Time)]
    pub(crate) timestamp: Timestamp,
}

/// All rules of a domain.
#[derive(Serialize, ToSchema)]
pub(crate) struct RulesAnswer {
    /// Those of the configuration first, then the others, oldest first.
    pub(crate) items: Vec<RuleRecord>,
}

/// An alert.
#[derive(Serialize, ToSchema)]
#[schema(as = Alert)]
pub(crate) struct AlertRecord {
    #[schema(value_type = Id)]
    alert_id: AlertId,
    #[schema(value_type = Name)]
    domain: Domain,
    #[schema(value_type = Name)]
    rule_id: RuleId,
    #[schema(value_type = AlertStateName)]
    state: AlertState,
    /// The number at its last change; null = there was none any more.
    value: Option<f64>,
    /// Since when the condition has held.
    #[schema(value_type = Time)]
    since: Timestamp,
    /// Null = it did not fire.
    #[schema(value_type = Option<Time>)]
    fired_at: Option<Timestamp>,
    #[schema(value_type = Option<Time>)]
    resolved_at: Option<Timestamp>,
}

impl From<Alert> for AlertRecord {
    fn from(alert: Alert) -> Self {
        Self {
            alert_id: alert.alert_id,
            domain: alert.domain,
            rule_id: alert.rule_id,
            state: alert.state,
            value: alert.value,
            since: alert.since,
            fired_at: alert.fired_at,
            resolved_at: alert.resolved_at,
        }
    }
}

/// Which alerts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertQuery {
    /// `pending`, `firing` or `resolved`; absent = all.
    #[param(value_type = Option<AlertStateName>)]
    state: Option<String>,
}

impl AlertQuery {
    /// The parsed state.
    ///
    /// # Errors
    /// A word that is no state.
    pub(crate) fn state(&self) -> Result<Option<AlertState>, Problem> {
        let Some(text) = self.state.as_deref() else {
            return Ok(None);
        };
        match AlertState::parse(text) {
            None => {
                let message = format!(
                    "state must be pending, firing or resolved, got '{}'",
                    shown(text)
                );
                Err(refused("state", message, None))
            }
            state => Ok(state),
        }
    }
}
