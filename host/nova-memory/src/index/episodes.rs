//! Episodes in the order in which they happened, each agent's by themselves.
//!
//! An answer often shares no word with the question that asks for it ("What is your dog called?" – "Rex!"): what was said
//! just before and just after tells what an episode is about.

use std::collections::BTreeSet;

use nova_core::MemoryLayer;

use super::HashMap;
use super::attributes::Attributes;

/// What the nearest, the next, … lend of their relevance, before and after.
const SHARES: [f64; 2] = [1.0, 0.5];

/// See the module.
#[derive(Default)]
pub(super) struct Episodes {
    /// By the agent's number: when each was made, in milliseconds, and its document.
    by_agent: HashMap<u32, BTreeSet<(i64, u32)>>,
}

impl Episodes {
    /// Those of all documents.
    pub(super) fn of(attributes: &Attributes) -> Self {
        let mut episodes = Self::default();
        let documents = 0..attributes.len() as u32;
        documents.for_each(|document| episodes.add(attributes, document));
        episodes
    }

    /// Adds a document, if it is an episode.
    pub(super) fn add(&mut self, attributes: &Attributes, document: u32) {
        if let Some((agent, moment)) = place(attributes, document) {
            self.by_agent.entry(agent).or_default().insert(moment);
        }
    }

    /// Takes a document out.
    pub(super) fn remove(&mut self, attributes: &Attributes, document: u32) {
        if let Some((agent, moment)) = place(attributes, document)
            && let Some(of_agent) = self.by_agent.get_mut(&agent)
        {
            of_agent.remove(&moment);
            if of_agent.is_empty() {
                self.by_agent.remove(&agent);
            }
        }
    }

    /// The episodes just before and after one, at most so many milliseconds away, with what each lends of its relevance or
    /// gets of this one's.
    pub(super) fn near(
        &self,
        attributes: &Attributes,
        document: u32,
        within_ms: i64,
    ) -> impl Iterator<Item = (u32, f64)> {
        let place = place(attributes, document);
        let around = place.and_then(|(agent, moment)| {
            let of_agent = self.by_agent.get(&agent)?;
            let (at, one) = moment;
            let (first, last) = (at.saturating_sub(within_ms), at.saturating_add(within_ms));
            // The document itself is no neighbour of its own.
            let before = of_agent.range((first, 0)..(at, one)).rev().zip(SHARES);
            let after = of_agent
                .range((at, one)..=(last, u32::MAX))
                .skip(1)
                .zip(SHARES);
            Some(before.chain(after))
        });
        let around = around.into_iter().flatten();
        around.map(|((_, document), share)| (*document, share))
    }
}

/// Where an episode belongs; knowledge has no place in time.
fn place(attributes: &Attributes, document: u32) -> Option<(u32, (i64, u32))> {
    let at = document as usize;
    (attributes.layers[at] == MemoryLayer::Episodic)
        .then(|| (attributes.agents[at], (attributes.created_ms[at], document)))
}
