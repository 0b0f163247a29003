//! What happens in a domain whose metrics are forecast.

use std::collections::BTreeMap;

use super::track::{Measure, Track};
use super::{Class, LOOK_BACK_EVENTS};
use crate::domain::{Domain, Event, EventKind};
use crate::strategy::analytics::Scope;

/// What reports call completed tasks a second.
pub(super) const THROUGHPUT: &str = "throughput";

/// The past of some metrics, to be read: events of a domain after one `seq`, up to and including another.
#[derive(Clone, PartialEq, Debug)]
pub struct Gap {
    /// Of which domain.
    pub domain: Domain,
    /// The `seq` to begin after.
    pub after: u64,
    /// The `seq` to end with.
    pub upto: u64,
    metrics: Vec<(String, Of)>,
}

/// The metrics of a domain.
#[derive(Debug)]
pub(super) struct Followed {
    /// Events up to here were taken in.
    seen_seq: u64,
    /// When the newest of them happened.
    last_ms: u64,
    /// Nothing more was recorded when they were read.
    is_all: bool,
    /// By the name, then by scope and subject.
    metrics: BTreeMap<String, BTreeMap<Of, Tracked>>,
}

/// A scope, and one subject of it or the whole.
type Of = (Scope, Option<String>);

#[derive(Debug)]
struct Tracked {
    track: Track,
    /// Where its past begins, as long as that is to be read.
    fresh_after: Option<u64>,
}

impl Followed {
    /// From this event on.
    pub(super) fn new(seq: u64) -> Self {
        Self {
            seen_seq: seq,
            last_ms: 0,
            is_all: false,
            metrics: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.metrics.values().map(BTreeMap::len).sum()
    }

    pub(super) fn knows(&self, class: &Class, subject: Option<&String>) -> bool {
        self.track(class, subject).is_some()
    }

    /// A metric that is forecast for the first time, by a report up to `covers_seq`.
    pub(super) fn add(&mut self, class: &Class, subject: Option<String>, covers_seq: u64) {
        let measure = if class.1 == THROUGHPUT {
            Measure::Rate
        } else {
            Measure::Mean
        };
        let tracked = Tracked {
            track: Track::new(measure),
            fresh_after: Some(covers_seq.saturating_sub(LOOK_BACK_EVENTS)),
        };
        let (scope, name) = class.clone();
        let of = self.metrics.entry(name).or_default();
        of.insert((scope, subject), tracked);
    }

    pub(super) fn track(&self, class: &Class, subject: Option<&String>) -> Option<&Track> {
        let of = self.metrics.get(&class.1)?;
        Some(&of.get(&(class.0, subject.cloned()))?.track)
    }

    /// The past that is to be read now, from its beginning: what was read of it in vain is forgotten.
    pub(super) fn gap(&mut self, domain: &Domain) -> Option<Gap> {
        let tracked = self.metrics.values_mut().flat_map(BTreeMap::values_mut);
        for fresh in tracked.filter(|tracked| tracked.fresh_after.is_some()) {
            fresh.track.forget();
        }
        let all = self.metrics.iter();
        let each = all.flat_map(|(name, by)| by.iter().map(move |(of, t)| (name, of, t)));
        let fresh: Vec<_> = each.filter(|(.., t)| t.fresh_after.is_some()).collect();
        let after = fresh.iter().filter_map(|(.., t)| t.fresh_after).min()?;
        let fresh = fresh.into_iter();
        Some(Gap {
            domain: domain.clone(),
            after,
            upto: self.seen_seq,
            metrics: fresh
                .map(|(name, of, _)| (name.clone(), of.clone()))
                .collect(),
        })
    }

    fn of_gap(&mut self, gap: &Gap, mut change: impl FnMut(&mut Track)) {
        for (name, of) in &gap.metrics {
            let by = self.metrics.get_mut(name);
            if let Some(tracked) = by.and_then(|by| by.get_mut(of)) {
                change(&mut tracked.track);
            }
        }
    }

    pub(super) fn fill(&mut self, gap: &Gap, events: &[Event]) {
        let events = || events.iter().filter(|event| event.seq <= gap.upto);
        if let Some(first) = events().next() {
            self.of_gap(gap, |track| track.look_from(super::ms(first.at)));
        }
        events().for_each(|event| self.add_point(event, |tracked| tracked.fresh_after.is_some()));
    }

    pub(super) fn filled(&mut self, gap: &Gap, now_ms: u64) {
        self.of_gap(gap, |track| track.look_from(now_ms));
        for (name, of) in &gap.metrics {
            let by = self.metrics.get_mut(name);
            if let Some(tracked) = by.and_then(|by| by.get_mut(of)) {
                tracked.fresh_after = None;
            }
        }
    }

    pub(super) fn seen_seq(&self) -> u64 {
        self.seen_seq
    }

    pub(super) fn take(&mut self, events: &[Event], is_all: bool) {
        self.is_all = is_all;
        let seen_seq = self.seen_seq;
        for event in events.iter().filter(|event| event.seq > seen_seq) {
            let time_ms = super::ms(event.at);
            self.last_ms = self.last_ms.max(time_ms);
            self.add_point(event, |tracked| tracked.fresh_after.is_none());
        }
        if let Some(last) = events.last() {
            self.seen_seq = self.seen_seq.max(last.seq);
        }
    }

    /// Adds an event to the metrics that it is a point of.
    fn add_point(&mut self, event: &Event, wanted: impl Fn(&Tracked) -> bool) {
        let name = match event.body.kind {
            EventKind::TaskCompleted => THROUGHPUT,
            EventKind::UserMetric => event.body.metric.as_deref().unwrap_or_default(),
            _ => return,
        };
        for (of, tracked) in self.metrics.get_mut(name).into_iter().flatten() {
            if wanted(tracked) && concerns(event, of) {
                tracked.track.add(super::ms(event.at), event.body.value);
            }
        }
    }

    /// Whether everything that happened before `end_ms` was taken in: something no earlier was, or nothing more had
    /// been recorded when it was read, and that was after `settled_ms`.
    pub(super) fn is_past(&self, end_ms: u64, settled_ms: u64) -> bool {
        self.last_ms >= end_ms || (self.is_all && settled_ms >= end_ms)
    }
}

/// Whether a completed task or a user metric is one of a subject, or of the whole scope. A user metric that names nobody
/// is one of every whole scope; tasks are ones of their subject and of the whole, flows' without a flow, too.
fn concerns(event: &Event, (scope, subject): &Of) -> bool {
    let body = &event.body;
    let flow = body.flow_id.as_ref().map(|id| id.as_str());
    let agent = body.agent_id.as_ref().map(|id| id.as_str());
    let resource = body.resource_id.as_ref().map(|id| id.as_str());
    let named = match scope {
        Scope::Flows => flow,
        Scope::Agents => agent,
        Scope::Resources => resource,
    };
    match subject {
        Some(subject) => named == Some(subject),
        None if body.kind == EventKind::UserMetric => {
            flow.is_none() && agent.is_none() && resource.is_none()
        }
        None => *scope == Scope::Flows || named.is_some(),
    }
}
