//! Everything known of flows, agents and resources, one by one and in all.
//!
//! Owns the subjects of each scope and their bound: what the timelines take together stays
//! within a budget, and beyond it those go first that finished the longest ago. Knows
//! nothing of event kinds.

use crate::bucket::Gauge;
use crate::chain::Chain;
use crate::sketch::Observation;
use crate::stream::Stream;
use crate::timeline::Timeline;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The user metrics kept of one subject; more are not kept.
const METRICS_MAX: usize = 32;
/// After an eviction, this part of the budget is in use.
const KEEP: f64 = 0.9;

/// How a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// All tasks done.
    Completed,
    /// A task failed for good.
    Failed,
    /// Called off.
    Cancelled,
}

/// One flow, agent or resource, or a whole scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Subject {
    /// What happened.
    pub(crate) timeline: Timeline,
    /// User metrics by index.
    pub(crate) metrics: BTreeMap<u32, Stream>,
    /// Tasks that a flow was created with.
    pub(crate) declared: f64,
    /// When its first task started.
    pub(crate) started_ms: Option<u64>,
    /// When and how a flow ended.
    pub(crate) ended: Option<(u64, Outcome)>,
    /// When a plan was applied to a flow, and its makespan in seconds.
    pub(crate) planned: Option<(u64, f64)>,
    /// When a flow's newest task ended, and the path that led to it.
    pub(crate) newest: Option<(u64, Chain)>,
}

impl Subject {
    /// A subject first seen now.
    pub(crate) fn new(time_ms: u64) -> Self {
        Self {
            timeline: Timeline::new(time_ms),
            metrics: BTreeMap::new(),
            declared: 0.0,
            started_ms: None,
            ended: None,
            planned: None,
            newest: None,
        }
    }

    /// Adds to a gauge; it never falls below 0.
    pub(crate) fn shift(&mut self, time_ms: u64, gauge: Gauge, by: f64) {
        let value = (self.timeline.now(gauge) + by).max(0.0);
        self.timeline.set(time_ms, gauge, value);
    }

    /// Keeps a user metric's value, an alarm from this surprise on.
    pub(crate) fn user_metric(&mut self, time_ms: u64, metric: u32, value: f64, surprise: f64) {
        let known = self.metrics.contains_key(&metric);
        let Some(observation) = Observation::of(value) else {
            return;
        };
        if known || self.metrics.len() < METRICS_MAX {
            let stream = self
                .metrics
                .entry(metric)
                .or_insert_with(|| Stream::new(time_ms));
            stream.add(time_ms, observation, surprise);
        }
    }

    fn weight(&self) -> usize {
        self.timeline.weight() + self.metrics.values().map(Stream::weight).sum::<usize>()
    }

    /// Those with the lowest go first: ended, then idle, then the rest, by time.
    fn eviction_order(&self) -> (u8, u64) {
        let idle =
            self.timeline.now(Gauge::Busy) == 0.0 && self.timeline.now(Gauge::Waiting) == 0.0;
        match self.ended {
            Some((ended_ms, _)) => (0, ended_ms),
            None => (if idle { 1 } else { 2 }, self.timeline.last_ms()),
        }
    }
}

/// All flows, agents or resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scope {
    /// Everything in the scope together; none before its first event.
    pub(crate) total: Option<Subject>,
    /// By index.
    pub(crate) subjects: BTreeMap<u32, Subject>,
}

impl Scope {
    /// Applies a change to the whole and, where one is named, to the one subject.
    pub(crate) fn each(
        &mut self,
        index: Option<u32>,
        time_ms: u64,
        mut change: impl FnMut(&mut Subject),
    ) {
        change(self.total.get_or_insert_with(|| Subject::new(time_ms)));
        if let Some(index) = index {
            change(self.one(index, time_ms));
        }
    }

    /// One subject, new if it was not known.
    pub(crate) fn one(&mut self, index: u32, time_ms: u64) -> &mut Subject {
        self.subjects
            .entry(index)
            .or_insert_with(|| Subject::new(time_ms))
    }
}

/// Brings the timelines of all scopes within a budget of bytes.
pub(crate) fn evict(scopes: [&mut Scope; 3], budget_bytes: usize) {
    let mut weight = 0;
    let mut order = Vec::new();
    for (place, scope) in scopes.iter().enumerate() {
        weight += scope.total.as_ref().map_or(0, Subject::weight);
        for (&index, subject) in &scope.subjects {
            weight += subject.weight();
            order.push((subject.eviction_order(), place, index));
        }
    }
    if weight <= budget_bytes {
        return;
    }
    order.sort_unstable();
    let keep = (budget_bytes as f64 * KEEP) as usize;
    for (_, place, index) in order {
        if weight <= keep {
            return;
        }
        if let Some(gone) = scopes[place].subjects.remove(&index) {
            weight -= gone.weight();
        }
    }
}
