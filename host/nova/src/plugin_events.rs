//! What happens to plugins, recorded as events: the runtime tells of it, the datastore keeps it.

use nova_core::error::object;
use nova_core::services::EventService;
use nova_core::{EventKind, NewEvent};
use nova_runtime::{Changes, PluginChange, PluginEvent};

/// Records plugin changes until the runtime is gone. A change that cannot be recorded is in the log.
pub(crate) async fn record(events: &EventService, mut changes: Changes) {
    while let Some(change) = changes.next().await {
        if let Err(error) = events.record(None, event(&change)).await {
            tracing::warn!(%error, plugin = change.plugin, "a plugin's change could not be recorded");
        }
    }
}

/// A change as an event of the daemon; its value is the revision, 0 where there is none.
fn event(change: &PluginEvent) -> NewEvent {
    let revision = match &change.change {
        PluginChange::Loaded { revision, .. }
        | PluginChange::Swapped { revision, .. }
        | PluginChange::RolledBack { revision, .. }
        | PluginChange::Staged { revision, .. }
        | PluginChange::Drained { revision } => *revision,
        _ => 0,
    };
    // Structs of texts and numbers always serialize.
    let detail = serde_json::to_value(change).unwrap_or_default();
    NewEvent::new(EventKind::PluginChanged, revision as f64).with_detail(object(detail))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nova_core::Timestamp;
    use nova_runtime::Stage;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_told_whole() {
        let change = PluginEvent {
            plugin: "heft".into(),
            at: Timestamp::from_millis(0),
            change: PluginChange::Quarantined {
                digest: None,
                stage: Stage::Compile,
                reason: "r".repeat(10_000),
            },
        };
        let made = event(&change);
        let detail = serde_json::Value::Object(made.detail.unwrap());
        assert_eq!(made.value, 0.0);
        assert_eq!(detail["plugin"], "heft");
        assert_eq!(detail["change"], "quarantined");
        assert_eq!(detail["stage"], json!("compile"));
        assert!(detail["reason"].as_str().unwrap().starts_with("rrrr"));
    }
}
