//! What came before a socket followed: read from the event table in small parts.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use nova_core::services::EventService;
use nova_core::{Domain, Event, Result};

use super::server;
use super::spec::{Spec, Topic, wants};

/// Events read in one part.
const PART: usize = 256;

/// A walk from one event to another.
pub(super) struct Replay {
    events: Arc<EventService>,
    spec: Arc<Spec>,
    /// The one domain that has all of it; none = every domain and the daemon's own events are looked at.
    domain: Option<Domain>,
    at: u64,
    until: u64,
}

/// Some messages, in order, and the newest event that is covered by them.
pub(super) struct Part {
    pub(super) texts: Vec<Utf8Bytes>,
    pub(super) seq: u64,
    pub(super) is_last: bool,
}

impl Replay {
    /// What `spec` wants of the events after `after`, up to `until`.
    pub(super) fn new(events: Arc<EventService>, spec: Arc<Spec>, after: u64, until: u64) -> Self {
        let mut domains = spec.keys().map(|(domain, _)| domain);
        let first = domains.next();
        let alone = domains.all(|domain| Some(domain) == first);
        // What happens to plugins is recorded in no domain.
        let daemon = spec.keys().any(|(_, topic)| *topic == Topic::Plugins);
        let domain = first.filter(|_| alone && !daemon).cloned();
        Self {
            events,
            spec,
            domain,
            at: after,
            until,
        }
    }

    /// The next part. Safe to be cancelled.
    ///
    /// # Errors
    /// When the datastore cannot be read.
    pub(super) async fn next(&mut self) -> Result<Part> {
        let events = self
            .events
            .after(self.domain.clone(), self.at, PART)
            .await?;
        let past = |event: &Event| event.seq > self.until;
        let is_last = events.len() < PART || events.iter().any(past);
        let texts = events
            .iter()
            .filter(|event| !past(event))
            .filter_map(|event| {
                let topic = Topic::of(event)?;
                wants(&self.spec, topic, event).then(|| server::event(topic, event))
            })
            .collect();
        let seq = match events.last() {
            Some(last) if !is_last => last.seq,
            _ => self.until,
        };
        self.at = seq;
        Ok(Part {
            texts,
            seq,
            is_last,
        })
    }
}
