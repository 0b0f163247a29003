//! A running daemon, asked over HTTP by the subcommands.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A daemon and the key to ask it with.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    key: String,
}

impl Client {
    /// The daemon at this address.
    pub(crate) fn new(url: &str, key: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build();
        Self {
            agent: agent.into(),
            url: url.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
        }
    }

    /// The JSON of a good answer.
    ///
    /// # Errors
    /// No answer, one that is not JSON, or the daemon's refusal in its own words.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("X-API-Key", &self.key);
        let answer = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(serde_json::to_vec(body)?)?)
            }
            None => self.agent.run(request.body(())?),
        };
        let mut response = answer.with_context(|| format!("no answer from {}", self.url))?;
        let answer: Value = response
            .body_mut()
            .read_json()
            .with_context(|| format!("the answer of {} is not JSON", self.url))?;
        if response.status().is_success() {
            return Ok(answer);
        }
        let message = answer["error"]["message"].as_str();
        bail!(
            "the daemon refused ({}): {}",
            response.status().as_u16(),
            message.unwrap_or("no reason given")
        )
    }
}
