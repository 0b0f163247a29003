//! The check that every plan passes before anyone sees it.

use super::super::{TOLERANCE, Violation, check_confidence, exceeds};
use super::problem::{FlowPlan, FlowProblem};

/// Checks a plan against its problem: every task exactly once, on an agent that can run it, for as long
/// as it takes, not before its release and its inputs; slots, supplies and constraints kept;
/// makespan, cost and confidence as they say.
///
/// Comparisons allow a relative rounding of [`TOLERANCE`].
///
/// # Errors
/// The first rule broken, with the index of the task or agent.
pub fn check(problem: &FlowProblem, plan: &FlowPlan) -> Result<(), Violation> {
    let slot_of = columns(problem, plan)?;
    let at = |task: usize| {
        let i = slot_of[task];
        (plan.agent[i] as usize, plan.start_s[i], plan.finish_s[i])
    };
    each_task(problem, at)?;
    each_dependency(problem, at)?;
    each_agent(problem, plan, at)?;
    totals(problem, plan)?;
    claims_of_the_plan(problem, plan)
}

/// Lengths, ranges, finiteness; gives the position of each task in the plan's columns.
fn columns(problem: &FlowProblem, plan: &FlowPlan) -> Result<Vec<usize>, Violation> {
    let (tasks, agents) = (problem.task_count(), problem.agent_count());
    let lengths = [
        plan.task.len(),
        plan.agent.len(),
        plan.start_s.len(),
        plan.finish_s.len(),
    ];
    if lengths.iter().any(|l| *l != tasks) {
        let detail = format!("{tasks} tasks, but columns of length {lengths:?}");
        return Err(Violation::new("every-task-once", detail));
    }
    let numbers = plan.start_s.iter().chain(&plan.finish_s).chain([
        &plan.makespan_s,
        &plan.cost,
        &plan.lower_bound_s,
    ]);
    if let Some(n) = numbers.into_iter().find(|n| !n.is_finite()) {
        return Err(Violation::new(
            "finite-numbers",
            format!("the plan contains {n}"),
        ));
    }
    let mut slot_of = vec![usize::MAX; tasks];
    for (i, task) in plan.task.iter().enumerate() {
        match slot_of.get_mut(*task as usize) {
            Some(slot) if *slot == usize::MAX => *slot = i,
            Some(_) => {
                return Err(Violation::new(
                    "every-task-once",
                    format!("task {task} comes twice"),
                ));
            }
            None => {
                return Err(Violation::new(
                    "every-task-once",
                    format!("there is no task {task}"),
                ));
            }
        }
        if plan.agent[i] as usize >= agents {
            return Err(Violation::new(
                "known-agent",
                format!("task {task} is on agent {} of {agents}", plan.agent[i]),
            ));
        }
    }
    Ok(slot_of)
}

fn each_task(
    problem: &FlowProblem,
    at: impl Fn(usize) -> (usize, f64, f64),
) -> Result<(), Violation> {
    let eligible = problem.eligibility();
    for task in 0..problem.task_count() {
        let (agent, start, finish) = at(task);
        if let Some(fixed) = problem.fixed_agent(task) {
            let given = (
                fixed,
                problem.tasks.fixed_start_s[task],
                problem.tasks.fixed_finish_s[task],
            );
            if (agent, start, finish) != given {
                let detail = format!(
                    "task {task} is at {:?}, fixed at {given:?}",
                    (agent, start, finish)
                );
                return Err(Violation::new("fixed-task", detail));
            }
            continue;
        }
        if !eligible[task * problem.agent_count() + agent] {
            return Err(Violation::new(
                "capability",
                format!("task {task} cannot run on agent {agent}"),
            ));
        }
        let duration = problem.execution_s(task, agent);
        if exceeds((finish - start - duration).abs(), 0.0)
            && (finish - start - duration).abs() > TOLERANCE * finish.abs()
        {
            let detail = format!(
                "task {task} takes {} s on agent {agent}, must take {duration} s",
                finish - start
            );
            return Err(Violation::new("duration", detail));
        }
        let release = problem
            .tasks
            .release_s
            .get(task)
            .copied()
            .unwrap_or(0.0)
            .max(0.0);
        if exceeds(release, start) {
            return Err(Violation::new(
                "release",
                format!("task {task} starts at {start} s, not before {release} s"),
            ));
        }
        let deadline = problem
            .tasks
            .deadline_s
            .get(task)
            .copied()
            .unwrap_or(f64::INFINITY);
        if exceeds(finish, deadline) {
            return Err(Violation::new(
                "deadline",
                format!("task {task} ends at {finish} s, due at {deadline} s"),
            ));
        }
    }
    Ok(())
}

fn each_dependency(
    problem: &FlowProblem,
    at: impl Fn(usize) -> (usize, f64, f64),
) -> Result<(), Violation> {
    let d = &problem.dependencies;
    for ((from, to), bytes) in d.from.iter().zip(&d.to).zip(&d.data_bytes) {
        if problem.fixed_agent(*to as usize).is_some() {
            continue;
        }
        let (from_agent, _, from_finish) = at(*from as usize);
        let (to_agent, to_start, _) = at(*to as usize);
        let earliest = from_finish + problem.transfer_s(*bytes, from_agent, to_agent);
        if exceeds(earliest, to_start) {
            let detail = format!(
                "task {to} starts at {to_start} s, its input from task {from} comes at {earliest} s"
            );
            return Err(Violation::new("precedence", detail));
        }
    }
    Ok(())
}

/// One occupation of an agent, open at its end.
struct Span {
    agent: usize,
    start_s: f64,
    finish_s: f64,
    /// None: work outside the problem.
    task: Option<usize>,
}

/// Slots and supplies, agent by agent, by a sweep over starts and ends.
fn each_agent(
    problem: &FlowProblem,
    plan: &FlowPlan,
    at: impl Fn(usize) -> (usize, f64, f64),
) -> Result<(), Violation> {
    let mut spans: Vec<Span> = Vec::with_capacity(plan.task.len());
    let busy = problem
        .agents
        .busy_agent
        .iter()
        .zip(&problem.agents.busy_until_s);
    spans.extend(busy.map(|(agent, until)| Span {
        agent: *agent as usize,
        start_s: f64::NEG_INFINITY,
        finish_s: *until,
        task: None,
    }));
    for task in 0..problem.task_count() {
        let (agent, start_s, finish_s) = at(task);
        let past = problem.fixed_agent(task).is_some() && finish_s <= 0.0;
        if finish_s > start_s && !past {
            spans.push(Span {
                agent,
                start_s,
                finish_s,
                task: Some(task),
            });
        }
    }
    spans.sort_unstable_by(|a, b| a.agent.cmp(&b.agent).then(a.start_s.total_cmp(&b.start_s)));
    let supplies = Supplies::of(problem);
    spans
        .chunk_by(|a, b| a.agent == b.agent)
        .try_for_each(|line| sweep(problem, &supplies, line))
}

fn sweep(problem: &FlowProblem, supplies: &Supplies, line: &[Span]) -> Result<(), Violation> {
    let agent = line[0].agent;
    let slots = problem.agents.slots[agent] as usize;
    let mut active: Vec<&Span> = Vec::with_capacity(slots.min(line.len()));
    for span in line {
        let now = span.start_s + TOLERANCE * span.start_s.abs().max(1.0);
        active.retain(|other| other.finish_s > now);
        active.push(span);
        // What is fixed already may overlap as it does; only what the plan adds is to blame.
        let planned = active
            .iter()
            .any(|s| s.task.is_some_and(|t| problem.fixed_agent(t).is_none()));
        if !planned {
            continue;
        }
        if active.len() > slots {
            let detail = format!(
                "agent {agent} has {slots} slots, but {} tasks at {} s",
                active.len(),
                span.start_s
            );
            return Err(Violation::new("slots", detail));
        }
        for (resource, supply) in supplies.of_agent(agent) {
            let used: f64 = active
                .iter()
                .filter_map(|s| s.task)
                .map(|t| supplies.demand(t, *resource))
                .sum();
            if exceeds(used, *supply) {
                let detail = format!(
                    "agent {agent} has {supply} of resource {resource}, but {used} is used at {} s",
                    span.start_s
                );
                return Err(Violation::new("supply", detail));
            }
        }
    }
    Ok(())
}

/// Supplies by agent and demands by task; empty for most problems.
struct Supplies {
    by_agent: Vec<Vec<(u32, f64)>>,
    by_task: Vec<Vec<(u32, f64)>>,
}

impl Supplies {
    fn of(problem: &FlowProblem) -> Self {
        let (a, d) = (&problem.agents, &problem.demands);
        if a.supply_agent.is_empty() || d.task.is_empty() {
            return Self {
                by_agent: Vec::new(),
                by_task: Vec::new(),
            };
        }
        let mut by_agent = vec![Vec::new(); problem.agent_count()];
        for ((agent, resource), amount) in a
            .supply_agent
            .iter()
            .zip(&a.supply_resource)
            .zip(&a.supply_amount)
        {
            by_agent[*agent as usize].push((*resource, *amount));
        }
        let mut by_task = vec![Vec::new(); problem.task_count()];
        for ((task, resource), amount) in d.task.iter().zip(&d.resource).zip(&d.amount) {
            by_task[*task as usize].push((*resource, *amount));
        }
        Self { by_agent, by_task }
    }

    fn of_agent(&self, agent: usize) -> &[(u32, f64)] {
        self.by_agent.get(agent).map_or(&[], Vec::as_slice)
    }

    fn demand(&self, task: usize, resource: u32) -> f64 {
        self.by_task[task]
            .iter()
            .filter(|(r, _)| *r == resource)
            .map(|(_, amount)| amount)
            .sum()
    }
}

/// Makespan, cost and the constraints over the whole.
fn totals(problem: &FlowProblem, plan: &FlowPlan) -> Result<(), Violation> {
    let differ = |a: f64, b: f64| exceeds(a, b) || exceeds(b, a);
    let last = plan.finish_s.iter().copied().fold(0.0, f64::max);
    if differ(plan.makespan_s, last) {
        let detail = format!(
            "the makespan is given as {} s, the last finish is {last} s",
            plan.makespan_s
        );
        return Err(Violation::new("makespan", detail));
    }
    let unfixed =
        || (0..plan.task.len()).filter(|i| problem.fixed_agent(plan.task[*i] as usize).is_none());
    let cost: f64 = unfixed()
        .map(|i| {
            (plan.finish_s[i] - plan.start_s[i]) * problem.agents.cost_per_s[plan.agent[i] as usize]
        })
        .sum();
    if differ(plan.cost, cost) {
        return Err(Violation::new(
            "cost",
            format!("the cost is given as {}, the tasks cost {cost}", plan.cost),
        ));
    }
    let c = &problem.constraints;
    if exceeds(last, c.max_latency_s.min(c.deadline_s)) {
        let detail = format!(
            "the plan takes {last} s, at most {} s is allowed",
            c.max_latency_s.min(c.deadline_s)
        );
        return Err(Violation::new("max-latency", detail));
    }
    if exceeds(cost, c.max_cost) {
        return Err(Violation::new(
            "max-cost",
            format!("the plan costs {cost}, at most {} is allowed", c.max_cost),
        ));
    }
    let throughput = unfixed().count() as f64 / last;
    if last > 0.0 && exceeds(c.min_throughput, throughput) {
        let detail = format!(
            "the plan does {throughput} tasks/s, at least {} is asked for",
            c.min_throughput
        );
        return Err(Violation::new("min-throughput", detail));
    }
    Ok(())
}

/// What the plan says of itself.
fn claims_of_the_plan(problem: &FlowProblem, plan: &FlowPlan) -> Result<(), Violation> {
    if exceeds(plan.lower_bound_s, plan.makespan_s) || plan.lower_bound_s < 0.0 {
        let detail = format!(
            "the lower bound {} s must lie between 0 and the makespan {} s",
            plan.lower_bound_s, plan.makespan_s
        );
        return Err(Violation::new("lower-bound", detail));
    }
    if let Some(task) = plan
        .critical_path
        .iter()
        .find(|t| **t as usize >= problem.task_count())
    {
        return Err(Violation::new(
            "critical-path",
            format!("there is no task {task}"),
        ));
    }
    for o in &plan.optimizations {
        if !o.impact.is_finite() {
            return Err(Violation::new(
                "finite-numbers",
                format!("the impact of '{}' is {}", o.kind, o.impact),
            ));
        }
        check_confidence(&format!("the confidence of '{}'", o.kind), o.confidence)?;
    }
    check_confidence("the plan's confidence", plan.confidence)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::problem::Transfers;
    use super::*;

    /// Two tasks in a chain with a transfer, an independent one, two agents of one slot.
    fn sound() -> (FlowProblem, FlowPlan) {
        let mut p = FlowProblem::new(vec![4.0, 2.0, 2.0], vec![1.0, 2.0]);
        p.dependencies = Transfers {
            from: vec![0],
            to: vec![1],
            data_bytes: vec![10.0],
        };
        p.bandwidth_bytes_per_s = 10.0;
        p.agents.cost_per_s = vec![1.0, 3.0];
        let plan = FlowPlan {
            task: vec![0, 2, 1],
            agent: vec![1, 1, 0],
            start_s: vec![0.0, 2.0, 3.0],
            finish_s: vec![2.0, 3.0, 5.0],
            makespan_s: 5.0,
            cost: 11.0,
            lower_bound_s: 3.0,
            critical_path: vec![0, 1],
            optimizations: vec![],
            iterations: 0,
            confidence: 0.6,
        };
        (p, plan)
    }

    #[test]
    fn a_sound_plan_passes() {
        let (p, plan) = sound();
        check(&p, &plan).unwrap();
        check(
            &FlowProblem::new(vec![], vec![]),
            &FlowPlan {
                confidence: 1.0,
                ..FlowPlan::default()
            },
        )
        .unwrap();
    }

    #[test]
    fn each_rule_is_held() {
        type Break = fn(&mut FlowProblem, &mut FlowPlan);
        let cases: [(&str, Break); 20] = [
            ("every-task-once", |_, plan| plan.task[0] = 1),
            ("every-task-once", |_, plan| plan.task[0] = 9),
            ("every-task-once", |_, plan| plan.start_s.truncate(2)),
            ("known-agent", |_, plan| plan.agent[0] = 2),
            ("finite-numbers", |_, plan| plan.start_s[1] = f64::NAN),
            ("finite-numbers", |_, plan| plan.makespan_s = f64::INFINITY),
            ("capability", |p, _| {
                (p.requirements.task, p.requirements.capability) = (vec![2], vec![0])
            }),
            ("duration", |_, plan| plan.finish_s[0] = 1.5),
            ("release", |p, _| p.tasks.release_s = vec![0.5, 0.0, 0.0]),
            ("deadline", |p, _| {
                p.tasks.deadline_s = vec![f64::INFINITY, 4.9, f64::INFINITY]
            }),
            ("precedence", |p, _| p.bandwidth_bytes_per_s = 5.0),
            ("slots", |_, plan| {
                (plan.start_s[1], plan.finish_s[1]) = (1.0, 2.0)
            }),
            ("slots", |p, _| {
                (p.agents.busy_agent, p.agents.busy_until_s) = (vec![0], vec![3.5])
            }),
            ("makespan", |_, plan| plan.makespan_s = 4.0),
            ("cost", |_, plan| plan.cost = 10.0),
            ("max-latency", |p, _| p.constraints.max_latency_s = 4.5),
            ("max-cost", |p, _| p.constraints.max_cost = 10.5),
            ("min-throughput", |p, _| p.constraints.min_throughput = 0.7),
            ("lower-bound", |_, plan| plan.lower_bound_s = 5.5),
            ("confidence-range", |_, plan| plan.confidence = -0.1),
        ];
        for (rule, spoil) in cases {
            let (mut p, mut plan) = sound();
            spoil(&mut p, &mut plan);
            assert_eq!(check(&p, &plan).unwrap_err().rule, rule);
        }
    }

    #[test]
    fn supplies_and_fixed_tasks_are_held() {
        let mut p = FlowProblem::new(vec![1.0, 1.0], vec![1.0]);
        p.agents.slots = vec![2];
        (
            p.agents.supply_agent,
            p.agents.supply_resource,
            p.agents.supply_amount,
        ) = (vec![0], vec![0], vec![1.0]);
        (p.demands.task, p.demands.resource, p.demands.amount) =
            (vec![0, 1], vec![0, 0], vec![0.6, 0.6]);
        let mut plan = FlowPlan {
            task: vec![0, 1],
            agent: vec![0, 0],
            start_s: vec![0.0, 0.0],
            finish_s: vec![1.0, 1.0],
            makespan_s: 1.0,
            ..FlowPlan::default()
        };
        assert_eq!(check(&p, &plan).unwrap_err().rule, "supply");
        p.demands.amount = vec![0.5, 0.5];
        check(&p, &plan).unwrap();
        p.tasks.fixed_agent = vec![0, -1];
        p.tasks.fixed_start_s = vec![-0.5, 0.0];
        p.tasks.fixed_finish_s = vec![0.5, 0.0];
        assert_eq!(check(&p, &plan).unwrap_err().rule, "fixed-task");
        (plan.start_s[0], plan.finish_s[0]) = (-0.5, 0.5);
        check(&p, &plan).unwrap();
    }
}
