//! One decision for people: `nova plugin run`.

use anyhow::{Result, bail};
use nova_core::strategy::allocation::{AllocationAnswer, AllocationProblem};
use nova_core::strategy::fill_placeholders;
use nova_core::strategy::flow::FlowPlan;
use nova_runtime::{Measured, Tool};

use super::cases::words;
use super::gantt;
use super::problem::Problem;
use super::svg::{self, Bar};

/// Asks once and prints the answer; gives a chart of it where there is one.
///
/// # Errors
/// The plugin refused or failed.
pub(crate) async fn show(tool: &Tool, problem: &Problem) -> Result<Option<String>> {
    match problem {
        Problem::Flow { problem: asked, .. } => {
            let measured = tool.optimize(asked).await.map_err(anyhow::Error::msg)?;
            let plan = answered(problem, measured)?;
            Ok(Some(show_plan(problem, &plan)))
        }
        Problem::Allocation { problem: asked, .. } => {
            let measured = tool.allocate(asked).await.map_err(anyhow::Error::msg)?;
            let answer = answered(problem, measured)?;
            show_allocation(problem, asked, &answer);
            Ok(None)
        }
    }
}

fn answered<T>(problem: &Problem, measured: Measured<T>) -> Result<T> {
    match measured.answer {
        Ok(answer) => {
            println!(
                "answered in {} µs with {} KiB",
                measured.elapsed.as_micros(),
                measured.memory_bytes / 1024
            );
            Ok(answer)
        }
        Err(refusal) => bail!(
            "it refused ({}): {}",
            refusal.code,
            words(problem, &refusal)
        ),
    }
}

fn show_plan(problem: &Problem, plan: &FlowPlan) -> String {
    let name = |word: &str, n: u32| problem.name(word, n as usize).unwrap_or_default();
    let mut bars: Vec<Bar> = (0..plan.task.len())
        .map(|k| Bar {
            row: name("agent", plan.agent[k]),
            label: name("task", plan.task[k]),
            start_s: plan.start_s[k],
            finish_s: plan.finish_s[k],
            critical: plan.critical_path.contains(&plan.task[k]),
        })
        .collect();
    bars.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    println!("makespan    {:.3} s", plan.makespan_s);
    println!("lower bound {:.3} s", plan.lower_bound_s);
    println!("cost        {:.3}", plan.cost);
    println!("confidence  {:.3}", plan.confidence);
    let path: Vec<String> = plan
        .critical_path
        .iter()
        .map(|t| name("task", *t))
        .collect();
    println!("critical    {}", path.join(" → "));
    for gain in &plan.optimizations {
        let text = fill_placeholders(&gain.description, |word, n| problem.name(word, n));
        println!("gain        {text}");
    }
    print!("\n{}", gantt::text(&bars, plan.makespan_s));
    svg::gantt(&bars, plan.makespan_s)
}

fn show_allocation(problem: &Problem, asked: &AllocationProblem, answer: &AllocationAnswer) {
    println!("cost        {:.3}", answer.cost);
    println!("confidence  {:.3}\n", answer.confidence);
    println!(
        "{:<16} {:<16} {:>12} {:>12}",
        "claim", "resource", "requested", "given"
    );
    for (d, given) in answer.amount.iter().enumerate() {
        let (claim, resource) = (asked.demand_claim[d], asked.demand_resource[d]);
        println!(
            "{:<16} {:<16} {:>12.3} {given:>12.3}",
            problem.name("claim", claim as usize).unwrap_or_default(),
            problem
                .name("resource", resource as usize)
                .unwrap_or_default(),
            asked.requested[d]
        );
    }
    for unmet in &answer.unmet {
        let text = fill_placeholders(&unmet.description, |word, n| problem.name(word, n));
        println!("{}: {text}", unmet.reason);
    }
}
