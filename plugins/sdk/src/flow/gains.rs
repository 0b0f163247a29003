//! What the answer does better than the baseline, and by how much.
//!
//! The makespan of a schedule is the sum of what its chain
//! ([`chain::steps`]) spends: running the tasks that lead to
//! its end, waiting while other tasks hold an agent, waiting for data that travel, and
//! waiting for anything else (a release, work outside the flow). Baseline and answer are
//! taken apart that way; each part that shrank is an optimization. Parts may also have
//! grown, so the gains are scaled down together, until their sum is what the makespan
//! gained; that scale, the part of the gains that was not paid for elsewhere, is the
//! confidence. Nothing is reported when the makespan did not shrink.
//!
//! With the objective `cost` there is one optimization, the cost saved; its confidence is
//! that cost ÷ what the tasks that became cheaper save, likewise.

use super::chain::{self, Hold, Step};
use super::{Model, Objective, Optimization, Schedule};

/// Gains smaller than this part of the baseline are rounding.
const NOTHING: f64 = 1e-9;

/// What the chain of a schedule spends its time on; seconds from 0 on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parts {
    /// Running tasks whose result is needed next.
    pub work_s: f64,
    /// Running tasks that merely held the agent of the next one.
    pub queue_s: f64,
    /// Data on the way.
    pub transfer_s: f64,
    /// Nothing: before a release, or while work outside the flow holds the agent.
    pub idle_s: f64,
}

impl Parts {
    /// Takes a schedule apart along its chain. The parts sum up to its makespan.
    pub fn of(schedule: &Schedule, steps: &[Step]) -> Self {
        let mut parts = Parts::default();
        let mut now_s = 0.0;
        for (at, step) in steps.iter().enumerate() {
            let task = step.task as usize;
            let gap_s = (schedule.start_s[task] - now_s).max(0.0);
            match step.hold {
                Hold::Data => parts.transfer_s += gap_s,
                Hold::Agent | Hold::Nothing => parts.idle_s += gap_s,
            }
            let from_s = now_s.max(schedule.start_s[task]);
            let run_s = (schedule.finish_s[task] - from_s).max(0.0);
            match steps.get(at + 1) {
                Some(next) if next.hold == Hold::Agent => parts.queue_s += run_s,
                _ => parts.work_s += run_s,
            }
            now_s = from_s + run_s;
        }
        parts
    }
}

/// The optimizations against the problem's baseline, the largest first; none without one.
/// `steps` is the chain of the answer.
pub fn optimizations(model: &Model, answer: &Schedule, steps: &[Step]) -> Vec<Optimization> {
    let Some(baseline) = Schedule::baseline(model) else {
        return Vec::new();
    };
    if model.problem.goal.objective == Objective::Cost {
        return cost_gain(model, &baseline, answer).into_iter().collect();
    }
    let (before_s, after_s) = (baseline.makespan_s(), answer.makespan_s());
    let gain_s = before_s - after_s;
    if gain_s <= NOTHING * before_s.abs() {
        return Vec::new();
    }
    let baseline_steps = chain::steps(model, &baseline);
    let before = Parts::of(&baseline, &baseline_steps);
    let after = Parts::of(answer, steps);
    let shrunk = [
        (work as Describe, before.work_s, after.work_s),
        (queue, before.queue_s, after.queue_s),
        (transfer, before.transfer_s, after.transfer_s),
        (idle, before.idle_s, after.idle_s),
    ];
    let total_s: f64 = (shrunk.iter())
        .map(|(_, before_s, after_s)| (before_s - after_s).max(0.0))
        .sum();
    let kept = (gain_s / total_s).clamp(0.0, 1.0);
    let mut optimizations: Vec<Optimization> = shrunk
        .into_iter()
        .filter(|(_, from_s, to_s)| from_s - to_s > NOTHING * before_s.abs())
        .map(|(describe, from_s, to_s)| {
            let (kind, description) = describe(&Change {
                model,
                baseline: &baseline,
                baseline_steps: &baseline_steps,
                answer,
                from_s,
                to_s,
            });
            Optimization {
                kind: kind.to_owned(),
                description,
                impact: (from_s - to_s) * kept,
                confidence: kept,
            }
        })
        .collect();
    optimizations.sort_by(|a, b| b.impact.total_cmp(&a.impact));
    optimizations
}

/// A part that shrank from `from_s` to `to_s`.
struct Change<'a> {
    model: &'a Model<'a>,
    baseline: &'a Schedule,
    baseline_steps: &'a [Step],
    answer: &'a Schedule,
    from_s: f64,
    to_s: f64,
}

type Describe = fn(&Change) -> (&'static str, String);

fn work(change: &Change) -> (&'static str, String) {
    let model = change.model;
    let faster = |task: &usize| {
        let (now, then) = (change.answer.agent[*task], change.baseline.agent[*task]);
        model.duration_s(*task, now as usize) < model.duration_s(*task, then as usize)
    };
    let moved: Vec<usize> = (change.baseline_steps.iter())
        .map(|step| step.task as usize)
        .filter(faster)
        .collect();
    let mut description = format!(
        "The tasks that determine the end run {:.3} s instead of {:.3} s",
        change.to_s, change.from_s
    );
    if let Some(&first) = moved.first() {
        description += &format!(
            "; {} of the former moved to faster agents, first {{task:{first}}} from {{agent:{}}} \
             to {{agent:{}}}",
            moved.len(),
            change.baseline.agent[first],
            change.answer.agent[first]
        );
    }
    ("shorten-critical-path", description)
}

fn queue(change: &Change) -> (&'static str, String) {
    let (before, after) = (change.baseline.peak(), change.answer.peak());
    let waiting = format!(
        "the tasks that determine the end wait {:.3} s instead of {:.3} s for agents that run \
         others",
        change.to_s, change.from_s
    );
    if after > before {
        let description = format!("Up to {after} tasks run at once instead of {before}: {waiting}");
        ("parallelize", description)
    } else {
        let load = |schedule| busiest_s(change.model, schedule);
        let description = format!(
            "The busiest agent works {:.3} s a slot instead of {:.3} s: {waiting}",
            load(change.answer),
            load(change.baseline)
        );
        ("balance-load", description)
    }
}

fn transfer(change: &Change) -> (&'static str, String) {
    let edges = &change.model.problem.dependencies;
    let crossing = |schedule: &Schedule| {
        (edges.from.iter().zip(&edges.to))
            .filter(|(from, to)| schedule.agent[**from as usize] != schedule.agent[**to as usize])
            .count()
    };
    let description = format!(
        "Data on the way to the end travel {:.3} s instead of {:.3} s; {} of {} dependencies \
         cross agents, before {}",
        change.to_s,
        change.from_s,
        crossing(change.answer),
        edges.from.len(),
        crossing(change.baseline)
    );
    ("avoid-transfer", description)
}

fn idle(change: &Change) -> (&'static str, String) {
    let description = format!(
        "The tasks that determine the end wait {:.3} s instead of {:.3} s while nothing of this \
         flow holds them",
        change.to_s, change.from_s
    );
    ("fill-idle", description)
}

/// The most seconds of work from 0 on that a slot of any agent has.
fn busiest_s(model: &Model, schedule: &Schedule) -> f64 {
    let mut load_s = vec![0.0; model.agents()];
    for task in 0..model.tasks() {
        let start_s = schedule.start_s[task].max(0.0);
        load_s[schedule.agent[task] as usize] += (schedule.finish_s[task] - start_s).max(0.0);
    }
    (load_s.iter().zip(&model.problem.agents.slots))
        .map(|(load_s, &slots)| load_s / f64::from(slots))
        .fold(0.0, f64::max)
}

fn cost_gain(model: &Model, baseline: &Schedule, answer: &Schedule) -> Option<Optimization> {
    let (before, after) = (baseline.cost(model), answer.cost(model));
    // A baseline on an agent that cannot run its task has no finite cost to compare with.
    if !before.is_finite() || before - after <= NOTHING * before {
        return None;
    }
    let savings: Vec<f64> = (0..model.tasks())
        .filter(|&task| model.fixed(task).is_none())
        .map(|task| {
            let (now, then) = (answer.agent[task] as usize, baseline.agent[task] as usize);
            model.cost(task, then) - model.cost(task, now)
        })
        .filter(|saving| *saving > 0.0)
        .collect();
    let (now_s, then_s) = (answer.makespan_s(), baseline.makespan_s());
    Some(Optimization {
        kind: "reduce-cost".to_owned(),
        description: format!(
            "{} tasks run on cheaper agents: the flow costs {after:.3} instead of {before:.3} \
             and ends at {now_s:.3} s instead of {then_s:.3} s",
            savings.len()
        ),
        impact: before - after,
        confidence: ((before - after) / savings.iter().sum::<f64>()).clamp(0.0, 1.0),
    })
}
