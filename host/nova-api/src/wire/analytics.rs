//! Analytics: the query and the report, grouped by subject.

use std::collections::BTreeMap;

use nova_core::Timestamp;
use nova_core::ports::Decided;
use nova_core::services::AnalyticsRequest;
use nova_core::strategy::analytics::{
    AnalyticsReport, Anomaly, Forecast, Insight, Metric, Scope, Series, Severity,
};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::{IntoParams, ToSchema};

use super::page::shown;
use super::schema::{Name, Time, WindowSeconds};
use super::strategy::StrategyRecord;
use crate::problem::{Problem, refused};

/// What every analytics question may say.
#[derive(Deserialize, IntoParams, Default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReportQuery {
    /// Look back this many seconds; absent = everything that was recorded.
    #[param(value_type = Option<WindowSeconds>)]
    window_s: Option<String>,
    /// The plugin to ask; absent = the one that the route names.
    #[param(value_type = Option<Name>, example = "pulse")]
    strategy: Option<String>,
    /// `false`: when it fails, nobody else answers; absent = another revision or plugin does.
    #[param(value_type = Option<bool>, example = true)]
    fallback: Option<String>,
}

impl ReportQuery {
    /// The domain's request about one subject, or all.
    ///
    /// # Errors
    /// A window that is no number above 0.
    pub(crate) fn into_request(self, subject: Option<String>) -> Result<AnalyticsRequest, Problem> {
        Ok(AnalyticsRequest {
            subject,
            window_s: self.window_s()?,
            fallback: self.fallback()?,
            strategy: self.strategy,
            parameters: Map::new(),
        })
    }

    fn fallback(&self) -> Result<bool, Problem> {
        match self.fallback.as_deref() {
            None | Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => {
                let message = format!("fallback must be true or false, got '{}'", shown(other));
                Err(refused("fallback", message, None))
            }
        }
    }

    /// The parsed window.
    pub(crate) fn window_s(&self) -> Result<Option<f64>, Problem> {
        let Some(text) = self.window_s.as_deref() else {
            return Ok(None);
        };
        match text.parse::<f64>() {
            Ok(seconds) if seconds > 0.0 && seconds.is_finite() => Ok(Some(seconds)),
            _ => {
                let message = format!("window_s must be a number above 0, got '{}'", shown(text));
                Err(refused("window_s", message, None))
            }
        }
    }
}

/// A report.
#[derive(Serialize, ToSchema)]
pub(crate) struct AnalyticsAnswer {
    /// The numbers.
    analytics: AnalyticsRecord,
    /// What they mean.
    insights: Vec<InsightRecord>,
    /// 0 to 1, from sample size and fit, as the strategy documents it.
    #[schema(minimum = 0, maximum = 1, example = 0.87)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
    /// Who computed it.
    strategy: StrategyRecord,
}

/// The numbers of a report; all come from recorded events.
#[derive(Serialize, ToSchema)]
#[schema(as = Analytics)]
pub(crate) struct AnalyticsRecord {
    /// `flows`, `agents` or `resources`.
    #[schema(value_type = String, example = "agents")]
    scope: Scope,
    #[schema(value_type = Name)]
    domain: nova_core::Domain,
    /// How far back it looks; null = everything.
    window_s: Option<f64>,
    /// The one id that was asked for; null = all.
    subject: Option<String>,
    /// Events behind the report.
    samples: u64,
    /// The newest event behind the report.
    covers_seq: u64,
    /// Metrics of the whole scope, by name.
    totals: BTreeMap<String, MetricRecord>,
    /// Metrics by id.
    subjects: Vec<SubjectRecord>,
    /// Numbers over time.
    series: Vec<SeriesRecord>,
    /// What series are expected to do next.
    forecasts: Vec<ForecastRecord>,
    /// Points that the past does not explain.
    anomalies: Vec<AnomalyRecord>,
}

/// A number that the events show.
#[derive(Serialize, ToSchema)]
#[schema(as = Metric, example = json!({"value": 0.42, "unit": "s", "quantiles": {"0.5": 0.4, "0.99": 1.3}, "samples": 120}))]
pub(crate) struct MetricRecord {
    value: f64,
    /// `1/s`, `s`, `ratio`, `tasks`, `units`, …
    unit: String,
    /// Values by quantile, 0 to 1.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    quantiles: BTreeMap<String, f64>,
    /// Events behind the number.
    samples: u64,
}

/// One id's metrics.
#[derive(Serialize, ToSchema)]
#[schema(as = SubjectMetrics)]
pub(crate) struct SubjectRecord {
    /// Of a flow, agent or resource.
    id: String,
    /// By name.
    metrics: BTreeMap<String, MetricRecord>,
}

/// A number over time, in equal steps.
#[derive(Serialize, ToSchema)]
#[schema(as = Series)]
pub(crate) struct SeriesRecord {
    name: String,
    unit: String,
    /// Null = the whole scope.
    subject: Option<String>,
    /// Start of the first step.
    #[schema(value_type = Time)]
    start: Timestamp,
    step_ms: u64,
    values: Vec<f64>,
}

/// What a series is expected to do next, with an interval.
#[derive(Serialize, ToSchema)]
#[schema(as = Forecast)]
pub(crate) struct ForecastRecord {
    name: String,
    unit: String,
    /// Null = the whole scope.
    subject: Option<String>,
    /// Start of the first step.
    #[schema(value_type = Time)]
    start: Timestamp,
    step_ms: u64,
    mean: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    /// Coverage of the interval.
    #[schema(example = 0.95)]
    level: f64,
    /// The method and what it was fitted on.
    method: String,
}

/// A point that the past does not explain.
#[derive(Serialize, ToSchema)]
#[schema(as = Anomaly)]
pub(crate) struct AnomalyRecord {
    name: String,
    /// Null = the whole scope.
    subject: Option<String>,
    #[schema(value_type = Time)]
    at: Timestamp,
    value: f64,
    expected: f64,
    /// Robust deviations from the expected value.
    score: f64,
}

/// A finding in words, with numbers in it.
#[derive(Serialize, ToSchema)]
#[schema(as = Insight)]
pub(crate) struct InsightRecord {
    /// Kebab-case.
    #[serde(rename = "type")]
    #[schema(example = "bottleneck")]
    kind: String,
    description: String,
    #[schema(minimum = 0, maximum = 1)]
    confidence: f64,
    /// `info`, `warning` or `critical`.
    #[schema(value_type = String, example = "warning")]
    severity: Severity,
    /// The id it is about; null = the whole scope.
    subject: Option<String>,
    recommendations: Vec<String>,
}

impl AnalyticsAnswer {
    /// The answer to a question.
    pub(crate) fn new(
        scope: Scope,
        domain: nova_core::Domain,
        asked: &AnalyticsRequest,
        decided: Decided<AnalyticsReport>,
        timestamp: Timestamp,
    ) -> Self {
        let report = decided.answer;
        let mut totals = BTreeMap::new();
        let mut subjects: BTreeMap<String, BTreeMap<String, MetricRecord>> = BTreeMap::new();
        for metric in report.metrics {
            let Metric {
                name,
                unit,
                subject,
                value,
                quantiles,
                samples,
            } = metric;
            let quantiles = quantiles
                .into_iter()
                .map(|(q, v)| (q.to_string(), v))
                .collect();
            let group = match subject {
                None => &mut totals,
                Some(id) => subjects.entry(id).or_default(),
            };
            group.insert(
                name,
                MetricRecord {
                    value,
                    unit,
                    quantiles,
                    samples,
                },
            );
        }
        Self {
            analytics: AnalyticsRecord {
                scope,
                domain,
                window_s: asked.window_s,
                subject: asked.subject.clone(),
                samples: report.samples,
                covers_seq: report.covers_seq,
                totals,
                subjects: subjects
                    .into_iter()
                    .map(|(id, metrics)| SubjectRecord { id, metrics })
                    .collect(),
                series: report.series.into_iter().map(Into::into).collect(),
                forecasts: report.forecasts.into_iter().map(Into::into).collect(),
                anomalies: report.anomalies.into_iter().map(Into::into).collect(),
            },
            insights: report.insights.into_iter().map(Into::into).collect(),
            confidence: report.confidence,
            timestamp,
            strategy: decided.strategy.into(),
        }
    }
}

impl From<Series> for SeriesRecord {
    fn from(series: Series) -> Self {
        let Series {
            name,
            unit,
            subject,
            start,
            step_ms,
            values,
        } = series;
        Self {
            name,
            unit,
            subject,
            start,
            step_ms,
            values,
        }
    }
}

impl From<Forecast> for ForecastRecord {
    fn from(forecast: Forecast) -> Self {
        let Forecast {
            name,
            unit,
            subject,
            start,
            step_ms,
            mean,
            lower,
            upper,
            level,
            method,
        } = forecast;
        Self {
            name,
            unit,
            subject,
            start,
            step_ms,
            mean,
            lower,
            upper,
            level,
            method,
        }
    }
}

impl From<Anomaly> for AnomalyRecord {
    fn from(anomaly: Anomaly) -> Self {
        let Anomaly {
            name,
            subject,
            at,
            value,
            expected,
            score,
        } = anomaly;
        Self {
            name,
            subject,
            at,
            value,
            expected,
            score,
        }
    }
}

impl From<Insight> for InsightRecord {
    fn from(insight: Insight) -> Self {
        let Insight {
            kind,
            severity,
            subject,
            description,
            confidence,
            recommendations,
        } = insight;
        Self {
            kind,
            description,
            confidence,
            severity,
            subject,
            recommendations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_numbers_above_zero() {
        let parse = |text: &str| {
            ReportQuery {
                window_s: Some(text.to_owned()),
                strategy: None,
                fallback: None,
            }
            .window_s()
            .ok()
            .flatten()
        };
        assert_eq!(parse("3600"), Some(3600.0));
        assert_eq!(parse("0.5"), Some(0.5));
        for bad in ["0", "-1", "NaN", "inf", "1e999", "", "an hour"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
