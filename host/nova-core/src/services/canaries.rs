//! Canaries: looked at again and again, promoted or aborted by what they show.

use serde_json::{Value, json};

use super::strategies::{StrategyService, run_on};
use crate::domain::{KeyId, Timestamp};
use crate::error::{Error, Result};
use crate::strategy::Kind;
use crate::strategy::canary::{Canary, CanaryOrder, Comparison, Verdict};
use crate::strategy::route::KindRoute;

impl StrategyService {
    /// Ends the canaries that have a verdict, and gives their kinds. To be called every so often.
    ///
    /// # Errors
    /// The datastore's, or that a rollback cannot be ordered now; what was not ended is at the next call.
    pub async fn tend(&self) -> Result<Vec<Kind>> {
        let running: Vec<(Kind, Canary)> = {
            let present = self.present.lock();
            let of =
                |r: &crate::strategy::route::StoredRoute| Some((r.kind, r.route.canary.clone()?));
            present.iter().filter_map(of).collect()
        };
        self.foresight.look(&self.ports).await?;
        let mut ended = Vec::new();
        for (kind, canary) in running {
            let seen = self.seen(kind).unwrap_or_default();
            if let Some(verdict) = self.verdict(kind, &canary, &seen)
                && self.conclude(kind, canary, verdict, seen).await?
            {
                ended.push(kind);
            }
        }
        Ok(ended)
    }

    /// What a kind's canary has shown; none = there is no canary.
    pub(super) fn seen(&self, kind: Kind) -> Option<Comparison> {
        let seen = self.ports.runtime.canary(kind)?;
        Some(match kind {
            Kind::AnalyticsProcessor => self.foresight.rate(seen),
            Kind::FlowOptimizer | Kind::ResourceAllocator => seen,
        })
    }

    fn verdict(&self, kind: Kind, canary: &Canary, seen: &Comparison) -> Option<Verdict> {
        let default = self.default_of(kind);
        if !canary.suits(default.as_ref()) {
            let default = default.unwrap_or_else(|| "nobody".to_owned());
            let why = format!("'{default}' serves by default now");
            return Some(Verdict::Abort(why));
        }
        if canary.revision.is_some() && self.serving_revision(&canary.plugin) == canary.revision {
            // A rollback by order or by failure, or of a promotion that was not written any more.
            return Some(Verdict::Promote("it serves already".to_owned()));
        }
        canary.verdict(seen, self.ports.clock.now())
    }

    /// Brings about and writes what became of a canary, unless it was changed meanwhile. Whether it ended.
    async fn conclude(
        &self,
        kind: Kind,
        canary: Canary,
        verdict: Verdict,
        seen: Comparison,
    ) -> Result<bool> {
        let _changing = self.changing.lock().await;
        let runs = |r: &crate::strategy::route::StoredRoute| {
            r.kind == kind && r.route.canary.as_ref() == Some(&canary)
        };
        if !self.present.lock().iter().any(runs) {
            return Ok(false);
        }
        let (promoted, reason) = match verdict {
            // Where it ends before it is written, the revision serves already at the next look.
            Verdict::Promote(why) => match self.serve(&canary).await? {
                None => (true, why),
                Some(obstacle) => (false, format!("{obstacle}; it was to be promoted {why}")),
            },
            Verdict::Abort(why) => (false, why),
        };
        tracing::info!(%kind, canary = canary.name(), promoted, reason, "canary ended");
        let from = self.default_of(kind);
        let change = move |route: &mut KindRoute| {
            if route.canary.as_ref() != Some(&canary) {
                return None;
            }
            route.canary = None;
            if promoted && canary.revision.is_none() {
                route.default = Some(canary.plugin.clone());
            }
            let (change, to) = if promoted {
                ("canary_promoted", Some(&canary.plugin))
            } else {
                ("canary_aborted", from.as_ref())
            };
            Some(json!({
                "kind": kind, "change": change, "plugin": canary.plugin, "revision": canary.revision,
                "from": from, "to": to, "percent": canary.percent, "started_at": canary.started_at,
                "reason": reason, "canary": seen.canary, "others": seen.others, "by": null,
            }))
        };
        self.amend(kind, change).await?;
        Ok(true)
    }

    /// Has the revision of a canary serve, where it is of one that does not yet. Gives why that cannot be.
    async fn serve(&self, canary: &Canary) -> Result<Option<String>> {
        let number = canary.revision;
        if number.is_none() || self.serving_revision(&canary.plugin) == number {
            return Ok(None);
        }
        let runtime = &self.ports.runtime;
        let reason = "its canary was promoted".to_owned();
        match runtime
            .roll_back(&canary.plugin, number, reason, None)
            .await
        {
            Ok(_) => Ok(None),
            Err(error @ (Error::Conflict { .. } | Error::ResourceNotFound { .. })) => {
                Ok(Some(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }
}

/// The canary after a change; one that makes no sense beside what serves by default is over, and the same order
/// again lets it run on.
pub(super) fn apply(
    change: Option<Option<CanaryOrder>>,
    before: Option<Canary>,
    default: Option<&String>,
    at: Timestamp,
) -> Option<Canary> {
    let after = match change {
        None => before,
        Some(None) => None,
        Some(Some(order)) => {
            let fresh = order.begin(default, at)?;
            Some(run_on(fresh, before, |fresh, before| Canary {
                started_at: before.started_at,
                ..fresh.clone()
            }))
        }
    };
    after.filter(|canary| canary.suits(default))
}

/// What changed of the canary between two states.
pub(super) fn steps(
    kind: Kind,
    before: &KindRoute,
    after: &KindRoute,
    by: Option<KeyId>,
) -> Vec<Value> {
    if before.canary == after.canary {
        return Vec::new();
    }
    let told = |change: &str, canary: &Canary| {
        json!({
            "kind": kind, "change": change, "plugin": canary.plugin, "revision": canary.revision,
            "percent": canary.percent, "by": by,
        })
    };
    let stopped = before.canary.iter().map(|c| told("canary_stopped", c));
    let started = after.canary.iter().map(|c| told("canary_started", c));
    stopped.chain(started).collect()
}
