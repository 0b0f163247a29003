//! Replay: recorded problems put to a candidate and to the serving revision, side by side.
//!
//! A replay is a job: it is begun, looked at while it runs, and stays to be read for a while. It runs so
//! many problems at a time and never more than one replay at once, beside the traffic.

mod gate;
mod run;

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use tokio::task::AbortHandle;
use uuid::Uuid;

pub use gate::{GatePlan, Judgement, judge};
pub use run::{ReplayPlan, replay};

use super::Ports;
use crate::domain::{Clock, Domain, Timestamp};
use crate::error::{Error, Result};
use crate::ports::{Candidate, Contests, DecisionJournal, ReplayFilter};
use crate::strategy::compare::{Comparison, Contestant};

/// Finished replays that can be read.
const KEPT_MAX: usize = 32;
/// Decisions of a replay that does not say how many.
pub const REPLAY_DECISIONS_DEFAULT: u64 = 1000;
/// Most decisions of one replay.
pub const REPLAY_DECISIONS_MAX: u64 = 100_000;

/// What is to be replayed.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplayRequest {
    /// The plugin whose serving revision is compared with.
    pub plugin: String,
    /// The other one.
    pub candidate: Candidate,
    /// Problems of this domain; none = of every domain.
    pub domain: Option<Domain>,
    /// Problems of the last so many seconds; none = all that is recorded.
    pub since_s: Option<f64>,
    /// The newest so many; none = [`REPLAY_DECISIONS_DEFAULT`].
    pub decisions_max: Option<u64>,
}

/// How far a replay is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplayState {
    /// It runs.
    Running,
    /// It has ended with a report.
    Finished,
    /// It broke off.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl ReplayState {
    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A replay as it is seen.
#[derive(Clone, Debug)]
pub struct ReplayView {
    /// Its id.
    pub replay_id: Uuid,
    /// The plugin whose place it is about.
    pub plugin: String,
    /// How far it is.
    pub state: ReplayState,
    /// When it began.
    pub started_at: Timestamp,
    /// Problems done.
    pub done: u64,
    /// Problems in all; 0 until they are counted.
    pub total: u64,
    /// The serving revision; none until both are loaded.
    pub serving: Option<Contestant>,
    /// The candidate; none until both are loaded.
    pub candidate: Option<Contestant>,
    /// What came of it so far.
    pub comparison: Option<Comparison>,
    /// Why it failed.
    pub reason: Option<String>,
}

struct Job {
    /// Whose it is: nobody else finds it. None: of every domain.
    domain: Option<Domain>,
    view: Arc<Mutex<ReplayView>>,
    abort: AbortHandle,
}

/// What replays need.
#[derive(Clone)]
pub struct ReplayPorts {
    /// Where the problems are.
    pub journal: Arc<dyn DecisionJournal>,
    /// Who answers them.
    pub contests: Arc<dyn Contests>,
    /// Problems at a time.
    pub parallel: usize,
}

/// Runs replays.
pub struct ReplayService {
    clock: Arc<dyn Clock>,
    /// None: decisions are not recorded.
    ports: Option<ReplayPorts>,
    jobs: Mutex<VecDeque<Job>>,
}

impl ReplayService {
    pub(super) fn new(ports: &Ports) -> Self {
        Self {
            clock: Arc::clone(&ports.clock),
            ports: None,
            jobs: Mutex::default(),
        }
    }

    /// The same over these.
    pub(super) fn over(&self, ports: ReplayPorts) -> Self {
        Self {
            clock: Arc::clone(&self.clock),
            ports: Some(ports),
            jobs: Mutex::default(),
        }
    }

    /// Begins a replay.
    ///
    /// # Errors
    /// [`Error::Validation`] names the field; [`Error::ResourceNotFound`] an unknown plugin;
    /// [`Error::Conflict`] while another replay runs, or when decisions are not recorded.
    pub async fn begin(&self, request: ReplayRequest) -> Result<ReplayView> {
        let Some(ports) = self.ports.clone() else {
            return Err(Error::conflict(
                "decisions are not recorded: journal.enabled is false in the daemon's configuration",
                json!({"setting": "journal.enabled"}),
            ));
        };
        let now = self.clock.now();
        let plan = plan(&request, now)?;
        self.refuse_second()?;
        let serving = ports.contests.serving(&request.plugin).await?;
        let view = Arc::new(Mutex::new(ReplayView {
            replay_id: Uuid::now_v7(),
            plugin: request.plugin.clone(),
            state: ReplayState::Running,
            started_at: now,
            done: 0,
            total: 0,
            serving: Some(serving.contestant().clone()),
            candidate: None,
            comparison: None,
            reason: None,
        }));
        let mut jobs = self.jobs.lock();
        running(&jobs)?;
        let shared = Arc::clone(&view);
        let task = tokio::spawn(async move {
            let candidate = ports
                .contests
                .candidate(&request.plugin, request.candidate)
                .await;
            let ended = match candidate {
                Ok(candidate) => {
                    shared.lock().candidate = Some(candidate.contestant().clone());
                    let filter = ReplayFilter {
                        kind: serving.contestant().kind,
                        domain: request.domain,
                        since: plan.since,
                    };
                    let progress = |done, total, seen: Comparison| {
                        let mut view = shared.lock();
                        (view.done, view.total, view.comparison) = (done, total, Some(seen));
                    };
                    let plan = ReplayPlan {
                        decisions_max: plan.decisions_max,
                        parallel: ports.parallel,
                    };
                    replay(&ports.journal, filter, plan, serving, candidate, progress).await
                }
                Err(error) => Err(error),
            };
            let mut view = shared.lock();
            match ended {
                Ok(seen) => {
                    (view.state, view.comparison) = (ReplayState::Finished, Some(seen));
                }
                Err(error) => {
                    // What only the log may see is not in the text of an internal error.
                    tracing::warn!(replay_id = %view.replay_id, error = ?error, "a replay broke off");
                    (view.state, view.reason) = (ReplayState::Failed, Some(error.to_string()));
                }
            }
        });
        jobs.push_front(Job {
            domain: plan.domain,
            view: Arc::clone(&view),
            abort: task.abort_handle(),
        });
        jobs.truncate(KEPT_MAX);
        let view = view.lock().clone();
        Ok(view)
    }

    /// A replay of this domain, or, for who reaches every domain, any.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`].
    pub fn get(&self, domain: &Domain, every_domain: bool, id: Uuid) -> Result<ReplayView> {
        self.find(domain, every_domain, id, |job| job.view.lock().clone())
    }

    /// Ends a replay that runs; one that has ended stays as it is.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`].
    pub fn cancel(&self, domain: &Domain, every_domain: bool, id: Uuid) -> Result<ReplayView> {
        self.find(domain, every_domain, id, |job| {
            job.abort.abort();
            let mut view = job.view.lock();
            if view.state == ReplayState::Running {
                view.state = ReplayState::Cancelled;
            }
            view.clone()
        })
    }

    fn find<T>(
        &self,
        domain: &Domain,
        every_domain: bool,
        id: Uuid,
        then: impl FnOnce(&Job) -> T,
    ) -> Result<T> {
        let jobs = self.jobs.lock();
        let found = jobs.iter().find(|job| {
            let reached = every_domain || job.domain.as_ref() == Some(domain);
            reached && job.view.lock().replay_id == id
        });
        found
            .map(then)
            .ok_or_else(|| Error::not_found("replay", id))
    }

    fn refuse_second(&self) -> Result<()> {
        running(&self.jobs.lock())
    }
}

fn running(jobs: &VecDeque<Job>) -> Result<()> {
    let busy = jobs.iter().find_map(|job| {
        let view = job.view.lock();
        (view.state == ReplayState::Running).then_some(view.replay_id)
    });
    match busy {
        None => Ok(()),
        Some(id) => Err(Error::conflict(
            format!("the replay {id} still runs; one at a time"),
            json!({"replay_id": id}),
        )),
    }
}

struct Checked {
    domain: Option<Domain>,
    since: Option<Timestamp>,
    decisions_max: u64,
}

fn plan(request: &ReplayRequest, now: Timestamp) -> Result<Checked> {
    if let Some(s) = request.since_s
        && !(s > 0.0 && s <= super::WINDOW_MAX_S)
    {
        return Err(Error::field(
            "since_s",
            format!(
                "since_s must be above 0, at most {}, got {s}",
                super::WINDOW_MAX_S
            ),
        ));
    }
    let decisions_max = request.decisions_max.unwrap_or(REPLAY_DECISIONS_DEFAULT);
    if !(1..=REPLAY_DECISIONS_MAX).contains(&decisions_max) {
        return Err(Error::field(
            "decisions_max",
            format!("decisions_max must be 1 to {REPLAY_DECISIONS_MAX}, got {decisions_max}"),
        ));
    }
    Ok(Checked {
        domain: request.domain.clone(),
        since: request.since_s.map(|s| now.plus_s(-s)),
        decisions_max,
    })
}
