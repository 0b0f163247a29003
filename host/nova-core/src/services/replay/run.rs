//! One replay, from the first recorded problem to the last.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::ports::{Contender, DecisionJournal, ReplayFilter};
use crate::strategy::Kind;
use crate::strategy::compare::{Comparison, Tally, Trial};
use crate::strategy::decision::{Decision, Question};

/// Decisions read together.
const PART: usize = 64;

/// How a replay is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplayPlan {
    /// The newest so many decisions.
    pub decisions_max: u64,
    /// Problems at a time.
    pub parallel: usize,
}

/// Puts recorded problems to both, oldest first, and tells `progress` (done, in all, what was seen) after
/// each part.
///
/// # Errors
/// The journal cannot be read, or a question could not be put.
pub async fn replay(
    journal: &Arc<dyn DecisionJournal>,
    filter: ReplayFilter,
    plan: ReplayPlan,
    serving: Arc<dyn Contender>,
    candidate: Arc<dyn Contender>,
    mut progress: impl FnMut(u64, u64, Comparison) + Send,
) -> Result<Comparison> {
    let span = journal
        .replay_span(filter.clone(), plan.decisions_max)
        .await?;
    // A processor is brought forward event by event: its problems come one after the other.
    let parallel = match filter.kind {
        Kind::AnalyticsProcessor => 1,
        _ => plan.parallel.max(1),
    };
    let mut tally = Tally::default();
    let (mut after, mut done) = (span.after, 0);
    progress(0, span.decisions, tally.comparison());
    while done < span.decisions {
        let part = journal.replay_part(filter.clone(), after, PART).await?;
        let Some((last, _)) = part.last() else {
            break; // Forgotten meanwhile, or unreadable.
        };
        after = *last;
        done += part.len() as u64;
        let decisions = part.into_iter().map(|(_, decision)| decision);
        let decisions = decisions.filter(can_be_replayed).map(Arc::new);
        for (decision, pair) in ask(decisions, parallel, &serving, &candidate).await? {
            let is_own = is_own(&decision, &*serving);
            tally.add(&decision, is_own, &pair.0, &pair.1);
        }
        progress(done.min(span.decisions), span.decisions, tally.comparison());
    }
    Ok(tally.comparison())
}

/// Whether the contender is the revision that decided then, with the same settings.
pub(crate) fn is_own(decision: &Decision, contender: &dyn Contender) -> bool {
    let (then, now) = (&decision.decider, contender.contestant());
    then.digest == now.digest && then.settings == now.settings
}

/// A processor that failed before it saw its events was asked nothing that could be asked again.
pub(super) fn can_be_replayed(decision: &Decision) -> bool {
    match decision.question {
        Question::Analytics { .. } => decision.outcome.reply().is_some(),
        _ => true,
    }
}

/// Asks both, a few problems at a time; answers in the order of the problems.
async fn ask(
    decisions: impl Iterator<Item = Arc<Decision>>,
    parallel: usize,
    serving: &Arc<dyn Contender>,
    candidate: &Arc<dyn Contender>,
) -> Result<Vec<(Arc<Decision>, (Trial, Trial))>> {
    let mut asked = Vec::new();
    let mut running = JoinSet::new();
    for (n, decision) in decisions.enumerate() {
        if running.len() >= parallel {
            collect(running.join_next().await, &mut asked)?;
        }
        let (serving, candidate) = (Arc::clone(serving), Arc::clone(candidate));
        running.spawn(async move {
            // Who is asked second finds warmer caches: they take turns.
            let pair = if n % 2 == 0 {
                let first = serving.ask(&decision).await?;
                (first, candidate.ask(&decision).await?)
            } else {
                let first = candidate.ask(&decision).await?;
                (serving.ask(&decision).await?, first)
            };
            Ok((n, decision, pair))
        });
    }
    while !running.is_empty() {
        collect(running.join_next().await, &mut asked)?;
    }
    asked.sort_by_key(|(n, _, _)| *n);
    Ok(asked
        .into_iter()
        .map(|(_, decision, pair)| (decision, pair))
        .collect())
}

type Asked = (usize, Arc<Decision>, (Trial, Trial));

fn collect(
    joined: Option<Result<Result<Asked>, tokio::task::JoinError>>,
    asked: &mut Vec<Asked>,
) -> Result<()> {
    if let Some(joined) = joined {
        asked.push(joined.map_err(Error::service)??);
    }
    Ok(())
}
