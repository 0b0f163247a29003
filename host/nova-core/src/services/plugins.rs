//! Plugins: what an operator sees of them.

use super::Ports;
use crate::error::{Error, Result};
use crate::ports::PluginStatus;

/// Looks at plugins.
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
}
