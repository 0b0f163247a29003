//! What the daemon sends over a socket. Rendered once; every socket that gets it shares the bytes.

use std::collections::BTreeSet;

use axum::extract::ws::Utf8Bytes;
use nova_core::{Domain, Event, EventKind, TaskId, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::spec::Topic;
use crate::problem::Problem;
use crate::wire::analytics::AnalyticsAnswer;
use crate::wire::schema::{ErrorCode, Name, Time};

/// Longest message that is repeated in an error, in bytes.
const ECHO_MAX_BYTES: usize = 1024;

/// A message of the daemon, by its `type`.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ServerMessage<'a> {
    /// A report, asked for once or sent at an interval; the fields of the GET endpoints.
    AnalyticsUpdate {
        topic: Topic,
        /// The one id it is about; null = all.
        subject: Option<&'a str>,
        #[serde(flatten)]
        answer: &'a AnalyticsAnswer,
    },
    /// Something happened.
    Event(EventRecord<'a>),
    /// The topics are followed from the event after `seq` on.
    Subscribed {
        topics: &'a BTreeSet<Topic>,
        #[schema(value_type = Name)]
        domain: &'a Domain,
        seq: u64,
    },
    /// So many pairs of domain and topic are followed still.
    Unsubscribed {
        remaining: usize,
    },
    /// This reader was too slow, or what it asks for is no longer kept.
    Lagged {
        /// Frames that it missed; for events that are no longer kept the most there can have been.
        missed: u64,
        /// The newest event before the gap: `subscribe` with it as `since_seq` to get what is kept.
        seq: u64,
    },
    /// A message was refused, or an update failed; the socket stays open.
    Error {
        error: ErrorBody<'a>,
        /// The refused message, where it is JSON and short.
        #[schema(value_type = Object)]
        request: &'a Value,
    },
    Pong {},
}

/// A recorded event.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventRecord<'a> {
    topic: Topic,
    /// Its place in the order of everything; rising, with gaps.
    seq: u64,
    #[schema(value_type = Time)]
    at: Timestamp,
    /// Null = the daemon's own, told in every domain.
    #[schema(value_type = Option<Name>)]
    domain: Option<&'a Domain>,
    #[schema(value_type = String, example = "task_completed")]
    kind: EventKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    task_id: Option<TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<&'a str>,
    /// The number that belongs to the kind.
    value: f64,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    detail: Option<&'a Map<String, Value>>,
}

/// What was wrong.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody<'a> {
    #[schema(value_type = ErrorCode)]
    code: &'a str,
    message: &'a str,
    #[schema(value_type = Object)]
    details: &'a Map<String, Value>,
}

impl ServerMessage<'_> {
    /// The bytes that sockets share.
    pub(super) fn render(&self) -> Utf8Bytes {
        // Texts, numbers and maps with text keys always serialize.
        serde_json::to_string(self).unwrap_or_default().into()
    }
}

/// An event as sockets get it.
pub(super) fn event(topic: Topic, event: &Event) -> Utf8Bytes {
    let body = &event.body;
    ServerMessage::Event(EventRecord {
        topic,
        seq: event.seq,
        at: event.at,
        domain: event.domain.as_ref(),
        kind: body.kind,
        task_id: body.task_id,
        flow_id: body.flow_id.as_ref().map(|id| id.as_str()),
        agent_id: body.agent_id.as_ref().map(|id| id.as_str()),
        resource_id: body.resource_id.as_ref().map(|id| id.as_str()),
        metric: body.metric.as_deref(),
        value: body.value,
        detail: body.detail.as_ref(),
    })
    .render()
}

/// The answer to a ping.
pub(super) fn pong() -> Utf8Bytes {
    ServerMessage::Pong {}.render()
}

/// The answer to a subscription.
pub(super) fn subscribed(topics: &BTreeSet<Topic>, domain: &Domain, seq: u64) -> Utf8Bytes {
    ServerMessage::Subscribed {
        topics,
        domain,
        seq,
    }
    .render()
}

/// The answer to the end of a subscription.
pub(super) fn unsubscribed(remaining: usize) -> Utf8Bytes {
    ServerMessage::Unsubscribed { remaining }.render()
}

/// A gap, after the event `seq`.
pub(super) fn lagged(missed: u64, seq: u64) -> Utf8Bytes {
    ServerMessage::Lagged { missed, seq }.render()
}

/// A report as sockets get it.
pub(super) fn update(topic: Topic, subject: Option<&str>, answer: &AnalyticsAnswer) -> Utf8Bytes {
    ServerMessage::AnalyticsUpdate {
        topic,
        subject,
        answer,
    }
    .render()
}

/// A problem as sockets get it; its cause goes to the log.
pub(super) fn error(problem: &Problem, request: &Value) -> Utf8Bytes {
    problem.log();
    let short = serde_json::to_vec(request).is_ok_and(|text| text.len() <= ECHO_MAX_BYTES);
    ServerMessage::Error {
        error: ErrorBody {
            code: problem.code().as_str(),
            message: problem.message(),
            details: problem.details(),
        },
        request: if short { request } else { &Value::Null },
    }
    .render()
}
