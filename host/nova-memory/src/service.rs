//! A service that speaks OpenAI's interface: how it is asked, and asked again.
//!
//! Where it is says the operator, in the configuration; a redirect to anywhere else is not followed. What goes wrong for
//! the moment is tried again with growing pauses; what is refused is not. What is asked on a request's behalf carries
//! the request's place in its trace.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use nova_core::trace::{self, TRACEPARENT, TraceContext};
use serde_json::Value;

/// Where a service is and how it is asked.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Its base, e.g. `https://host/v1`.
    pub url: String,
    /// Its key; none = it wants none.
    pub key: Option<String>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a request is sent at most.
    pub attempts_max: usize,
    /// The first pause between two attempts; each further one is twice as long.
    pub pause: Duration,
}

/// A client of such a service.
pub(crate) struct Service {
    config: ServiceConfig,
    agent: ureq::Agent,
    /// What it is asked for, in metrics.
    of: &'static str,
    /// Largest answer, in bytes.
    answer_max: u64,
}

/// Why a request failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// In words, for the log.
    pub(crate) reason: String,
    /// Whether it may succeed later.
    transient: bool,
    /// Whether the service would not take what it was sent; something else, or less of it, it may.
    pub(crate) refused: bool,
}

impl Failed {
    fn for_now(error: impl std::fmt::Display) -> Self {
        Self {
            reason: error.to_string(),
            transient: true,
            refused: false,
        }
    }

    fn for_good(reason: String) -> Self {
        Self {
            reason,
            transient: false,
            refused: false,
        }
    }
}

impl Service {
    /// A client; nothing is sent yet.
    pub(crate) fn new(config: ServiceConfig, of: &'static str, answer_max: u64) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(config.timeout))
            .build()
            .into();
        Self {
            config,
            agent,
            of,
            answer_max,
        }
    }

    /// Posts JSON below the base; gives the JSON of the answer, or why there is none.
    pub(crate) async fn ask(&self, path: &'static str, body: String) -> Result<Value, Failed> {
        let policy = ExponentialBuilder::default()
            .with_min_delay(self.config.pause)
            .with_max_times(self.config.attempts_max.saturating_sub(1))
            .with_jitter();
        let answer_max = self.answer_max;
        let place = trace::current();
        let ask = || async {
            let (agent, config, body) = (self.agent.clone(), self.config.clone(), body.clone());
            let asked = tokio::task::spawn_blocking(move || {
                send(&agent, &config, place, path, &body, answer_max)
            });
            asked
                .await
                .unwrap_or_else(|error| Err(Failed::for_good(error.to_string())))
        };
        ask.retry(policy)
            .when(|failed: &Failed| failed.transient)
            .notify(|failed, pause| {
                metrics::counter!("nova_retries_total", "of" => self.of).increment(1);
                tracing::debug!(
                    of = self.of,
                    reason = failed.reason,
                    pause_ms = pause.as_millis() as u64,
                    "a service is asked again"
                );
            })
            .await
    }
}

fn send(
    agent: &ureq::Agent,
    config: &ServiceConfig,
    place: Option<TraceContext>,
    path: &str,
    body: &str,
    answer_max: u64,
) -> Result<Value, Failed> {
    let url = format!("{}{path}", config.url.trim_end_matches('/'));
    let mut request = agent.post(&url).header("Content-Type", "application/json");
    if let Some(key) = &config.key {
        request = request.header("Authorization", format!("Bearer {key}"));
    }
    // Every attempt is a span of its own.
    if let Some(place) = place.map(TraceContext::child) {
        request = request.header(TRACEPARENT, place.to_string());
    }
    let mut response = request.send(body).map_err(Failed::for_now)?;
    let status = response.status().as_u16();
    let text = response
        .body_mut()
        .with_config()
        .limit(answer_max)
        .read_to_string()
        .map_err(Failed::for_now)?;
    if !(200..300).contains(&status) {
        let shown: String = text.chars().take(200).collect();
        return Err(Failed {
            reason: format!("status {status}: {shown}"),
            transient: matches!(status, 408 | 409 | 425 | 429) || status >= 500,
            refused: matches!(status, 400 | 413 | 422),
        });
    }
    serde_json::from_str(&text).map_err(|error| Failed::for_good(format!("no JSON: {error}")))
}
