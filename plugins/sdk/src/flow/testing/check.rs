//! Whether a plan keeps the contract, computed from the problem's columns alone.
//!
//! Shares no code with the schedulers' [`Model`](crate::flow::Model): a mistake in reading
//! the columns would otherwise hide itself.

use crate::flow::{Plan, Problem};

/// Relative room for rounding.
const TOLERANCE: f64 = 1e-6;

type Checked = Result<(), String>;

/// Checks a plan against every rule of the contract.
///
/// # Errors
/// The rule that is broken, with the numbers.
pub fn check(problem: &Problem, plan: &Plan) -> Checked {
    let tasks = problem.tasks.work_s.len();
    let place = places(plan, tasks)?;
    for (task, &place) in place.iter().enumerate() {
        check_task(problem, task, place)?;
    }
    for edge in 0..problem.dependencies.from.len() {
        check_dependency(problem, edge, &place)?;
    }
    for agent in 0..problem.agents.speed.len() {
        check_agent(problem, agent, &place)?;
    }
    check_totals(problem, plan, &place)
}

/// Agent, start, finish.
type Place = (usize, f64, f64);

fn places(plan: &Plan, tasks: usize) -> Result<Vec<Place>, String> {
    let columns = [plan.agent.len(), plan.start_s.len(), plan.finish_s.len()];
    if plan.task.len() != tasks || columns != [tasks; 3] {
        return Err(format!("not one entry a task: {tasks} tasks, {columns:?}"));
    }
    let mut places = vec![None; tasks];
    for (k, &task) in plan.task.iter().enumerate() {
        let place = places
            .get_mut(task as usize)
            .ok_or(format!("no task {task}"))?;
        if place.is_some() {
            return Err(format!("task {task} twice"));
        }
        let (start, finish) = (plan.start_s[k], plan.finish_s[k]);
        if !start.is_finite() || !finish.is_finite() {
            return Err(format!("task {task} from {start} to {finish}"));
        }
        *place = Some((plan.agent[k] as usize, start, finish));
    }
    Ok(places.into_iter().flatten().collect())
}

/// `a` is at most `b`, but for rounding.
fn at_most(a: f64, b: f64) -> bool {
    a <= b + TOLERANCE * a.abs().max(b.abs()).max(1.0)
}

fn same(a: f64, b: f64) -> bool {
    at_most(a, b) && at_most(b, a)
}

fn duration(problem: &Problem, task: usize, agent: usize) -> f64 {
    match problem.durations.duration_s.as_slice() {
        [] => problem.tasks.work_s[task] / problem.agents.speed[agent],
        matrix => matrix[task * problem.agents.speed.len() + agent],
    }
}

fn is_fixed(problem: &Problem, task: usize) -> bool {
    let fixed = &problem.tasks.fixed_agent;
    !fixed.is_empty() && fixed[task] >= 0
}

fn check_task(problem: &Problem, task: usize, (agent, start, finish): Place) -> Checked {
    let agents = &problem.agents;
    if agent >= agents.speed.len() {
        return Err(format!("task {task} on agent {agent}, which is none"));
    }
    let deadline = problem.tasks.deadline_s.get(task);
    if !at_most(finish, *deadline.unwrap_or(&f64::INFINITY)) {
        return Err(format!("task {task} ends at {finish}, after {deadline:?}"));
    }
    if is_fixed(problem, task) {
        let given = (
            problem.tasks.fixed_agent[task] as usize,
            problem.tasks.fixed_start_s[task],
            problem.tasks.fixed_finish_s[task],
        );
        return if given == (agent, start, finish) {
            Ok(())
        } else {
            Err(format!("task {task} is fixed at {given:?} and was moved"))
        };
    }
    let expected = duration(problem, task, agent);
    if !expected.is_finite() || !same(finish - start, expected) {
        return Err(format!(
            "task {task} on agent {agent} takes {expected}, not {start}..{finish}"
        ));
    }
    let release = problem.tasks.release_s.get(task).unwrap_or(&0.0).max(0.0);
    if !at_most(release, start) {
        return Err(format!("task {task} starts at {start}, before {release}"));
    }
    let required = &problem.requirements;
    for (_, capability) in required
        .task
        .iter()
        .zip(&required.capability)
        .filter(|(of, _)| **of as usize == task)
    {
        let has = agents
            .capability_agent
            .iter()
            .zip(&agents.capability)
            .any(|(a, c)| *a as usize == agent && c == capability);
        if !has {
            return Err(format!("agent {agent} lacks {capability} for task {task}"));
        }
    }
    Ok(())
}

fn check_dependency(problem: &Problem, edge: usize, place: &[Place]) -> Checked {
    let edges = &problem.dependencies;
    let (from, to) = (edges.from[edge] as usize, edges.to[edge] as usize);
    if is_fixed(problem, to) {
        return Ok(());
    }
    let ((here, _, finish), (there, start, _)) = (place[from], place[to]);
    let links = &problem.communication;
    let transfer = if here == there {
        0.0
    } else if links.pair_latency_s.is_empty() {
        links.latency_s + edges.data_bytes[edge] / links.bandwidth_bytes_per_s
    } else {
        let pair = here * problem.agents.speed.len() + there;
        links.pair_latency_s[pair] + edges.data_bytes[edge] / links.pair_bandwidth_bytes_per_s[pair]
    };
    if at_most(finish + transfer, start) {
        Ok(())
    } else {
        Err(format!(
            "task {to} starts at {start}; task {from} ends at {finish}, and {transfer} to travel"
        ))
    }
}

/// At the start of each task of an agent, what runs there fits.
fn check_agent(problem: &Problem, agent: usize, place: &[Place]) -> Checked {
    let agents = &problem.agents;
    let here: Vec<usize> = (0..place.len())
        .filter(|&task| place[task].0 == agent && place[task].2 > place[task].1)
        .collect();
    for &task in here.iter().filter(|&&task| !is_fixed(problem, task)) {
        let at = place[task].1;
        let near = TOLERANCE * at.abs().max(1.0);
        let running = |&&other: &&usize| place[other].1 <= at + near && place[other].2 > at + near;
        let busy = (agents.busy_agent.iter().zip(&agents.busy_until_s))
            .filter(|(a, until)| **a as usize == agent && **until > at + near)
            .count();
        let running: Vec<usize> = here.iter().filter(running).copied().collect();
        if running.len() + busy > agents.slots[agent] as usize {
            return Err(format!(
                "agent {agent} has {} slots; at {at} it runs {running:?} and {busy} others",
                agents.slots[agent]
            ));
        }
        let supplied: Vec<u32> = (agents.supply_agent.iter().zip(&agents.supply_resource))
            .filter(|(a, _)| **a as usize == agent)
            .map(|(_, resource)| *resource)
            .collect();
        for resource in supplied {
            let supply: f64 = (0..agents.supply_agent.len())
                .filter(|&k| agents.supply_agent[k] as usize == agent)
                .filter(|&k| agents.supply_resource[k] == resource)
                .map(|k| agents.supply_amount[k])
                .sum();
            let demands = &problem.demands;
            let demand: f64 = (0..demands.task.len())
                .filter(|&k| demands.resource[k] == resource)
                .filter(|&k| running.contains(&(demands.task[k] as usize)))
                .map(|k| demands.amount[k])
                .sum();
            if !at_most(demand, supply) {
                return Err(format!(
                    "agent {agent} has {supply} of resource {resource}; at {at} it gives {demand}"
                ));
            }
        }
    }
    Ok(())
}

fn check_totals(problem: &Problem, plan: &Plan, place: &[Place]) -> Checked {
    let makespan = place.iter().map(|place| place.2).fold(0.0, f64::max);
    if !same(plan.makespan_s, makespan) {
        return Err(format!("makespan {}, not {makespan}", plan.makespan_s));
    }
    let unfixed = || (0..place.len()).filter(|&task| !is_fixed(problem, task));
    let cost: f64 = unfixed()
        .map(|task| {
            let agent = place[task].0;
            duration(problem, task, agent) * problem.agents.cost_per_s[agent]
        })
        .sum();
    if !same(plan.cost, cost) {
        return Err(format!("cost {}, not {cost}", plan.cost));
    }
    if plan.lower_bound_s.is_nan() || !at_most(plan.lower_bound_s, makespan) {
        return Err(format!(
            "lower bound {} over {makespan}",
            plan.lower_bound_s
        ));
    }
    let bounds = &problem.constraints;
    let latest = bounds.max_latency_s.min(bounds.deadline_s);
    if !at_most(makespan, latest) || !at_most(cost, bounds.max_cost) {
        return Err(format!("makespan {makespan}, cost {cost} break {bounds:?}"));
    }
    let unfixed = unfixed().count();
    if unfixed > 0 && !at_most(bounds.min_throughput * makespan, unfixed as f64) {
        return Err(format!("{unfixed} tasks in {makespan} break {bounds:?}"));
    }
    let confidences = plan.optimizations.iter().map(|o| o.confidence);
    for confidence in confidences.chain([plan.confidence]) {
        if !(0.0..=1.0).contains(&confidence) {
            return Err(format!("confidence {confidence}"));
        }
    }
    if plan
        .critical_path
        .iter()
        .any(|&t| t as usize >= place.len())
    {
        return Err(format!("critical path {:?}", plan.critical_path));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::flow::bound::lower_bound;
    use crate::flow::chain::steps;
    use crate::flow::testing::related;
    use crate::flow::{Model, Schedule};

    /// 0 → 1 across agents with 1 s of transfer; 2 on its own on agent 0, which has room for
    /// one demand at a time; agent 1 is busy until 1.
    fn sound() -> (Problem, Plan) {
        let mut problem = related(&[2.0, 4.0, 2.0], &[(0, 1, 1.0)], &[1.0, 2.0]);
        problem.communication.bandwidth_bytes_per_s = 1.0;
        problem.agents.cost_per_s = vec![1.0, 3.0];
        problem.agents.slots = vec![2, 1];
        problem.agents.busy_agent = vec![1];
        problem.agents.busy_until_s = vec![1.0];
        problem.agents.supply_agent = vec![0];
        problem.agents.supply_resource = vec![0];
        problem.agents.supply_amount = vec![5.0];
        problem.agents.capability_agent = vec![0];
        problem.agents.capability = vec![4];
        problem.requirements.task = vec![2];
        problem.requirements.capability = vec![4];
        problem.demands.task = vec![0, 2];
        problem.demands.resource = vec![0, 0];
        problem.demands.amount = vec![3.0, 3.0];
        problem.tasks.release_s = vec![0.0, 0.0, 1.0];
        problem.tasks.deadline_s = vec![f64::INFINITY, 5.0, 4.0];
        let model = Model::new(&problem).unwrap();
        let mut schedule = Schedule::new(&model);
        schedule.place(0, 0, 0.0, 2.0);
        schedule.place(1, 1, 3.0, 5.0);
        schedule.place(2, 0, 2.0, 4.0);
        let chain = steps(&model, &schedule);
        let plan = schedule.into_plan(&model, &lower_bound(&model), &chain, Vec::new(), 0.5);
        (problem, plan)
    }

    #[test]
    fn a_sound_plan_passes() {
        let (problem, plan) = sound();
        assert_eq!(check(&problem, &plan), Ok(()));
        assert_eq!((plan.makespan_s, plan.cost), (5.0, 10.0));
        assert_eq!(plan.critical_path, [0, 1]);
    }

    #[test]
    fn every_broken_rule_is_named() {
        type Spoil = fn(&mut Problem, &mut Plan);
        fn shift(plan: &mut Plan, task: usize, by_s: f64) {
            plan.start_s[task] += by_s;
            plan.finish_s[task] += by_s;
        }
        let cases: [(&str, Spoil); 19] = [
            ("not one entry", |_, plan| {
                plan.agent.pop();
            }),
            ("no task 3", |_, plan| plan.task[2] = 3),
            ("task 0 twice", |_, plan| plan.task[2] = 0),
            ("task 1 from NaN", |_, plan| plan.start_s[1] = f64::NAN),
            ("which is none", |_, plan| plan.agent[1] = 2),
            ("lacks 4", |_, plan| {
                plan.agent[2] = 1;
                plan.finish_s[2] = 3.0;
            }),
            ("takes 2", |_, plan| plan.finish_s[0] = 1.5),
            ("before 1", |_, plan| shift(plan, 2, -1.5)),
            ("after Some(4.0)", |_, plan| shift(plan, 2, 0.5)),
            ("and 1 to travel", |_, plan| shift(plan, 1, -0.5)),
            ("it gives 6", |_, plan| shift(plan, 2, -0.5)),
            ("has 1 slots", |problem, plan| {
                problem.demands.amount = vec![0.0, 0.0];
                problem.agents.slots[0] = 1;
                shift(plan, 2, -0.5);
            }),
            ("and 1 others", |problem, _| {
                problem.agents.busy_until_s[0] = 3.5;
            }),
            ("was moved", |problem, _| {
                problem.tasks.fixed_agent = vec![0, -1, -1];
                problem.tasks.fixed_start_s = vec![-1.0, 0.0, 0.0];
                problem.tasks.fixed_finish_s = vec![2.0, 0.0, 0.0];
            }),
            ("makespan 4", |_, plan| plan.makespan_s = 4.0),
            ("cost 9", |_, plan| plan.cost = 9.0),
            ("lower bound 6", |_, plan| plan.lower_bound_s = 6.0),
            ("break", |problem, _| problem.constraints.max_cost = 9.0),
            ("confidence 2", |_, plan| plan.confidence = 2.0),
        ];
        for (rule, spoil) in cases {
            let (mut problem, mut plan) = sound();
            spoil(&mut problem, &mut plan);
            match check(&problem, &plan) {
                Err(text) if text.contains(rule) => {}
                other => panic!("{rule}: {other:?}"),
            }
        }
        for set in [
            (|problem| problem.constraints.max_latency_s = 4.9) as fn(&mut Problem),
            |problem| problem.constraints.deadline_s = 4.9,
            |problem| problem.constraints.min_throughput = 0.7,
        ] {
            let (mut problem, plan) = sound();
            set(&mut problem);
            assert!(check(&problem, &plan).is_err_and(|text| text.contains("break")));
        }
    }
}
