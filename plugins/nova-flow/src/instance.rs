//! The problem as the search reads it: flat arrays over the tasks that are still open.
//!
//! Fixed tasks are gone: their data is in `ready_s`, what they occupy in the agents' slots or
//! timelines. Tasks are numbered in topological order of the model.

use nova_sdk::flow::{Model, Timeline};

/// A dependency between open tasks.
#[derive(Clone, Copy)]
pub struct Edge {
    /// The open task at the other end.
    pub task: u32,
    /// Its index in the problem's columns.
    pub column: u32,
    /// What the transfer takes between any two agents; not read where it depends on the pair.
    pub transfer_s: f64,
}

/// The flat problem.
pub struct Instance<'m> {
    /// What it was made of.
    pub model: &'m Model<'m>,
    /// Open tasks.
    pub tasks: usize,
    /// Agents.
    pub agents: usize,
    /// The task of the problem behind each open task.
    pub origin: Vec<u32>,
    /// Row-major tasks × agents; `inf` where not eligible.
    duration_s: Vec<f64>,
    /// Row-major tasks × agents: not before this, by release and data of fixed tasks.
    ready_s: Vec<f64>,
    /// Eligible agents of task t: `eligible[eligible_at[t]..eligible_at[t + 1]]`.
    pub eligible: Vec<u32>,
    /// See `eligible`.
    pub eligible_at: Vec<u32>,
    /// Incoming edges, as `eligible`.
    pub before: Vec<Edge>,
    /// See `before`.
    pub before_at: Vec<u32>,
    /// Outgoing edges, as `eligible`.
    pub after: Vec<Edge>,
    /// See `after`.
    pub after_at: Vec<u32>,
    /// Whether transfers depend on the pair of agents.
    pub by_pair: bool,
    /// What must follow each task at least, on the fastest agents, without transfers.
    pub tail_s: Vec<f64>,
    /// Tasks that have a deadline, and it.
    pub due: Vec<(u32, f64)>,
    /// When each slot of all agents is free from.
    pub free_s: Vec<f64>,
    /// The agent of each slot.
    pub slot_agent: Vec<u32>,
    /// First slot of each agent, and the end.
    slots_at: Vec<u32>,
    /// Agents whose occupation needs a profile over time: those with supplies, and those
    /// whose fixed tasks begin later.
    pub profiles: Vec<Option<Timeline>>,
    /// Whether any agent has one.
    pub has_profiles: bool,
}

impl<'m> Instance<'m> {
    /// Flattens a model.
    pub fn new(model: &'m Model<'m>) -> Self {
        let agents = model.agents();
        let origin: Vec<u32> = (model.order.iter().copied())
            .filter(|&task| model.fixed(task as usize).is_none())
            .collect();
        let tasks = origin.len();
        let mut open = vec![u32::MAX; model.tasks()];
        for (index, &task) in origin.iter().enumerate() {
            open[task as usize] = index as u32;
        }
        let mut instance = Instance {
            model,
            tasks,
            agents,
            duration_s: Vec::with_capacity(tasks * agents),
            ready_s: Vec::with_capacity(tasks * agents),
            eligible: Vec::new(),
            eligible_at: vec![0],
            before: Vec::new(),
            before_at: vec![0],
            after: Vec::new(),
            after_at: vec![0],
            by_pair: !model.problem.communication.pair_latency_s.is_empty(),
            tail_s: vec![0.0; tasks],
            due: Vec::new(),
            free_s: Vec::new(),
            slot_agent: Vec::new(),
            slots_at: vec![0],
            profiles: Vec::new(),
            has_profiles: false,
            origin,
        };
        for index in 0..tasks {
            instance.add_task(index, &open);
        }
        instance.fill_tails();
        instance.add_agents();
        instance
    }

    fn add_task(&mut self, index: usize, open: &[u32]) {
        let model = self.model;
        let task = self.origin[index] as usize;
        let deadline_s = model.deadline_s(task);
        if deadline_s.is_finite() {
            self.due.push((index as u32, deadline_s));
        }
        self.duration_s.extend_from_slice(model.durations_s(task));
        let row = self.ready_s.len();
        (self.ready_s).extend(std::iter::repeat_n(model.release_s(task), self.agents));
        for link in model.predecessors.of(task) {
            let from = link.task as usize;
            if let Some(fixed) = model.fixed(from) {
                for agent in 0..self.agents {
                    let way_s = model.transfer_s(link.edge as usize, fixed.agent as usize, agent);
                    let ready_s = &mut self.ready_s[row + agent];
                    *ready_s = ready_s.max(fixed.finish_s + way_s);
                }
            } else {
                (self.before).push(edge(model, open[from], link.edge));
            }
        }
        self.before_at.push(self.before.len() as u32);
        for link in model.successors.of(task) {
            let to = open[link.task as usize];
            if to != u32::MAX {
                (self.after).push(edge(model, to, link.edge));
            }
        }
        self.after_at.push(self.after.len() as u32);
        let agents = model.eligible(task).map(|(agent, _)| agent as u32);
        self.eligible.extend(agents);
        self.eligible_at.push(self.eligible.len() as u32);
    }

    fn fill_tails(&mut self) {
        for index in (0..self.tasks).rev() {
            let tail_s = (self.after_of(index).iter())
                .map(|edge| {
                    let next = edge.task as usize;
                    self.tail_s[next] + self.model.fastest_s(self.origin[next] as usize)
                })
                .fold(0.0, f64::max);
            self.tail_s[index] = tail_s;
        }
    }

    fn add_agents(&mut self) {
        let model = self.model;
        let columns = &model.problem.agents;
        let timelines = model.timelines();
        for (agent, timeline) in timelines.into_iter().enumerate() {
            let has_supply = model.capacity(agent)[1..]
                .iter()
                .any(|supply| supply.is_finite());
            // What occupies it from now on is free from one moment on, slot by slot.
            let mut held: Vec<f64> = (columns.busy_agent.iter().zip(&columns.busy_until_s))
                .filter(|&(&at, _)| at as usize == agent)
                .map(|(_, &until_s)| until_s)
                .collect();
            let mut begins_later = false;
            for task in 0..model.tasks() {
                if let Some(fixed) = model.fixed(task)
                    && fixed.agent as usize == agent
                    && fixed.finish_s > fixed.start_s.max(0.0)
                {
                    begins_later |= fixed.start_s > 0.0;
                    held.push(fixed.finish_s);
                }
            }
            let slots = columns.slots[agent] as usize;
            let first = self.free_s.len();
            // More slots than tasks bind nothing.
            let count = slots.min(self.tasks + held.len()).max(1);
            let needs_profile = has_supply || begins_later || held.len() > count;
            held.truncate(count);
            self.free_s
                .extend(held.iter().map(|until_s| until_s.max(0.0)));
            self.free_s.resize(first + count, 0.0);
            self.slot_agent.resize(first + count, agent as u32);
            self.slots_at.push(self.free_s.len() as u32);
            self.has_profiles |= needs_profile;
            self.profiles.push(needs_profile.then_some(timeline));
        }
    }

    /// How long a task runs on an agent.
    #[inline]
    pub fn duration_s(&self, task: usize, agent: u32) -> f64 {
        self.duration_s[task * self.agents + agent as usize]
    }

    /// Before when a task cannot start on an agent.
    #[inline]
    pub fn ready_s(&self, task: usize, agent: u32) -> f64 {
        self.ready_s[task * self.agents + agent as usize]
    }

    /// What it costs to run a task on an agent.
    #[inline]
    pub fn cost(&self, task: usize, agent: u32) -> f64 {
        self.duration_s(task, agent) * self.model.problem.agents.cost_per_s[agent as usize]
    }

    /// The mean over all tasks of their mean durations.
    pub fn mean_run_s(&self) -> f64 {
        let mean_s = |task: usize| {
            let eligible = self.eligible_of(task);
            let sum_s: f64 = (eligible.iter())
                .map(|&agent| self.duration_s(task, agent))
                .sum();
            sum_s / eligible.len() as f64
        };
        (0..self.tasks).map(mean_s).sum::<f64>() / self.tasks as f64
    }

    /// The mean transfer of a dependency.
    pub fn mean_transfer_s(&self) -> f64 {
        let sum_s: f64 = self.before.iter().map(|edge| edge.transfer_s).sum();
        sum_s / self.before.len().max(1) as f64
    }

    /// The slots of an agent.
    #[inline]
    pub fn slots_of(&self, agent: usize) -> std::ops::Range<usize> {
        self.slots_at[agent] as usize..self.slots_at[agent + 1] as usize
    }

    /// Edges into a task.
    #[inline]
    pub fn before_of(&self, task: usize) -> &[Edge] {
        &self.before[self.before_at[task] as usize..self.before_at[task + 1] as usize]
    }

    /// Edges out of a task.
    #[inline]
    pub fn after_of(&self, task: usize) -> &[Edge] {
        &self.after[self.after_at[task] as usize..self.after_at[task + 1] as usize]
    }

    /// Agents that can run a task.
    #[inline]
    pub fn eligible_of(&self, task: usize) -> &[u32] {
        &self.eligible[self.eligible_at[task] as usize..self.eligible_at[task + 1] as usize]
    }

    /// What an edge's transfer takes between two agents.
    #[inline]
    pub fn transfer_s(&self, edge: &Edge, from: u32, to: u32) -> f64 {
        if from == to {
            0.0
        } else if self.by_pair {
            (self.model).transfer_s(edge.column as usize, from as usize, to as usize)
        } else {
            edge.transfer_s
        }
    }
}

fn edge(model: &Model, task: u32, column: u32) -> Edge {
    Edge {
        task,
        column,
        // With one agent there is no pair; nothing reads it then.
        transfer_s: model.mean_transfer_s(column as usize),
    }
}
