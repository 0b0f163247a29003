//! What happens to plugins, for the one who keeps it.

use nova_core::domain::{Clock, KeyId, SystemClock, Timestamp};
use nova_core::strategy::Kind;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::component::Stage;

/// Something happened to a plugin.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PluginEvent {
    /// To which one.
    pub plugin: String,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub change: PluginChange,
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum PluginChange {
    /// Its first revision serves.
    Loaded {
        /// What it decides.
        kind: Kind,
        /// The revision.
        revision: u64,
        /// The plugin's version.
        version: String,
        /// `sha256:<hex>` of the component.
        digest: String,
    },
    /// A revision took another's place.
    Swapped {
        /// What it decides.
        kind: Kind,
        /// The new revision.
        revision: u64,
        /// The one that served until now.
        replaced: u64,
        /// The plugin's version.
        version: String,
        /// `sha256:<hex>` of the component.
        digest: String,
        /// What the gate said of it, where there is one.
        gate: Option<String>,
    },
    /// A file was refused.
    Quarantined {
        /// `sha256:<hex>` of the refused bytes; none when they could not be read.
        digest: Option<String>,
        /// Which step refused it.
        stage: Stage,
        /// The full reason.
        reason: String,
    },
    /// An earlier revision serves again.
    RolledBack {
        /// What it decides.
        kind: Kind,
        /// The revision that serves again.
        revision: u64,
        /// The one that served until now.
        replaced: u64,
        /// The version of the one that serves again.
        version: String,
        /// `sha256:<hex>` of its component.
        digest: String,
        /// Why.
        reason: String,
        /// Nobody ordered it: the replaced one failed too often.
        automatic: bool,
        /// The key that ordered it.
        by: Option<KeyId>,
    },
    /// A component was uploaded and may serve.
    Uploaded {
        /// `sha256:<hex>` of the component.
        digest: String,
        /// The key that did it.
        by: Option<KeyId>,
    },
    /// A component was uploaded to be tried out: it may serve, and serves nobody yet.
    Staged {
        /// What it decides.
        kind: Kind,
        /// The number by which a canary or a shadow names it.
        revision: u64,
        /// The plugin's version.
        version: String,
        /// `sha256:<hex>` of the component.
        digest: String,
        /// The key that did it.
        by: Option<KeyId>,
    },
    /// The plugin's files were removed by order.
    Removed {
        /// The key that ordered it.
        by: Option<KeyId>,
    },
    /// The last call on a replaced or removed revision has ended.
    Drained {
        /// The revision.
        revision: u64,
    },
    /// The plugin's file is gone, and so is the plugin.
    Retired,
}

/// Everything that happens to plugins, for the one who keeps it. Orders are answered once what came of them is kept.
pub struct Changes {
    told: mpsc::UnboundedReceiver<PluginEvent>,
    taken: u64,
    kept: watch::Sender<u64>,
}

impl Changes {
    /// The next one; none = the runtime is gone. Who asks for it has kept those before.
    pub async fn next(&mut self) -> Option<PluginEvent> {
        self.kept.send_replace(self.taken);
        let event = self.told.recv().await?;
        self.taken += 1;
        Some(event)
    }
}

/// The other end of [`Changes`].
struct Keeper {
    tell: mpsc::UnboundedSender<PluginEvent>,
    told: u64,
    kept: watch::Receiver<u64>,
}

/// Where events are published.
pub(crate) struct Events {
    keeper: Mutex<Option<Keeper>>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            keeper: Mutex::new(None),
        }
    }

    /// For the one who keeps what happens; who asks later takes the place of who did before.
    pub(crate) fn changes(&self) -> Changes {
        let (tell, told) = mpsc::unbounded_channel();
        let (keep, kept) = watch::channel(0);
        *self.keeper.lock() = Some(Keeper {
            tell,
            told: 0,
            kept,
        });
        Changes {
            told,
            taken: 0,
            kept: keep,
        }
    }

    pub(crate) fn publish(&self, plugin: &str, change: PluginChange) {
        let event = PluginEvent {
            plugin: plugin.to_owned(),
            at: SystemClock.now(),
            change,
        };
        if let Some(keeper) = &mut *self.keeper.lock()
            && keeper.tell.send(event).is_ok()
        {
            keeper.told += 1;
        }
    }

    /// Waits until all that has happened is kept, where somebody keeps it.
    pub(crate) async fn kept(&self) {
        let waiting = self
            .keeper
            .lock()
            .as_ref()
            .map(|k| (k.told, k.kept.clone()));
        if let Some((told, mut kept)) = waiting {
            // An error says that nobody keeps it any more.
            drop(kept.wait_for(|kept| *kept >= told).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it ends at once.
    async fn is_done(waiting: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        tokio::select! {
            biased;
            () = waiting => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn what_happened_is_kept_once_the_next_is_asked_for() {
        let events = Events::new();
        events.kept().await;
        let mut changes = events.changes();
        events.publish("heft", PluginChange::Retired);
        events.publish("heft", PluginChange::Drained { revision: 1 });
        let mut kept = Box::pin(events.kept());
        assert!(!is_done(&mut kept).await);
        for _ in 0..2 {
            assert!(changes.next().await.is_some());
            assert!(!is_done(&mut kept).await, "not written yet");
        }
        assert!(!is_done(&mut Box::pin(async { drop(changes.next().await) })).await);
        assert!(is_done(&mut kept).await);
        events.publish("heft", PluginChange::Retired);
        drop(changes);
        events.kept().await;
    }
}
