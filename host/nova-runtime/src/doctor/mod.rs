//! The doctor: hostile guests against the running configuration, and which limit held each.
//!
//! The guests are made on the spot and put on the same road as any plugin: compiled, linked, probed and
//! asked under the limits of the configuration, in an engine of its own. A case holds when it ends as
//! documented; after each, a sound guest has to answer.

mod cases;
mod falsehoods;
mod guest;

use std::sync::Arc;
use std::time::{Duration, Instant};

use nova_core::ports::runtime::PluginLimits;
use nova_core::strategy::Kind;
use serde::Serialize;
use wasmtime::component::Component;

use self::cases::{Attack, Case, Expect};
use self::falsehoods::{sound_allocation, sound_plan};
use self::guest::{Deeds, Image};
use crate::component::{Stage, inspect};
use crate::config::RuntimeConfig;
use crate::contender::metered;
use crate::convert::object_text;
use crate::error::{Failure, RuntimeError};
use crate::invoke::{Invoker, Unit};
use crate::live::Live;
use crate::manifest::Manifest;
use crate::probe;

/// How a case ended.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CaseReport {
    /// What was tried.
    pub case: &'static str,
    /// The limit or rule that held it: a key of the configuration, a step of the load, a rule of the contract.
    pub held_by: String,
    /// The limit's figure, where it is a number.
    pub figure: Option<u64>,
    /// What the operator is told.
    pub told: String,
    /// Whether it ended as documented, and a sound guest answered after it.
    pub held: bool,
    /// Milliseconds by the clock.
    pub elapsed_ms: f64,
    /// For deadlines: milliseconds of the guest's own time past it.
    pub late_ms: Option<f64>,
}

/// What the doctor found.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Diagnosis {
    /// Case by case.
    pub cases: Vec<CaseReport>,
    /// How many held.
    pub held: usize,
    /// The latest end past a deadline, in milliseconds of the guest's own time.
    pub late_max_ms: f64,
    /// Resident memory before the second round of all cases, and after it.
    pub resident_before_bytes: u64,
    /// See above.
    pub resident_after_bytes: u64,
    /// Whether it returned to its level, but for [`RESIDENT_SLACK_BYTES`].
    pub memory_held: bool,
}

impl Diagnosis {
    /// Everything held.
    pub fn is_healthy(&self) -> bool {
        self.memory_held && self.is_in_time() && self.held == self.cases.len()
    }

    /// Every deadline ended its guest within [`LATE_MAX_MS`].
    pub fn is_in_time(&self) -> bool {
        self.late_max_ms <= LATE_MAX_MS
    }
}

/// A deadline ends a guest within so many milliseconds of its own time.
pub const LATE_MAX_MS: f64 = 10.0;

/// Resident memory may differ by so much from one round to the next: allocators keep what they had.
pub const RESIDENT_SLACK_BYTES: u64 = 32 << 20;

/// Tries everything, twice: the first round brings the memory to its level, the second shows that it stays.
/// `progress` is told of each case of the second round.
///
/// # Errors
/// [`RuntimeError`]: the engine cannot start.
pub async fn doctor(
    config: &RuntimeConfig,
    mut progress: impl FnMut(&CaseReport),
) -> Result<Diagnosis, RuntimeError> {
    // One guest at a time needs no large pool.
    let config = RuntimeConfig {
        pool_instances: 4,
        ..config.clone()
    };
    let ward = Ward {
        invoker: Arc::new(Invoker::new(&config)?),
        config,
    };
    let all = cases::all();
    for case in &all {
        ward.examine(case).await;
    }
    let resident_before_bytes = resident_bytes();
    let mut reports = Vec::with_capacity(all.len());
    for case in &all {
        let report = ward.examine(case).await;
        progress(&report);
        reports.push(report);
    }
    let resident_after_bytes = resident_bytes();
    Ok(Diagnosis {
        held: reports.iter().filter(|r| r.held).count(),
        late_max_ms: reports.iter().filter_map(|r| r.late_ms).fold(0.0, f64::max),
        memory_held: resident_after_bytes <= resident_before_bytes + RESIDENT_SLACK_BYTES,
        cases: reports,
        resident_before_bytes,
        resident_after_bytes,
    })
}

/// What a case came to.
enum End {
    Answered,
    Failed(Failure),
    Refused(Stage, String),
    /// The case itself is broken.
    Broken(String),
}

struct Ward {
    config: RuntimeConfig,
    invoker: Arc<Invoker>,
}

impl Ward {
    async fn examine(&self, case: &Case) -> CaseReport {
        let began = Instant::now();
        let (end, cpu) = self.attack(&case.attack).await;
        let elapsed_ms = began.elapsed().as_secs_f64() * 1e3;
        let limits = &self.config.limits;
        let (held_by, figure, told) = explain(&end, limits);
        // The first poll is charged by the wall clock: a guest may be ended a little early, too.
        let late = cpu.saturating_sub(Duration::from_millis(limits.deadline_ms));
        CaseReport {
            case: case.name,
            held: is_as_documented(&case.expect, &end) && self.is_sound().await,
            held_by,
            figure,
            told,
            elapsed_ms,
            late_ms: match end {
                End::Failed(Failure::Timeout { .. }) => Some(late.as_secs_f64() * 1e3),
                _ => None,
            },
        }
    }

    /// How it ended, and the time that the guest took.
    async fn attack(&self, attack: &Attack) -> (End, Duration) {
        let mut cpu = Duration::ZERO;
        let outcome = match attack {
            Attack::Guest(kind, deeds) => match self.guest(*kind, deeds) {
                Ok(unit) => {
                    // Making and compiling the guest is none of its own time.
                    let (asked, spent) = metered(self.ask(*kind, &unit)).await;
                    cpu = spent;
                    asked
                }
                Err(end) => Err(end),
            },
            Attack::Plan(case) => {
                let (problem, plan) = &**case;
                let unit = self.unit(Kind::FlowOptimizer, &Deeds::default(), &Image::plan(plan));
                match unit {
                    Ok(unit) => match self.invoker.optimize(&unit, problem, "{}").await.outcome {
                        Ok(_) => Ok(()),
                        Err(failure) => Err(End::Failed(failure)),
                    },
                    Err(end) => Err(end),
                }
            }
            Attack::Allocation(case) => {
                let (problem, answer) = &**case;
                let image = Image::allocation(answer);
                match self.unit(Kind::ResourceAllocator, &Deeds::default(), &image) {
                    Ok(unit) => match self.invoker.allocate(&unit, problem, "{}").await.outcome {
                        Ok(_) => Ok(()),
                        Err(failure) => Err(End::Failed(failure)),
                    },
                    Err(end) => Err(end),
                }
            }
            Attack::File(spoil) => {
                self.sound_bytes()
                    .and_then(|bytes| match inspect(&spoil(bytes)).refused {
                        Some(refused) => Err(End::Refused(refused.stage, refused.reason)),
                        None => Ok(()),
                    })
            }
            Attack::Manifest(text) => self.manifest(text),
        };
        (outcome.err().unwrap_or(End::Answered), cpu)
    }

    /// A guest with an answer that would be sound.
    fn guest(&self, kind: Kind, deeds: &Deeds) -> Result<Unit, End> {
        let image = match kind {
            Kind::FlowOptimizer => Image::plan(&sound_plan().1),
            Kind::ResourceAllocator => Image::allocation(&sound_allocation().1),
            Kind::AnalyticsProcessor => Image::report(0.5),
        };
        self.unit(kind, deeds, &image)
    }

    /// Has a guest describe itself, and asks it.
    async fn ask(&self, kind: Kind, unit: &Unit) -> Result<(), End> {
        let failed = End::Failed;
        let descriptor = self.invoker.describe(unit).await.map_err(failed)?;
        probe::check_descriptor(&descriptor)
            .map_err(|reason| End::Refused(Stage::Probe, format!("describe: {reason}")))?;
        match kind {
            Kind::FlowOptimizer => {
                let asked = self.invoker.optimize(unit, &sound_plan().0, "{}").await;
                asked.outcome.map_err(failed)?.map_err(refusal)?;
            }
            Kind::ResourceAllocator => {
                let problem = sound_allocation().0;
                let asked = self.invoker.allocate(unit, &problem, "{}").await;
                asked.outcome.map_err(failed)?.map_err(refusal)?;
            }
            Kind::AnalyticsProcessor => {
                let mut live = Live::start(&self.invoker, unit).await.map_err(failed)?;
                let events = probe::events();
                let ingested = live.ingest(&self.invoker, unit, &events).await;
                ingested.map_err(failed)?.map_err(refusal)?;
                let report = live.report(&self.invoker, unit, &probe::any_query()).await;
                report.map_err(failed)?.map_err(refusal)?;
            }
        }
        Ok(())
    }

    fn manifest(&self, text: &str) -> Result<(), End> {
        let text = match text.starts_with("file") {
            true => format!("name = 'guest'\n{text}"),
            false => format!("name = 'guest'\nfile = 'guest.wasm'\n{text}"),
        };
        let refuse = |reason| End::Refused(Stage::Manifest, reason);
        let manifest = Manifest::parse(&text, "guest", &self.config).map_err(refuse)?;
        match manifest.kind {
            Some(kind) if kind != Kind::FlowOptimizer => Err(End::Refused(
                Stage::Component,
                format!(
                    "plugin.toml says {kind}, the component is a {}",
                    Kind::FlowOptimizer
                ),
            )),
            _ => Ok(()),
        }
    }

    fn sound_bytes(&self) -> Result<Vec<u8>, End> {
        let image = Image::plan(&sound_plan().1);
        self.bytes(Kind::FlowOptimizer, &Deeds::default(), &image)
    }

    fn bytes(&self, kind: Kind, deeds: &Deeds, image: &Image) -> Result<Vec<u8>, End> {
        let memory_bytes = self.config.limits.memory_bytes;
        guest::component(kind, deeds, image, memory_bytes).map_err(End::Broken)
    }

    fn unit(&self, kind: Kind, deeds: &Deeds, image: &Image) -> Result<Unit, End> {
        let bytes = self.bytes(kind, deeds, image)?;
        let inspection = inspect(&bytes);
        if let Some(refused) = inspection.refused {
            return Err(End::Refused(refused.stage, refused.reason));
        }
        let compiled = Component::from_binary(&self.invoker.engine, &bytes);
        let compiled =
            compiled.map_err(|error| End::Refused(Stage::Compile, format!("{error:#}")))?;
        let guest = self.invoker.link(kind, &compiled);
        Ok(Unit {
            plugin: "doctor".into(),
            limits: self.config.limits,
            settings: object_text(&serde_json::Map::new()),
            cache_ttl: None,
            guest: guest.map_err(|reason| End::Refused(Stage::Imports, reason))?,
        })
    }

    /// Whether a sound guest still passes its probe and answers.
    async fn is_sound(&self) -> bool {
        let image = Image::plan(&sound_plan().1);
        let Ok(unit) = self.unit(Kind::FlowOptimizer, &Deeds::default(), &image) else {
            return false;
        };
        let asked = self.invoker.optimize(&unit, &sound_plan().0, "{}").await;
        matches!(asked.outcome, Ok(Ok(_)))
    }
}

fn refusal(refusal: nova_core::strategy::Refusal) -> End {
    End::Broken(format!("{}: {}", refusal.code, refusal.description))
}

fn is_as_documented(expect: &Expect, end: &End) -> bool {
    match (expect, end) {
        (Expect::Deadline, End::Failed(Failure::Timeout { .. }))
        | (Expect::Answer, End::Answered) => true,
        (Expect::Cause(cause, part), End::Failed(Failure::Failed { cause: is, reason })) => {
            cause == is && reason.contains(part)
        }
        (Expect::OneOf(causes), End::Failed(Failure::Failed { cause, .. })) => {
            causes.contains(cause)
        }
        (Expect::Load(stage, part), End::Refused(at, reason)) => {
            stage == at && reason.contains(part)
        }
        // A guest that could never begin is refused when it is compiled, where the pool is no larger.
        (Expect::Cause("memory", _), End::Refused(Stage::Compile, reason)) => {
            reason.contains("memory")
        }
        _ => false,
    }
}

/// The limit that held, its figure, and what an operator is told.
fn explain(end: &End, limits: &PluginLimits) -> (String, Option<u64>, String) {
    let key = |name: &str| format!("plugins.limits.{name}");
    match end {
        End::Answered => (
            key("log_bytes"),
            Some(limits.log_bytes),
            "answered; what it said past the limit was dropped".to_owned(),
        ),
        End::Failed(Failure::Timeout { deadline_ms }) => {
            let name = match *deadline_ms == limits.deadline_ms {
                true => "deadline_ms",
                false => "wall_ms",
            };
            let told = format!("ran past the deadline of {deadline_ms} ms");
            (key(name), Some(*deadline_ms), told)
        }
        End::Failed(Failure::Failed { cause, reason }) => {
            let (by, figure) = match *cause {
                "memory" => (key("memory_bytes"), Some(limits.memory_bytes)),
                "table" => (key("table_elements"), Some(limits.table_elements)),
                "hostcall" => (key("hostcall_bytes"), Some(limits.hostcall_bytes)),
                "stack" => ("stack_bytes".to_owned(), Some(limits.stack_bytes)),
                "answer" => (format!("rule {}", rule(reason)), None),
                "trap" => ("sandbox".to_owned(), None),
                other => (other.to_owned(), None),
            };
            (by, figure, reason.clone())
        }
        End::Failed(Failure::Busy(what)) => ("nothing".to_owned(), None, what.clone()),
        End::Refused(stage, reason) => (format!("load: {}", stage.as_str()), None, reason.clone()),
        End::Broken(what) => ("nothing".to_owned(), None, what.clone()),
    }
}

/// The rule that a false answer broke.
fn rule(reason: &str) -> &str {
    let name = reason.split(':').next().unwrap_or(reason);
    match name.contains(' ') {
        true => "contract",
        false => name,
    }
}

/// Resident memory of this process, in bytes; 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| {
        rest.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_case_is_held_and_the_memory_returns() {
        let config = RuntimeConfig {
            limits: PluginLimits {
                deadline_ms: 20,
                memory_bytes: 64 << 20,
                ..RuntimeConfig::default().limits
            },
            ..RuntimeConfig::default()
        };
        let found = doctor(&config, |_| ()).await.unwrap();
        let open: Vec<&CaseReport> = found.cases.iter().filter(|case| !case.held).collect();
        assert!(open.is_empty(), "{open:#?}");
        assert!(found.cases.len() >= 60, "{}", found.cases.len());
        assert!(found.memory_held, "{found:?}");
        let deadlines = found.cases.iter().filter(|case| case.late_ms.is_some());
        assert!(deadlines.count() >= 7);

        // How late they were is this machine's; what is said of it is not.
        for (late_max_ms, in_time) in [(LATE_MAX_MS, true), (LATE_MAX_MS + 0.1, false)] {
            let found = Diagnosis {
                late_max_ms,
                ..found.clone()
            };
            assert_eq!(found.is_healthy(), in_time, "{late_max_ms}");
        }
    }
}
