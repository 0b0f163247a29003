//! Where and when tasks run: what a scheduler fills in, and what becomes the plan.

use super::bound::Bound;
use super::chain::Step;
use super::{Model, Optimization, Plan};

/// The agent of a task that has no place yet.
const NOWHERE: u32 = u32::MAX;

/// Agent, start and finish of each task of a problem, by task.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The agent of each task.
    pub agent: Vec<u32>,
    /// When each task starts, seconds.
    pub start_s: Vec<f64>,
    /// When each task ends, seconds.
    pub finish_s: Vec<f64>,
}

impl Schedule {
    /// Nothing but the fixed tasks in their places.
    pub fn new(model: &Model) -> Self {
        let tasks = model.tasks();
        let mut schedule = Schedule {
            agent: vec![NOWHERE; tasks],
            start_s: vec![0.0; tasks],
            finish_s: vec![0.0; tasks],
        };
        if !model.problem.tasks.fixed_agent.is_empty() {
            for task in 0..tasks {
                if let Some(fixed) = model.fixed(task) {
                    schedule.place(task, fixed.agent as usize, fixed.start_s, fixed.finish_s);
                }
            }
        }
        schedule
    }

    /// The problem's baseline, if it has one.
    pub fn baseline(model: &Model) -> Option<Self> {
        let baseline = &model.problem.baseline;
        (model.tasks() > 0 && !baseline.agent.is_empty()).then(|| Schedule {
            agent: baseline.agent.clone(),
            start_s: baseline.start_s.clone(),
            finish_s: baseline.finish_s.clone(),
        })
    }

    /// Puts a task on an agent.
    #[inline]
    pub fn place(&mut self, task: usize, agent: usize, start_s: f64, finish_s: f64) {
        self.agent[task] = agent as u32;
        self.start_s[task] = start_s;
        self.finish_s[task] = finish_s;
    }

    /// Agent and finish of a task, if it has a place.
    #[inline]
    pub fn get(&self, task: usize) -> Option<(usize, f64)> {
        let agent = self.agent[task];
        (agent != NOWHERE).then(|| (agent as usize, self.finish_s[task]))
    }

    /// The last finish; 0 where that is in the past or there are no tasks.
    pub fn makespan_s(&self) -> f64 {
        self.finish_s.iter().copied().fold(0.0, f64::max)
    }

    /// Execution seconds × cost per second of all tasks that are not fixed.
    pub fn cost(&self, model: &Model) -> f64 {
        (0..model.tasks())
            .filter(|&task| model.fixed(task).is_none())
            .map(|task| model.cost(task, self.agent[task] as usize))
            .sum()
    }

    /// The most tasks that run at one moment from 0 on.
    pub fn peak(&self) -> usize {
        let mut changes: Vec<(f64, i32)> = Vec::with_capacity(2 * self.agent.len());
        for (&start_s, &finish_s) in self.start_s.iter().zip(&self.finish_s) {
            if finish_s > start_s.max(0.0) {
                changes.push((start_s.max(0.0), 1));
                changes.push((finish_s, -1));
            }
        }
        // Ends sort before starts of the same moment.
        changes.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut now = 0;
        let mut peak = 0;
        for (_, change) in changes {
            now += change;
            peak = peak.max(now);
        }
        usize::try_from(peak).unwrap_or(0)
    }

    /// The plan for the host, with makespan, cost and critical path (the tasks of `chain`)
    /// filled in. The bound is cut to the makespan: above it there is only rounding. A strategy
    /// that searches sets `iterations` itself.
    pub fn into_plan(
        self,
        model: &Model,
        bound: &Bound,
        chain: &[Step],
        optimizations: Vec<Optimization>,
        confidence: f64,
    ) -> Plan {
        let makespan_s = self.makespan_s();
        Plan {
            makespan_s,
            cost: self.cost(model),
            lower_bound_s: bound.makespan_s.min(makespan_s),
            critical_path: chain.iter().map(|step| step.task).collect(),
            optimizations,
            iterations: 0,
            confidence,
            task: (0..model.tasks() as u32).collect(),
            agent: self.agent,
            start_s: self.start_s,
            finish_s: self.finish_s,
        }
    }
}
