//! Replays: what is asked for, and how far one is.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nova_core::ports::Candidate;
use nova_core::services::{ReplayRequest, ReplayView};
use nova_core::{Domain, Error, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::object::only_object;
use super::schema::{Id, Time};

/// The other one; exactly one of `plugin`, `revision`, `component`.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = ReplayCandidate)]
pub(crate) struct CandidateBody {
    /// The serving revision of this plugin.
    #[serde(default)]
    #[schema(example = "peft")]
    plugin: Option<String>,
    /// Another revision of the plugin itself: one that is kept, taken back or staged.
    #[serde(default)]
    revision: Option<u64>,
    /// A component that is not installed, in Base64.
    #[serde(default)]
    component: Option<String>,
    /// The component's detached signature in minisign format (the file that `nova plugin sign` makes), in Base64.
    /// Needed where `plugins.signers` is configured.
    #[serde(default)]
    signature: Option<String>,
}
only_object!(CandidateBody);

/// What is to be replayed.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub(crate) struct ReplayBody {
    candidate: CandidateBody,
    /// Problems of the last so many seconds; absent = all that is recorded.
    #[serde(default)]
    #[schema(
        exclusive_minimum = 0.0,
        maximum = 3_153_600_000.0,
        example = 604_800.0
    )]
    since_s: Option<f64>,
    /// The newest so many of them.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000, default = 1000)]
    decisions_max: Option<u64>,
    /// Problems of every domain, for a key that reaches all of them; otherwise of the request's domain.
    #[serde(default)]
    all_domains: bool,
}
only_object!(ReplayBody);

impl ReplayBody {
    /// The domain's request.
    ///
    /// # Errors
    /// The candidate is none or several, or not Base64; the key does not reach every domain.
    pub(crate) fn into_request(
        self,
        plugin: String,
        domain: Domain,
        reaches_all: bool,
    ) -> Result<ReplayRequest, Error> {
        let CandidateBody {
            plugin: other,
            revision,
            component,
            signature,
        } = self.candidate;
        let candidate = match (other, revision, component, signature) {
            (Some(name), None, None, None) => Candidate::Plugin(name),
            (None, Some(number), None, None) => Candidate::Revision(number),
            (None, None, Some(text), signature) => Candidate::Component {
                bytes: Arc::new(base64("component", &text)?),
                signature: signature.as_deref().map(signature_text).transpose()?,
            },
            _ => {
                return Err(Error::field(
                    "candidate",
                    "candidate must have exactly one of plugin, revision, component; only a component has a signature",
                ));
            }
        };
        if self.all_domains && !reaches_all {
            return Err(Error::Authorization(
                "all_domains needs a key that reaches every domain".to_owned(),
            ));
        }
        Ok(ReplayRequest {
            plugin,
            candidate,
            domain: (!self.all_domains).then_some(domain),
            since_s: self.since_s,
            decisions_max: self.decisions_max,
        })
    }
}

fn base64(field: &str, text: &str) -> Result<Vec<u8>, Error> {
    STANDARD.decode(text).map_err(|error| {
        Error::field(
            format!("candidate.{field}"),
            format!("{field} must be Base64: {error}"),
        )
    })
}

fn signature_text(text: &str) -> Result<String, Error> {
    String::from_utf8(base64("signature", text)?).map_err(|_| {
        Error::field(
            "candidate.signature",
            "signature must be a signature file's text in Base64",
        )
    })
}

/// A replay.
#[derive(Serialize, ToSchema)]
#[schema(as = Replay)]
pub(crate) struct ReplayAnswer {
    #[schema(value_type = Id)]
    replay_id: Uuid,
    /// The plugin whose place it is about.
    #[schema(example = "heft")]
    plugin: String,
    /// `running`, `finished`, `failed` or `cancelled`.
    #[schema(example = "finished")]
    status: &'static str,
    #[schema(value_type = Time)]
    started_at: Timestamp,
    /// Problems done. Fewer than `total` at the end where records could not be read (the log says which,
    /// `nova_journal_unreadable_total` how many) or were forgotten meanwhile.
    done: u64,
    /// Problems in all; 0 until they are counted.
    total: u64,
    /// The serving revision: `plugin`, `version`, `digest`, `revision`, `settings`.
    #[schema(value_type = Option<Object>)]
    serving: Option<Value>,
    /// The candidate; null until it is loaded.
    #[schema(value_type = Option<Object>)]
    candidate: Option<Value>,
    /// What was seen so far: `decisions`, `differ` (in any bit), `own` and `reproduced` (recorded of the serving
    /// revision, and equal bit for bit), each side's outcomes, processor time and memory, the `objective`
    /// (better, same, worse; relative), the `worst` cases and the `failures` of the candidate alone.
    #[schema(value_type = Option<Object>)]
    comparison: Option<Value>,
    /// Why it failed; null = it did not.
    reason: Option<String>,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl ReplayAnswer {
    /// The envelope.
    pub(crate) fn new(view: ReplayView, timestamp: Timestamp) -> Self {
        // Structs of numbers and texts always become JSON.
        let json = |value| serde_json::to_value(value).unwrap_or_default();
        Self {
            replay_id: view.replay_id,
            plugin: view.plugin,
            status: view.state.as_str(),
            started_at: view.started_at,
            done: view.done,
            total: view.total,
            serving: view.serving.map(json),
            candidate: view.candidate.map(json),
            comparison: view.comparison.and_then(|c| serde_json::to_value(c).ok()),
            reason: view.reason,
            timestamp,
        }
    }
}
