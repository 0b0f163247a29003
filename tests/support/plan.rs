//! A checker of plans that shares no code with the product: it sees only what a client sees.
//!
//! The model is the one of the reference data: related machines of one or more slots, one bandwidth
//! for all pairs, no transfer on the same machine, no preemption.

use std::collections::HashMap;

use serde_json::Value;

/// What a client knows of the problem.
pub struct Problem {
    /// Seconds at speed 1.0, by task id.
    pub duration_s: HashMap<String, f64>,
    /// (from, to, bytes), by task ids.
    pub edges: Vec<(String, String, f64)>,
    /// (speed, slots), by agent id.
    pub agents: HashMap<String, (f64, usize)>,
    /// `inf` when transfers are free.
    pub bandwidth_bytes_per_s: f64,
}

/// Checks the `plan` of an optimize answer; gives its makespan in seconds.
#[track_caller]
pub fn check_plan(problem: &Problem, plan: &Value) -> f64 {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
    let mut placed: HashMap<&str, (&str, f64, f64)> = HashMap::new();
    let mut by_agent: HashMap<&str, Vec<(f64, f64)>> = HashMap::new();
    for a in plan["assignments"].as_array().unwrap() {
        let (task, agent) = (
            a["task_id"].as_str().unwrap(),
            a["agent_id"].as_str().unwrap(),
        );
        let (start, finish) = (
            a["start_s"].as_f64().unwrap(),
            a["finish_s"].as_f64().unwrap(),
        );
        let (speed, _) = problem.agents[agent];
        assert!(start >= -1e-9, "{task} starts at {start}");
        let duration = problem.duration_s[task] / speed;
        assert!(
            near(finish - start, duration),
            "{task} takes {} on {agent}, not {duration}",
            finish - start
        );
        assert!(
            placed.insert(task, (agent, start, finish)).is_none(),
            "{task} comes twice"
        );
        if duration > 0.0 {
            by_agent.entry(agent).or_default().push((start, finish));
        }
    }
    assert_eq!(
        placed.len(),
        problem.duration_s.len(),
        "every task exactly once"
    );
    for (from, to, bytes) in &problem.edges {
        let ((a, _, ready), (b, start, _)) = (placed[from.as_str()], placed[to.as_str()]);
        let transfer = if a == b {
            0.0
        } else {
            bytes / problem.bandwidth_bytes_per_s
        };
        let earliest = ready + transfer;
        assert!(
            start >= earliest - 1e-6 * earliest.max(1.0),
            "{to} starts at {start}, input at {earliest}"
        );
    }
    for (agent, mut spans) in by_agent {
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        let slots = problem.agents[agent].1;
        for (i, (start, _)) in spans.iter().enumerate() {
            let tolerance = 1e-6 * start.max(1.0);
            let active = spans[..i]
                .iter()
                .filter(|(_, finish)| *finish > start + tolerance)
                .count();
            assert!(
                active < slots,
                "{agent} runs {} tasks at {start}",
                active + 1
            );
        }
    }
    let last = placed
        .values()
        .map(|(_, _, finish)| *finish)
        .fold(0.0, f64::max);
    let makespan = plan["makespan_s"].as_f64().unwrap();
    assert!(
        near(makespan, last),
        "makespan {makespan}, last finish {last}"
    );
    let bound = plan["lower_bound_s"].as_f64().unwrap();
    assert!(
        bound <= makespan * (1.0 + 1e-9),
        "lower bound {bound} above the makespan {makespan}"
    );
    makespan
}
