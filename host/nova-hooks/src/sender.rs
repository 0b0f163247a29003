//! Sending: one attempt, and the attempts after it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use metrics::{counter, describe_counter};
use nova_core::ports::{Delivery, Notifier};
use nova_core::{Backoff, Error, Result};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::address::Addresses;
use crate::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};

const DELIVERIES: &str = "nova_webhook_deliveries_total";
const RETRIES: &str = "nova_retries_total";

/// Somebody who wants to know.
#[derive(Clone)]
pub struct Webhook {
    /// For people, and for the notices that wait.
    pub name: String,
    /// Where; `http` or `https`.
    pub url: String,
    /// The key of the signature.
    pub secret: String,
}

/// Limits of outgoing calls.
#[derive(Clone)]
pub struct WebhookConfig {
    /// Who is told.
    pub webhooks: Vec<Webhook>,
    /// What may be called.
    pub addresses: Addresses,
    /// How long one attempt may take, name lookup and TLS included.
    pub timeout: Duration,
    /// How what passes is tried again.
    pub retry: Backoff,
}

/// Sends notices.
pub struct Webhooks {
    webhooks: Vec<Webhook>,
    agent: Agent,
    retry: Backoff,
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the receiver answered {0}")]
    Status(u16),
    #[error("no address of the host may be called; allow its network in alerts.allowed_networks")]
    Forbidden,
    #[error("the receiver cannot be reached")]
    Transport(#[source] Box<ureq::Error>),
    #[error("the attempt was cut off")]
    Cut,
}

impl Failure {
    /// Whether another attempt may do better. A notice carries its id, so that a repetition does no harm.
    fn passes(&self) -> bool {
        match self {
            Self::Status(status) => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::Forbidden => false,
            Self::Transport(error) => !matches!(**error, ureq::Error::BadUri(_)),
            Self::Cut => true,
        }
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Other(other) if other.is::<Forbidden>() => Self::Forbidden,
            other => Self::Transport(Box::new(other)),
        }
    }
}

impl Webhooks {
    /// A sender.
    pub fn new(config: WebhookConfig) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(config.timeout))
            .http_status_as_error(false)
            // A redirect is an answer like another, and none that means success.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("nova/", env!("CARGO_PKG_VERSION")))
            .build();
        let resolver = Checked {
            names: DefaultResolver::default(),
            addresses: config.addresses,
        };
        Self {
            webhooks: config.webhooks,
            agent: Agent::with_parts(agent, DefaultConnector::default(), resolver),
            retry: config.retry,
        }
    }

    async fn attempt(&self, webhook: &Webhook, delivery: &Arc<Delivery>) -> Result<(), Failure> {
        let (agent, webhook) = (self.agent.clone(), webhook.clone());
        let delivery = Arc::clone(delivery);
        // Blocking, and rare.
        let sending = tokio::task::spawn_blocking(move || post(&agent, &webhook, &delivery));
        sending.await.unwrap_or(Err(Failure::Cut))
    }
}

#[async_trait]
impl Notifier for Webhooks {
    async fn send(&self, delivery: &Delivery) -> Result<()> {
        let webhook = self.webhooks.iter().find(|w| w.name == delivery.webhook);
        let Some(webhook) = webhook else {
            counter!(DELIVERIES, "outcome" => "failed").increment(1);
            let text = format!("the webhook '{}' is no longer configured", delivery.webhook);
            return Err(Error::unavailable(text, 0));
        };
        let delivery = Arc::new(delivery.clone());
        let attempts = (|| self.attempt(webhook, &delivery))
            .retry(builder(&self.retry))
            .when(Failure::passes)
            .notify(|failure, pause| {
                counter!(RETRIES, "of" => "webhook").increment(1);
                tracing::info!(webhook = webhook.name, %failure, pause_ms = pause.as_millis() as u64, "a notice is sent again");
            });
        let outcome = match tokio::time::timeout(self.retry.total, attempts).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Cut),
        };
        let label = match &outcome {
            Ok(()) => "delivered",
            Err(Failure::Forbidden) => "refused",
            Err(_) => "failed",
        };
        counter!(DELIVERIES, "outcome" => label).increment(1);
        outcome.map_err(|failure| Error::Unavailable {
            message: failure.to_string(),
            retry_after_s: 0,
            source: Some(Box::new(failure)),
        })
    }
}

fn builder(retry: &Backoff) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(retry.first)
        .with_max_delay(retry.longest)
        .with_max_times(retry.attempts_max.saturating_sub(1))
}

fn post(agent: &Agent, webhook: &Webhook, delivery: &Delivery) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let timestamp_s = now.map_or(0, |since| since.as_secs());
    let answer = agent
        .post(&webhook.url)
        .header("Content-Type", "application/json")
        .header("X-Nova-Delivery", delivery.delivery_id.to_string())
        .header(TIMESTAMP_HEADER, timestamp_s.to_string())
        .header(
            SIGNATURE_HEADER,
            sign(&webhook.secret, timestamp_s, &delivery.body),
        )
        .send(delivery.body.as_str())?;
    match answer.status().as_u16() {
        200..=299 => Ok(()),
        status => Err(Failure::Status(status)),
    }
}

/// Resolves names, and gives only addresses that may be called. The connection goes to one of these: nothing
/// is looked up again after the check.
#[derive(Debug)]
struct Checked {
    names: DefaultResolver,
    addresses: Addresses,
}

#[derive(Debug, thiserror::Error)]
#[error("no address of the host may be called")]
struct Forbidden;

impl Resolver for Checked {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.names.resolve(uri, config, timeout)?;
        let mut permitted = self.empty();
        for address in found.iter().filter(|a| self.addresses.permits(a.ip())) {
            permitted.push(*address);
        }
        if permitted.is_empty() {
            return Err(ureq::Error::Other(Box::new(Forbidden)));
        }
        Ok(permitted)
    }
}

/// Tells the installed recorder what these metrics mean.
pub fn describe_metrics() {
    describe_counter!(
        DELIVERIES,
        "Notices to webhooks, by outcome: delivered, failed, refused"
    );
    describe_counter!(
        RETRIES,
        "Attempts after a failure that passes, by what was tried"
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;

    use nova_core::{DeliveryId, Timestamp};

    use super::*;

    /// Answers these statuses, one after the other, and gives the requests as texts.
    fn receiver(statuses: &'static [&'static str]) -> (String, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::channel();
        std::thread::spawn(move || {
            for status in statuses {
                let (mut stream, _) = listener.accept().unwrap();
                let mut text = Vec::new();
                while !text.ends_with(b"}") {
                    let mut part = [0; 4096];
                    let read = stream.read(&mut part).unwrap();
                    assert!(read > 0, "ended early");
                    text.extend(&part[..read]);
                }
                let answer = format!(
                    "HTTP/1.1 {status}\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).unwrap();
                sender.send(String::from_utf8(text).unwrap()).unwrap();
            }
        });
        (url, requests)
    }

    fn hooks(url: &str, allowed: &str, attempts_max: usize) -> Webhooks {
        Webhooks::new(WebhookConfig {
            webhooks: vec![Webhook {
                name: "ops".into(),
                url: url.into(),
                secret: "secret".into(),
            }],
            addresses: Addresses::allowing(vec![allowed.parse().unwrap()]),
            timeout: Duration::from_secs(10),
            retry: Backoff {
                attempts_max,
                first: Duration::from_millis(1),
                longest: Duration::from_millis(4),
                total: Duration::from_secs(20),
            },
        })
    }

    fn delivery() -> Delivery {
        Delivery {
            delivery_id: DeliveryId::generate(),
            webhook: "ops".into(),
            body: "{\"type\":\"alert\"}".into(),
            created_at: Timestamp::from_millis(0),
        }
    }

    #[tokio::test]
    async fn what_passes_is_tried_again_and_every_attempt_is_signed() {
        let (url, requests) = receiver(&["503 Busy", "429 Slow", "204 Good"]);
        let (hooks, delivery) = (hooks(&url, "127.0.0.0/8", 5), delivery());
        hooks.send(&delivery).await.unwrap();
        let id = delivery.delivery_id.to_string();
        let mut count = 0;
        for text in requests.iter() {
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let header = |name: &str| {
                let lines = head.lines().filter_map(|l| l.split_once(": "));
                let mut found = lines.filter(|(n, _)| n.eq_ignore_ascii_case(name));
                found.next().unwrap().1.to_owned()
            };
            assert_eq!(body, delivery.body);
            assert_eq!(header("x-nova-delivery"), id);
            let at = header(TIMESTAMP_HEADER).parse().unwrap();
            assert_eq!(header(SIGNATURE_HEADER), sign("secret", at, body));
            count += 1;
        }
        assert_eq!(count, 3);
    }

    #[tokio::test]
    async fn attempts_end_and_what_does_not_pass_is_not_repeated() {
        for (statuses, attempts) in [
            (&["500 A", "500 B", "500 C"][..], 3),
            (&["404 Gone"][..], 1),
            // Not followed.
            (&["302 Elsewhere"][..], 1),
        ] {
            let (url, requests) = receiver(statuses);
            let error = hooks(&url, "127.0.0.0/8", 3)
                .send(&delivery())
                .await
                .unwrap_err();
            assert!(
                error.to_string().starts_with("the receiver answered"),
                "{error}"
            );
            assert_eq!(requests.iter().count(), attempts);
        }
    }

    #[tokio::test]
    async fn private_addresses_are_refused_before_a_connection_is_made() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"] {
            let hooks = hooks(&format!("http://{host}:{port}/"), "10.0.0.0/8", 3);
            let error = hooks.send(&delivery()).await.unwrap_err().to_string();
            assert!(
                error.contains("alerts.allowed_networks") || host == "2130706433",
                "{host}: {error}"
            );
        }
        assert!(listener.accept().is_err(), "somebody has connected");
    }
}
