//! The gate: recorded problems put to a candidate before it takes a serving revision's place.
//!
//! It lasts so long and no longer: what was seen by then is judged, and so is that a candidate kept the gate
//! waiting for most of it. Who cannot be judged, because too little is recorded or the journal is away,
//! passes, and it is said so: a gate keeps what is worse out, and no operator from a repair.

use std::time::{Duration, Instant};

use super::run::{can_be_replayed, is_own};
use crate::error::Result;
use crate::ports::{Contender, DecisionJournal, ReplayFilter};
use crate::strategy::compare::{Comparison, GatePolicy, Tally};
use crate::strategy::table::table;

/// Decisions read together.
const PART: usize = 16;

/// How a gate judges.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GatePlan {
    /// How much worse a candidate may be.
    pub policy: GatePolicy,
    /// The newest so many recorded decisions are asked again.
    pub decisions_max: u64,
    /// Where fewer are recorded, nobody is judged.
    pub decisions_min: u64,
    /// What has not been asked by then is left out.
    pub time_max: Duration,
}

/// What a gate says.
#[derive(Clone, PartialEq, Debug)]
pub enum Judgement {
    /// The candidate is not worse than it may be.
    Passed(String),
    /// It is worse, with the table.
    Refused(String),
    /// It could not be judged, and passes.
    Unjudged(String),
}

/// Puts recorded problems of the kind, of every domain, to both, oldest first, one at a time.
pub async fn judge(
    journal: &dyn DecisionJournal,
    plan: &GatePlan,
    serving: &dyn Contender,
    candidate: &dyn Contender,
) -> Judgement {
    let (mut tally, mut waiting) = (Tally::default(), None);
    let asked = ask(journal, plan, serving, candidate, &mut tally, &mut waiting);
    let ended = tokio::time::timeout(plan.time_max, asked).await;
    let in_time = match ended {
        Ok(Err(error)) => {
            return Judgement::Unjudged(format!(
                "not judged: recorded problems cannot be put to it: {error}"
            ));
        }
        Ok(Ok(recorded)) if recorded < plan.decisions_min => {
            return Judgement::Unjudged(format!(
                "not judged: {recorded} decisions of the kind are recorded, {} are needed",
                plan.decisions_min
            ));
        }
        Ok(Ok(_)) => true,
        Err(_) => false,
    };
    let seen = tally.comparison();
    if let Some(waited) = waiting.map(|since: Instant| since.elapsed())
        && waited >= plan.time_max / 2
    {
        return Judgement::Refused(format!(
            "it did not answer a recorded problem, which has been answered before, within {:.1} s (the gate lasts {} s)",
            waited.as_secs_f64(),
            plan.time_max.as_secs_f64()
        ));
    }
    let limit = match in_time {
        true => String::new(),
        false => format!(", as many as {} s allow", plan.time_max.as_secs_f64()),
    };
    if seen.decisions == 0 {
        return Judgement::Unjudged(format!(
            "not judged: no recorded problem could be asked{limit}"
        ));
    }
    let objections = plan.policy.objections(&seen);
    if objections.is_empty() {
        return Judgement::Passed(passed(&seen, &limit));
    }
    let (serving, candidate) = (serving.contestant(), candidate.contestant());
    Judgement::Refused(format!(
        "{}\n{}",
        objections.join("; "),
        table(serving, candidate, &seen).trim_end()
    ))
}

fn passed(seen: &Comparison, limit: &str) -> String {
    let objective = match seen.objective.compared {
        0 => "no objective to compare".to_owned(),
        n => format!(
            "objective {:+.3} % on average over {n}",
            100.0 * seen.objective.mean_gain
        ),
    };
    format!(
        "passed: {} recorded problems{limit}, {objective}, {:.0} µs a problem (the one before: {:.0} µs), {} failures of its own",
        seen.decisions, seen.candidate.cpu_us.mean, seen.serving.cpu_us.mean, seen.new_failures
    )
}

/// Gives how many decisions are recorded, at most as many as are wanted. `waiting` is since when the candidate
/// has owed an answer to a problem that has been answered, by the serving revision or when it was recorded.
async fn ask(
    journal: &dyn DecisionJournal,
    plan: &GatePlan,
    serving: &dyn Contender,
    candidate: &dyn Contender,
    tally: &mut Tally,
    waiting: &mut Option<Instant>,
) -> Result<u64> {
    let filter = ReplayFilter {
        kind: serving.contestant().kind,
        domain: None,
        since: None,
    };
    let span = journal
        .replay_span(filter.clone(), plan.decisions_max)
        .await?;
    if span.decisions < plan.decisions_min {
        return Ok(span.decisions);
    }
    let (mut after, mut done) = (span.after, 0);
    while done < span.decisions {
        let part = journal.replay_part(filter.clone(), after, PART).await?;
        let Some((last, _)) = part.last() else {
            break; // Forgotten meanwhile, or unreadable.
        };
        after = *last;
        for (_, decision) in part {
            done += 1;
            if done > span.decisions {
                break; // Made since it began.
            }
            if !can_be_replayed(&decision) {
                continue;
            }
            // Who is asked second finds warmer caches: they take turns.
            let (old, new) = if done % 2 == 1 {
                let old = serving.ask(&decision).await?;
                *waiting = old.outcome.reply().map(|_| Instant::now());
                (old, candidate.ask(&decision).await?)
            } else {
                *waiting = decision.outcome.reply().map(|_| Instant::now());
                let new = candidate.ask(&decision).await?;
                *waiting = None;
                (serving.ask(&decision).await?, new)
            };
            *waiting = None;
            tally.add(&decision, is_own(&decision, serving), &old, &new);
        }
    }
    Ok(span.decisions)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use async_trait::async_trait;
    use serde_json::Map;

    use super::*;
    use crate::domain::{DecisionId, Domain, Timestamp};
    use crate::error::Error;
    use crate::ports::decisions::{DecisionFilter, DecisionSink, DecisionSummary};
    use crate::ports::runtime::Route;
    use crate::ports::{JournalUsage, Page, PageRequest, ReplaySpan};
    use crate::strategy::Kind;
    use crate::strategy::compare::{Contestant, Trial};
    use crate::strategy::decision::{Cost, Decider, Decision, Outcome, Question, Reply};
    use crate::strategy::flow::{FlowPlan, FlowProblem};

    /// So many decisions about nothing in particular.
    struct Recorded(u64);

    #[async_trait]
    impl DecisionSink for Recorded {
        async fn record(&self, _: Decision) {}
    }

    #[async_trait]
    impl DecisionJournal for Recorded {
        async fn list(
            &self,
            _: &Domain,
            _: DecisionFilter,
            _: PageRequest,
        ) -> Result<Page<DecisionSummary>> {
            Err(Error::unavailable("not asked", 1))
        }
        async fn get(&self, _: &Domain, _: DecisionId) -> Result<Option<Decision>> {
            Ok(None)
        }
        async fn replay_span(&self, _: ReplayFilter, decisions_max: u64) -> Result<ReplaySpan> {
            let decisions = self.0.min(decisions_max);
            let after = i64::try_from(self.0 - decisions).unwrap();
            Ok(ReplaySpan { decisions, after })
        }
        async fn replay_part(
            &self,
            _: ReplayFilter,
            after: i64,
            limit: usize,
        ) -> Result<Vec<(i64, Decision)>> {
            let all = after + 1..=i64::try_from(self.0).unwrap();
            Ok(all.take(limit).map(|n| (n, decision())).collect())
        }
        async fn usage(&self) -> Result<JournalUsage> {
            Ok(JournalUsage::default())
        }
        async fn close(&self) -> Result<()> {
            Ok(())
        }
    }

    fn decision() -> Decision {
        Decision {
            decision_id: DecisionId::generate(),
            at: Timestamp::from_millis(0),
            domain: Domain::default(),
            subject: Arc::default(),
            decider: Decider {
                plugin: "p".to_owned(),
                version: "1".to_owned(),
                revision: 1,
                digest: "d".to_owned(),
                settings: Map::new(),
                route: Route::Default,
                degraded: None,
            },
            question: Question::Flow(Arc::new(FlowProblem::new(vec![1.0], vec![1.0]))),
            parameters: Map::new(),
            outcome: answer(10.0),
            cost: Cost::default(),
        }
    }

    fn answer(makespan_s: f64) -> Outcome {
        Outcome::Answered(Reply::Plan(FlowPlan {
            makespan_s,
            ..FlowPlan::default()
        }))
    }

    /// Answers always the same, so often; then never again.
    struct Fixed {
        contestant: Contestant,
        outcome: Outcome,
        cpu_us: u64,
        answers: AtomicU64,
    }

    impl Fixed {
        fn new(outcome: Outcome, cpu_us: u64, answers: u64) -> Self {
            let contestant = Contestant {
                plugin: "p".to_owned(),
                kind: Kind::FlowOptimizer,
                version: "1".to_owned(),
                digest: "sha256:0".to_owned(),
                revision: None,
                settings: Map::new(),
            };
            Self {
                contestant,
                outcome,
                cpu_us,
                answers: AtomicU64::new(answers),
            }
        }
    }

    #[async_trait]
    impl Contender for Fixed {
        fn contestant(&self) -> &Contestant {
            &self.contestant
        }
        async fn ask(&self, _: &Decision) -> Result<Trial> {
            if self.answers.fetch_sub(1, Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
            Ok(Trial {
                outcome: self.outcome.clone(),
                cpu_us: self.cpu_us,
                memory_bytes: 0,
            })
        }
    }

    const ALWAYS: u64 = u64::MAX;

    const PLAN: GatePlan = GatePlan {
        policy: GatePolicy {
            objective_loss_max: 0.1,
            time_growth_max: 1.0,
            failures_max: 2,
        },
        decisions_max: 40,
        decisions_min: 20,
        time_max: Duration::from_millis(500),
    };

    async fn judged(recorded: u64, candidate: Fixed) -> Judgement {
        let serving = Fixed::new(answer(10.0), 100, ALWAYS);
        judged_beside(recorded, serving, candidate).await
    }

    async fn judged_beside(recorded: u64, serving: Fixed, candidate: Fixed) -> Judgement {
        judge(&Recorded(recorded), &PLAN, &serving, &candidate).await
    }

    #[tokio::test]
    async fn the_worse_are_refused_with_the_table_and_others_pass() {
        let Judgement::Passed(said) = judged(100, Fixed::new(answer(11.0), 200, ALWAYS)).await
        else {
            panic!("at its limits, and refused")
        };
        assert!(
            said.starts_with(
                "passed: 40 recorded problems, objective -10.000 % on average over 40"
            ),
            "{said}"
        );
        let failed = Outcome::Timeout { deadline_ms: 5 };
        let cases = [
            (
                Fixed::new(answer(11.1), 100, ALWAYS),
                "its answers are 11.000 % worse",
            ),
            (
                Fixed::new(answer(10.0), 201, ALWAYS),
                "it takes 201 µs a problem",
            ),
            (
                Fixed::new(failed, 100, ALWAYS),
                "it does not answer 40 of 40 problems",
            ),
        ];
        for (candidate, reason) in cases {
            let Judgement::Refused(said) = judged(100, candidate).await else {
                panic!("{reason}, and passed")
            };
            assert!(said.contains(reason), "{said}");
            let table = said.lines().any(|l| l.starts_with("time mean, µs"));
            assert!(table, "{said}");
        }
    }

    #[tokio::test]
    async fn who_cannot_be_judged_passes_and_it_is_said() {
        let Judgement::Unjudged(said) = judged(19, Fixed::new(answer(99.0), 1, ALWAYS)).await
        else {
            panic!("judged by 19 problems")
        };
        let wanted = "not judged: 19 decisions of the kind are recorded, 20 are needed";
        assert_eq!(said, wanted);
        assert!(matches!(
            judged(20, Fixed::new(answer(99.0), 1, ALWAYS)).await,
            Judgement::Refused(_)
        ));
    }

    #[tokio::test]
    async fn it_lasts_so_long_and_judges_what_was_seen() {
        let serving = |answers| Fixed::new(answer(10.0), 100, answers);
        let worse = Fixed::new(answer(12.0), 100, ALWAYS);
        let Judgement::Refused(said) = judged_beside(100, serving(3), worse).await else {
            panic!("three problems were seen")
        };
        assert!(said.contains("over 3 problems"), "{said}");
        let as_good = Fixed::new(answer(10.0), 100, ALWAYS);
        let Judgement::Passed(said) = judged_beside(100, serving(3), as_good).await else {
            panic!("it is as good")
        };
        let wanted = "3 recorded problems, as many as 0.5 s allow";
        assert!(said.contains(wanted), "{said}");
        let worse = Fixed::new(answer(12.0), 100, ALWAYS);
        assert!(matches!(
            judged_beside(100, serving(0), worse).await,
            Judgement::Unjudged(_)
        ));
    }

    /// The slowest of all is not let in because nothing was seen of it.
    #[tokio::test]
    async fn who_never_answers_what_the_serving_one_does_is_refused() {
        for answers in [0, 1, 2, 3] {
            let hangs = Fixed::new(answer(10.0), 100, answers);
            let Judgement::Refused(said) = judged(100, hangs).await else {
                panic!("it hung after {answers} answers, and passed")
            };
            let wanted = "it did not answer a recorded problem, which";
            assert!(said.starts_with(wanted), "{said}");
        }
    }
}
