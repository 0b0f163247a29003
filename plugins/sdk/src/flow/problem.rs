//! A problem to begin with: every column empty, every bound absent.

use super::{
    Agents, Baseline, Budget, Communication, Constraints, Demands, Dependencies, Durations, Goal,
    Objective, Problem, Requirements, Tasks,
};

impl Default for Problem {
    /// No tasks, no agents; the makespan is to be small, nothing bounds it, transfers are
    /// free, settings and parameters are empty.
    fn default() -> Self {
        Problem {
            tasks: Tasks {
                work_s: Vec::new(),
                priority: Vec::new(),
                release_s: Vec::new(),
                deadline_s: Vec::new(),
                fixed_agent: Vec::new(),
                fixed_start_s: Vec::new(),
                fixed_finish_s: Vec::new(),
            },
            requirements: Requirements {
                task: Vec::new(),
                capability: Vec::new(),
            },
            demands: Demands {
                task: Vec::new(),
                resource: Vec::new(),
                amount: Vec::new(),
            },
            dependencies: Dependencies {
                from: Vec::new(),
                to: Vec::new(),
                data_bytes: Vec::new(),
            },
            agents: Agents {
                speed: Vec::new(),
                slots: Vec::new(),
                cost_per_s: Vec::new(),
                capability_agent: Vec::new(),
                capability: Vec::new(),
                supply_agent: Vec::new(),
                supply_resource: Vec::new(),
                supply_amount: Vec::new(),
                busy_agent: Vec::new(),
                busy_until_s: Vec::new(),
            },
            durations: Durations {
                duration_s: Vec::new(),
            },
            communication: Communication {
                latency_s: 0.0,
                bandwidth_bytes_per_s: f64::INFINITY,
                pair_latency_s: Vec::new(),
                pair_bandwidth_bytes_per_s: Vec::new(),
            },
            goal: Goal {
                objective: Objective::Performance,
                makespan_weight: 1.0,
                cost_weight: 0.0,
            },
            constraints: Constraints {
                max_latency_s: f64::INFINITY,
                max_cost: f64::INFINITY,
                min_throughput: 0.0,
                deadline_s: f64::INFINITY,
            },
            budget: Budget {
                max_iterations: 0,
                time_ms: 0,
                seed: 0,
            },
            baseline: Baseline {
                agent: Vec::new(),
                start_s: Vec::new(),
                finish_s: Vec::new(),
            },
            settings: "{}".to_owned(),
            parameters: "{}".to_owned(),
        }
    }
}
