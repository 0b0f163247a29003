//! Alerts, webhooks and retries in the configuration.

use std::fmt;

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use nova_core::alert::{AlertRule, Comparison};
use nova_core::strategy::analytics::{Scope, Severity};
use nova_core::{Domain, RuleId};
use serde::{Deserialize, Serialize, Serializer};

/// Shortest secret of a webhook, in characters.
const SECRET_MIN_CHARS: usize = 16;

/// `[alerts]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alerts {
    pub(crate) interval_ms: u64,
    pub(crate) rules_max: u32,
    pub(crate) kept_max: u32,
    pub(crate) deliveries_max: u64,
    pub(crate) timeout_ms: u64,
    pub(crate) allowed_networks: Vec<String>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) webhooks: Vec<Hook>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            interval_ms: 5000,
            rules_max: 1000,
            kept_max: 1000,
            deliveries_max: 10_000,
            timeout_ms: 10_000,
            allowed_networks: Vec::new(),
            rules: Vec::new(),
            webhooks: Vec::new(),
        }
    }
}

/// `[[alerts.rules]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    rule_id: RuleId,
    #[serde(default)]
    domain: Domain,
    metric: String,
    scope: Option<Scope>,
    subject: Option<String>,
    quantile: Option<f64>,
    comparison: Comparison,
    threshold: f64,
    #[serde(default)]
    for_s: f64,
    window_s: Option<f64>,
    severity: Option<Severity>,
}

/// `[[alerts.webhooks]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hook {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) secret: Secret,
    #[serde(default)]
    pub(crate) domains: Vec<Domain>,
}

/// Text that is never printed.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// `[retry]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    pub(crate) attempts_max: u32,
    pub(crate) first_ms: u64,
    pub(crate) longest_ms: u64,
    pub(crate) total_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts_max: 6,
            first_ms: 100,
            longest_ms: 10_000,
            total_ms: 60_000,
        }
    }
}

impl Alerts {
    /// The rules as the core knows them.
    pub(crate) fn rules(&self) -> Vec<AlertRule> {
        self.rules.iter().map(Rule::known).collect()
    }

    /// The networks that may be called although they are not public.
    pub(crate) fn networks(&self) -> Result<Vec<IpNet>> {
        let each = self.allowed_networks.iter();
        each.map(|text| {
            text.parse().with_context(|| {
                format!("alerts.allowed_networks: '{text}' is no network such as 10.1.0.0/16")
            })
        })
        .collect()
    }

    /// Refuses what has the right type but makes no sense.
    pub(super) fn check(&self) -> Result<()> {
        let at_least_one = [
            ("interval_ms", self.interval_ms),
            ("kept_max", self.kept_max.into()),
            ("timeout_ms", self.timeout_ms),
        ];
        if let Some((key, _)) = at_least_one.iter().find(|(_, value)| *value == 0) {
            bail!("alerts.{key} must be at least 1, got 0");
        }
        self.networks()?;
        let rules = self.rules();
        for (i, rule) in rules.iter().enumerate() {
            rule.check()
                .map_err(|error| anyhow::anyhow!("alerts.rules[{i}]: {error}"))?;
            let same = |r: &AlertRule| r.domain == rule.domain && r.rule_id == rule.rule_id;
            if rules[..i].iter().any(same) {
                bail!(
                    "alerts.rules[{i}]: the rule '{}' is there twice",
                    rule.rule_id
                );
            }
        }
        for (i, hook) in self.webhooks.iter().enumerate() {
            if hook.name.is_empty() || self.webhooks[..i].iter().any(|h| h.name == hook.name) {
                bail!(
                    "alerts.webhooks[{i}].name must be there once, got '{}'",
                    hook.name
                );
            }
            if !(hook.url.starts_with("http://") || hook.url.starts_with("https://")) {
                bail!(
                    "alerts.webhooks[{i}].url must begin with http:// or https://, got '{}'",
                    hook.url
                );
            }
            if hook.secret.0.len() < SECRET_MIN_CHARS {
                bail!(
                    "alerts.webhooks[{i}].secret must have {SECRET_MIN_CHARS} characters or more"
                );
            }
        }
        Ok(())
    }
}

impl Retry {
    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> Result<()> {
        if !(1..=100).contains(&self.attempts_max) {
            bail!(
                "retry.attempts_max must be 1 to 100, got {}",
                self.attempts_max
            );
        }
        let most = 3_600_000;
        for (key, got) in [
            ("first_ms", self.first_ms),
            ("longest_ms", self.longest_ms),
            ("total_ms", self.total_ms),
        ] {
            if !(1..=most).contains(&got) {
                bail!("retry.{key} must be 1 to {most}, got {got}");
            }
        }
        Ok(())
    }
}

impl Rule {
    fn known(&self) -> AlertRule {
        AlertRule {
            rule_id: self.rule_id.clone(),
            domain: self.domain.clone(),
            metric: self.metric.clone(),
            scope: self.scope,
            subject: self.subject.clone(),
            quantile: self.quantile,
            comparison: self.comparison,
            threshold: self.threshold,
            for_s: self.for_s,
            window_s: self.window_s,
            severity: self.severity.unwrap_or(Severity::Warning),
            configured: true,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_makes_no_sense_is_named() {
        let hook = |name: &str, url: &str, secret: &str| {
            format!("[[webhooks]]\nname = '{name}'\nurl = '{url}'\nsecret = '{secret}'\n")
        };
        let rule = |more: &str| {
            format!(
                "[[rules]]\nrule_id = 'r'\nmetric = 'm'\ncomparison = 'above'\nthreshold = 1\n{more}\n"
            )
        };
        let long = "0123456789abcdef";
        let cases = [
            (hook("a", "https://x.example/", long) + &rule(""), ""),
            (hook("", "https://x.example/", long), "webhooks[0].name"),
            (
                hook("a", "http://x/", long) + &hook("a", "http://x/", long),
                "webhooks[1].name",
            ),
            (hook("a", "ftp://x.example/", long), "webhooks[0].url"),
            (
                hook("a", "https://x.example/", "short"),
                "webhooks[0].secret",
            ),
            (rule("for_s = -1"), "for_s must be"),
            (rule("") + &rule(""), "twice"),
            (
                "allowed_networks = ['10.0.0.1/40']".to_owned(),
                "allowed_networks",
            ),
            ("interval_ms = 0".to_owned(), "interval_ms"),
        ];
        for (text, wanted) in cases {
            let mut table = toml::Table::try_from(Alerts::default()).unwrap();
            table.extend(text.parse::<toml::Table>().unwrap());
            let alerts: Alerts = table.try_into().unwrap();
            let said = alerts
                .check()
                .err()
                .map(|e| format!("{e:#}"))
                .unwrap_or_default();
            assert!(
                said.contains(wanted) && said.is_empty() == wanted.is_empty(),
                "{text}: {said}"
            );
            assert!(!format!("{alerts:?}").contains(long));
        }
    }
}
