//! Analytics: the query and the report, with ids in place of indices, and the check of a report.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Violation, check_confidence};
use crate::domain::Timestamp;

/// What a report is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Flows.
    Flows,
    /// Agents.
    Agents,
    /// Resources.
    Resources,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Flows, Self::Agents, Self::Resources];

    /// The wire and datastore name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flows => "flows",
            Self::Agents => "agents",
            Self::Resources => "resources",
        }
    }

    /// The scope of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// A question to an analytics processor.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AnalyticsQuery {
    /// About what.
    pub scope: Scope,
    /// One id of the scope; none = all.
    pub subject: Option<String>,
    /// Now.
    pub at: Timestamp,
    /// Look back this far; none = everything.
    pub window_s: Option<f64>,
    /// Open-ended parameters.
    pub parameters: Map<String, Value>,
}

/// A number that the events show.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Metric {
    pub name: String,
    pub unit: String,
    pub subject: Option<String>,
    pub value: f64,
    pub quantiles: Vec<(f64, f64)>,
    pub samples: u64,
}

/// A number over time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Series {
    pub name: String,
    pub unit: String,
    pub subject: Option<String>,
    pub start: Timestamp,
    pub step_ms: u64,
    pub values: Vec<f64>,
}

/// What a series is expected to do next.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Forecast {
    pub name: String,
    pub unit: String,
    pub subject: Option<String>,
    pub start: Timestamp,
    pub step_ms: u64,
    pub mean: Vec<f64>,
    pub lower: Vec<f64>,
    pub upper: Vec<f64>,
    pub level: f64,
    pub method: String,
}

/// A point of a series that its past does not explain.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Anomaly {
    pub name: String,
    pub subject: Option<String>,
    pub at: Timestamp,
    pub value: f64,
    pub expected: f64,
    pub score: f64,
}

/// How much an insight matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "plain words")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    /// Every severity.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The wire and datastore name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The severity of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// A finding in words; placeholders are already ids.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Insight {
    pub kind: String,
    pub severity: Severity,
    pub subject: Option<String>,
    pub description: String,
    pub confidence: f64,
    pub recommendations: Vec<String>,
}

/// What an analytics processor answers.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct AnalyticsReport {
    pub metrics: Vec<Metric>,
    pub series: Vec<Series>,
    pub forecasts: Vec<Forecast>,
    pub anomalies: Vec<Anomaly>,
    pub insights: Vec<Insight>,
    pub confidence: f64,
    pub samples: u64,
    /// The newest event behind the report, 0 when there was none.
    pub covers_seq: u64,
}

/// Checks a report: every number finite, lists of matching lengths, intervals in order,
/// confidences in [0, 1].
///
/// # Errors
/// The first rule broken.
pub fn check(report: &AnalyticsReport) -> Result<(), Violation> {
    check_confidence("the report's confidence", report.confidence)?;
    for m in &report.metrics {
        let quantiles = m.quantiles.iter().flat_map(|(q, v)| [*q, *v]);
        finite(&m.name, quantiles.chain([m.value]))?;
        let rising = m.quantiles.windows(2).all(|w| w[0].0 < w[1].0);
        if !rising || m.quantiles.iter().any(|(q, _)| !(0.0..=1.0).contains(q)) {
            return Err(Violation::new(
                "quantile-order",
                format!("the quantiles of {} must rise from 0 to 1", m.name),
            ));
        }
    }
    for s in &report.series {
        finite(&s.name, s.values.iter().copied())?;
        step(&s.name, s.step_ms)?;
    }
    for f in &report.forecasts {
        step(&f.name, f.step_ms)?;
        if f.lower.len() != f.mean.len() || f.upper.len() != f.mean.len() {
            return Err(Violation::new(
                "forecast-lengths",
                format!("mean, lower and upper of {} differ in length", f.name),
            ));
        }
        finite(
            &f.name,
            f.mean.iter().chain(&f.lower).chain(&f.upper).copied(),
        )?;
        if !(f.level > 0.0 && f.level < 1.0) {
            return Err(Violation::new(
                "forecast-level",
                format!(
                    "the level of {} is {}, must lie between 0 and 1",
                    f.name, f.level
                ),
            ));
        }
        let ordered = f
            .mean
            .iter()
            .zip(&f.lower)
            .zip(&f.upper)
            .all(|((m, l), u)| l <= m && m <= u);
        if !ordered {
            return Err(Violation::new(
                "forecast-interval",
                format!("{} needs lower ≤ mean ≤ upper at every step", f.name),
            ));
        }
    }
    for a in &report.anomalies {
        finite(&a.name, [a.value, a.expected, a.score])?;
    }
    report.insights.iter().try_for_each(|i| {
        check_confidence(
            &format!("the confidence of insight '{}'", i.kind),
            i.confidence,
        )
    })
}

fn finite(name: &str, values: impl IntoIterator<Item = f64>) -> Result<(), Violation> {
    match values.into_iter().find(|v| !v.is_finite()) {
        None => Ok(()),
        Some(v) => Err(Violation::new(
            "finite-numbers",
            format!("{name} contains {v}"),
        )),
    }
}

fn step(name: &str, step_ms: u64) -> Result<(), Violation> {
    if step_ms > 0 {
        return Ok(());
    }
    Err(Violation::new(
        "positive-step",
        format!("the step of {name} is 0 ms"),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn forecast(mean: Vec<f64>, lower: Vec<f64>, upper: Vec<f64>) -> AnalyticsReport {
        AnalyticsReport {
            forecasts: vec![Forecast {
                name: "utilization".into(),
                unit: "ratio".into(),
                subject: None,
                start: Timestamp::from_millis(0),
                step_ms: 1000,
                mean,
                lower,
                upper,
                level: 0.95,
                method: "holt".into(),
            }],
            ..AnalyticsReport::default()
        }
    }

    #[test]
    fn false_reports_are_named() {
        let ok = forecast(vec![1.0], vec![0.5], vec![1.5]);
        assert!(check(&ok).is_ok());
        let cases = [
            (forecast(vec![1.0], vec![], vec![1.5]), "forecast-lengths"),
            (
                forecast(vec![1.0], vec![1.2], vec![1.5]),
                "forecast-interval",
            ),
            (
                forecast(vec![f64::NAN], vec![0.0], vec![1.0]),
                "finite-numbers",
            ),
            (
                AnalyticsReport {
                    confidence: 1.1,
                    ..AnalyticsReport::default()
                },
                "confidence-range",
            ),
            (
                AnalyticsReport {
                    confidence: f64::NAN,
                    ..AnalyticsReport::default()
                },
                "confidence-range",
            ),
        ];
        for (report, rule) in cases {
            assert_eq!(check(&report).unwrap_err().rule, rule);
        }
    }
}
