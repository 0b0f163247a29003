//! The path of tasks that released each other, with the time each agent spent on it.
//!
//! Owns the path that led to a task: the host records in one moment that a task ended and
//! that those that waited for it are ready, so the last end of a flow is what released them.
//! The path that leads to a flow's newest end is its critical path so far. Bounded: a few
//! agents, the others together. Knows nothing of how events are told apart.

use serde::{Deserialize, Serialize};

/// Agents told apart on a path.
const AGENTS_MAX: usize = 8;

/// An agent's part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) agent: u32,
    pub(crate) seconds: f64,
    pub(crate) tasks: u32,
}

/// The path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chain {
    /// Seconds that tasks on it ran.
    pub(crate) ran_s: f64,
    /// Seconds that they were ready and waited for an agent.
    pub(crate) waited_s: f64,
    /// Tasks on it.
    pub(crate) tasks: u32,
    /// The agents that ran them, in order of appearance.
    pub(crate) parts: Vec<Part>,
}

impl Chain {
    /// A task on the path waited.
    pub(crate) fn wait(&mut self, seconds: f64) {
        self.waited_s += seconds.max(0.0);
    }

    /// A task on the path, or an attempt at it, ran.
    pub(crate) fn ran(&mut self, agent: Option<u32>, seconds: f64, ended: bool) {
        let (seconds, tasks) = (seconds.max(0.0), u32::from(ended));
        self.ran_s += seconds;
        self.tasks += tasks;
        let Some(agent) = agent else { return };
        if let Some(part) = self.parts.iter_mut().find(|part| part.agent == agent) {
            part.seconds += seconds;
            part.tasks += tasks;
        } else if self.parts.len() < AGENTS_MAX {
            self.parts.push(Part {
                agent,
                seconds,
                tasks,
            });
        }
    }

    /// The agent with the most time on the path.
    pub(crate) fn heaviest(&self) -> Option<Part> {
        let by_time =
            |a: &&Part, b: &&Part| a.seconds.total_cmp(&b.seconds).then(b.agent.cmp(&a.agent));
        self.parts.iter().max_by(by_time).copied()
    }
}
