//! What the watch does to the registry once it knows: activate, refuse, retire; each told to who listens.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use metrics::counter;
use nova_core::domain::{Clock, SystemClock};
use nova_core::ports::runtime::{Quarantine, ServingFrom};
use nova_core::strategy::Kind;

use crate::component::Refused;
use crate::events::PluginChange;
use crate::files::Source;
use crate::loader::Unchanged;
use crate::registry::{Activated, Loaded, Revision};
use crate::watch::Watch;

/// How often a replaced revision's calls are counted.
const DRAIN_POLL: Duration = Duration::from_millis(20);

impl Watch {
    /// The file is what serves; its signature and its manifest's words may be new.
    pub(crate) fn unchanged(&self, source: &Source, unchanged: Unchanged) {
        let name = source.name.as_str();
        self.registry.unchanged(name, &source.file());
        self.kept.renew(name, unchanged.revision, unchanged.origin);
    }

    pub(crate) fn activate(&self, name: &str, file: &str, from: ServingFrom, loaded: Loaded) {
        let known = match from {
            ServingFrom::Kept => {
                let manifest = loaded.origin.manifest.as_ref();
                self.kept.known(name, &loaded.digest, manifest)
            }
            ServingFrom::Directory => None,
        };
        let keep = || self.kept.keep(name, &loaded.digest, loaded.origin.clone());
        let number = known.unwrap_or_else(keep);
        let since = self.kept.since(name, number);
        let Activated { current, replaced } = self
            .registry
            .activate(name, file, number, from, since, loaded);
        let (kind, status) = (current.kind, current.status.clone());
        let (revision, version, digest) = (status.revision, status.version, status.digest);
        tracing::info!(
            plugin = name, %kind, revision, version, digest, load_ms = status.load_ms, from_cache = status.from_cache,
            replaced = replaced.as_ref().map(|r| r.status.revision), "plugin serves"
        );
        let change = match &replaced {
            None => PluginChange::Loaded {
                kind,
                revision,
                version,
                digest,
            },
            Some(old) => PluginChange::Swapped {
                kind,
                revision,
                replaced: old.status.revision,
                version,
                digest,
                gate: status.gate,
            },
        };
        self.publish(
            name,
            if replaced.is_none() {
                "loaded"
            } else {
                "swapped"
            },
            change,
        );
        if let Some(old) = replaced {
            self.drain(name, old);
        }
    }

    pub(crate) fn refuse(
        &self,
        source: &Source,
        digest: Option<String>,
        kind: Option<Kind>,
        refused: Refused,
    ) {
        let name = source.name.as_str();
        let Refused { stage, reason } = refused;
        tracing::warn!(
            plugin = name,
            stage = stage.as_str(),
            reason,
            digest,
            file = source.file(),
            "plugin quarantined"
        );
        let quarantine = Quarantine {
            digest: digest.clone(),
            stage: stage.as_str().to_owned(),
            reason: reason.clone(),
            at: SystemClock.now(),
        };
        self.registry.refuse(name, &source.file(), kind, quarantine);
        self.publish(
            name,
            "quarantined",
            PluginChange::Quarantined {
                digest,
                stage,
                reason,
            },
        );
    }

    pub(crate) fn retire(&self, name: &str) {
        let revision = self.registry.retire(name);
        self.kept.forget(name);
        self.processors.forget(name);
        tracing::info!(plugin = name, "plugin retired: its file is gone");
        self.publish(name, "retired", PluginChange::Retired);
        if let Some(old) = revision {
            self.drain(name, old);
        }
    }

    pub(crate) fn publish(&self, name: &str, outcome: &'static str, change: PluginChange) {
        counter!("nova_plugin_swaps_total", "plugin" => name.to_owned(), "outcome" => outcome)
            .increment(1);
        self.events.publish(name, change);
    }

    /// Waits, aside, until a revision's last call has ended.
    pub(crate) fn drain(&self, name: &str, old: Arc<Revision>) {
        let (name, events) = (name.to_owned(), Arc::clone(&self.events));
        let deadline = Duration::from_millis(self.config.drain_deadline_ms);
        let revision = old.status.revision;
        tokio::spawn(async move {
            let began = Instant::now();
            while old.in_flight.load(Relaxed) > 0 {
                if began.elapsed() > deadline {
                    tracing::warn!(
                        plugin = name,
                        revision,
                        calls = old.in_flight.load(Relaxed),
                        "a replaced revision still has calls"
                    );
                    return;
                }
                tokio::time::sleep(DRAIN_POLL).await;
            }
            tracing::debug!(plugin = name, revision, "revision drained");
            events.publish(&name, PluginChange::Drained { revision });
        });
    }
}
