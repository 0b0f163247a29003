//! A flow's problem as people write it.

use anyhow::{Result, bail};
use nova_core::strategy::flow::{FlowProblem, Objective, first_come_first_served};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::problem::{Problem, index};

/// See `plugins/README.md`, "problems as files".
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlowText {
    tasks: Vec<TaskText>,
    agents: Vec<AgentText>,
    #[serde(default)]
    latency_s: f64,
    /// Absent: transfers are free.
    #[serde(default)]
    bandwidth_bytes_per_s: Option<f64>,
    #[serde(default)]
    objective: ObjectiveText,
    #[serde(default)]
    max_latency_s: Option<f64>,
    #[serde(default)]
    max_cost: Option<f64>,
    #[serde(default)]
    max_iterations: u32,
    #[serde(default)]
    time_ms: u32,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    parameters: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskText {
    id: String,
    work_s: f64,
    #[serde(default)]
    after: Vec<String>,
    /// Bytes that it hands to each task after it.
    #[serde(default)]
    data_bytes: f64,
    #[serde(default = "one")]
    priority: u8,
    #[serde(default)]
    release_s: f64,
    #[serde(default)]
    deadline_s: Option<f64>,
    #[serde(default)]
    needs: Vec<String>,
    /// Seconds on each agent, in their order, in place of work ÷ speed; null where it cannot run.
    #[serde(default)]
    duration_s: Option<Vec<Option<f64>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentText {
    id: String,
    #[serde(default = "unit")]
    speed: f64,
    #[serde(default = "slot")]
    slots: u32,
    #[serde(default)]
    cost_per_s: f64,
    #[serde(default)]
    can: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ObjectiveText {
    #[default]
    Performance,
    Cost,
    Balanced,
}

fn one() -> u8 {
    1
}

fn slot() -> u32 {
    1
}

fn unit() -> f64 {
    1.0
}

impl FlowText {
    /// The problem, with the baseline that the daemon would give it.
    ///
    /// # Errors
    /// A name that is not there; durations that are not one for each agent.
    pub(super) fn problem(mut self) -> Result<Problem> {
        let tasks: Vec<String> = self.tasks.iter().map(|t| t.id.clone()).collect();
        let agents: Vec<String> = self.agents.iter().map(|a| a.id.clone()).collect();
        let works = self.tasks.iter().map(|t| t.work_s).collect();
        let mut problem = FlowProblem::new(works, self.agents.iter().map(|a| a.speed).collect());
        problem.agents.slots = self.agents.iter().map(|a| a.slots).collect();
        problem.agents.cost_per_s = self.agents.iter().map(|a| a.cost_per_s).collect();
        problem.tasks.priority = self.tasks.iter().map(|t| t.priority).collect();
        problem.tasks.release_s = self.tasks.iter().map(|t| t.release_s).collect();
        let deadlines = self
            .tasks
            .iter()
            .map(|t| t.deadline_s.unwrap_or(f64::INFINITY));
        problem.tasks.deadline_s = deadlines.collect();
        problem.latency_s = self.latency_s;
        problem.bandwidth_bytes_per_s = self.bandwidth_bytes_per_s.unwrap_or(f64::INFINITY);
        problem.goal.objective = match self.objective {
            ObjectiveText::Performance => Objective::Performance,
            ObjectiveText::Cost => Objective::Cost,
            ObjectiveText::Balanced => Objective::Balanced,
        };
        problem.goal.cost_weight = if matches!(self.objective, ObjectiveText::Balanced) {
            1.0
        } else {
            0.0
        };
        problem.constraints.max_latency_s = self.max_latency_s.unwrap_or(f64::INFINITY);
        problem.constraints.max_cost = self.max_cost.unwrap_or(f64::INFINITY);
        problem.budget.max_iterations = self.max_iterations;
        problem.budget.time_ms = self.time_ms;
        problem.budget.seed = self.seed;
        problem.parameters = std::mem::take(&mut self.parameters);
        self.tasks_into(&mut problem, &tasks)?;
        let unassigned = vec![None; tasks.len()];
        problem.baseline = first_come_first_served(&problem, &unassigned);
        Ok(Problem::Flow {
            problem: Box::new(problem),
            tasks,
            agents,
        })
    }

    fn tasks_into(self, problem: &mut FlowProblem, tasks: &[String]) -> Result<()> {
        let mut abilities: Vec<String> = Vec::new();
        let mut ability = |name: String| {
            let known = abilities.iter().position(|a| *a == name);
            let at = known.unwrap_or_else(|| {
                abilities.push(name);
                abilities.len() - 1
            });
            u32::try_from(at)
        };
        let data: Vec<f64> = self.tasks.iter().map(|t| t.data_bytes).collect();
        let measured = self.tasks.iter().any(|t| t.duration_s.is_some());
        for (k, task) in self.tasks.into_iter().enumerate() {
            let to = u32::try_from(k)?;
            for before in task.after {
                let from = index(tasks, &before, &format!("tasks[{k}].after"))?;
                problem.dependencies.from.push(from);
                problem.dependencies.to.push(to);
                problem.dependencies.data_bytes.push(data[from as usize]);
            }
            for need in task.needs {
                problem.requirements.task.push(to);
                problem.requirements.capability.push(ability(need)?);
            }
            if measured {
                let own = task.duration_s.unwrap_or_default();
                if own.len() != self.agents.len() {
                    bail!(
                        "tasks[{k}].duration_s has {} entries, {} are needed: one for each agent",
                        own.len(),
                        self.agents.len()
                    );
                }
                let entries = own.into_iter().map(|d| d.unwrap_or(f64::INFINITY));
                problem.duration_s.extend(entries);
            }
        }
        for (k, agent) in self.agents.into_iter().enumerate() {
            for can in agent.can {
                problem.agents.capability_agent.push(u32::try_from(k)?);
                problem.agents.capability.push(ability(can)?);
            }
        }
        Ok(())
    }
}
