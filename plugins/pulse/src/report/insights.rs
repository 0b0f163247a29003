//! What the numbers mean for whoever runs the system, in sentences.
//!
//! Owns the rules that make a finding, its severity and its confidence. Knows only facts
//! and outlooks, never events.
//!
//! Confidence is computed, by what a finding rests on:
//! - a count or a present state: n ÷ (n + 20) for n events behind it;
//! - a success ratio: 1 − the width of its 95 % Wilson interval;
//! - a trend: 1 − p of the Mann–Kendall test;
//! - an anomaly: 1 − 1 ÷ score² (Chebyshev's inequality);
//! - a forecast: s ÷ (s + 20) for s steps fitted × (1 − its relative one-step error).

use super::context::Context;
use super::critical;
use super::facts::Facts;
use super::grown;
use super::outlook::Outlook;
use super::text::{duration, moment, number, percent, subject};
use crate::stats::{Trend, wilson};
use crate::subjects::Outcome;
use nova_sdk::analytics::{Anomaly, Insight, Scope, Series, Severity};

/// A subject fails when its success ratio is below this with 95 % confidence.
const SUCCESS_LEAST: f64 = 0.95;
/// A resource is saturated from this utilization on.
const SATURATED: f64 = 0.9;
/// How near to it counts as there.
const REACHED_WITHIN: f64 = 0.005;
/// A trend is told from this confidence on, and from this change over the window.
const TREND_CONFIDENCE: f64 = 0.95;
const TREND_CHANGE: f64 = 0.2;
/// The most findings of a report.
const INSIGHTS_MAX: usize = 50;

/// All findings, the gravest first. `outlooks` are those of `facts`, by place, for as many
/// as were looked at over time.
pub(crate) fn of(
    scope: Scope,
    facts: &[Facts<'_>],
    outlooks: &[Outlook],
    context: &Context<'_>,
    now_ms: u64,
) -> Vec<Insight> {
    let mut found = Vec::new();
    if scope == Scope::Agents {
        found.extend(bottleneck(facts));
    }
    for one in facts {
        match scope {
            Scope::Flows => {
                found.extend(failing(scope, one, context));
                found.extend(critical::path(one, context));
                found.extend(stalled(one, now_ms));
                found.extend(late(one, now_ms));
            }
            Scope::Agents => found.extend(failing(scope, one, context)),
            Scope::Resources => {}
        }
    }
    for (one, outlook) in facts.iter().zip(outlooks) {
        if scope == Scope::Resources {
            found.extend(saturation(one, outlook, now_ms));
        }
        found.extend(trends(scope, one, outlook));
        found.extend(unexpected(scope, one, outlook));
    }
    found.sort_by(|a, b| {
        let rank = |severity: Severity| match severity {
            Severity::Critical => 0,
            Severity::Warning => 1,
            Severity::Info => 2,
        };
        rank(a.severity)
            .cmp(&rank(b.severity))
            .then(b.confidence.total_cmp(&a.confidence))
    });
    found.truncate(INSIGHTS_MAX);
    found
}

/// The agent with the most work waiting for each task that it can run.
fn bottleneck(facts: &[Facts<'_>]) -> Option<Insight> {
    let load = |one: &Facts<'_>| one.queue() / one.capacity().max(1.0);
    let agents = || facts.iter().filter(|one| one.index.is_some());
    let worst = agents().max_by(|a, b| {
        let utilization = |one: &Facts<'_>| one.span.utilization().unwrap_or(0.0);
        load(a)
            .total_cmp(&load(b))
            .then(utilization(a).total_cmp(&utilization(b)))
            .then(b.index.cmp(&a.index))
    })?;
    let (queue, slots) = (worst.queue(), worst.capacity().max(1.0));
    if queue < slots.max(2.0) {
        return None;
    }
    let name = subject(Scope::Agents, worst.index);
    let mut description = format!(
        "{name} has {} tasks waiting for {} slots, {} of which are busy",
        number(queue),
        number(slots),
        number(worst.busy())
    );
    if let Some(eta) = worst.queue_s() {
        description += &format!(
            "; at its mean latency the last of them starts in {}",
            duration(eta)
        );
    }
    let free = |one: &Facts<'_>| one.capacity() - one.busy() - one.queue();
    let spare = agents()
        .filter(|one| free(one) >= 1.0)
        .max_by(|a, b| free(a).total_cmp(&free(b)).then(b.index.cmp(&a.index)));
    let recommendation = match spare {
        Some(spare) => format!(
            "Move waiting tasks to {}, which has {} of {} slots free",
            subject(Scope::Agents, spare.index),
            number(free(spare)),
            number(spare.capacity())
        ),
        None => {
            format!("Register another agent with the capabilities of {name}, or give it more slots")
        }
    };
    Some(Insight {
        kind: "bottleneck".to_owned(),
        severity: if load(worst) >= 4.0 {
            Severity::Critical
        } else {
            Severity::Warning
        },
        subject: worst.index,
        description,
        confidence: grown(worst.events()),
        recommendations: vec![recommendation],
    })
}

/// Success that is certainly too rare.
fn failing(scope: Scope, one: &Facts<'_>, context: &Context<'_>) -> Option<Insight> {
    let (completed, failed) = (one.completed(), one.failed());
    let (low, high) = wilson(completed, completed + failed);
    if failed == 0 || high >= SUCCESS_LEAST {
        return None;
    }
    let name = subject(scope, one.index);
    let what = if scope == Scope::Agents {
        "attempts"
    } else {
        "tasks"
    };
    let recommendation = match scope {
        Scope::Agents => format!("Look at the errors of the last failed attempts of {name}; take it out of service while they go on"),
        _ => "Look at the errors of the failed tasks; raise max_attempts if they pass when tried again".to_owned(),
    };
    let mut recommendations = vec![recommendation];
    // All agents together have nobody else to turn to.
    let surer = context.surer_than(high).filter(|_| one.index.is_some());
    if let Some((other, posterior, attempts)) = surer {
        let (low, high) = posterior.interval();
        recommendations.push(format!(
            "Prefer {} where it has the capabilities: its attempts succeed with a probability of {} ({} to {} with 95 %, after {attempts})",
            subject(Scope::Agents, Some(other)),
            percent(posterior.mean()),
            percent(low),
            percent(high)
        ));
    }
    Some(Insight {
        kind: "failing".to_owned(),
        severity: if high < 0.5 {
            Severity::Critical
        } else {
            Severity::Warning
        },
        subject: one.index,
        description: format!(
            "{name}: {failed} of {} {what} failed; the success ratio of {} lies between {} and {} with 95 % confidence",
            completed + failed,
            percent(one.success().unwrap_or(0.0)),
            percent(low),
            percent(high)
        ),
        confidence: 1.0 - (high - low),
        recommendations,
    })
}

/// A flow with open tasks of which none is ready or in progress.
fn stalled(one: &Facts<'_>, now_ms: u64) -> Option<Insight> {
    let line = &one.subject.timeline;
    let idle_s = now_ms.saturating_sub(line.last_ms()) as f64 / 1000.0;
    let patience = 60.0_f64.max(10.0 * one.latency().mean().unwrap_or(0.0));
    let still = one.busy() == 0.0 && one.subject.ended.is_none() && idle_s > patience;
    if one.index.is_none() || one.open() == 0 || !still {
        return None;
    }
    let name = subject(Scope::Flows, one.index);
    let (cause, recommendation) = if one.queue() > 0.0 {
        let cause = format!(
            "{} of them are ready, but no agent has taken one",
            number(one.queue())
        );
        let recommendation =
            "Register or free an agent with the capabilities that the ready tasks need".to_owned();
        (cause, recommendation)
    } else {
        let cause = "all of them wait for other tasks".to_owned();
        (
            cause,
            format!("Look for failed or cancelled tasks that the open tasks of {name} depend on"),
        )
    };
    Some(Insight {
        kind: "stalled".to_owned(),
        severity: Severity::Warning,
        subject: one.index,
        description: format!(
            "{name}: nothing happened for {} with {} of {} tasks open; {cause}",
            duration(idle_s),
            one.open(),
            one.tasks()
        ),
        confidence: grown(one.events()),
        recommendations: vec![recommendation],
    })
}

/// A flow that takes longer than the plan that was applied to it.
fn late(one: &Facts<'_>, now_ms: u64) -> Option<Insight> {
    let (planned_ms, makespan_s) = one.subject.planned?;
    let (end_ms, over) = match one.subject.ended {
        Some((_, Outcome::Cancelled)) => return None,
        Some((ended_ms, _)) => (ended_ms, true),
        None => (now_ms, false),
    };
    let took_s = end_ms.saturating_sub(planned_ms) as f64 / 1000.0;
    if one.index.is_none() || makespan_s <= 0.0 || took_s <= 1.1 * makespan_s {
        return None;
    }
    let name = subject(Scope::Flows, one.index);
    let (what, severity) = if over {
        ("took", Severity::Info)
    } else {
        ("runs for", Severity::Warning)
    };
    Some(Insight {
        kind: "late".to_owned(),
        severity,
        subject: one.index,
        description: format!(
            "{name} {what} {} since a plan of {} was applied, {} longer, with {} of {} tasks open",
            duration(took_s),
            duration(makespan_s),
            percent(took_s / makespan_s - 1.0),
            one.open(),
            one.tasks()
        ),
        confidence: grown(one.events()),
        recommendations: vec![format!(
            "Compare the estimates of {name}'s tasks with their measured latency, and optimize what is open again"
        )],
    })
}

/// A resource that is full, or is expected to be.
fn saturation(one: &Facts<'_>, outlook: &Outlook, now_ms: u64) -> Option<Insight> {
    one.index?;
    let now = one.utilization_now()?;
    let name = subject(Scope::Resources, one.index);
    let recommendations = vec![format!(
        "Raise the capacity of {name}, release what is not needed, or give allocations a ttl_s"
    )];
    if now >= SATURATED {
        return Some(Insight {
            kind: "saturation".to_owned(),
            severity: if now >= 0.99 {
                Severity::Critical
            } else {
                Severity::Warning
            },
            subject: one.index,
            description: format!(
                "{name} is {} in use: {} of {} units, with {} left",
                percent(now),
                number(one.busy()),
                number(one.capacity()),
                number((one.capacity() - one.busy()).max(0.0))
            ),
            confidence: grown(one.events()),
            recommendations,
        });
    }
    // Without a fit there is nothing to expect.
    let error = outlook.errors.first()?;
    let ahead = outlook
        .forecasts
        .iter()
        .find(|ahead| ahead.name == "utilization")?;
    let reached = |value: &f64| *value >= SATURATED - REACHED_WITHIN;
    let at = ahead.mean.iter().position(reached)?;
    let earliest = ahead.upper.iter().position(reached).unwrap_or(at);
    let steps = outlook
        .series
        .iter()
        .find(|line| line.name == "utilization")?;
    let until = |step: usize| {
        let time_ms = ahead.start_ms + step as u64 * ahead.step_ms;
        duration(time_ms.saturating_sub(now_ms) as f64 / 1000.0)
    };
    let time_ms = ahead.start_ms + at as u64 * ahead.step_ms;
    Some(Insight {
        kind: "saturation".to_owned(),
        severity: Severity::Warning,
        subject: one.index,
        description: format!(
            "{name} is {} in use and is expected to reach {} in {}, at {} ({} at most then, with 95 % confidence; in {} at the earliest)",
            percent(now),
            percent(ahead.mean[at]),
            until(at),
            moment(time_ms),
            percent(ahead.upper[at]),
            until(earliest),
        ),
        confidence: grown(steps.values.len() as u64) * (1.0 - error.min(1.0)),
        recommendations,
    })
}

/// Latency that rises and throughput that falls or rises, by more than scatter.
fn trends(scope: Scope, one: &Facts<'_>, outlook: &Outlook) -> Vec<Insight> {
    let window_s = one.span.seconds();
    let mut found = Vec::new();
    if let Some((trend, change)) = certain(outlook.latency, one.latency().mean(), window_s)
        && change > 0.0
    {
        found.push(trend_insight(
            scope,
            one,
            trend,
            "latency",
            change,
            Severity::Warning,
        ));
    }
    // What is over always falls to nothing.
    let over = one.subject.ended.is_some() || (scope == Scope::Flows && one.open() == 0);
    if let Some((trend, change)) = certain(outlook.throughput, Some(one.throughput()), window_s)
        && !over
    {
        let severity = if change < 0.0 && one.queue() > 0.0 {
            Severity::Warning
        } else {
            Severity::Info
        };
        found.push(trend_insight(
            scope,
            one,
            trend,
            "throughput",
            change,
            severity,
        ));
    }
    found
}

/// A trend that is told, with its change over the window relative to the mean.
fn certain(trend: Option<Trend>, mean: Option<f64>, window_s: f64) -> Option<(Trend, f64)> {
    let (trend, mean) = (trend?, mean.filter(|&mean| mean > 0.0)?);
    let change = trend.slope * window_s / mean;
    (trend.confidence >= TREND_CONFIDENCE && change.abs() >= TREND_CHANGE)
        .then_some((trend, change))
}

fn trend_insight(
    scope: Scope,
    one: &Facts<'_>,
    trend: Trend,
    what: &str,
    change: f64,
    severity: Severity,
) -> Insight {
    let name = subject(scope, one.index);
    let direction = if change > 0.0 { "rises" } else { "falls" };
    let unit = if what == "latency" { "s" } else { "tasks/s" };
    let recommendations = match (what, change > 0.0) {
        ("latency", _) => vec![format!(
            "Compare what {name} ran early and late in the window; move work to other agents if the work is the same"
        )],
        (_, false) => {
            vec!["Check whether work is running out, or agents left or slowed down".to_owned()]
        }
        (_, true) => Vec::new(),
    };
    Insight {
        kind: "trend".to_owned(),
        severity,
        subject: one.index,
        description: format!(
            "{name}: {what} {direction} by {} {unit} a minute, {} of its mean over the window",
            number(trend.slope.abs() * 60.0),
            percent(change.abs())
        ),
        confidence: trend.confidence,
        recommendations,
    }
}

/// The newest anomaly of each series.
fn unexpected(scope: Scope, one: &Facts<'_>, outlook: &Outlook) -> Vec<Insight> {
    let mut newest: Vec<&Anomaly> = Vec::new();
    for anomaly in &outlook.anomalies {
        newest.retain(|known| known.name != anomaly.name);
        newest.push(anomaly);
    }
    let name = subject(scope, one.index);
    let insight = |anomaly: &Anomaly| {
        let step_ms = outlook
            .series
            .first()
            .map_or(0, |line: &Series| line.step_ms);
        let ago_ms = one.span.to_ms.saturating_sub(anomaly.time_ms);
        Insight {
            kind: "anomaly".to_owned(),
            severity: if ago_ms <= 3 * step_ms {
                Severity::Warning
            } else {
                Severity::Info
            },
            subject: one.index,
            description: format!(
                "{name}: {} was {} where its past suggests {}, {} robust deviations off, {} ago",
                anomaly.name,
                number(anomaly.value),
                number(anomaly.expected),
                number(anomaly.score.abs()),
                duration(ago_ms as f64 / 1000.0)
            ),
            confidence: 1.0 - 1.0 / (anomaly.score * anomaly.score).max(1.0),
            recommendations: vec![format!(
                "Look at what changed around {}",
                moment(anomaly.time_ms)
            )],
        }
    };
    newest.into_iter().map(insight).collect()
}
