//! Who limits a flow's critical path.
//!
//! Owns the finding that names the agent with the most time on the path that led to a flow's
//! newest end, what the path would take elsewhere, and what to do. Knows only facts.

use super::context::Context;
use super::facts::Facts;
use super::grown;
use super::text::{duration, percent, subject};
use nova_sdk::analytics::{Insight, Scope, Severity};

/// A path of fewer tasks says nothing.
const TASKS_LEAST: u32 = 3;
/// The part of the path from which an agent, or waiting, limits it.
const LIMITS: f64 = 0.4;
/// How much faster another agent must be to be worth a move.
const FASTER: f64 = 0.9;

/// The finding; none while nobody limits the path.
pub(super) fn path(one: &Facts<'_>, context: &Context<'_>) -> Option<Insight> {
    let (_, chain) = one.subject.newest.as_ref()?;
    let part = chain.heaviest()?;
    let whole_s = chain.ran_s + chain.waited_s;
    let waits = chain.waited_s / whole_s;
    if one.index.is_none() || chain.tasks < TASKS_LEAST || whole_s <= 0.0 {
        return None;
    }
    let share = part.seconds / whole_s;
    if share.max(waits) < LIMITS {
        return None;
    }
    let agent = subject(Scope::Agents, Some(part.agent));
    let name = subject(Scope::Flows, one.index);
    let mut description = format!(
        "{agent} limits the critical path of {name}: {} of {}, {} of {} tasks, ran there; waiting for a slot took {} of the path",
        duration(part.seconds),
        duration(whole_s),
        part.tasks,
        chain.tasks,
        percent(waits)
    );
    let mut recommendations = Vec::new();
    let faster = context.fastest().zip(context.latency_of(part.agent));
    if let Some(((other, fast), slow)) = faster
        && other != part.agent
        && fast < FASTER * slow
    {
        let other = subject(Scope::Agents, Some(other));
        let saved = part.seconds * (1.0 - fast / slow);
        description += &format!(
            "; at the mean latency of {other}, {} in place of {}, it would be {} shorter",
            duration(fast),
            duration(slow),
            duration(saved)
        );
        recommendations.push(format!("Give the tasks on the path of {name} to {other}"));
    }
    if waits >= LIMITS {
        recommendations.push(format!(
            "Give {agent} more slots, or register another agent with its capabilities: tasks on the path wait longer than they need to"
        ));
    }
    if recommendations.is_empty() {
        recommendations.push(format!(
            "A faster {agent}, or its longest tasks split, shortens {name}; other agents do not"
        ));
    }
    Some(Insight {
        kind: "critical-path".to_owned(),
        severity: if one.subject.ended.is_none() && waits >= LIMITS {
            Severity::Warning
        } else {
            Severity::Info
        },
        subject: one.index,
        description,
        confidence: grown(u64::from(chain.tasks)),
        recommendations,
    })
}
