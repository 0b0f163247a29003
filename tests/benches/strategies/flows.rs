//! Flows: every shipped flow optimizer on real workflows, generated graphs and projects with renewable
//! resources, each asked through the runtime, which checks every plan.
//!
//! Quality is makespan ÷ the best known one, as a geometric mean. CPU is that of the whole process: crossing the sandbox,
//! the guest, and the host's check.

use std::collections::HashMap;
use std::sync::Arc;

use cpu_time::ProcessTime;
use nova_core::ports::StrategyRuntime;
use nova_core::strategy::flow::{self, FlowPlan, FlowProblem, Goal, Objective};
use nova_sdk::flow::testing::{Case, Reference};
use serde_json::Map;

use crate::common::call;

/// Who is asked, and with how many milliseconds.
const ASKED: [(&str, u32); 6] = [
    ("heft", 0),
    ("peft", 0),
    ("cpop", 0),
    ("nova-flow", 0),
    ("nova-flow", 100),
    ("nova-flow", 1000),
];

/// Ratios this near to 1 are 1.
const SAME: f64 = 1e-6;

/// Prints every table.
pub(crate) async fn run(runtime: &dyn StrategyRuntime) {
    let Some(reference) = Reference::find() else {
        return;
    };
    kind(runtime, "workflows", &reference.workflows()).await;
    kind(runtime, "unrelated machines", &reference.unrelated()).await;
    let projects = reference.projects();
    let (small, large): (Vec<Case>, Vec<Case>) =
        (projects.into_iter()).partition(|case| case.problem.tasks.work_s.len() <= 32);
    kind(runtime, "projects (PSPLIB j30)", &small).await;
    kind(runtime, "projects (PSPLIB j60 to j120)", &large).await;
    size(runtime).await;
}

async fn kind(runtime: &dyn StrategyRuntime, title: &str, cases: &[Case]) {
    let proven = cases.iter().filter(|case| case.is_proven).count();
    println!(
        "\n{title}: {} cases, optimum proven for {proven}",
        cases.len()
    );
    println!(
        "{:<10} {:>6} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7} {:>6} {:>9} {:>9}",
        "plugin",
        "budget",
        "ratio",
        "worst",
        "÷ bound",
        "< best",
        "= best",
        "optima",
        "> heft",
        "CPU ms",
        "CPU max"
    );
    let mut heft = HashMap::new();
    let mut found = Vec::new();
    for (plugin, time_ms) in ASKED {
        let mut row = Row::default();
        for case in cases {
            let (plan, cpu_ms) = ask(runtime, plugin, &problem(case, time_ms)).await;
            let ratio = plan.makespan_s / case.best_s;
            if plugin == "heft" {
                heft.insert(&case.id, plan.makespan_s);
            }
            row.add(case, ratio, plan.makespan_s / plan.lower_bound_s, cpu_ms);
            row.above_heft += usize::from(plan.makespan_s > heft[&case.id] * (1.0 + SAME));
            if ratio < 1.0 - SAME && time_ms >= 1000 {
                found.push((case, plan.makespan_s));
            }
        }
        row.print(plugin, time_ms);
    }
    for (case, makespan_s) in found {
        println!(
            "  below the best known: {} {makespan_s:.3}, was {:.3}",
            case.id, case.best_s
        );
    }
}

/// What is counted over the cases of a kind.
#[derive(Default)]
struct Row {
    logs: f64,
    bound_logs: f64,
    worst: f64,
    count: usize,
    below: usize,
    equal: usize,
    optima: usize,
    above_heft: usize,
    cpu_ms: f64,
    cpu_max_ms: f64,
}

impl Row {
    fn add(&mut self, case: &Case, ratio: f64, over_bound: f64, cpu_ms: f64) {
        self.logs += ratio.ln();
        self.bound_logs += over_bound.ln();
        self.worst = self.worst.max(ratio);
        self.count += 1;
        self.below += usize::from(ratio < 1.0 - SAME);
        self.equal += usize::from((ratio - 1.0).abs() <= SAME);
        self.optima += usize::from(case.is_proven && ratio <= 1.0 + SAME);
        self.cpu_ms += cpu_ms;
        self.cpu_max_ms = self.cpu_max_ms.max(cpu_ms);
    }

    fn print(&self, plugin: &str, time_ms: u32) {
        let count = self.count as f64;
        println!(
            "{plugin:<10} {time_ms:>6} {:>8.5} {:>8.5} {:>8.5} {:>7} {:>7} {:>7} {:>6} {:>9.2} {:>9.2}",
            (self.logs / count).exp(),
            self.worst,
            (self.bound_logs / count).exp(),
            self.below,
            self.equal,
            self.optima,
            self.above_heft,
            self.cpu_ms / count,
            self.cpu_max_ms,
        );
    }
}

/// The constructive part on a large problem, and the search on the largest that is promised.
async fn size(runtime: &dyn StrategyRuntime) {
    println!("\nsize: layered graphs, CPU ms the fastest of 5 calls");
    for (tasks, agents, time_ms) in [
        (1000, 16, 0),
        (1000, 16, 1000),
        (5000, 64, 0),
        (5000, 64, 1000),
    ] {
        let problem = layered(tasks, agents, time_ms);
        let edges = problem.dependencies.from.len();
        for plugin in ["heft", "nova-flow"] {
            let mut least_ms = f64::INFINITY;
            let mut makespan_s = 0.0;
            for _ in 0..if time_ms == 0 { 5 } else { 1 } {
                let (plan, cpu_ms) = ask(runtime, plugin, &problem).await;
                least_ms = least_ms.min(cpu_ms);
                makespan_s = plan.makespan_s / plan.lower_bound_s;
            }
            println!(
                "{plugin:<10} {tasks} tasks, {edges} edges, {agents} agents, budget {time_ms:>4}: \
                 {least_ms:>8.2} ms, makespan ÷ bound {makespan_s:.4}"
            );
        }
    }
}

async fn ask(
    runtime: &dyn StrategyRuntime,
    plugin: &str,
    problem: &FlowProblem,
) -> (FlowPlan, f64) {
    let call = call(Some(plugin), Map::new());
    let shared = Arc::new(problem.clone());
    let begun = ProcessTime::now();
    let decided = runtime.optimize(call, shared).await.unwrap();
    let cpu_ms = begun.elapsed().as_secs_f64() * 1e3;
    assert_eq!(decided.strategy.plugin, plugin);
    // The runtime has checked it; a benchmark that claims records checks again.
    flow::check(problem, &decided.answer).unwrap();
    (decided.answer, cpu_ms)
}

/// The host's problem of a case.
fn problem(case: &Case, time_ms: u32) -> FlowProblem {
    let from = &case.problem;
    let mut problem = FlowProblem::new(from.tasks.work_s.clone(), from.agents.speed.clone());
    problem.agents.slots.clone_from(&from.agents.slots);
    let supplies = &mut problem.agents;
    supplies.supply_agent.clone_from(&from.agents.supply_agent);
    (supplies.supply_resource).clone_from(&from.agents.supply_resource);
    (supplies.supply_amount).clone_from(&from.agents.supply_amount);
    problem.demands.task.clone_from(&from.demands.task);
    (problem.demands.resource).clone_from(&from.demands.resource);
    problem.demands.amount.clone_from(&from.demands.amount);
    (problem.dependencies.from).clone_from(&from.dependencies.from);
    problem.dependencies.to.clone_from(&from.dependencies.to);
    (problem.dependencies.data_bytes).clone_from(&from.dependencies.data_bytes);
    problem.duration_s.clone_from(&from.durations.duration_s);
    problem.latency_s = from.communication.latency_s;
    problem.bandwidth_bytes_per_s = from.communication.bandwidth_bytes_per_s;
    problem.budget.time_ms = time_ms;
    problem.budget.max_iterations = u32::MAX;
    problem
}

/// A layered graph of three edges a task, transfers as long as tasks.
fn layered(tasks: usize, agents: usize, time_ms: u32) -> FlowProblem {
    let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
    let mut dice = |sides: usize| {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        (bits >> 16) as usize % sides
    };
    let work: Vec<f64> = (0..tasks).map(|_| 1.0 + dice(100) as f64).collect();
    let speed: Vec<f64> = (0..agents).map(|at| 1.0 + (at % 4) as f64 * 0.5).collect();
    let mut problem = FlowProblem::new(work, speed);
    let width = 2 * agents;
    for to in width..tasks {
        let mut before: Vec<usize> = (0..3)
            .map(|_| to - 1 - dice(2 * width).min(to - 1))
            .collect();
        before.sort_unstable();
        before.dedup();
        for from in before {
            problem.dependencies.from.push(from as u32);
            problem.dependencies.to.push(to as u32);
            (problem.dependencies.data_bytes).push(dice(100) as f64);
        }
    }
    problem.bandwidth_bytes_per_s = 1.0;
    problem.goal = Goal {
        objective: Objective::Performance,
        makespan_weight: 1.0,
        cost_weight: 0.0,
    };
    problem.budget.time_ms = time_ms;
    problem.budget.max_iterations = u32::MAX;
    problem
}
