//! What a socket asks for and follows: questions, changes of its subscriptions, and the way from the past
//! to the present.

use std::sync::Arc;

use nova_core::services::AnalyticsRequest;
use nova_core::strategy::analytics::Scope;
use nova_core::{AgentId, FlowId, ResourceId};
use serde_json::{Map, Value};

use super::client::{Ask, Subscribe, Unsubscribe};
use super::hub::Attached;
use super::metrics::METRICS;
use super::replay::{Part, Replay};
use super::session::{End, Session, Trouble};
use super::spec::{Spec, Wish};
use super::{server, ticker};
use crate::extract::find_id;
use crate::problem::{Problem, refused};

impl Session {
    /// Begins to answer a question.
    pub(super) fn ask(&mut self, ask: Ask, message: &Value) -> Result<(), Trouble> {
        let domain = self.enter(ask.domain)?;
        let subject = ask.subject.map(|id| known(ask.scope, &id)).transpose()?;
        let request = AnalyticsRequest {
            subject,
            window_s: ask.window_s,
            strategy: ask.strategy,
            fallback: ask.fallback,
            parameters: Map::new(),
        };
        let (state, message) = (Arc::clone(&self.state), message.clone());
        self.asking = Some(Box::pin(async move {
            let analytics = &state.services.analytics;
            ticker::ask(analytics, &*state.clock, &domain, ask.scope, request)
                .await
                .unwrap_or_else(|problem| server::error(&problem, &message))
        }));
        Ok(())
    }

    /// Follows further topics, from now on or from an earlier event.
    pub(super) async fn subscribe(&mut self, wanted: Subscribe) -> Result<(), Trouble> {
        let domain = self.enter(wanted.domain)?;
        let mut added = Spec::new();
        for topic in &wanted.topics {
            let wish = Wish {
                filter: wanted.filter.clone(),
                interval_ms: wanted.interval_ms.filter(|_| topic.scope().is_some()),
            };
            added.insert((domain.clone(), *topic), wish);
        }
        let mut spec = self.spec();
        spec.extend(added.clone());
        let most = self.config().subscriptions_max;
        if spec.len() > most {
            let message = format!(
                "a socket follows at most {most} pairs of domain and topic, this would make {}",
                spec.len()
            );
            return Err(refused("topics", message, None).into());
        }
        if let Some(since) = wanted.since_seq {
            let newest = self.state.services.events.newest_seq().await?;
            if since > newest {
                let message =
                    format!("since_seq must be an event's seq, at most {newest}, got {since}");
                return Err(refused("since_seq", message, None).into());
            }
        }
        let attached = self.state.sockets.hub.attach(spec)?;
        let now = attached.seq;
        self.switch(Some(attached)).await?;
        let since = wanted.since_seq.unwrap_or(now).min(now);
        let mut texts = vec![server::subscribed(&wanted.topics, &domain, since)];
        let from = now.saturating_sub(self.config().replay_max).max(since);
        if from > since {
            METRICS.missed.increment(from - since);
            texts.push(server::lagged(from - since, since));
        }
        self.send(texts).await?;
        if from < now {
            let events = Arc::clone(&self.state.services.events);
            self.seq = from;
            self.replay = Some(Replay::new(events, Arc::new(added), from, now));
        }
        Ok(())
    }

    /// Follows topics no longer.
    pub(super) async fn unsubscribe(&mut self, wanted: Unsubscribe) -> Result<(), Trouble> {
        let domain = wanted.domain.map(|d| self.enter(Some(d))).transpose()?;
        let mut spec = self.spec();
        spec.retain(|(of, topic), _| {
            let named = wanted.topics.as_ref().is_none_or(|t| t.contains(topic));
            !(named && domain.as_ref().is_none_or(|domain| domain == of))
        });
        let remaining = spec.len();
        let attached = match remaining {
            0 => None,
            _ => Some(self.state.sockets.hub.attach(spec)?),
        };
        self.switch(attached).await?;
        Ok(self.send([server::unsubscribed(remaining)]).await?)
    }

    /// Sends a part of the past, and after the last one goes on with the present.
    pub(super) async fn replayed(&mut self, part: nova_core::Result<Part>) -> Result<(), End> {
        let part = match part {
            Ok(part) => part,
            Err(error) => {
                self.replay = None;
                let missed = self.following.as_ref().map_or(0, |f| f.seq - self.seq);
                let problem = Problem::from(error);
                let lagged = server::lagged(missed, self.seq);
                return self
                    .send([server::error(&problem, &Value::Null), lagged])
                    .await;
            }
        };
        self.send(part.texts).await?;
        self.seq = part.seq;
        self.hears_by_reading();
        if part.is_last {
            self.replay = self.overtaken();
        }
        Ok(())
    }

    /// What the stream has dropped during the replay is replayed too.
    fn overtaken(&mut self) -> Option<Replay> {
        let queue = self.config().queue_len.next_power_of_two();
        let following = self.following.as_ref()?;
        if following.frames.len() <= queue {
            return None;
        }
        let spec = Arc::clone(&following.spec);
        // The spec has its stream already, so that this adds none.
        let attached = self.state.sockets.hub.attach((*spec).clone()).ok()?;
        let events = Arc::clone(&self.state.services.events);
        let replay = Replay::new(events, spec, following.seq, attached.seq);
        self.following = Some(attached);
        Some(replay)
    }

    /// Goes over to another stream: what waits in the old one and is not in the new one is sent first.
    async fn switch(&mut self, attached: Option<Attached>) -> Result<(), End> {
        let until = attached.as_ref().map_or(0, |new| new.number);
        let seq = attached.as_ref().map(|new| new.seq);
        if let Some(mut old) = std::mem::replace(&mut self.following, attached) {
            let mut texts = Vec::new();
            loop {
                match old.frames.try_recv() {
                    Ok(frame) if frame.number <= until => texts.push(frame.text),
                    Err(tokio::sync::broadcast::error::TryRecvError::Lagged(missed)) => {
                        METRICS.missed.increment(missed);
                        texts.push(server::lagged(missed, self.seq));
                    }
                    _ => break,
                }
            }
            self.send(texts).await?;
        }
        if let Some(seq) = seq {
            self.seq = seq;
        }
        Ok(())
    }

    fn spec(&self) -> Spec {
        let following = self.following.as_ref();
        following.map_or_else(Spec::new, |f| (*f.spec).clone())
    }
}

/// An id in its one spelling.
///
/// # Errors
/// One that nothing can have.
fn known(scope: Scope, id: &str) -> Result<String, Problem> {
    Ok(match scope {
        Scope::Flows => find_id::<FlowId>(id)?.to_string(),
        Scope::Agents => find_id::<AgentId>(id)?.to_string(),
        Scope::Resources => find_id::<ResourceId>(id)?.to_string(),
    })
}
