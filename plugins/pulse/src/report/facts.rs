//! The numbers that events show of one subject, before they are named or judged.
//!
//! Owns the formulas of rates, ratios, utilization and time left. Knows nothing of names,
//! units or sentences.

use crate::bucket::{Count, Gauge, Measure, Span};
use crate::sketch::Sketch;
use crate::subjects::Subject;
use nova_sdk::analytics::Scope;

/// One subject, or a whole scope, within a window.
pub(crate) struct Facts<'a> {
    /// Index in the scope; none for the whole.
    pub(crate) index: Option<u32>,
    /// Everything known.
    pub(crate) subject: &'a Subject,
    /// The window.
    pub(crate) span: Span,
    scope: Scope,
}

impl<'a> Facts<'a> {
    /// Sums up the window from `from_ms` to now. For a flow that ended within it, the
    /// window ends there: what is over has no rate any more.
    pub(crate) fn new(
        scope: Scope,
        index: Option<u32>,
        subject: &'a Subject,
        from_ms: u64,
        now_ms: u64,
    ) -> Self {
        let to_ms = match subject.ended {
            Some((ended_ms, _)) if ended_ms >= from_ms => ended_ms.min(now_ms),
            _ => now_ms,
        };
        Self {
            index,
            subject,
            span: subject.timeline.span(from_ms, to_ms),
            scope,
        }
    }

    /// Events of the subject within the window.
    pub(crate) fn events(&self) -> u64 {
        self.span.count(Count::Events)
    }

    /// What succeeded within the window.
    pub(crate) fn completed(&self) -> u64 {
        self.span.count(Count::Completed)
    }

    /// What failed within the window: of an agent every attempt, else the tasks.
    pub(crate) fn failed(&self) -> u64 {
        let retried = match self.scope {
            Scope::Agents => self.span.count(Count::Retried),
            Scope::Flows | Scope::Resources => 0,
        };
        self.span.count(Count::Failed) + retried
    }

    /// All tasks, ever.
    pub(crate) fn tasks(&self) -> u64 {
        let created = self.subject.timeline.ever(Count::Created);
        created.max(self.subject.declared as u64)
    }

    /// Tasks that are not finished now.
    pub(crate) fn open(&self) -> u64 {
        let line = &self.subject.timeline;
        let over = line.ever(Count::Completed) + line.ever(Count::Failed);
        self.tasks()
            .saturating_sub(over + line.ever(Count::Cancelled))
    }

    /// Tasks waiting now.
    pub(crate) fn queue(&self) -> f64 {
        self.subject.timeline.now(Gauge::Waiting)
    }

    /// Tasks in progress, or units in use, now.
    pub(crate) fn busy(&self) -> f64 {
        self.subject.timeline.now(Gauge::Busy)
    }

    /// Tasks at a time, or units in all, now.
    pub(crate) fn capacity(&self) -> f64 {
        self.subject.timeline.now(Gauge::Capacity)
    }

    /// Completions a second.
    pub(crate) fn throughput(&self) -> f64 {
        self.completed() as f64 / self.span.seconds()
    }

    /// Part of what ended in success; none where nothing ended.
    pub(crate) fn success(&self) -> Option<f64> {
        let ended = self.completed() + self.failed();
        (ended > 0).then(|| self.completed() as f64 / ended as f64)
    }

    /// In use ÷ capacity, now.
    pub(crate) fn utilization_now(&self) -> Option<f64> {
        (self.capacity() > 0.0).then(|| self.busy() / self.capacity())
    }

    /// Seconds from start to success.
    pub(crate) fn latency(&self) -> &Sketch {
        self.span.measure(Measure::Latency)
    }

    /// Seconds from ready to start.
    pub(crate) fn wait(&self) -> &Sketch {
        self.span.measure(Measure::Wait)
    }

    /// Seconds until an agent's queue is done: waiting tasks × its mean latency ÷ tasks at a
    /// time; none where the past does not say. A flow's is simulated, see [`super::eta`].
    pub(crate) fn queue_s(&self) -> Option<f64> {
        if self.queue() == 0.0 {
            return Some(0.0);
        }
        let latency = self.latency().mean()?;
        Some(self.queue() * latency / self.capacity().max(1.0))
    }
}
