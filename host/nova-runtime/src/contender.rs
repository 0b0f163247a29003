//! Revisions asked beside the traffic: their calls wait for a free instance, are in nobody's numbers and in
//! no journal.
//!
//! A contender has a unit of its own: what serves does not notice it. An analytics problem is put to a
//! processor that is brought up to the recorded event, as it was then; one processor for each domain,
//! moved forward from problem to problem.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cpu_time::ThreadTime;
use nova_core::domain::Domain;
use nova_core::ports::{Contender, Datastore, DatastoreExt as _, ReadCost};
use nova_core::strategy::analytics::{AnalyticsQuery, AnalyticsReport};
use nova_core::strategy::compare::{Contestant, Trial};
use nova_core::strategy::decision::{Decision, Outcome, Question, Reply};
use nova_core::{Error, Result};
use tokio::sync::{Mutex, Semaphore};

use crate::convert::object_text;
use crate::error::Failure;
use crate::invoke::{Answer, Asked, Invoker, Unit};
use crate::live::Live;

/// Longest wait for a free instance: traffic goes first, but not for ever.
const TURN_WAIT: Duration = Duration::from_secs(60);
/// Events handed over at a time.
const BATCH: usize = 4096;
/// Domains whose processors are kept; past it all are dropped and rebuilt.
pub(crate) const LIVES_MAX: usize = 4;

/// A revision that is asked on its own account.
pub(crate) struct Runner {
    invoker: Arc<Invoker>,
    unit: Unit,
    contestant: Contestant,
    /// Instances for calls, shared with the traffic.
    instances: Arc<Semaphore>,
    datastore: Arc<dyn Datastore>,
    lives: Mutex<HashMap<Domain, Live>>,
}

impl Runner {
    pub(crate) fn new(
        invoker: Arc<Invoker>,
        unit: Unit,
        contestant: Contestant,
        instances: Arc<Semaphore>,
        datastore: Arc<dyn Datastore>,
    ) -> Self {
        Self {
            invoker,
            unit,
            contestant,
            instances,
            datastore,
            lives: Mutex::default(),
        }
    }

    pub(crate) fn unit(&self) -> &Unit {
        &self.unit
    }

    /// Brings the domain's processor up to the event, and asks it.
    async fn report(
        &self,
        domain: &Domain,
        query: &AnalyticsQuery,
        covers_seq: u64,
    ) -> Result<Asked<AnalyticsReport>> {
        let mut lives = self.lives.lock().await;
        let kept = lives.remove(domain);
        let mut live = match kept.filter(|live| live.covers_seq() <= covers_seq) {
            Some(live) => live,
            None => match Live::start(&self.invoker, &self.unit).await {
                Ok(live) => live,
                Err(failure) => return Ok(failure.into()),
            },
        };
        while live.covers_seq() < covers_seq {
            let (of, after) = (domain.clone(), live.covers_seq());
            let read = self.datastore.read(ReadCost::Scan, move |tx| {
                tx.events_after(Some(&of), after, BATCH)
            });
            let mut events = read.await?;
            events.retain(|event| event.seq <= covers_seq);
            if events.is_empty() {
                break;
            }
            match live.ingest(&self.invoker, &self.unit, &events).await {
                Ok(Ok(())) => {}
                Ok(Err(refusal)) => {
                    return Ok(Asked {
                        outcome: Ok(Err(refusal)),
                        memory_bytes: live.memory_bytes(),
                    });
                }
                Err(failure) => return Ok(failure.into()),
            }
        }
        let asked = Asked {
            outcome: live.report(&self.invoker, &self.unit, query).await,
            memory_bytes: live.memory_bytes(),
        };
        if asked.outcome.is_ok() {
            if lives.len() >= LIVES_MAX {
                lives.clear();
            }
            lives.insert(domain.clone(), live);
        }
        Ok(asked)
    }
}

#[async_trait]
impl Contender for Runner {
    fn contestant(&self) -> &Contestant {
        &self.contestant
    }

    async fn ask(&self, decision: &Decision) -> Result<Trial> {
        let turn = Arc::clone(&self.instances).acquire_owned();
        let Ok(Ok(_turn)) = tokio::time::timeout(TURN_WAIT, turn).await else {
            return Err(Error::unavailable(
                "no instance is free beside the traffic",
                10,
            ));
        };
        let parameters = object_text(&decision.parameters);
        let (outcome, cpu) = match &decision.question {
            Question::Flow(problem) => {
                let call = self.invoker.optimize(&self.unit, problem, &parameters);
                let (asked, cpu) = metered(call).await;
                (outcome(asked, Reply::Plan)?, cpu)
            }
            Question::Allocation(problem) => {
                let call = self.invoker.allocate(&self.unit, problem, &parameters);
                let (asked, cpu) = metered(call).await;
                (outcome(asked, Reply::Allocation)?, cpu)
            }
            Question::Analytics { query, covers_seq } => {
                let call = self.report(&decision.domain, query, *covers_seq);
                let (asked, cpu) = metered(call).await;
                (outcome(asked?, Reply::Report)?, cpu)
            }
        };
        let (outcome, memory_bytes) = outcome;
        Ok(Trial {
            outcome,
            cpu_us: u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX),
            memory_bytes,
        })
    }
}

/// What came of it, in the words of a record; and the guest's memory.
fn outcome<A>(asked: Asked<A>, reply: fn(A) -> Reply) -> Result<(Outcome, u64)> {
    let outcome = match asked.outcome {
        Ok(answer) => answered(answer, reply),
        Err(Failure::Failed { cause, reason }) => Outcome::Failed {
            cause: cause.to_owned(),
            reason,
        },
        Err(Failure::Timeout { deadline_ms }) => Outcome::Timeout { deadline_ms },
        Err(Failure::Busy(what)) => return Err(Error::unavailable(what, 10)),
    };
    Ok((outcome, asked.memory_bytes))
}

fn answered<A>(answer: Answer<A>, reply: fn(A) -> Reply) -> Outcome {
    match answer {
        Ok(answer) => Outcome::Answered(reply(answer)),
        Err(refusal) => refusal.into(),
    }
}

/// Runs a call, and tells the processor time of its polls.
pub(crate) async fn metered<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let mut spent = Duration::ZERO;
    let mut call = std::pin::pin!(call);
    let done = std::future::poll_fn(|cx| {
        let began = ThreadTime::now();
        let polled = call.as_mut().poll(cx);
        spent += began.elapsed();
        polled
    })
    .await;
    (done, spent)
}
