//! The runtime's plugins and revisions as contenders.

use std::sync::Arc;

use async_trait::async_trait;
use nova_core::ports::{Candidate, Contender, Contests};
use nova_core::{Error, Result};
use serde_json::json;

use crate::arena::same_kind;
use crate::contender::Runner;
use crate::registry::Revision;
use crate::runtime::Runtime;

impl Runtime {
    fn serving_revision(&self, plugin: &str) -> Result<Arc<Revision>> {
        let snapshot = self.registry.snapshot();
        let found = snapshot.plugin(plugin);
        let found = found.ok_or_else(|| Error::not_found("plugin", plugin))?;
        found.current.clone().ok_or_else(|| {
            Error::conflict(
                format!("nothing of the plugin '{plugin}' serves"),
                json!({"plugin": plugin}),
            )
        })
    }

    /// A revision in memory; else a kept one, taken back or staged as well.
    async fn numbered_revision(&self, plugin: &str, number: u64) -> Result<Arc<Runner>> {
        let snapshot = self.registry.snapshot_full();
        if let Some(found) = snapshot.plugin(plugin).and_then(|p| p.revision(number)) {
            return Ok(self.arena.revision(&found));
        }
        let kept = self.kept.find(plugin, Some(number), 0);
        let (_, source) = kept.ok_or_else(|| Error::not_found("revision", number))?;
        self.arena.kept(number, &source).await
    }
}

#[async_trait]
impl Contests for Runtime {
    async fn serving(&self, plugin: &str) -> Result<Arc<dyn Contender>> {
        Ok(self.arena.revision(&*self.serving_revision(plugin)?))
    }

    async fn candidate(&self, plugin: &str, from: Candidate) -> Result<Arc<dyn Contender>> {
        let serving = self.serving_revision(plugin)?;
        let candidate = match from {
            Candidate::Component { bytes, signature } => {
                let component = self.arena.component(bytes, signature, &serving);
                component.await?
            }
            Candidate::Plugin(name) => self.arena.revision(&*self.serving_revision(&name)?),
            Candidate::Revision(number) => self.numbered_revision(plugin, number).await?,
        };
        same_kind(serving.kind, candidate.contestant().kind)?;
        Ok(candidate)
    }
}
