//! Logs on standard error, metrics for Prometheus, traces for a collector.

mod json_fields;
#[cfg(test)]
mod tests;
mod traces;

use std::io::IsTerminal as _;

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::LogFormat;

use json_fields::JsonFields;
pub(crate) use traces::Traces;

/// The installed logging.
pub(crate) struct Logs {
    handle: reload::Handle<EnvFilter, Registry>,
}

impl Logs {
    /// Changes the levels while running.
    pub(crate) fn set_filter(&self, filter: &str) -> Result<()> {
        self.handle
            .reload(parse(filter)?)
            .context("the log levels cannot be changed")
    }
}

/// Sends log lines to standard error, in the format and at the levels asked for.
pub(crate) fn init_logs(format: LogFormat, filter: &str, traces: Option<&Traces>) -> Result<Logs> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Pretty => lines.boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .fmt_fields(JsonFields)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(traces.map(|t| tracing_opentelemetry::layer().with_tracer(t.tracer())))
        .try_init()
        .context("cannot start logging")?;
    Ok(Logs { handle })
}

/// Shows on standard error what plugins say, and nothing else: for who debugs one.
///
/// # Errors
/// Logging has begun already.
pub(crate) fn show_plugins() -> Result<()> {
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time();
    tracing_subscriber::registry()
        .with(parse("off,nova::plugin=debug")?)
        .with(lines.with_target(false))
        .try_init()
        .context("cannot start logging")
}

/// Whether these levels can be used.
///
/// # Errors
/// They cannot.
pub(crate) fn check_filter(filter: &str) -> Result<()> {
    parse(filter).map(|_| ())
}

fn parse(filter: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(filter).with_context(|| format!("log.filter '{filter}' is not valid"))
}

/// Makes the recorder that `GET /metrics` renders.
pub(crate) fn init_metrics() -> Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Suffix("_seconds".to_owned()),
            nova_api::DURATION_BUCKETS_S,
        )
        .and_then(PrometheusBuilder::install_recorder)
        .context("cannot start metrics")?;
    nova_api::describe_metrics();
    Ok(handle)
}

/// Empties the recorder's buffers again and again, so that they stay small when nobody scrapes.
pub(crate) async fn upkeep(metrics: PrometheusHandle) {
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(5));
    loop {
        tick.tick().await;
        metrics.run_upkeep();
    }
}
