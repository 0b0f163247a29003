//! What a report of one scope needs to know of the others.
//!
//! Owns what all flows' durations, all agents' slots and all agents' success say, taken once a
//! report. Knows nothing of the window.

use crate::beta::Beta;
use crate::bucket::{Count, Gauge, Measure};
use crate::sketch::Sketch;
use crate::state::State;
use crate::subjects::{Scope, Subject};

/// Completions from which an agent's mean latency is compared with another's.
const COMPARED_LEAST: u64 = 5;

/// The rest of the state, summed up.
pub(crate) struct Context<'a> {
    /// Seconds of all flows' tasks; none before the first.
    pub(crate) durations: Option<&'a Sketch>,
    /// Free slots of all agents.
    pub(crate) free: f64,
    agents: &'a Scope,
    /// Part of all agents' attempts that succeeded.
    success: f64,
}

impl<'a> Context<'a> {
    /// Of a state.
    pub(crate) fn new(state: &'a State) -> Self {
        let flows = state.flows.total.as_ref();
        let (success, free) = state.agents.total.as_ref().map_or((0.5, 1.0), |all| {
            let (good, bad) = attempts(all);
            let line = &all.timeline;
            let free = line.now(Gauge::Capacity) - line.now(Gauge::Busy);
            ((good as f64 + 1.0) / ((good + bad) as f64 + 2.0), free)
        });
        Self {
            durations: flows.map(|all| all.timeline.ever_measured(Measure::Latency)),
            free,
            agents: &state.agents,
            success,
        }
    }

    /// The Beta posterior of success after so many of an agent's attempts: before the first,
    /// it is taken to succeed as all agents do.
    pub(crate) fn posterior(&self, good: u64, bad: u64) -> Beta {
        Beta::posterior(good, bad, self.success)
    }

    /// Mean seconds of an agent's successful attempts, ever; none of too few.
    pub(crate) fn latency_of(&self, agent: u32) -> Option<f64> {
        mean_latency(self.agents.subjects.get(&agent)?)
    }

    /// The agent with the lowest mean latency of those seen often enough.
    pub(crate) fn fastest(&self) -> Option<(u32, f64)> {
        let agents = self.agents.subjects.iter();
        agents
            .filter_map(|(&index, one)| Some((index, mean_latency(one)?)))
            .min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
    }

    /// The agent that is most certain to succeed, if its interval lies above `high`: its
    /// posterior and its attempts.
    pub(crate) fn surer_than(&self, high: f64) -> Option<(u32, Beta, u64)> {
        let agents = self.agents.subjects.iter();
        let best = agents
            .map(|(&index, one)| (index, attempts(one)))
            .map(|(index, (good, bad))| (index, self.posterior(good, bad), good + bad))
            .max_by(|a, b| a.1.mean().total_cmp(&b.1.mean()).then(b.0.cmp(&a.0)))?;
        (best.1.quantile(0.025) > high).then_some(best)
    }
}

fn attempts(one: &Subject) -> (u64, u64) {
    let ever = |count| one.timeline.ever(count);
    (
        ever(Count::Completed),
        ever(Count::Failed) + ever(Count::Retried),
    )
}

fn mean_latency(one: &Subject) -> Option<f64> {
    let all = one.timeline.ever_measured(Measure::Latency);
    all.mean().filter(|_| all.count() >= COMPARED_LEAST)
}
