//! The problem and the plan in columns, as `wit/v0.1/flow-optimizer.wit` documents them.
//!
//! Recorded decisions carry them: a field that is added later gets `#[serde(default)]`, or what was recorded
//! before it can no longer be read.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is to be small.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The makespan.
    #[default]
    Performance,
    /// Execution seconds × cost per second.
    Cost,
    /// Both, weighted.
    Balanced,
}

/// Columns of length T.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct TaskColumns {
    pub work_s: Vec<f64>,
    pub priority: Vec<u8>,
    pub release_s: Vec<f64>,
    pub deadline_s: Vec<f64>,
    pub fixed_agent: Vec<i32>,
    pub fixed_start_s: Vec<f64>,
    pub fixed_finish_s: Vec<f64>,
}

/// Pairs (task, capability).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Requirements {
    pub task: Vec<u32>,
    pub capability: Vec<u32>,
}

/// Triples (task, resource, amount).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Demands {
    pub task: Vec<u32>,
    pub resource: Vec<u32>,
    pub amount: Vec<f64>,
}

/// Columns, one entry a dependency.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Transfers {
    pub from: Vec<u32>,
    pub to: Vec<u32>,
    pub data_bytes: Vec<f64>,
}

/// Columns of length A and pairs over agents.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Agents {
    pub speed: Vec<f64>,
    pub slots: Vec<u32>,
    pub cost_per_s: Vec<f64>,
    pub capability_agent: Vec<u32>,
    pub capability: Vec<u32>,
    pub supply_agent: Vec<u32>,
    pub supply_resource: Vec<u32>,
    pub supply_amount: Vec<f64>,
    pub busy_agent: Vec<u32>,
    pub busy_until_s: Vec<f64>,
}

/// The objective with its weights.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Goal {
    pub objective: Objective,
    pub makespan_weight: f64,
    pub cost_weight: f64,
}

/// Bounds that a plan keeps.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Constraints {
    pub max_latency_s: f64,
    pub max_cost: f64,
    pub min_throughput: f64,
    pub deadline_s: f64,
}

impl Default for Constraints {
    fn default() -> Self {
        Self {
            max_latency_s: f64::INFINITY,
            max_cost: f64::INFINITY,
            min_throughput: 0.0,
            deadline_s: f64::INFINITY,
        }
    }
}

/// How much effort a plan may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Budget {
    pub max_iterations: u32,
    pub time_ms: u32,
    pub seed: u64,
}

/// The schedule that a plan is compared with; columns of length T, or empty.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Baseline {
    pub agent: Vec<u32>,
    pub start_s: Vec<f64>,
    pub finish_s: Vec<f64>,
}

impl Baseline {
    /// Its last finish; none when there is no baseline.
    pub fn makespan_s(&self) -> Option<f64> {
        self.finish_s
            .iter()
            .copied()
            .reduce(f64::max)
            .map(|m| m.max(0.0))
    }
}

/// A scheduling problem.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FlowProblem {
    /// The tasks.
    pub tasks: TaskColumns,
    /// What they need.
    pub requirements: Requirements,
    /// What they occupy.
    pub demands: Demands,
    /// Who waits for whom.
    pub dependencies: Transfers,
    /// Who can work.
    pub agents: Agents,
    /// Row-major T × A durations, or empty.
    pub duration_s: Vec<f64>,
    /// Seconds before the first byte of a transfer.
    pub latency_s: f64,
    /// Bytes a second, `inf` = free.
    pub bandwidth_bytes_per_s: f64,
    /// Row-major A × A, or empty.
    pub pair_latency_s: Vec<f64>,
    /// Row-major A × A, or empty.
    pub pair_bandwidth_bytes_per_s: Vec<f64>,
    /// What is to be small.
    pub goal: Goal,
    /// Bounds.
    pub constraints: Constraints,
    /// Effort.
    pub budget: Budget,
    /// What the plan is compared with.
    pub baseline: Baseline,
    /// The request's open-ended parameters (the plugin's settings are added by the runtime).
    pub parameters: Map<String, Value>,
}

impl FlowProblem {
    /// A problem over these tasks and agents, everything else at its neutral value.
    pub fn new(work_s: Vec<f64>, speed: Vec<f64>) -> Self {
        let (tasks, agents) = (work_s.len(), speed.len());
        Self {
            tasks: TaskColumns {
                work_s,
                priority: vec![1; tasks],
                ..TaskColumns::default()
            },
            requirements: Requirements::default(),
            demands: Demands::default(),
            dependencies: Transfers::default(),
            agents: Agents {
                speed,
                slots: vec![1; agents],
                cost_per_s: vec![0.0; agents],
                ..Agents::default()
            },
            duration_s: Vec::new(),
            latency_s: 0.0,
            bandwidth_bytes_per_s: f64::INFINITY,
            pair_latency_s: Vec::new(),
            pair_bandwidth_bytes_per_s: Vec::new(),
            goal: Goal {
                objective: Objective::Performance,
                makespan_weight: 1.0,
                cost_weight: 0.0,
            },
            constraints: Constraints::default(),
            budget: Budget {
                max_iterations: 0,
                time_ms: 0,
                seed: 0,
            },
            baseline: Baseline::default(),
            parameters: Map::new(),
        }
    }

    /// T.
    pub fn task_count(&self) -> usize {
        self.tasks.work_s.len()
    }

    /// A.
    pub fn agent_count(&self) -> usize {
        self.agents.speed.len()
    }

    /// Execution time of a task on an agent, `inf` where it cannot run (capabilities apart).
    pub fn execution_s(&self, task: usize, agent: usize) -> f64 {
        match self.duration_s.get(task * self.agent_count() + agent) {
            Some(d) => *d,
            None => self.tasks.work_s[task] / self.agents.speed[agent],
        }
    }

    /// What moving `bytes` from one agent to another takes; nothing on the same one.
    pub fn transfer_s(&self, bytes: f64, from: usize, to: usize) -> f64 {
        if from == to {
            return 0.0;
        }
        let pair = from * self.agent_count() + to;
        let latency = self
            .pair_latency_s
            .get(pair)
            .copied()
            .unwrap_or(self.latency_s);
        let bandwidth = self
            .pair_bandwidth_bytes_per_s
            .get(pair)
            .copied()
            .unwrap_or(self.bandwidth_bytes_per_s);
        latency + if bytes > 0.0 { bytes / bandwidth } else { 0.0 }
    }

    /// The agent on which a task already runs or ran.
    pub fn fixed_agent(&self, task: usize) -> Option<usize> {
        self.tasks
            .fixed_agent
            .get(task)
            .and_then(|a| usize::try_from(*a).ok())
    }

    /// For each task, whether each agent has the capabilities and a finite duration: row-major T × A.
    pub fn eligibility(&self) -> Vec<bool> {
        let (tasks, agents) = (self.task_count(), self.agent_count());
        let capabilities = self
            .requirements
            .capability
            .iter()
            .chain(&self.agents.capability)
            .max()
            .map_or(0, |m| *m as usize + 1);
        let mut has = vec![false; agents * capabilities];
        for (agent, capability) in self
            .agents
            .capability_agent
            .iter()
            .zip(&self.agents.capability)
        {
            has[*agent as usize * capabilities + *capability as usize] = true;
        }
        let mut eligible = vec![true; tasks * agents];
        for (task, capability) in self
            .requirements
            .task
            .iter()
            .zip(&self.requirements.capability)
        {
            for agent in 0..agents {
                eligible[*task as usize * agents + agent] &=
                    has[agent * capabilities + *capability as usize];
            }
        }
        if !self.duration_s.is_empty() {
            for (cell, duration) in eligible.iter_mut().zip(&self.duration_s) {
                *cell &= duration.is_finite();
            }
        }
        eligible
    }

    /// Bytes that the problem takes on its way into a guest, about.
    pub fn size_bytes(&self) -> usize {
        let t = &self.tasks;
        let a = &self.agents;
        let f64s = t.work_s.len()
            + t.release_s.len()
            + t.deadline_s.len()
            + t.fixed_start_s.len()
            + t.fixed_finish_s.len()
            + self.demands.amount.len()
            + self.dependencies.data_bytes.len()
            + a.speed.len()
            + a.cost_per_s.len()
            + a.supply_amount.len()
            + a.busy_until_s.len()
            + self.duration_s.len()
            + self.pair_latency_s.len()
            + self.pair_bandwidth_bytes_per_s.len()
            + 2 * self.baseline.start_s.len();
        let u32s = t.fixed_agent.len()
            + 2 * self.requirements.task.len()
            + 2 * self.demands.task.len()
            + 2 * self.dependencies.from.len()
            + a.slots.len()
            + 2 * a.capability.len()
            + 2 * a.supply_agent.len()
            + a.busy_agent.len()
            + self.baseline.agent.len();
        8 * f64s + 4 * u32s + t.priority.len() + 512
    }
}

/// Something a plan does better than the baseline.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Optimization {
    pub kind: String,
    pub description: String,
    pub impact: f64,
    pub confidence: f64,
}

/// A plan: the answer to a [`FlowProblem`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct FlowPlan {
    pub task: Vec<u32>,
    pub agent: Vec<u32>,
    pub start_s: Vec<f64>,
    pub finish_s: Vec<f64>,
    pub makespan_s: f64,
    pub cost: f64,
    pub lower_bound_s: f64,
    pub critical_path: Vec<u32>,
    pub optimizations: Vec<Optimization>,
    pub iterations: u32,
    pub confidence: f64,
}
