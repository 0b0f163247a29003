//! What happens to plugins, for whoever listens (the log, the WebSocket, tests).

use nova_core::domain::{Clock, KeyId, SystemClock, Timestamp};
use nova_core::strategy::Kind;
use serde::Serialize;
use tokio::sync::broadcast;

use crate::component::Stage;

/// Events a slow listener may fall behind before it misses some.
const BACKLOG: usize = 256;

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

/// Where events are published.
pub(crate) struct Events(broadcast::Sender<PluginEvent>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<PluginEvent> {
        self.0.subscribe()
    }

    pub(crate) fn publish(&self, plugin: &str, change: PluginChange) {
        let event = PluginEvent {
            plugin: plugin.to_owned(),
            at: SystemClock.now(),
            change,
        };
        // An error says that nobody listens.
        drop(self.0.send(event));
    }
}
