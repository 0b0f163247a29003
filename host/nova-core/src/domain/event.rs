//! Events: everything that happened, in order. Analytics read these and nothing else.
//!
//! An event belongs to one domain, or to the daemon itself: what happens to plugins, routes and keys
//! concerns every domain and is recorded in none. Such an event is read with all events, never with those
//! of a domain.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::{AgentId, Domain, FlowId, ResourceId, TaskId};
use super::time::Timestamp;
use crate::error::{Error, Result};

/// Longest [`NewEvent::detail`], in bytes of its JSON text.
pub const DETAIL_MAX_BYTES: usize = 4096;
/// Longest text in a detail, in bytes; [`NewEvent::with_detail`] cuts longer ones.
pub const DETAIL_TEXT_MAX_BYTES: usize = 1024;

/// What happened; `value` means what the analytics processor's WIT documents for the kind. The kinds
/// from [`EventKind::PluginChanged`] on are none of its track: processors are not told of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "each is documented in wit/v0.1/analytics-processor.wit"
)]
pub enum EventKind {
    TaskCreated,
    TaskBlocked,
    TaskReady,
    TaskAssigned,
    TaskStarted,
    TaskCompleted,
    TaskFailed,
    AttemptFailed,
    TaskCancelled,
    AgentRegistered,
    FlowCreated,
    FlowOptimized,
    FlowCompleted,
    FlowFailed,
    FlowCancelled,
    ResourceCapacity,
    AllocationGranted,
    AllocationReleased,
    QueueDepth,
    UserMetric,
    /// A plugin was loaded, swapped, quarantined, …: `detail.plugin`, `detail.change`; value: its revision.
    PluginChanged,
    /// Another plugin serves a kind: `detail.kind`, `detail.plugin`; value: 1.
    StrategyRouteChanged,
    /// An alert changed its state: `detail.alert_id`, `detail.state`, …; value: the number that it saw.
    AlertChanged,
    /// A task's deadline passed before it was done; value: seconds since the deadline when
    /// it was noticed.
    TaskDeadlineMissed,
    /// A key was made, rotated or revoked: `detail.key_id`, `detail.change`; value: 1.
    KeyChanged,
}

impl EventKind {
    /// Every kind; the position is the datastore's code, so that new ones go at the end.
    pub const ALL: [Self; 25] = [
        Self::TaskCreated,
        Self::TaskBlocked,
        Self::TaskReady,
        Self::TaskAssigned,
        Self::TaskStarted,
        Self::TaskCompleted,
        Self::TaskFailed,
        Self::AttemptFailed,
        Self::TaskCancelled,
        Self::AgentRegistered,
        Self::FlowCreated,
        Self::FlowOptimized,
        Self::FlowCompleted,
        Self::FlowFailed,
        Self::FlowCancelled,
        Self::ResourceCapacity,
        Self::AllocationGranted,
        Self::AllocationReleased,
        Self::QueueDepth,
        Self::UserMetric,
        Self::PluginChanged,
        Self::StrategyRouteChanged,
        Self::AlertChanged,
        Self::TaskDeadlineMissed,
        Self::KeyChanged,
    ];

    /// The datastore's code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind of that code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// An event to be appended; the datastore gives it its `seq`.
#[derive(Clone, PartialEq, Debug)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// To which task.
    pub task_id: Option<TaskId>,
    /// In which flow.
    pub flow_id: Option<FlowId>,
    /// By or to which agent.
    pub agent_id: Option<AgentId>,
    /// To which resource.
    pub resource_id: Option<ResourceId>,
    /// Name of a user metric.
    pub metric: Option<String>,
    /// The number that belongs to the kind; finite.
    pub value: f64,
    /// What else there is to say, at most [`DETAIL_MAX_BYTES`]; better set by [`NewEvent::with_detail`].
    pub detail: Option<Map<String, Value>>,
}

impl NewEvent {
    /// An event of this kind about nothing yet.
    pub fn new(kind: EventKind, value: f64) -> Self {
        Self {
            kind,
            task_id: None,
            flow_id: None,
            agent_id: None,
            resource_id: None,
            metric: None,
            value,
            detail: None,
        }
    }

    /// The event with this detail, made to fit: long texts are cut, and while the whole is too long its
    /// largest part is left out and `cut: true` says so.
    pub fn with_detail(mut self, mut detail: Map<String, Value>) -> Self {
        for value in detail.values_mut() {
            if let Value::String(text) = value
                && text.len() > DETAIL_TEXT_MAX_BYTES
            {
                let end = text.floor_char_boundary(DETAIL_TEXT_MAX_BYTES - '…'.len_utf8());
                text.truncate(end);
                text.push('…');
            }
        }
        while size(&detail) > DETAIL_MAX_BYTES {
            let largest = detail.iter().max_by_key(|(_, value)| value_size(value));
            let Some(name) = largest.map(|(name, _)| name.clone()) else {
                break;
            };
            detail.remove(&name);
            detail.insert("cut".to_owned(), Value::Bool(true));
        }
        self.detail = Some(detail);
        self
    }

    /// The detail as JSON text, for datastores.
    ///
    /// # Errors
    /// [`Error::Service`] for one that is too long: whoever recorded it did not bound it.
    pub fn detail_text(&self) -> Result<Option<String>> {
        let Some(detail) = &self.detail else {
            return Ok(None);
        };
        let text = serde_json::to_string(detail).map_err(Error::service)?;
        if text.len() > DETAIL_MAX_BYTES {
            return Err(Error::service(format!(
                "an event's detail of {} bytes; it may have {DETAIL_MAX_BYTES}",
                text.len()
            )));
        }
        Ok(Some(text))
    }
}

fn size(detail: &Map<String, Value>) -> usize {
    serde_json::to_vec(detail).map_or(0, |bytes| bytes.len())
}

fn value_size(value: &Value) -> usize {
    serde_json::to_vec(value).map_or(0, |bytes| bytes.len())
}

/// A recorded event.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// Its place in the order of everything; rising, with gaps in a domain.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Where it is seen; none = it is the daemon's own and concerns every domain.
    pub domain: Option<Domain>,
    /// What happened.
    pub body: NewEvent,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn codes_are_positions() {
        for (i, kind) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.code()), i);
            assert_eq!(EventKind::from_code(kind.code()), Some(kind));
        }
    }

    #[test]
    fn details_are_made_to_fit() {
        let event = |detail: Value| {
            let made = NewEvent::new(EventKind::PluginChanged, 1.0)
                .with_detail(crate::error::object(detail));
            let text = made.detail_text().unwrap().unwrap();
            assert!(text.len() <= DETAIL_MAX_BYTES, "{}", text.len());
            made.detail.unwrap()
        };
        let small = json!({"plugin": "heft", "at": {"most": 1}});
        assert_eq!(Value::Object(event(small.clone())), small);

        let exact = "x".repeat(DETAIL_TEXT_MAX_BYTES);
        assert_eq!(event(json!({"reason": exact}))["reason"], exact);
        let cut = event(json!({"reason": "ü".repeat(DETAIL_TEXT_MAX_BYTES)}));
        let cut = cut["reason"].as_str().unwrap();
        assert!(cut.ends_with("ü…") && cut.len() <= DETAIL_TEXT_MAX_BYTES);

        let wide = event(json!({"plugin": "heft", "list": vec![0; DETAIL_MAX_BYTES]}));
        assert_eq!(Value::Object(wide), json!({"plugin": "heft", "cut": true}));

        let mut unbounded = NewEvent::new(EventKind::PluginChanged, 1.0);
        unbounded.detail = Some(crate::error::object(
            json!({"list": vec![0; DETAIL_MAX_BYTES]}),
        ));
        assert!(unbounded.detail_text().is_err());
    }
}
