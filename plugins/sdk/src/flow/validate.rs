//! Whether a problem keeps the contract: columns of one length, indices in range, numbers
//! that can be computed with.
//!
//! The host checks its problems too; a plugin checks again because it may be called by
//! anything, and an index out of range would be a trap where a refusal is due.

use super::Problem;
use crate::{StrategyError, strategy::invalid};

type Checked = Result<(), StrategyError>;

/// Checks everything but the absence of cycles.
pub(super) fn validate(problem: &Problem) -> Checked {
    let tasks = problem.tasks.work_s.len();
    let agents = problem.agents.speed.len();
    validate_tasks(problem, tasks, agents)?;
    validate_agents(problem, agents)?;
    validate_pairs(problem, tasks, agents)?;
    validate_bounds(problem)?;

    let durations = &problem.durations.duration_s;
    if !durations.is_empty() {
        length("durations.duration-s", durations, tasks * agents)?;
        at_least_zero("durations.duration-s", durations)?;
    }
    let baseline = &problem.baseline;
    if !baseline.agent.is_empty() || !baseline.start_s.is_empty() || !baseline.finish_s.is_empty() {
        length("baseline.agent", &baseline.agent, tasks)?;
        length("baseline.start-s", &baseline.start_s, tasks)?;
        length("baseline.finish-s", &baseline.finish_s, tasks)?;
        indices("baseline.agent", &baseline.agent, agents)?;
        finite("baseline.start-s", &baseline.start_s)?;
        finite("baseline.finish-s", &baseline.finish_s)?;
    }
    Ok(())
}

fn validate_tasks(problem: &Problem, tasks: usize, agents: usize) -> Checked {
    let columns = &problem.tasks;
    finite("tasks.work-s", &columns.work_s)?;
    at_least_zero("tasks.work-s", &columns.work_s)?;
    length("tasks.priority", &columns.priority, tasks)?;
    if !columns.release_s.is_empty() {
        length("tasks.release-s", &columns.release_s, tasks)?;
        finite("tasks.release-s", &columns.release_s)?;
    }
    if !columns.deadline_s.is_empty() {
        length("tasks.deadline-s", &columns.deadline_s, tasks)?;
        each(
            "tasks.deadline-s",
            &columns.deadline_s,
            "a time or inf",
            |x| x > f64::NEG_INFINITY,
        )?;
    }
    if columns.fixed_agent.is_empty() {
        return Ok(());
    }
    length("tasks.fixed-agent", &columns.fixed_agent, tasks)?;
    length("tasks.fixed-start-s", &columns.fixed_start_s, tasks)?;
    length("tasks.fixed-finish-s", &columns.fixed_finish_s, tasks)?;
    for (task, &agent) in columns.fixed_agent.iter().enumerate() {
        if agent == -1 {
            continue;
        }
        if usize::try_from(agent).is_err() || agent as usize >= agents {
            return Err(invalid(format!(
                "tasks.fixed-agent[{task}] is {agent}; accepted: -1 or an agent below {agents}"
            )));
        }
        let (start, finish) = (columns.fixed_start_s[task], columns.fixed_finish_s[task]);
        if !start.is_finite() || !finish.is_finite() || start > finish {
            return Err(invalid(format!(
                "{{task:{task}}} is fixed from {start} s to {finish} s; accepted: finite times in order"
            )));
        }
    }
    Ok(())
}

fn validate_agents(problem: &Problem, agents: usize) -> Checked {
    let columns = &problem.agents;
    each("agents.speed", &columns.speed, "above 0, finite", |x| {
        x > 0.0 && x.is_finite()
    })?;
    length("agents.slots", &columns.slots, agents)?;
    if let Some(agent) = columns.slots.iter().position(|&slots| slots == 0) {
        return Err(invalid(format!(
            "agents.slots[{agent}] is 0; accepted: 1 or more"
        )));
    }
    length("agents.cost-per-s", &columns.cost_per_s, agents)?;
    finite("agents.cost-per-s", &columns.cost_per_s)?;
    at_least_zero("agents.cost-per-s", &columns.cost_per_s)?;
    same_length(
        "agents.capability",
        columns.capability_agent.len(),
        columns.capability.len(),
    )?;
    indices("agents.capability-agent", &columns.capability_agent, agents)?;
    same_length(
        "agents.supply-resource",
        columns.supply_agent.len(),
        columns.supply_resource.len(),
    )?;
    same_length(
        "agents.supply-amount",
        columns.supply_agent.len(),
        columns.supply_amount.len(),
    )?;
    indices("agents.supply-agent", &columns.supply_agent, agents)?;
    at_least_zero("agents.supply-amount", &columns.supply_amount)?;
    same_length(
        "agents.busy-until-s",
        columns.busy_agent.len(),
        columns.busy_until_s.len(),
    )?;
    indices("agents.busy-agent", &columns.busy_agent, agents)?;
    finite("agents.busy-until-s", &columns.busy_until_s)
}

fn validate_pairs(problem: &Problem, tasks: usize, agents: usize) -> Checked {
    let required = &problem.requirements;
    same_length(
        "requirements.capability",
        required.task.len(),
        required.capability.len(),
    )?;
    indices("requirements.task", &required.task, tasks)?;

    let demands = &problem.demands;
    same_length(
        "demands.resource",
        demands.task.len(),
        demands.resource.len(),
    )?;
    same_length("demands.amount", demands.task.len(), demands.amount.len())?;
    indices("demands.task", &demands.task, tasks)?;
    finite("demands.amount", &demands.amount)?;
    at_least_zero("demands.amount", &demands.amount)?;

    let edges = &problem.dependencies;
    same_length("dependencies.to", edges.from.len(), edges.to.len())?;
    same_length(
        "dependencies.data-bytes",
        edges.from.len(),
        edges.data_bytes.len(),
    )?;
    indices("dependencies.from", &edges.from, tasks)?;
    indices("dependencies.to", &edges.to, tasks)?;
    finite("dependencies.data-bytes", &edges.data_bytes)?;
    at_least_zero("dependencies.data-bytes", &edges.data_bytes)?;

    let links = &problem.communication;
    let (latency, bandwidth) = (&links.pair_latency_s, &links.pair_bandwidth_bytes_per_s);
    if latency.is_empty() && bandwidth.is_empty() {
        let (latency, bandwidth) = (links.latency_s, links.bandwidth_bytes_per_s);
        number("communication.latency-s", latency, latency.is_finite())?;
        return number(
            "communication.bandwidth-bytes-per-s",
            bandwidth,
            bandwidth > 0.0,
        );
    }
    length("communication.pair-latency-s", latency, agents * agents)?;
    length(
        "communication.pair-bandwidth-bytes-per-s",
        bandwidth,
        agents * agents,
    )?;
    for (pair, (&latency, &bandwidth)) in latency.iter().zip(bandwidth).enumerate() {
        if pair / agents != pair % agents
            && !(latency >= 0.0 && latency.is_finite() && bandwidth > 0.0)
        {
            return Err(invalid(format!(
                "from {{agent:{}}} to {{agent:{}}}: latency {latency} s, bandwidth {bandwidth} \
                 bytes/s; accepted: a latency of 0 or more, a bandwidth above 0",
                pair / agents,
                pair % agents
            )));
        }
    }
    Ok(())
}

fn validate_bounds(problem: &Problem) -> Checked {
    let goal = &problem.goal;
    for (name, weight) in [
        ("goal.makespan-weight", goal.makespan_weight),
        ("goal.cost-weight", goal.cost_weight),
    ] {
        number(name, weight, weight.is_finite())?;
    }
    let bounds = &problem.constraints;
    number("constraints.max-latency-s", bounds.max_latency_s, true)?;
    number("constraints.max-cost", bounds.max_cost, true)?;
    number("constraints.min-throughput", bounds.min_throughput, true)?;
    each(
        "constraints.deadline-s",
        &[bounds.deadline_s],
        "a time or inf",
        |x| x > f64::NEG_INFINITY,
    )
}

fn length<T>(name: &str, column: &[T], expected: usize) -> Checked {
    same_length(name, expected, column.len())
}

fn same_length(name: &str, expected: usize, found: usize) -> Checked {
    if expected == found {
        Ok(())
    } else {
        Err(invalid(format!(
            "{name} has {found} entries; accepted: {expected}"
        )))
    }
}

fn indices(name: &str, column: &[u32], below: usize) -> Checked {
    match column.iter().position(|&index| index as usize >= below) {
        None => Ok(()),
        Some(at) => Err(invalid(format!(
            "{name}[{at}] is {}; accepted: an index below {below}",
            column[at]
        ))),
    }
}

fn each(name: &str, column: &[f64], accepted: &str, fits: impl Fn(f64) -> bool) -> Checked {
    match column.iter().position(|&x| !fits(x)) {
        None => Ok(()),
        Some(at) => Err(invalid(format!(
            "{name}[{at}] is {}; accepted: {accepted}",
            column[at]
        ))),
    }
}

fn finite(name: &str, column: &[f64]) -> Checked {
    each(name, column, "a finite number", f64::is_finite)
}

fn at_least_zero(name: &str, column: &[f64]) -> Checked {
    each(name, column, "0 or more", |x| x >= 0.0)
}

/// A single number of 0 or more that also `fits`.
fn number(name: &str, value: f64, fits: bool) -> Checked {
    if value >= 0.0 && fits {
        Ok(())
    } else {
        Err(invalid(format!("{name} is {value}")))
    }
}
