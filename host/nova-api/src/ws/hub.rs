//! Where events and updates are rendered once and handed to the streams that want them.
//!
//! A stream is a bounded broadcast for one distinct [`Spec`]; it lives as long as a socket reads it. What is
//! published reaches all streams under one lock, so that a socket can change its stream between two
//! publications and neither misses one nor gets one twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use nova_core::services::AnalyticsService;
use nova_core::{Clock, Error, Event};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

use super::metrics::METRICS;
use super::spec::{Question, Spec, Topic, asks, questions, wants};
use super::{SocketConfig, server, ticker};

/// What goes to a socket.
#[derive(Clone)]
pub(super) struct Frame {
    /// Counts publications; rising.
    pub(super) number: u64,
    /// The newest event when it was published, itself included.
    pub(super) seq: u64,
    /// A message, rendered.
    pub(super) text: Utf8Bytes,
}

/// The streams.
pub(super) struct Hub {
    state: Mutex<State>,
    config: SocketConfig,
    analytics: Arc<AnalyticsService>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct State {
    number: u64,
    seq: u64,
    streams: BTreeMap<Arc<Spec>, Stream>,
    questions: HashMap<Question, Asking>,
}

struct Stream {
    sender: broadcast::Sender<Frame>,
    readers: usize,
}

/// A question's task, and how many streams it serves.
struct Asking {
    streams: usize,
    task: AbortHandle,
}

impl Hub {
    /// A hub that has seen the events up to `seq`.
    pub(super) fn new(
        seq: u64,
        config: SocketConfig,
        analytics: Arc<AnalyticsService>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let state = State {
            seq,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            config,
            analytics,
            clock,
        }
    }

    /// Publishes events, in their order.
    pub(super) fn publish(&self, events: &[Event]) {
        let mut state = self.state.lock();
        for event in events {
            state.seq = event.seq;
            let Some(topic) = Topic::of(event) else {
                continue;
            };
            let mut text = None;
            state.number += 1;
            let (number, seq) = (state.number, state.seq);
            for (spec, stream) in &state.streams {
                if wants(spec, topic, event) {
                    let text = text.get_or_insert_with(|| server::event(topic, event));
                    stream.send(number, seq, text);
                }
            }
        }
    }

    /// Publishes what a question was answered.
    pub(super) fn update(&self, question: &Question, text: &Utf8Bytes) {
        let mut state = self.state.lock();
        state.number += 1;
        let (number, seq) = (state.number, state.seq);
        let streams = state.streams.iter();
        for (_, stream) in streams.filter(|(spec, _)| asks(spec, question)) {
            stream.send(number, seq, text);
        }
    }

    /// A place at the stream of `spec`.
    ///
    /// # Errors
    /// When there would be too many streams or questions.
    pub(super) fn attach(self: &Arc<Self>, spec: Spec) -> Result<Attached, Error> {
        let mut state = self.state.lock();
        if let Some((spec, stream)) = state.streams.get_key_value(&spec) {
            let (spec, frames) = (Arc::clone(spec), stream.sender.subscribe());
            if let Some(stream) = state.streams.get_mut(&spec) {
                stream.readers += 1;
            }
            return Ok(self.attached(&state, spec, frames));
        }
        let new: Vec<Question> = questions(&spec).collect();
        let unknown = new.iter().filter(|q| !state.questions.contains_key(q));
        if state.streams.len() >= self.config.streams_max {
            let most = self.config.streams_max;
            let text = format!("sockets follow {most} distinct subscriptions already");
            return Err(Error::unavailable(text, 10));
        }
        if state.questions.len() + unknown.count() > self.config.questions_max {
            let most = self.config.questions_max;
            let text = format!("sockets may ask {most} distinct questions again and again");
            return Err(Error::unavailable(text, 10));
        }
        for question in new {
            let asking = state
                .questions
                .entry(question)
                .or_insert_with_key(|question| {
                    let parts = (Arc::clone(&self.analytics), Arc::clone(&self.clock));
                    let task = ticker::run(Arc::downgrade(self), parts, question.clone());
                    Asking {
                        streams: 0,
                        task: tokio::spawn(task).abort_handle(),
                    }
                });
            asking.streams += 1;
        }
        let (sender, frames) = broadcast::channel(self.config.queue_len);
        let spec = Arc::new(spec);
        let stream = Stream { sender, readers: 1 };
        state.streams.insert(Arc::clone(&spec), stream);
        METRICS.streams.set(state.streams.len() as f64);
        Ok(self.attached(&state, spec, frames))
    }

    fn attached(
        self: &Arc<Self>,
        state: &State,
        spec: Arc<Spec>,
        frames: broadcast::Receiver<Frame>,
    ) -> Attached {
        Attached {
            hub: Arc::clone(self),
            spec,
            number: state.number,
            seq: state.seq,
            frames,
        }
    }

    fn detach(&self, spec: &Arc<Spec>) {
        let mut state = self.state.lock();
        let Some(stream) = state.streams.get_mut(spec) else {
            return;
        };
        stream.readers -= 1;
        if stream.readers > 0 {
            return;
        }
        state.streams.remove(spec);
        METRICS.streams.set(state.streams.len() as f64);
        for question in questions(spec) {
            let Some(asking) = state.questions.get_mut(&question) else {
                continue;
            };
            asking.streams -= 1;
            if asking.streams == 0 {
                asking.task.abort();
                state.questions.remove(&question);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.streams.len(), state.questions.len())
    }
}

impl Stream {
    fn send(&self, number: u64, seq: u64, text: &Utf8Bytes) {
        let text = text.clone();
        // An error says that the last reader is just leaving.
        drop(self.sender.send(Frame { number, seq, text }));
    }
}

/// A socket's place at a stream; given back when dropped.
pub(super) struct Attached {
    hub: Arc<Hub>,
    /// What the stream is for.
    pub(super) spec: Arc<Spec>,
    /// Publications up to this one are not in `frames`.
    pub(super) number: u64,
    /// Events up to this one are not in `frames`.
    pub(super) seq: u64,
    /// What was published since.
    pub(super) frames: broadcast::Receiver<Frame>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.hub.detach(&self.spec);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nova_core::services::testing::Bench;
    use nova_core::{EventKind, NewEvent, Timestamp};

    use super::super::spec::Wish;
    use super::*;

    fn hub(config: SocketConfig) -> Arc<Hub> {
        let bench = Bench::default();
        let analytics = Arc::clone(&bench.services.analytics);
        Arc::new(Hub::new(7, config, analytics, bench.clock))
    }

    fn spec(entries: &[(&str, Topic, Option<u64>)]) -> Spec {
        let wish = |interval_ms| Wish {
            interval_ms,
            ..Wish::default()
        };
        let each = entries.iter();
        each.map(|(domain, topic, ms)| ((domain.parse().unwrap(), *topic), wish(*ms)))
            .collect()
    }

    fn event(seq: u64, domain: Option<&str>, kind: EventKind) -> Event {
        Event {
            seq,
            at: Timestamp::from_millis(0),
            domain: domain.map(|d| d.parse().unwrap()),
            body: NewEvent::new(kind, 1.0),
        }
    }

    #[tokio::test]
    async fn an_event_is_rendered_once_for_all_that_want_it() {
        let hub = hub(SocketConfig::default());
        let tasks = spec(&[("a", Topic::Tasks, None)]);
        let more = spec(&[("a", Topic::Tasks, None), ("b", Topic::Plugins, None)]);
        let mut readers: Vec<_> = [&tasks, &tasks, &more]
            .map(|s| hub.attach(s.clone()).unwrap())
            .into();
        assert_eq!(hub.counts().0, 2, "equal subscriptions share a stream");
        assert_eq!(readers[0].seq, 7);
        hub.publish(&[
            event(8, Some("a"), EventKind::TaskReady),
            event(9, Some("b"), EventKind::TaskReady),
            event(10, None, EventKind::PluginChanged),
            event(11, None, EventKind::KeyChanged),
        ]);
        let mut seen = Vec::new();
        let mut addresses = Vec::new();
        for reader in &mut readers {
            let mut seqs = Vec::new();
            while let Ok(frame) = reader.frames.try_recv() {
                if frame.seq == 8 {
                    addresses.push(frame.text.as_ptr());
                }
                seqs.push(frame.seq);
            }
            seen.push(seqs);
        }
        assert_eq!(seen, [vec![8], vec![8], vec![8, 10]]);
        assert!(
            addresses.iter().all(|a| *a == addresses[0]),
            "one copy of the bytes"
        );
        assert_eq!(hub.attach(tasks).unwrap().seq, 11);
        drop(readers);
        assert_eq!(hub.counts(), (0, 0));
    }

    #[tokio::test]
    async fn questions_are_shared_and_end_with_their_last_stream() {
        let hub = hub(SocketConfig {
            streams_max: 3,
            questions_max: 2,
            ..SocketConfig::default()
        });
        let one = spec(&[("a", Topic::Agents, Some(60_000))]);
        let other = spec(&[
            ("a", Topic::Agents, Some(60_000)),
            ("a", Topic::Tasks, None),
        ]);
        let (one, other) = (hub.attach(one).unwrap(), hub.attach(other).unwrap());
        assert_eq!(hub.counts(), (2, 1));
        let third = spec(&[
            ("a", Topic::Flows, Some(60_000)),
            ("b", Topic::Flows, Some(60_000)),
        ]);
        assert!(hub.attach(third).is_err(), "that makes three questions");
        let third = hub
            .attach(spec(&[("a", Topic::Flows, Some(60_000))]))
            .unwrap();
        let fourth = spec(&[("b", Topic::Tasks, None)]);
        assert!(hub.attach(fourth).is_err(), "a fourth stream");
        drop(one);
        assert_eq!(hub.counts(), (2, 2));
        drop((other, third));
        assert_eq!(hub.counts(), (0, 0));
    }
}
