//! Problems for comparisons that a daemon has recorded: what its plugins were really asked.
//!
//! Reads the decision journal in a data directory, whether a daemon runs on it or not; writes nothing.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use nova_core::ports::{DecisionJournal, ReplayFilter};
use nova_core::strategy::Kind;
use nova_core::strategy::decision::{Decision, Question};
use nova_store::SqliteJournal;

use super::problem::Problem;
use crate::wiring::JOURNAL_FILE;

/// Decisions read together.
const PART: usize = 64;

/// The newest problems that were recorded, oldest first, at most `problems_max`, by decision id.
///
/// # Errors
/// There is no journal, it cannot be read, or nothing in it is wanted; a kind that is not asked single
/// problems.
pub(crate) async fn problems(
    data: &Path,
    filter: ReplayFilter,
    problems_max: u64,
) -> Result<Vec<(String, Problem)>> {
    let kind = filter.kind;
    if kind == Kind::AnalyticsProcessor {
        bail!("a {kind} answers from events: compare it by `nova plugin replay`");
    }
    let journal = SqliteJournal::open_reading(data.join(JOURNAL_FILE))
        .with_context(|| format!("no decisions are recorded in {}", data.display()))?;
    let unreadable = |error| anyhow!("{error}");
    let span = journal.replay_span(filter.clone(), problems_max).await;
    let mut after = span.map_err(unreadable)?.after;
    let mut problems = Vec::new();
    while (problems.len() as u64) < problems_max {
        let part = journal.replay_part(filter.clone(), after, PART).await;
        let part = part.map_err(unreadable)?;
        let Some((last, _)) = part.last() else {
            break;
        };
        after = *last;
        problems.extend(part.into_iter().filter_map(|(_, decision)| named(decision)));
    }
    problems.truncate(usize::try_from(problems_max).unwrap_or(usize::MAX));
    if problems.is_empty() {
        bail!(
            "no problems for a {kind} are recorded in {}, or none of those that were asked for",
            data.display()
        );
    }
    Ok(problems)
}

/// A decision's problem with its names; none where it is no single problem.
fn named(decision: Decision) -> Option<(String, Problem)> {
    let subject = &decision.subject;
    let problem = match decision.question {
        Question::Flow(problem) => {
            let mut problem = (*problem).clone();
            problem.parameters = decision.parameters;
            Problem::Flow {
                problem: Box::new(problem),
                tasks: subject.tasks.iter().map(ToString::to_string).collect(),
                agents: subject.agents.iter().map(ToString::to_string).collect(),
            }
        }
        Question::Allocation(problem) => {
            let mut problem = (*problem).clone();
            problem.parameters = decision.parameters;
            let claims = subject.consumers.iter().enumerate();
            Problem::Allocation {
                problem: Box::new(problem),
                claims: claims
                    .map(|(n, consumer)| consumer.clone().unwrap_or_else(|| format!("claim {n}")))
                    .collect(),
                resources: subject.resources.iter().map(ToString::to_string).collect(),
            }
        }
        Question::Analytics { .. } => return None,
    };
    Some((decision.decision_id.to_string(), problem))
}
