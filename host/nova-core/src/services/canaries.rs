//! Canaries: looked at again and again, promoted or aborted by what they show.

use serde_json::json;

use super::strategies::StrategyService;
use crate::error::Result;
use crate::strategy::Kind;
use crate::strategy::canary::{Canary, Comparison, Verdict};
use crate::strategy::route::KindRoute;

impl StrategyService {
    /// Ends the canaries that have a verdict, and gives their kinds. To be called every so often.
    ///
    /// # Errors
    /// The datastore's; what was not ended is at the next call.
    pub async fn tend(&self) -> Result<Vec<Kind>> {
        let running: Vec<(Kind, Canary)> = {
            let present = self.present.lock();
            let of =
                |r: &crate::strategy::route::StoredRoute| Some((r.kind, r.route.canary.clone()?));
            present.iter().filter_map(of).collect()
        };
        let mut ended = Vec::new();
        for (kind, canary) in running {
            let seen = self.ports.runtime.canary(kind).unwrap_or_default();
            if let Some(verdict) = self.verdict(kind, &canary, &seen) {
                self.conclude(kind, canary, verdict, seen).await?;
                ended.push(kind);
            }
        }
        Ok(ended)
    }

    fn verdict(&self, kind: Kind, canary: &Canary, seen: &Comparison) -> Option<Verdict> {
        let plugin = self.ports.runtime.plugin(&canary.plugin);
        let serves = plugin.is_some_and(|p| p.kind == Some(kind) && p.is_serving());
        let now = self.ports.clock.now();
        match canary.verdict(seen, now) {
            Some(Verdict::Promote(_)) if !serves => Some(Verdict::Abort(
                "its plugin does not serve any more".to_owned(),
            )),
            verdict => verdict,
        }
    }

    /// Writes what became of a canary, unless it was changed meanwhile.
    async fn conclude(
        &self,
        kind: Kind,
        canary: Canary,
        verdict: Verdict,
        seen: Comparison,
    ) -> Result<()> {
        let _changing = self.changing.lock().await;
        let configured = self.ports.runtime.configured();
        let (promoted, reason) = match verdict {
            Verdict::Promote(why) => (true, why),
            Verdict::Abort(why) => (false, why),
        };
        tracing::info!(%kind, plugin = canary.plugin, promoted, reason, "canary ended");
        let change = move |route: &mut KindRoute| {
            if route.canary.as_ref() != Some(&canary) {
                return None;
            }
            let from = route
                .default
                .clone()
                .or_else(|| configured.get(&kind).cloned());
            route.canary = None;
            if promoted {
                route.default = Some(canary.plugin.clone());
            }
            let change = if promoted {
                "canary_promoted"
            } else {
                "canary_aborted"
            };
            Some(json!({
                "kind": kind, "change": change, "plugin": canary.plugin, "from": from, "to": route.default,
                "percent": canary.percent, "started_at": canary.started_at, "reason": reason,
                "canary": seen.canary, "others": seen.others, "by": null,
            }))
        };
        self.amend(kind, change).await?;
        Ok(())
    }
}
