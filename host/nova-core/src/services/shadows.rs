//! Shadows: begun and ended with their events, their last report kept to be read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::strategies::{StrategyService, run_on};
use crate::domain::{Domain, KeyId, Timestamp};
use crate::error::{Error, Result};
use crate::strategy::Kind;
use crate::strategy::route::{KindRoute, StoredRoute};
use crate::strategy::shadow::{Shadow, ShadowOrder, ShadowReport};

/// How a shadow ended.
#[derive(Clone, PartialEq, Debug)]
pub struct ShadowEnd {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A shadow as it is seen.
#[derive(Clone, PartialEq, Debug)]
pub struct ShadowView {
    /// Of which kind.
    pub kind: Kind,
    /// The order.
    pub shadow: Shadow,
    /// What it has shown.
    pub report: ShadowReport,
    /// How it ended; none = it runs.
    pub ended: Option<ShadowEnd>,
}

/// The shadows that run, with what they have shown.
pub(super) type Shadowed = BTreeMap<Kind, (Shadow, ShadowReport)>;

impl StrategyService {
    /// A kind's shadow: the one that runs, else the last one that ended since the daemon started. Single
    /// decisions are those of the domain, unless the caller reaches every domain.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`] where there was none.
    pub fn shadow(&self, kind: Kind, domain: &Domain, every_domain: bool) -> Result<ShadowView> {
        let running = self
            .shadowed()
            .remove(&kind)
            .map(|(shadow, report)| ShadowView {
                kind,
                shadow,
                report,
                ended: None,
            });
        let found = running.or_else(|| self.ended.lock().get(&kind).cloned());
        let mut view = found.ok_or_else(|| Error::not_found("shadow", kind))?;
        if !every_domain {
            view.report = view.report.of_domain(domain);
        }
        Ok(view)
    }

    /// Ends the shadows that are over, and gives their kinds. To be called every so often.
    ///
    /// # Errors
    /// The datastore's; what was not ended is at the next call.
    pub async fn tend_shadows(&self) -> Result<Vec<Kind>> {
        let mut ended = Vec::new();
        for (kind, (shadow, report)) in self.shadowed() {
            if let Some(reason) = shadow.ending(&report, self.ports.clock.now()) {
                self.end_shadow(kind, shadow, report, reason).await?;
                ended.push(kind);
            }
        }
        Ok(ended)
    }

    /// Writes that a shadow is over, unless it was changed meanwhile.
    async fn end_shadow(
        &self,
        kind: Kind,
        shadow: Shadow,
        report: ShadowReport,
        reason: String,
    ) -> Result<()> {
        let _changing = self.changing.lock().await;
        tracing::info!(%kind, plugin = shadow.plugin, reason, "shadow ended");
        let running = Shadowed::from([(kind, (shadow.clone(), report.clone()))]);
        let why = reason.clone();
        let change = move |route: &mut KindRoute| {
            if route.shadow.as_ref() != Some(&shadow) {
                return None;
            }
            route.shadow = None;
            let told = ended(kind, "shadow_ended", &shadow, None, &why, Some(&report));
            Some(told)
        };
        let stored = self.amend(kind, change).await?;
        self.keep_ended(running, &stored, &reason);
        Ok(())
    }

    /// What runs now, and what it has shown.
    pub(super) fn shadowed(&self) -> Shadowed {
        let present = self.present.lock().clone();
        let of = |r: StoredRoute| {
            let shadow = r.route.shadow?;
            let report = self.ports.runtime.shadow(r.kind).unwrap_or_default();
            Some((r.kind, (shadow, report)))
        };
        present.into_iter().filter_map(of).collect()
    }

    /// Keeps the reports of those that run no more.
    pub(super) fn keep_ended(&self, running: Shadowed, stored: &[StoredRoute], reason: &str) {
        for (kind, (shadow, report)) in running {
            let now = stored.iter().find(|r| r.kind == kind);
            if now.and_then(|r| r.route.shadow.as_ref()) == Some(&shadow) {
                continue;
            }
            let end = ShadowEnd {
                at: self.ports.clock.now(),
                reason: reason.to_owned(),
            };
            let view = ShadowView {
                kind,
                shadow,
                report,
                ended: Some(end),
            };
            self.ended.lock().insert(kind, view);
        }
    }
}

/// The shadow after a change; what serves by default is nobody's shadow, and the same order again lets it
/// run on.
pub(super) fn apply(
    change: Option<Option<ShadowOrder>>,
    before: Option<Shadow>,
    default: Option<&String>,
    at: Timestamp,
) -> Option<Shadow> {
    let after = match change {
        None => before,
        Some(None) => None,
        Some(Some(order)) => {
            let fresh = order.begin(default, at)?;
            Some(run_on(fresh, before, |fresh, before| Shadow {
                started_at: before.started_at,
                ..fresh.clone()
            }))
        }
    };
    after.filter(|shadow| !default.is_some_and(|name| shadow.is_of(name)))
}

/// What changed of the shadow between two states.
pub(super) fn steps(
    kind: Kind,
    before: &KindRoute,
    after: &KindRoute,
    by: Option<KeyId>,
    seen: Option<&ShadowReport>,
) -> Vec<Value> {
    if before.shadow == after.shadow {
        return Vec::new();
    }
    let stopped = before
        .shadow
        .iter()
        .map(|shadow| ended(kind, "shadow_stopped", shadow, by, "ordered", seen));
    let started = after.shadow.iter().map(|shadow| {
        json!({
            "kind": kind, "change": "shadow_started", "plugin": shadow.plugin, "revision": shadow.revision,
            "percent": shadow.percent, "max_duration_s": shadow.max_duration_s, "by": by,
        })
    });
    stopped.chain(started).collect()
}

fn ended(
    kind: Kind,
    change: &str,
    shadow: &Shadow,
    by: Option<KeyId>,
    reason: &str,
    seen: Option<&ShadowReport>,
) -> Value {
    json!({
        "kind": kind, "change": change, "plugin": shadow.plugin, "revision": shadow.revision,
        "percent": shadow.percent, "started_at": shadow.started_at, "reason": reason,
        "shadow": seen.map(ShadowReport::sums), "by": by,
    })
}
