//! Tasks: what is to be done, by whom, and how far it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::{AgentId, Domain, FlowId, TaskId};
use super::time::Timestamp;
use crate::error::{Error, Result};

/// Longest task type, capability or unit, in bytes.
pub const LABEL_MAX_CHARS: usize = 128;
/// Most dependencies one task may have.
pub const DEPENDENCIES_MAX: usize = 1000;
/// Most capabilities one task may need or one agent may have.
pub const CAPABILITIES_MAX: usize = 100;
/// Longest duration that an estimate may state, in seconds (ten years).
pub const DURATION_MAX_S: f64 = 315_360_000.0;

/// 1 (lowest) to 5.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Priority(u8);

impl Priority {
    /// The number, 1 to 5.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<i64> for Priority {
    type Error = Error;
    fn try_from(n: i64) -> Result<Self> {
        match n {
            1..=5 => Ok(Self(n as u8)),
            _ => Err(Error::field(
                "priority",
                format!("priority must be 1 to 5, got {n}"),
            )),
        }
    }
}

impl From<Priority> for i64 {
    fn from(p: Priority) -> i64 {
        p.0.into()
    }
}

/// Where a task stands.
///
/// `pending → blocked (a dependency is open) → ready → assigned → in_progress → completed |
/// failed | cancelled`; a failed attempt that may be tried again goes back to `ready`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Made, not yet looked at.
    Pending,
    /// A dependency is open.
    Blocked,
    /// May be taken by an agent (after `not_before`).
    Ready,
    /// Given to an agent that has not begun.
    Assigned,
    /// An agent works on it.
    InProgress,
    /// Done.
    Completed,
    /// Given up after the last attempt.
    Failed,
    /// Called off, by a client or because a dependency cannot complete.
    Cancelled,
}

impl TaskStatus {
    /// Every status, in the order of life.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Blocked,
        Self::Ready,
        Self::Assigned,
        Self::InProgress,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Occupies a slot of its agent.
    pub fn holds_slot(self) -> bool {
        matches!(self, Self::Assigned | Self::InProgress)
    }

    /// The statuses that may follow this one.
    pub fn next(self) -> &'static [Self] {
        use TaskStatus::*;
        match self {
            Pending => &[Blocked, Ready, Cancelled],
            Blocked => &[Ready, Cancelled],
            Ready => &[Blocked, Assigned, Cancelled],
            Assigned => &[Ready, InProgress, Cancelled],
            InProgress => &[Ready, Completed, Failed, Cancelled],
            Completed | Failed | Cancelled => &[],
        }
    }

    /// The wire and datastore name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Blocked => "blocked",
            Self::Ready => "ready",
            Self::Assigned => "assigned",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a task is expected to take.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// Seconds on a reference agent (speed 1.0), 0 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// Seconds on particular agents, in place of `duration_s` ÷ speed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub duration_by_agent_s: BTreeMap<AgentId, f64>,
    /// What it occupies on its agent while it runs, e.g. `{"cpu": 1.0}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub demand: BTreeMap<String, f64>,
}

/// How often and how soon a failed attempt is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, 1 or more; 1 = never tried again.
    pub max_attempts: u32,
    /// Pause before the second attempt, doubled before each further one.
    pub backoff_ms: u64,
    /// Upper bound of the pause.
    pub max_backoff_ms: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 1,
            backoff_ms: 1000,
            max_backoff_ms: 60_000,
        }
    }
}

/// Where an applied plan has put the task, seconds from `planned_at`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Planned {
    /// Time zero of the plan: the moment for which it was made.
    pub planned_at: Timestamp,
    /// Planned start.
    pub start_s: f64,
    /// Planned finish.
    pub finish_s: f64,
}

/// A task.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub task_id: TaskId,
    /// Where it is found.
    pub domain: Domain,
    /// What sort of work it is, free text of the client's.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the worker is told.
    pub parameters: Map<String, Value>,
    /// 1 to 5.
    pub priority: Priority,
    /// When it should be done.
    pub deadline: Option<Timestamp>,
    /// Tasks that must complete first, in the client's order.
    pub dependencies: Vec<TaskId>,
    /// The flow it belongs to.
    pub flow_id: Option<FlowId>,
    /// The client's name for it inside its flow.
    pub key: Option<String>,
    /// The agent that has it, or is planned for it.
    pub agent_id: Option<AgentId>,
    /// What an agent must be able to do.
    pub required_capabilities: BTreeSet<String>,
    /// What it is expected to take.
    pub estimate: Estimate,
    /// What happens when an attempt fails.
    pub retry: RetryPolicy,
    /// The client's own.
    pub metadata: Map<String, Value>,
    /// Where it stands.
    pub status: TaskStatus,
    /// Attempts begun so far.
    pub attempt: u32,
    /// Not to be begun earlier (backoff).
    pub not_before: Option<Timestamp>,
    /// Where the last applied plan has put it.
    pub planned: Option<Planned>,
    /// What the worker answered.
    pub result: Option<Value>,
    /// Why the last attempt failed, or why it was cancelled.
    pub error: Option<String>,
    /// Rises by one with every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it last became ready.
    pub ready_at: Option<Timestamp>,
    /// When the last attempt began.
    pub started_at: Option<Timestamp>,
    /// When it reached a final status.
    pub finished_at: Option<Timestamp>,
}

/// One step in a task's life.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Transition {
    /// Before; none at creation.
    pub from: Option<TaskStatus>,
    /// After.
    pub to: TaskStatus,
    /// When.
    pub at: Timestamp,
    /// The agent at that moment.
    pub agent_id: Option<AgentId>,
    /// Why, for people.
    pub reason: Option<String>,
}

/// A task as a client asks for it; already parsed, not yet checked against the datastore.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NewTask {
    /// See [`Task::kind`].
    pub kind: String,
    /// See [`Task::parameters`].
    pub parameters: Map<String, Value>,
    /// See [`Task::priority`].
    pub priority: Priority,
    /// See [`Task::deadline`].
    pub deadline: Option<Timestamp>,
    /// See [`Task::dependencies`].
    pub dependencies: Vec<TaskId>,
    /// See [`Task::flow_id`].
    pub flow_id: Option<FlowId>,
    /// See [`Task::required_capabilities`].
    pub required_capabilities: BTreeSet<String>,
    /// See [`Task::estimate`].
    pub estimate: Estimate,
    /// See [`Task::retry`].
    pub retry: RetryPolicy,
    /// See [`Task::metadata`].
    pub metadata: Map<String, Value>,
}

impl NewTask {
    /// Checks everything that can be checked without the datastore. `at` is put before field
    /// names (`tasks[3].`, or empty).
    pub fn check(&self, at: &str) -> Result<()> {
        check_label(&format!("{at}type"), &self.kind)?;
        if self.dependencies.len() > DEPENDENCIES_MAX {
            return Err(Error::field(
                format!("{at}dependencies"),
                format!(
                    "at most {DEPENDENCIES_MAX} dependencies, got {}",
                    self.dependencies.len()
                ),
            ));
        }
        check_capabilities(
            &format!("{at}required_capabilities"),
            &self.required_capabilities,
        )?;
        self.estimate.check(&format!("{at}estimate."))?;
        self.retry.check(&format!("{at}retry."))
    }
}

impl Estimate {
    fn check(&self, at: &str) -> Result<()> {
        let durations = self
            .duration_s
            .iter()
            .map(|d| ("duration_s".to_owned(), *d));
        let by_agent = self
            .duration_by_agent_s
            .iter()
            .map(|(a, d)| (format!("duration_by_agent_s.{a}"), *d));
        for (field, d) in durations.chain(by_agent) {
            if !(0.0..=DURATION_MAX_S).contains(&d) {
                return Err(Error::field(
                    format!("{at}{field}"),
                    format!("a duration must be 0 to {DURATION_MAX_S} seconds, got {d}"),
                ));
            }
        }
        for (resource, amount) in &self.demand {
            check_label(&format!("{at}demand"), resource)?;
            check_amount(&format!("{at}demand.{resource}"), *amount)?;
        }
        Ok(())
    }
}

impl RetryPolicy {
    fn check(&self, at: &str) -> Result<()> {
        if !(1..=100).contains(&self.max_attempts) {
            return Err(Error::field(
                format!("{at}max_attempts"),
                format!("max_attempts must be 1 to 100, got {}", self.max_attempts),
            ));
        }
        let day_ms = 86_400_000;
        for (field, ms) in [
            ("backoff_ms", self.backoff_ms),
            ("max_backoff_ms", self.max_backoff_ms),
        ] {
            if ms > day_ms {
                return Err(Error::field(
                    format!("{at}{field}"),
                    format!("{field} must be 0 to {day_ms}, got {ms}"),
                ));
            }
        }
        Ok(())
    }

    /// The pause before attempt `attempt + 1`, without jitter: `backoff · 2^(attempt-1)`, capped.
    pub fn pause_ms(&self, attempt: u32) -> u64 {
        let doubled = self
            .backoff_ms
            .saturating_mul(1 << attempt.saturating_sub(1).min(32));
        doubled.min(self.max_backoff_ms)
    }
}

/// Refuses an empty or overlong label, or one with control characters.
pub(crate) fn check_label(field: &str, text: &str) -> Result<()> {
    if (1..=LABEL_MAX_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    {
        return Ok(());
    }
    let shown: String = text.chars().take(40).collect();
    Err(Error::field(
        field,
        format!(
            "{field} must be 1 to {LABEL_MAX_CHARS} characters without control characters, got '{shown}'"
        ),
    ))
}

/// Refuses too many capabilities, or one that is no label.
pub(crate) fn check_capabilities(field: &str, set: &BTreeSet<String>) -> Result<()> {
    if set.len() > CAPABILITIES_MAX {
        return Err(Error::field(
            field,
            format!("at most {CAPABILITIES_MAX} capabilities, got {}", set.len()),
        ));
    }
    set.iter().try_for_each(|c| check_label(field, c))
}

/// Refuses a negative, infinite or absurd amount.
pub(crate) fn check_amount(field: &str, amount: f64) -> Result<()> {
    if (0.0..=1e15).contains(&amount) {
        return Ok(());
    }
    Err(Error::field(
        field,
        format!("{field} must be 0 to 1e15, got {amount}"),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn final_statuses_are_ends_and_all_others_can_be_cancelled() {
        for s in TaskStatus::ALL {
            assert_eq!(s.next().is_empty(), s.is_final());
            assert_eq!(s.next().contains(&TaskStatus::Cancelled), !s.is_final());
            assert_eq!(TaskStatus::parse(s.as_str()), Some(s));
        }
    }

    #[test]
    fn backoff_doubles_and_is_capped() {
        let retry = RetryPolicy {
            max_attempts: 9,
            backoff_ms: 100,
            max_backoff_ms: 1000,
        };
        let pauses: Vec<u64> = (1..=6).map(|n| retry.pause_ms(n)).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn bad_fields_are_named_with_their_path() {
        let mut task = NewTask {
            kind: "x".into(),
            ..NewTask::default()
        };
        task.estimate.duration_s = Some(-1.0);
        let error = task.check("tasks[3].").unwrap_err();
        assert_eq!(error.details()["field"], "tasks[3].estimate.duration_s");
    }
}
