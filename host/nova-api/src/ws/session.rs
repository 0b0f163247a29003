//! One socket's life: messages in, answers and frames out, pings, the end.
//!
//! A socket does one thing at a time: while it asks a strategy or replays the past it reads no further
//! message, so that a client cannot queue up work; frames wait in the stream's bounded broadcast. What it does
//! seldom is boxed: every open socket holds room for the largest of the rest.

use std::future::pending;
use std::pin::{Pin, pin};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures_util::SinkExt;
use nova_core::{Domain, Error, Permission};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::client::{self, Wanted};
use super::hub::{Attached, Frame};
use super::metrics::{self, METRICS};
use super::registry::{Closing, Place};
use super::replay::{Part, Replay};
use super::{SocketConfig, server};
use crate::Shared;
use crate::extract::Actor;
use crate::problem::{Code, Problem};

/// Frames that are written before they are flushed.
const FLUSH_FRAMES: usize = 64;
/// How long a peer may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// An open socket.
pub(super) struct Session {
    socket: WebSocket,
    pub(super) state: Shared,
    pub(super) actor: Actor,
    closing: oneshot::Receiver<Closing>,
    /// Rises when any key or role has changed.
    keys: watch::Receiver<u64>,
    pub(super) following: Option<Attached>,
    pub(super) replay: Option<Replay>,
    /// A question that is being answered.
    pub(super) asking: Option<Pin<Box<dyn Future<Output = Utf8Bytes> + Send>>>,
    /// The newest event that the peer was sent, or could have been.
    pub(super) seq: u64,
    heard: Instant,
    pinged: Instant,
    alarm: Pin<Box<Sleep>>,
    /// Given back at the end.
    _place: Place,
}

/// What comes next.
enum Step {
    Alarm,
    KeysChanged,
    Heard(Option<Result<Message, axum::Error>>),
    Answered(Utf8Bytes),
    Replayed(nova_core::Result<Part>),
    Frame(Result<Frame, RecvError>),
}

/// Why a socket ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Peer,
    Silent,
    Slow,
    Told(Closing),
    KeyEnded,
    KeyChanged,
    TooLong,
    Failed,
}

/// Why a message is not served.
pub(super) enum Trouble {
    /// It is refused; the socket stays open.
    Refused(Problem),
    /// The socket ends.
    End(End),
}

impl From<End> for Trouble {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Refused(error.into())
    }
}

impl Session {
    pub(super) fn new(
        socket: WebSocket,
        state: Shared,
        actor: Actor,
        place: Place,
        closing: oneshot::Receiver<Closing>,
    ) -> Self {
        let now = Instant::now();
        let mut keys = state.services.keys.changes();
        // What changed since the key was looked at is looked at first.
        keys.mark_changed();
        let mut session = Self {
            socket,
            keys,
            state,
            actor,
            closing,
            following: None,
            replay: None,
            asking: None,
            seq: 0,
            heard: now,
            pinged: now,
            alarm: Box::pin(sleep_until(now)),
            _place: place,
        };
        session.set_alarm();
        session
    }

    /// Lives until the peer, the daemon or a failure ends it.
    pub(super) async fn run(mut self) {
        let end = loop {
            let step = match self.step().await {
                Ok(step) => step,
                Err(end) => break end,
            };
            if let Err(end) = self.take(step).await {
                break end;
            }
        };
        tracing::debug!(key_id = %self.actor.caller.key_id, ?end, "a WebSocket ends");
        metrics::closed(end.label());
        self.following = None;
        Box::pin(self.part(end)).await;
    }

    pub(super) fn config(&self) -> &SocketConfig {
        &self.state.sockets.config
    }

    /// The domain that a message means.
    pub(super) fn enter(&self, domain: Option<Domain>) -> Result<Domain, Error> {
        match domain {
            None => Ok(self.actor.domain.clone()),
            named => self.actor.caller.allow(Permission::Read, named),
        }
    }

    /// A peer that takes what it is sent, while it is not listened to, is no silent one.
    pub(super) fn hears_by_reading(&mut self) {
        self.heard = Instant::now();
    }

    async fn step(&mut self) -> Result<Step, End> {
        let free = self.asking.is_none() && self.replay.is_none();
        let live = self.replay.is_none();
        tokio::select! {
            biased;
            why = &mut self.closing => Err(End::Told(why.unwrap_or(Closing::Draining))),
            Ok(()) = self.keys.changed() => Ok(Step::KeysChanged),
            () = &mut self.alarm => Ok(Step::Alarm),
            message = self.socket.recv(), if free => Ok(Step::Heard(message)),
            text = answer(&mut self.asking) => Ok(Step::Answered(text)),
            part = part(&mut self.replay) => Ok(Step::Replayed(part)),
            frame = frame(&mut self.following), if live => Ok(Step::Frame(frame)),
        }
    }

    async fn take(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::Alarm => self.alarm().await,
            Step::KeysChanged => check_key(&self.state, &self.actor),
            Step::Answered(text) => {
                self.asking = None;
                self.send([text]).await
            }
            Step::Replayed(part) => Box::pin(self.replayed(part)).await,
            Step::Frame(first) => {
                let texts = self.frames(first)?;
                self.send(texts).await
            }
            Step::Heard(None) => Err(End::Peer),
            Step::Heard(Some(Err(error))) => {
                tracing::debug!(%error, "a WebSocket fails");
                // The library has a text for it only.
                let too_long = error.to_string().contains("too long");
                Err(if too_long { End::TooLong } else { End::Failed })
            }
            Step::Heard(Some(Ok(message))) => {
                self.heard = Instant::now();
                match message {
                    Message::Text(text) => Box::pin(self.message(&text)).await,
                    Message::Binary(_) => {
                        METRICS.received.increment(1);
                        let text = "a message must be text; this was binary";
                        let problem = Problem::new(Code::ValidationError, text, json!({}));
                        Box::pin(self.refuse(&problem, &Value::Null)).await
                    }
                    // The library answers pings and the close by itself.
                    Message::Ping(_) | Message::Pong(_) => Ok(()),
                    Message::Close(_) => Err(End::Peer),
                }
            }
        }
    }

    async fn alarm(&mut self) -> Result<(), End> {
        // A key also ends by itself.
        check_key(&self.state, &self.actor)?;
        let now = Instant::now();
        if now >= self.heard + self.config().silent {
            return Err(End::Silent);
        }
        if now >= self.pinged + self.config().ping_interval {
            self.pinged = now;
            self.write([Message::Ping(Default::default())]).await?;
        }
        self.set_alarm();
        Ok(())
    }

    fn set_alarm(&mut self) {
        let config = self.config();
        let next = (self.heard + config.silent).min(self.pinged + config.ping_interval);
        self.alarm.as_mut().reset(next);
    }

    /// The frames that wait, `first` included, as texts.
    fn frames(&mut self, first: Result<Frame, RecvError>) -> Result<Vec<Utf8Bytes>, End> {
        let mut texts = Vec::new();
        let mut next = first.map_err(|error| match error {
            RecvError::Closed => TryRecvError::Closed,
            RecvError::Lagged(n) => TryRecvError::Lagged(n),
        });
        loop {
            match next {
                Ok(frame) => {
                    self.seq = frame.seq;
                    texts.push(frame.text);
                }
                Err(TryRecvError::Lagged(missed)) => {
                    METRICS.missed.increment(missed);
                    texts.push(server::lagged(missed, self.seq));
                }
                Err(TryRecvError::Empty) => return Ok(texts),
                // The hub keeps a stream as long as somebody reads it.
                Err(TryRecvError::Closed) => return Err(End::Failed),
            }
            match &mut self.following {
                Some(following) if texts.len() < FLUSH_FRAMES => {
                    next = following.frames.try_recv();
                }
                _ => return Ok(texts),
            }
        }
    }

    async fn message(&mut self, text: &str) -> Result<(), End> {
        METRICS.received.increment(1);
        let most = self.config().message_max_bytes;
        if text.len() > most {
            let problem = Problem::new(
                Code::PayloadTooLarge,
                format!("a message may have at most {most} bytes"),
                json!({"message_max_bytes": most}),
            );
            return self.refuse(&problem, &Value::Null).await;
        }
        let message: Value = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => {
                let text = format!("the message is not valid JSON: {error}");
                let problem = Problem::new(Code::ValidationError, text, json!({}));
                return self.refuse(&problem, &Value::Null).await;
            }
        };
        match self.serve(&message).await {
            Ok(()) => Ok(()),
            Err(Trouble::End(end)) => Err(end),
            Err(Trouble::Refused(problem)) => self.refuse(&problem, &message).await,
        }
    }

    async fn serve(&mut self, message: &Value) -> Result<(), Trouble> {
        let wanted = client::parse(message.clone(), self.config().interval_min)?;
        if matches!(wanted, Wanted::Ask(_) | Wanted::Subscribe(_)) {
            // Work, for which REST would have taken as much.
            self.state.services.keys.take(self.actor.caller.key_id)?;
        }
        match wanted {
            Wanted::Ping => Ok(self.send([server::pong()]).await?),
            Wanted::Ask(ask) => self.ask(ask, message),
            Wanted::Subscribe(wanted) => self.subscribe(wanted).await,
            Wanted::Unsubscribe(wanted) => self.unsubscribe(wanted).await,
        }
    }

    async fn refuse(&mut self, problem: &Problem, message: &Value) -> Result<(), End> {
        self.send([server::error(problem, message)]).await
    }

    /// Sends texts and waits until the connection has taken them.
    pub(super) async fn send(
        &mut self,
        texts: impl IntoIterator<Item = Utf8Bytes>,
    ) -> Result<(), End> {
        self.write(texts.into_iter().map(Message::Text)).await
    }

    async fn write(&mut self, messages: impl IntoIterator<Item = Message>) -> Result<(), End> {
        let patience = self.config().silent;
        let (socket, closing, keys) = (&mut self.socket, &mut self.closing, &mut self.keys);
        let writing = async {
            let mut count = 0;
            for message in messages {
                socket.feed(message).await?;
                count += 1;
            }
            METRICS.sent.increment(count);
            socket.flush().await
        };
        let mut written = pin!(timeout(patience, writing));
        loop {
            tokio::select! {
                biased;
                why = &mut *closing => return Err(End::Told(why.unwrap_or(Closing::Draining))),
                Ok(()) = keys.changed() => check_key(&self.state, &self.actor)?,
                written = &mut written => return match written {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err(End::Peer),
                    Err(_) => Err(End::Slow),
                },
            }
        }
    }

    /// Says why, where there is something to say, and lets the peer say goodbye.
    async fn part(mut self, end: End) {
        let goodbye = async {
            if let Some((code, reason)) = end.code() {
                let frame = CloseFrame {
                    code,
                    reason: reason.into(),
                };
                self.socket.send(Message::Close(Some(frame))).await?;
            }
            while let Some(message) = self.socket.recv().await {
                message?;
            }
            Ok::<(), axum::Error>(())
        };
        // A peer that does not answer is cut off.
        drop(timeout(GOODBYE, goodbye).await);
    }
}

impl End {
    fn code(self) -> Option<(u16, &'static str)> {
        Some(match self {
            Self::Silent => (close_code::AWAY, "nothing was heard for too long"),
            Self::Slow => (close_code::AWAY, "nothing was read for too long"),
            Self::Told(Closing::Draining) => (close_code::AWAY, "the daemon ends"),
            Self::KeyEnded => (close_code::POLICY, "the key has ended"),
            Self::KeyChanged => (
                close_code::POLICY,
                "what the key may do has changed; connect again",
            ),
            Self::TooLong => (close_code::SIZE, "the message is too long"),
            Self::Failed => (close_code::PROTOCOL, "the connection broke the protocol"),
            Self::Peer => return None,
        })
    }

    fn label(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Told(Closing::Draining) => "draining",
            Self::KeyEnded => "key-ended",
            Self::KeyChanged => "key-changed",
            Self::TooLong => "too-long",
            Self::Failed => "failed",
        }
    }
}

/// Whether the key still opens what the socket was opened for.
fn check_key(state: &Shared, actor: &Actor) -> Result<(), End> {
    match state.services.keys.current(actor.caller.key_id) {
        Ok(now) if now.grants == actor.caller.grants => Ok(()),
        Ok(_) => Err(End::KeyChanged),
        Err(_) => Err(End::KeyEnded),
    }
}

async fn answer(asking: &mut Option<Pin<Box<dyn Future<Output = Utf8Bytes> + Send>>>) -> Utf8Bytes {
    match asking {
        Some(asking) => asking.await,
        None => pending().await,
    }
}

async fn part(replay: &mut Option<Replay>) -> nova_core::Result<Part> {
    match replay {
        Some(replay) => replay.next().await,
        None => pending().await,
    }
}

async fn frame(following: &mut Option<Attached>) -> Result<Frame, RecvError> {
    match following {
        Some(following) => following.frames.recv().await,
        None => pending().await,
    }
}
