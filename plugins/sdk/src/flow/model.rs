//! A problem as a scheduler needs it: adjacency, durations with the eligible agents,
//! transfers, what is occupied already.
//!
//! Owns the reading of the contract's columns: whoever schedules from a [`Model`] need not
//! know where a column may be empty. Invariants: the problem is valid, its dependencies
//! have no cycle, and every task that is not fixed has an eligible agent.

use super::graph::{Adjacency, Graph};
use super::validate::validate;
use super::{Problem, Schedule, Timeline};
use crate::{InfeasibleReason, StrategyError, strategy::infeasible};

/// A task that runs already, or ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fixed {
    /// The agent it is on.
    pub agent: u32,
    /// When it began, seconds; negative in the past.
    pub start_s: f64,
    /// When it ends, seconds; 0 or less when it has ended.
    pub finish_s: f64,
}

/// What the transfer of each dependency's data takes between two different agents.
enum Transfers {
    /// The same between any two, by dependency.
    Uniform(Vec<f64>),
    /// By dependency and pair, from the problem's matrices.
    Pairs {
        mean_latency_s: f64,
        mean_s_per_byte: f64,
    },
}

/// A checked view of a problem.
pub struct Model<'a> {
    /// The problem itself.
    pub problem: &'a Problem,
    /// By task, what it depends on.
    pub predecessors: Adjacency,
    /// By task, what depends on it.
    pub successors: Adjacency,
    /// All tasks, each after those it depends on.
    pub order: Vec<u32>,
    tasks: usize,
    agents: usize,
    /// Row-major tasks × agents; `inf` where the agent is not eligible.
    duration_s: Vec<f64>,
    transfers: Transfers,
    /// Columns of the occupation rows: the slots, then each resource that is both demanded
    /// and supplied.
    width: usize,
    /// Row-major tasks × width.
    need: Vec<f64>,
    /// Row-major agents × width.
    capacity: Vec<f64>,
}

impl<'a> Model<'a> {
    /// Reads a problem.
    ///
    /// # Errors
    /// `InvalidInput` for a problem that breaks the contract; `Infeasible` for a cycle, for
    /// a task that no agent is capable of, and for one whose demand exceeds what every
    /// capable agent has.
    pub fn new(problem: &'a Problem) -> Result<Self, StrategyError> {
        validate(problem)?;
        let tasks = problem.tasks.work_s.len();
        let agents = problem.agents.speed.len();
        let graph = Graph::new(tasks, &problem.dependencies)?;
        let mut model = Model {
            problem,
            predecessors: graph.predecessors,
            successors: graph.successors,
            order: graph.order,
            tasks,
            agents,
            duration_s: durations(problem, tasks, agents),
            transfers: transfers(problem, agents),
            width: 1,
            need: Vec::new(),
            capacity: Vec::new(),
        };
        model.exclude_incapable();
        if let Some(task) = model.without_agent() {
            return Err(no_capable_agent(problem, task));
        }
        model.read_demands();
        model.exclude_too_small();
        if let Some(task) = model.without_agent() {
            return Err(infeasible(
                InfeasibleReason::CapacityTooSmall,
                Some(task),
                format!("{{task:{task}}} demands more than any agent capable of it has in all"),
            ));
        }
        Ok(model)
    }

    /// Number of tasks.
    pub fn tasks(&self) -> usize {
        self.tasks
    }

    /// Number of agents.
    pub fn agents(&self) -> usize {
        self.agents
    }

    /// How long `task` runs on `agent`; `inf` where it cannot.
    #[inline]
    pub fn duration_s(&self, task: usize, agent: usize) -> f64 {
        self.duration_s[task * self.agents + agent]
    }

    /// How long `task` runs on each agent; `inf` where it cannot.
    #[inline]
    pub fn durations_s(&self, task: usize) -> &[f64] {
        &self.duration_s[task * self.agents..(task + 1) * self.agents]
    }

    /// The agents that can run `task`, lowest first, with how long it takes there.
    #[inline]
    pub fn eligible(&self, task: usize) -> impl Iterator<Item = (usize, f64)> {
        self.durations_s(task)
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, duration_s)| duration_s.is_finite())
    }

    /// How long `task` runs where it runs fastest; 0 for a fixed task that no agent can run.
    pub fn fastest_s(&self, task: usize) -> f64 {
        let fastest = self
            .durations_s(task)
            .iter()
            .fold(f64::INFINITY, |a, &b| a.min(b));
        if fastest.is_finite() { fastest } else { 0.0 }
    }

    /// What it costs to run `task` on `agent`.
    #[inline]
    pub fn cost(&self, task: usize, agent: usize) -> f64 {
        self.duration_s(task, agent) * self.problem.agents.cost_per_s[agent]
    }

    /// What the transfer of a dependency's data takes from one agent to another.
    #[inline]
    pub fn transfer_s(&self, edge: usize, from: usize, to: usize) -> f64 {
        if from == to {
            return 0.0;
        }
        match &self.transfers {
            Transfers::Uniform(seconds) => seconds[edge],
            Transfers::Pairs { .. } => {
                let links = &self.problem.communication;
                let pair = from * self.agents + to;
                links.pair_latency_s[pair]
                    + self.problem.dependencies.data_bytes[edge]
                        / links.pair_bandwidth_bytes_per_s[pair]
            }
        }
    }

    /// The mean of [`transfer_s`](Self::transfer_s) over all pairs of different agents; 0
    /// where there is one agent.
    #[inline]
    pub fn mean_transfer_s(&self, edge: usize) -> f64 {
        match &self.transfers {
            Transfers::Uniform(_) if self.agents < 2 => 0.0,
            Transfers::Uniform(seconds) => seconds[edge],
            Transfers::Pairs {
                mean_latency_s,
                mean_s_per_byte,
            } => mean_latency_s + self.problem.dependencies.data_bytes[edge] * mean_s_per_byte,
        }
    }

    /// The earliest start of `task` that its release allows; not before 0.
    #[inline]
    pub fn release_s(&self, task: usize) -> f64 {
        match self.problem.tasks.release_s.get(task) {
            Some(release_s) => release_s.max(0.0),
            None => 0.0,
        }
    }

    /// The latest finish of `task`, `inf` for none.
    #[inline]
    pub fn deadline_s(&self, task: usize) -> f64 {
        let deadlines = &self.problem.tasks.deadline_s;
        deadlines.get(task).copied().unwrap_or(f64::INFINITY)
    }

    /// Where and when `task` runs or ran, if it is fixed.
    #[inline]
    pub fn fixed(&self, task: usize) -> Option<Fixed> {
        let columns = &self.problem.tasks;
        let agent = u32::try_from(*columns.fixed_agent.get(task)?).ok()?;
        Some(Fixed {
            agent,
            start_s: columns.fixed_start_s[task],
            finish_s: columns.fixed_finish_s[task],
        })
    }

    /// Number of tasks that are not fixed.
    pub fn unfixed(&self) -> usize {
        let fixed = &self.problem.tasks.fixed_agent;
        self.tasks - fixed.iter().filter(|&&agent| agent >= 0).count()
    }

    /// What `task` occupies while it runs, a row as [`Timeline`] takes it.
    #[inline]
    pub fn need(&self, task: usize) -> &[f64] {
        &self.need[task * self.width..(task + 1) * self.width]
    }

    /// What `agent` has, a row as [`Timeline`] takes it: its slots, then its supply of each
    /// resource that binds anywhere, `inf` where it is not bound.
    #[inline]
    pub fn capacity(&self, agent: usize) -> &[f64] {
        &self.capacity[agent * self.width..(agent + 1) * self.width]
    }

    /// When the data of all predecessors of `task` that `schedule` has placed are on each
    /// agent; not before the task's release. `arrival_s` has one entry an agent.
    pub fn arrivals_s(&self, task: usize, schedule: &Schedule, arrival_s: &mut [f64]) {
        arrival_s.fill(self.release_s(task));
        for link in self.predecessors.of(task) {
            let (from, edge) = (link.task as usize, link.edge as usize);
            let Some((at, finish_s)) = schedule.get(from) else {
                continue;
            };
            let local_s = arrival_s[at].max(finish_s);
            match &self.transfers {
                Transfers::Uniform(seconds) => {
                    let there_s = finish_s + seconds[edge];
                    for arrival_s in arrival_s.iter_mut() {
                        *arrival_s = arrival_s.max(there_s);
                    }
                }
                Transfers::Pairs { .. } => {
                    for (agent, arrival_s) in arrival_s.iter_mut().enumerate() {
                        let there_s = finish_s + self.transfer_s(edge, at, agent);
                        *arrival_s = arrival_s.max(there_s);
                    }
                }
            }
            arrival_s[at] = local_s;
        }
    }

    /// Each agent with nothing on it.
    pub fn free_timelines(&self) -> Vec<Timeline> {
        (self.capacity.chunks_exact(self.width))
            .map(Timeline::new)
            .collect()
    }

    /// Each agent with what occupies it already: the slots held by work outside the
    /// problem, and the fixed tasks.
    pub fn timelines(&self) -> Vec<Timeline> {
        let mut timelines = self.free_timelines();
        let mut slot = vec![0.0; self.width];
        slot[0] = 1.0;
        let agents = &self.problem.agents;
        for (&agent, &until_s) in agents.busy_agent.iter().zip(&agents.busy_until_s) {
            timelines[agent as usize].reserve(0.0, until_s, &slot);
        }
        if !self.problem.tasks.fixed_agent.is_empty() {
            for task in 0..self.tasks {
                if let Some(fixed) = self.fixed(task) {
                    timelines[fixed.agent as usize].reserve(
                        fixed.start_s,
                        fixed.finish_s,
                        self.need(task),
                    );
                }
            }
        }
        timelines
    }

    /// The lowest task that is not fixed and has no eligible agent.
    fn without_agent(&self) -> Option<usize> {
        (0..self.tasks).find(|&task| {
            self.durations_s(task).iter().all(|s| s.is_infinite()) && self.fixed(task).is_none()
        })
    }

    fn exclude_incapable(&mut self) {
        let required = &self.problem.requirements;
        if required.task.is_empty() {
            return;
        }
        let agents = &self.problem.agents;
        let mut has: Vec<(u32, u32)> = agents
            .capability
            .iter()
            .copied()
            .zip(agents.capability_agent.iter().copied())
            .collect();
        has.sort_unstable();
        for (&task, &capability) in required.task.iter().zip(&required.capability) {
            let row = task as usize * self.agents;
            let mut holders = has[has.partition_point(|&(c, _)| c < capability)..]
                .iter()
                .take_while(|&&(c, _)| c == capability)
                .map(|&(_, agent)| agent as usize)
                .peekable();
            for agent in 0..self.agents {
                // An agent may be listed twice for one capability.
                let mut holds = false;
                while holders.next_if_eq(&agent).is_some() {
                    holds = true;
                }
                if !holds {
                    self.duration_s[row + agent] = f64::INFINITY;
                }
            }
        }
    }

    /// Numbers the resources that can bind, and fills `need` and `capacity`.
    fn read_demands(&mut self) {
        let demands = &self.problem.demands;
        let agents = &self.problem.agents;
        let mut resources = demands.resource.clone();
        resources.sort_unstable();
        resources.dedup();
        let mut supplied = agents.supply_resource.clone();
        supplied.sort_unstable();
        resources.retain(|resource| supplied.binary_search(resource).is_ok());

        self.width = 1 + resources.len();
        self.need = vec![0.0; self.tasks * self.width];
        for row in self.need.chunks_exact_mut(self.width) {
            row[0] = 1.0;
        }
        for (k, &task) in demands.task.iter().enumerate() {
            if let Ok(column) = resources.binary_search(&demands.resource[k]) {
                self.need[task as usize * self.width + 1 + column] += demands.amount[k];
            }
        }
        self.capacity = vec![f64::INFINITY; self.agents * self.width];
        for (row, &slots) in self
            .capacity
            .chunks_exact_mut(self.width)
            .zip(&agents.slots)
        {
            row[0] = f64::from(slots);
        }
        for (k, &agent) in agents.supply_agent.iter().enumerate() {
            if let Ok(column) = resources.binary_search(&agents.supply_resource[k]) {
                let supply = &mut self.capacity[agent as usize * self.width + 1 + column];
                // Several entries of one resource add up.
                let before = if supply.is_infinite() { 0.0 } else { *supply };
                *supply = before + agents.supply_amount[k];
            }
        }
    }

    fn exclude_too_small(&mut self) {
        if self.width == 1 {
            return;
        }
        let empty = self.free_timelines();
        for task in 0..self.tasks {
            for (agent, timeline) in empty.iter().enumerate() {
                if !timeline.can_hold(self.need(task)) {
                    self.duration_s[task * self.agents + agent] = f64::INFINITY;
                }
            }
        }
    }
}

fn durations(problem: &Problem, tasks: usize, agents: usize) -> Vec<f64> {
    if !problem.durations.duration_s.is_empty() {
        return problem.durations.duration_s.clone();
    }
    let mut durations = Vec::with_capacity(tasks * agents);
    for work_s in &problem.tasks.work_s {
        durations.extend(problem.agents.speed.iter().map(|speed| work_s / speed));
    }
    durations
}

fn transfers(problem: &Problem, agents: usize) -> Transfers {
    let links = &problem.communication;
    if links.pair_latency_s.is_empty() {
        let seconds = |bytes: &f64| links.latency_s + bytes / links.bandwidth_bytes_per_s;
        let bytes = &problem.dependencies.data_bytes;
        return Transfers::Uniform(bytes.iter().map(seconds).collect());
    }
    let mut latency_s = 0.0;
    let mut s_per_byte = 0.0;
    for pair in (0..agents * agents).filter(|pair| pair / agents != pair % agents) {
        latency_s += links.pair_latency_s[pair];
        s_per_byte += 1.0 / links.pair_bandwidth_bytes_per_s[pair];
    }
    let pairs = (agents * (agents - 1)).max(1) as f64;
    Transfers::Pairs {
        mean_latency_s: latency_s / pairs,
        mean_s_per_byte: s_per_byte / pairs,
    }
}

fn no_capable_agent(problem: &Problem, task: usize) -> StrategyError {
    let needed = problem
        .requirements
        .task
        .iter()
        .filter(|&&of| of as usize == task)
        .count();
    let agents = problem.agents.speed.len();
    let description = if agents == 0 {
        format!("{{task:{task}}} needs an agent and there is none")
    } else if needed == 0 {
        format!("{{task:{task}}} can run on none of the {agents} agents")
    } else {
        format!(
            "none of the {agents} agents has all {needed} capabilities that {{task:{task}}} needs"
        )
    };
    infeasible(InfeasibleReason::NoCapableAgent, Some(task), description)
}
