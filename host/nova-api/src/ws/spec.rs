//! What a socket follows: topics of domains, narrowed by filters.
//!
//! A [`Spec`] is a value: sockets with equal specs share one stream.

use std::collections::{BTreeMap, BTreeSet};

use nova_core::strategy::analytics::Scope;
use nova_core::{Domain, Event, EventKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Values that a filter may list for one field.
pub(super) const FILTER_VALUES_MAX: usize = 32;

/// What an event is about.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Topic {
    /// Flows, and analytics of them.
    Flows,
    /// Agents, and analytics of them.
    Agents,
    /// Resources and allocations, and analytics of them.
    Resources,
    /// Tasks.
    Tasks,
    /// Plugins and routes.
    Plugins,
    /// Alerts.
    Alerts,
}

impl Topic {
    /// Under which topic an event is told; none = it is not told here.
    pub(super) fn of(event: &Event) -> Option<Self> {
        Some(match event.body.kind {
            EventKind::TaskCreated
            | EventKind::TaskBlocked
            | EventKind::TaskReady
            | EventKind::TaskAssigned
            | EventKind::TaskStarted
            | EventKind::TaskCompleted
            | EventKind::TaskFailed
            | EventKind::AttemptFailed
            | EventKind::TaskCancelled
            | EventKind::TaskDeadlineMissed
            | EventKind::QueueDepth => Self::Tasks,
            EventKind::AgentRegistered => Self::Agents,
            EventKind::FlowCreated
            | EventKind::FlowOptimized
            | EventKind::FlowCompleted
            | EventKind::FlowFailed
            | EventKind::FlowCancelled => Self::Flows,
            EventKind::ResourceCapacity
            | EventKind::AllocationGranted
            | EventKind::AllocationReleased => Self::Resources,
            EventKind::UserMetric if event.body.agent_id.is_some() => Self::Agents,
            EventKind::UserMetric if event.body.resource_id.is_some() => Self::Resources,
            EventKind::UserMetric => Self::Flows,
            EventKind::PluginChanged | EventKind::StrategyRouteChanged => Self::Plugins,
            EventKind::AlertChanged => Self::Alerts,
            EventKind::KeyChanged => return None,
        })
    }

    /// The scope of analytics updates; none = the topic has events only.
    pub(super) fn scope(self) -> Option<Scope> {
        match self {
            Self::Flows => Some(Scope::Flows),
            Self::Agents => Some(Scope::Agents),
            Self::Resources => Some(Scope::Resources),
            Self::Tasks | Self::Plugins | Self::Alerts => None,
        }
    }

    /// The topic of a scope.
    pub(super) fn of_scope(scope: Scope) -> Self {
        match scope {
            Scope::Flows => Self::Flows,
            Scope::Agents => Self::Agents,
            Scope::Resources => Self::Resources,
        }
    }
}

/// Accepted values; absent fields accept everything, all that are there must hold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(super) struct Filter {
    /// Event kinds.
    pub(super) kinds: BTreeSet<EventKind>,
    /// Accepted ids by field.
    pub(super) ids: BTreeMap<Field, BTreeSet<String>>,
}

/// A field of events that a filter narrows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Field {
    Task,
    Flow,
    Agent,
    Resource,
    Plugin,
}

impl Filter {
    fn accepts(&self, event: &Event) -> bool {
        let body = &event.body;
        let of = |field: &Field, accepted: &BTreeSet<String>| match field {
            Field::Task => body
                .task_id
                .is_some_and(|id| accepted.contains(&id.to_string())),
            Field::Flow => has(accepted, body.flow_id.as_ref().map(|id| id.as_str())),
            Field::Agent => has(accepted, body.agent_id.as_ref().map(|id| id.as_str())),
            Field::Resource => has(accepted, body.resource_id.as_ref().map(|id| id.as_str())),
            Field::Plugin => {
                let plugin = body.detail.as_ref().and_then(|d| d.get("plugin"));
                has(accepted, plugin.and_then(serde_json::Value::as_str))
            }
        };
        (self.kinds.is_empty() || self.kinds.contains(&body.kind))
            && self.ids.iter().all(|(field, accepted)| of(field, accepted))
    }

    /// The one id that analytics updates of this scope are about; none = all.
    pub(super) fn subject(&self, scope: Scope) -> Option<&str> {
        let field = match scope {
            Scope::Flows => Field::Flow,
            Scope::Agents => Field::Agent,
            Scope::Resources => Field::Resource,
        };
        let accepted = self.ids.get(&field).filter(|set| set.len() == 1)?;
        accepted.first().map(String::as_str)
    }
}

fn has(accepted: &BTreeSet<String>, value: Option<&str>) -> bool {
    value.is_some_and(|v| accepted.contains(v))
}

/// How one topic of one domain is followed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(super) struct Wish {
    pub(super) filter: Filter,
    /// How often analytics updates are sent; none = events only.
    pub(super) interval_ms: Option<u64>,
}

/// Everything that a socket follows.
pub(super) type Spec = BTreeMap<(Domain, Topic), Wish>;

/// Whether an event is wanted. One of the daemon itself is told in every domain.
pub(super) fn wants(spec: &Spec, topic: Topic, event: &Event) -> bool {
    spec.iter().any(|((domain, wanted), wish)| {
        *wanted == topic
            && event.domain.as_ref().is_none_or(|of| of == domain)
            && wish.filter.accepts(event)
    })
}

/// A question that is asked again and again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Question {
    pub(super) domain: Domain,
    pub(super) topic: Topic,
    pub(super) subject: Option<String>,
    pub(super) interval_ms: u64,
}

/// The questions of a spec.
pub(super) fn questions(spec: &Spec) -> impl Iterator<Item = Question> {
    spec.iter().filter_map(|((domain, topic), wish)| {
        Some(Question {
            domain: domain.clone(),
            topic: *topic,
            subject: wish.filter.subject(topic.scope()?).map(str::to_owned),
            interval_ms: wish.interval_ms?,
        })
    })
}

/// Whether a spec asks this question.
pub(super) fn asks(spec: &Spec, question: &Question) -> bool {
    spec.iter().any(|((domain, topic), wish)| {
        *topic == question.topic
            && *domain == question.domain
            && wish.interval_ms == Some(question.interval_ms)
            && topic.scope().and_then(|scope| wish.filter.subject(scope))
                == question.subject.as_deref()
    })
}
