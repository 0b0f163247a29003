//! The gate before a swap: a candidate answers recorded problems beside the serving revision first.
//!
//! It runs in the task of the load, so that other plugins and every call go on meanwhile. After a start
//! nothing serves yet: then the newest kept revision serves, and the file must do as well as that one. Else
//! a restart would let in what the gate had refused.

use std::sync::Arc;

use nova_core::ports::DecisionJournal;
use nova_core::ports::runtime::ServingFrom;
use nova_core::services::{GatePlan, Judgement, judge};

use crate::arena::Arena;
use crate::component::{Refused, Stage};
use crate::files::Source;
use crate::loader::{Loader, Outcome};
use crate::registry::{Loaded, Revision};
use crate::watch::{Ended, Loads, Look, Watch};

/// Judges candidates.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) plan: GatePlan,
    pub(crate) journal: Arc<dyn DecisionJournal>,
    pub(crate) arena: Arena,
}

impl Gate {
    /// What a load made, if it may take the revision's place.
    pub(crate) async fn judge(&self, serving: &Revision, mut loaded: Box<Loaded>) -> Outcome {
        let (old, new) = (self.arena.revision(serving), self.arena.loaded(&loaded));
        let plugin = &*loaded.unit.plugin;
        let judgement = judge(&*self.journal, &self.plan, &*old, &*new).await;
        let (verdict, said) = match &judgement {
            Judgement::Passed(said) => ("passed", said),
            Judgement::Unjudged(said) => ("unjudged", said),
            Judgement::Refused(said) => ("refused", said),
        };
        metrics::counter!("nova_plugin_gate_total", "plugin" => plugin.to_owned(), "verdict" => verdict)
            .increment(1);
        tracing::info!(plugin, verdict, said, "the gate has judged a candidate");
        match judgement {
            Judgement::Refused(reason) => Outcome::Refused {
                digest: Some(loaded.digest),
                kind: Some(loaded.unit.guest.kind()),
                refused: Refused::new(Stage::Gate, reason),
            },
            Judgement::Passed(said) | Judgement::Unjudged(said) => {
                loaded.gate = Some(said);
                Outcome::Loaded(loaded)
            }
        }
    }
}

/// A candidate of the directory that may not serve before it is judged.
pub(crate) struct Waiting {
    look: Box<Look>,
    loaded: Box<Loaded>,
    /// The kept revision whose place it would take, if that can still serve.
    before: Option<Box<Loaded>>,
}

impl Watch {
    /// Has a file that was loaded judged, where there is a gate and something to compare it with. Gives back
    /// what need not wait.
    pub(crate) fn contest(
        &self,
        mut look: Box<Look>,
        outcome: Outcome,
        loads: &mut Loads,
    ) -> Option<(Box<Look>, Outcome)> {
        let (gate, loaded) = match (&self.gate, outcome) {
            (Some(gate), Outcome::Loaded(loaded)) => (gate, loaded),
            (_, outcome) => return Some((look, outcome)),
        };
        let snapshot = self.registry.snapshot();
        let name = &look.source.name;
        let serving = snapshot.plugin(name).and_then(|p| p.current.clone());
        if let Some(serving) = serving {
            look.against = Some(serving.status.revision);
            let gate = gate.clone();
            loads.spawn(async move {
                let outcome = gate.judge(&serving, loaded).await;
                Ended::Judged(look, outcome)
            });
            return None;
        }
        let manifest = loaded.origin.manifest.as_ref();
        let kept = self.kept.before(name, &loaded.digest, manifest);
        if kept.is_empty() {
            return Some((look, Outcome::Loaded(loaded)));
        }
        let loader = Arc::clone(&self.loader);
        loads.spawn(async move {
            let before = newest(&loader, &look.source.name, kept).await;
            Ended::Waiting(Waiting {
                look,
                loaded,
                before,
            })
        });
        None
    }

    /// The kept revision serves from now on, and the file's own is judged.
    pub(crate) fn serve_before(
        &self,
        waiting: Waiting,
        loads: &mut Loads,
    ) -> Option<(Box<Look>, Outcome)> {
        let Waiting {
            look,
            loaded,
            before,
        } = waiting;
        let (name, file) = (&look.source.name, look.source.file());
        if let (Some(before), false) = (before, self.serves(name)) {
            self.activate(name, &file, ServingFrom::Kept, *before);
        }
        if !self.serves(name) {
            // What is kept cannot serve any more: there is nothing to compare with.
            return Some((look, Outcome::Loaded(loaded)));
        }
        self.contest(look, Outcome::Loaded(loaded), loads)
    }
}

/// The first of the kept revisions that can still serve.
pub(crate) async fn newest(
    loader: &Arc<Loader>,
    plugin: &str,
    kept: Vec<Source>,
) -> Option<Box<Loaded>> {
    for source in kept {
        match loader.load(&source, None, &[]).await {
            Outcome::Loaded(loaded) => return Some(loaded),
            Outcome::Refused { refused, .. } => {
                tracing::warn!(
                    plugin,
                    file = source.file(),
                    reason = refused.reason,
                    "a kept revision cannot serve"
                );
            }
            Outcome::Unchanged(_) | Outcome::Withheld | Outcome::Moved => {}
        }
    }
    None
}
