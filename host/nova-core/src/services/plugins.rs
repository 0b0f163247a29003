//! Plugins: what an operator sees of them, and does to them.

use super::Ports;
use crate::domain::KeyId;
use crate::error::{Error, Result};
use crate::ports::PluginStatus;
use crate::ports::runtime::Upload;
use crate::strategy::route::check_plugin_name;

/// Looks at plugins, and changes them.
pub struct PluginService {
    ports: Ports,
}

impl PluginService {
    pub(super) fn new(ports: Ports) -> Self {
        Self { ports }
    }

    /// Every plugin, by name.
    pub fn list(&self) -> Vec<PluginStatus> {
        self.ports.runtime.plugins()
    }

    /// One plugin.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`] when there is none of that name.
    pub fn get(&self, name: &str) -> Result<PluginStatus> {
        self.ports
            .runtime
            .plugin(name)
            .ok_or_else(|| Error::not_found("plugin", name))
    }

    /// Serves an earlier revision again; none = the one before the serving one.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`]; [`Error::Conflict`] where no such revision is kept.
    pub async fn roll_back(&self, by: KeyId, name: &str, to: Option<u64>) -> Result<PluginStatus> {
        let reason = "ordered".to_owned();
        let runtime = &self.ports.runtime;
        runtime.roll_back(name, to, reason, Some(by)).await
    }

    /// Takes a component in: it is validated, compiled, probed, and serves. Whether the plugin is new.
    ///
    /// # Errors
    /// [`Error::StrategyRejected`] when it is refused, with the step and the reason.
    pub async fn install(
        &self,
        by: KeyId,
        name: &str,
        upload: Upload,
    ) -> Result<(bool, PluginStatus)> {
        check_plugin_name("name", name)?;
        self.ports.runtime.install(name, upload, Some(by)).await
    }

    /// Removes a plugin with its files.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`]; [`Error::Conflict`] while a route leads to it.
    pub async fn remove(&self, by: KeyId, name: &str) -> Result<()> {
        self.ports.runtime.remove(name, Some(by)).await
    }
}
