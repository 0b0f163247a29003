//! Health and readiness: whether the daemon works, and whether it should be asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;

use super::{MemoryService, Ports};
use crate::domain::Timestamp;
use crate::error::{Error, Result};
use crate::ports::PluginState;

/// How well something works; the order is from good to bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// All of it.
    Healthy,
    /// In part.
    Degraded,
    /// Not at all.
    Unhealthy,
}

impl HealthStatus {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// One part's health.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// How well it works.
    pub status: HealthStatus,
    /// What was found, for people.
    pub detail: String,
}

/// The daemon's health.
#[derive(Clone, PartialEq, Debug)]
pub struct Health {
    /// The worst of the checks.
    pub status: HealthStatus,
    /// Each part: `store`, `plugins`, `memory`.
    pub checks: BTreeMap<&'static str, Check>,
    /// When it was looked at.
    pub at: Timestamp,
    /// Seconds since the services were made.
    pub uptime_s: f64,
}

/// Looks at the parts below, and knows whether the daemon is on its way out.
pub struct HealthService {
    ports: Ports,
    memories: Arc<MemoryService>,
    started: Instant,
    draining: AtomicBool,
}

impl HealthService {
    pub(super) fn new(ports: Ports, memories: Arc<MemoryService>) -> Self {
        Self {
            ports,
            memories,
            started: Instant::now(),
            draining: AtomicBool::new(false),
        }
    }

    /// Looks at every part: a datastore that is away makes the whole unhealthy; a kind without a
    /// serving plugin, a refused plugin file, or an index over memories that is being built makes it
    /// degraded.
    pub async fn check(&self) -> Health {
        let checks = BTreeMap::from([
            ("store", self.store().await),
            ("plugins", self.plugins()),
            ("memory", self.memory()),
        ]);
        let status = checks
            .values()
            .map(|c| c.status)
            .max()
            .unwrap_or(HealthStatus::Healthy);
        Health {
            status,
            checks,
            at: self.ports.clock.now(),
            uptime_s: self.started.elapsed().as_secs_f64(),
        }
    }

    /// Whether requests should come here.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while draining, and while some kind has no serving plugin.
    pub fn ready(&self) -> Result<()> {
        if self.is_draining() {
            return Err(Error::unavailable("the daemon is shutting down", 5));
        }
        let missing = self.missing();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::unavailable(
            format!("no plugin serves {} yet", missing.join(", ")),
            1,
        ))
    }

    /// Says that the daemon is shutting down; there is no way back.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether [`HealthService::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    async fn store(&self) -> Check {
        match self.ports.store.ping().await {
            Ok(()) => Check {
                status: HealthStatus::Healthy,
                detail: "answers".into(),
            },
            Err(error) => Check {
                status: HealthStatus::Unhealthy,
                detail: error.to_string(),
            },
        }
    }

    fn plugins(&self) -> Check {
        let plugins = self.ports.runtime.plugins();
        let refused = plugins
            .iter()
            .filter(|p| p.quarantine.is_some() || p.state == PluginState::Quarantined);
        let refused: Vec<&str> = refused.map(|p| p.name.as_str()).collect();
        let missing = self.missing();
        let mut troubles = Vec::new();
        if !missing.is_empty() {
            troubles.push(format!("no plugin serves {}", missing.join(", ")));
        }
        if !refused.is_empty() {
            troubles.push(format!("refused files: {}", refused.join(", ")));
        }
        let taken_back = plugins
            .iter()
            .filter(|p| p.rolled_back.as_ref().is_some_and(|r| r.automatic));
        let taken_back: Vec<&str> = taken_back.map(|p| p.name.as_str()).collect();
        if !taken_back.is_empty() {
            troubles.push(format!(
                "taken back because they failed: {}",
                taken_back.join(", ")
            ));
        }
        if troubles.is_empty() {
            return Check {
                status: HealthStatus::Healthy,
                detail: format!("{} loaded", plugins.len()),
            };
        }
        Check {
            status: HealthStatus::Degraded,
            detail: troubles.join("; "),
        }
    }

    fn memory(&self) -> Check {
        let progress = self.ports.memory.index.progress();
        let words = self.memories.words_seen();
        let (status, detail) = if !words.is_complete() {
            let (done, until) = (words.done, words.until);
            let detail = format!(
                "{} records indexed; the words of records up to {until} are made anew, so far up to {done}",
                progress.indexed
            );
            (HealthStatus::Degraded, detail)
        } else if progress.building {
            let detail = format!(
                "the index is being built, {} records so far; searches go by words alone",
                progress.indexed
            );
            (HealthStatus::Degraded, detail)
        } else {
            let mut detail = format!("{} records indexed", progress.indexed);
            let vectors = self.memories.embedding_progress();
            if !vectors.is_complete() {
                detail = format!(
                    "{detail}; {} of {} have a vector of {}, the others will",
                    vectors.embedded, vectors.memories, vectors.model
                );
            }
            (HealthStatus::Healthy, detail)
        };
        Check { status, detail }
    }

    fn missing(&self) -> Vec<&'static str> {
        self.ports
            .runtime
            .readiness()
            .missing
            .into_iter()
            .map(|kind| kind.as_str())
            .collect()
    }
}
