//! Every shipped optimizer against all schedules of small problems: a refusal is right, an answer valid,
//! the bound true, and the search finds what there is.
//!
//! All orders × all agents, each task as early as it fits: every active schedule, and so the best makespan,
//! the least cost, and whether deadlines can be kept.

use nova_flow::Settings;
use nova_sdk::StrategyError;
use nova_sdk::flow::limits::Limits;
use nova_sdk::flow::place::{Rule, place};
use nova_sdk::flow::testing::{check, random};
use nova_sdk::flow::{Model, Plan, Problem};

/// Most open tasks of a problem tried.
const OPEN: usize = 4;
/// Problems tried.
const PROBLEMS: usize = 400;

type Optimize = fn(&Problem) -> Result<Plan, StrategyError>;

fn searched(problem: &Problem) -> Result<Plan, StrategyError> {
    nova_flow::optimize(problem, &Settings::default())
}

/// What all schedules of a problem say together.
#[derive(Debug)]
struct Best {
    makespan_s: f64,
    cost: f64,
    /// Whether one of them keeps all limits, and the smallest makespan of those.
    within_s: Option<f64>,
}

/// None where there is nothing to choose, or too much.
fn best(problem: &Problem) -> Option<Best> {
    let model = Model::new(problem).ok()?;
    let open: Vec<usize> = (0..model.tasks())
        .filter(|&task| model.fixed(task).is_none())
        .collect();
    if open.is_empty() || open.len() > OPEN || model.agents() > 3 {
        return None;
    }
    let limits = Limits::new(&model);
    let timelines = model.timelines();
    let mut best = Best {
        makespan_s: f64::INFINITY,
        cost: f64::INFINITY,
        within_s: None,
    };
    let mut agents = vec![None; model.tasks()];
    for choice in 0..model.agents().pow(open.len() as u32) {
        let mut rest = choice;
        for &task in &open {
            agents[task] = Some((rest % model.agents()) as u32);
            rest /= model.agents();
        }
        let eligible = |&task: &usize| {
            agents[task].is_some_and(|agent| model.duration_s(task, agent as usize).is_finite())
        };
        if !open.iter().all(eligible) {
            continue;
        }
        for order in orders(open.len()) {
            let mut key = vec![0.0; model.tasks()];
            for (at, &task) in open.iter().enumerate() {
                key[task] = order[at] as f64;
            }
            let schedule = place(&model, &timelines, &key, Rule::Pinned(&agents));
            let (makespan_s, cost) = (schedule.makespan_s(), schedule.cost(&model));
            best.makespan_s = best.makespan_s.min(makespan_s);
            best.cost = best.cost.min(cost);
            if limits.excess(&model, &schedule, makespan_s, cost) == 0.0 {
                let least_s = best.within_s.unwrap_or(f64::INFINITY);
                best.within_s = Some(least_s.min(makespan_s));
            }
        }
    }
    Some(best)
}

fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in orders(count - 1) {
        for at in 0..count {
            let mut order = shorter.clone();
            order.insert(at, count - 1);
            all.push(order);
        }
    }
    all
}

/// Small problems that have an answer while nothing bounds them, and what there is of them.
fn small_problems() -> impl Iterator<Item = (u64, Problem, Best)> {
    let problems = (0u64..).filter_map(|seed| {
        let mut problem = random(seed);
        problem.budget.time_ms = 10;
        problem.budget.max_iterations = 300;
        problem.budget.seed = seed;
        best(&problem).map(|best| (seed, problem, best))
    });
    problems.take(PROBLEMS)
}

#[test]
fn the_search_finds_the_optimum_and_no_bound_exceeds_it() {
    let mut missed = 0;
    for (seed, problem, best) in small_problems() {
        for optimize in [
            searched as Optimize,
            heft::optimize,
            peft::optimize,
            cpop::optimize,
        ] {
            let plan = optimize(&problem).expect("nothing is bounded");
            assert_eq!(check(&problem, &plan), Ok(()), "seed {seed}");
            let room = 1e-9 * best.makespan_s.abs().max(1.0);
            assert!(
                plan.lower_bound_s <= best.makespan_s + room,
                "seed {seed}: {best:?}"
            );
            assert!(
                plan.makespan_s >= best.makespan_s - room,
                "seed {seed}: {best:?}"
            );
        }
        let found_s = searched(&problem).expect("an answer").makespan_s;
        missed += usize::from(found_s > best.makespan_s * (1.0 + 1e-9));
    }
    assert!(
        missed * 50 <= PROBLEMS,
        "{missed} of {PROBLEMS} not optimal"
    );
}

#[test]
fn a_refusal_is_right() {
    let (mut possible, mut missed, mut impossible) = (0, 0, 0);
    for (seed, mut problem, free) in small_problems() {
        // Around what is possible: sometimes below, sometimes above.
        let part = |at: u64| 0.85 + 0.05 * ((seed / at) % 8) as f64;
        match seed % 3 {
            0 => problem.constraints.max_cost = free.cost * part(3),
            1 => problem.constraints.max_latency_s = free.makespan_s * part(3),
            _ => {
                let known = searched(&problem).expect("nothing is bounded");
                let scale = part(3);
                problem.tasks.deadline_s = known.finish_s.iter().map(|s| s * scale).collect();
            }
        }
        if seed % 5 == 0 {
            problem.constraints.max_cost = free.cost * part(7);
        }
        let best = best(&problem).expect("as before");
        for optimize in [
            searched as Optimize,
            heft::optimize,
            peft::optimize,
            cpop::optimize,
        ] {
            match optimize(&problem) {
                Ok(plan) => {
                    assert_eq!(check(&problem, &plan), Ok(()), "seed {seed}");
                    assert!(best.within_s.is_some(), "seed {seed}: {best:?}");
                }
                Err(StrategyError::Infeasible(why)) => assert!(
                    best.within_s.is_none() || why.description.contains("which may exist"),
                    "seed {seed}: {best:?}, {why:?}"
                ),
                Err(other) => panic!("seed {seed}: {other:?}"),
            }
        }
        if best.within_s.is_some() {
            possible += 1;
            missed += usize::from(searched(&problem).is_err());
        } else {
            impossible += 1;
        }
    }
    assert!(possible > 50 && impossible > 50, "{possible}, {impossible}");
    assert!(missed * 50 <= possible, "{missed} of {possible} not found");
}
