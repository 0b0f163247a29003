//! What filters look at: one column an attribute, and the metadata turned around.

use std::collections::HashMap;

use nova_core::domain::memory_filter::Bounds;
use nova_core::ports::MemoryFilter;
use nova_core::{AgentId, Memory, MemoryId, MemoryLayer, MetadataFilter, Timestamp};
use roaring::RoaringBitmap;
use serde_json::Value;

/// The number of what belongs to no agent.
const NOBODY: u32 = 0;

/// Columns over all documents of one domain.
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) ids: Vec<MemoryId>,
    agents: Vec<u32>,
    pub(super) layers: Vec<MemoryLayer>,
    pub(super) created_ms: Vec<i64>,
    expires_ms: Vec<i64>,
    pub(super) importance: Vec<f32>,
    holds: Vec<bool>,
    pub(super) alive: Vec<bool>,
    agent_numbers: HashMap<AgentId, u32>,
    metadata: HashMap<Box<str>, Values>,
}

/// The values under one key of the metadata.
#[derive(Default)]
struct Values {
    texts: HashMap<Box<str>, RoaringBitmap>,
    numbers: Vec<(f64, u32)>,
    yes: RoaringBitmap,
    no: RoaringBitmap,
    null: RoaringBitmap,
}

impl Attributes {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Adds the next document.
    pub(super) fn push(&mut self, memory: &Memory) {
        let document = self.ids.len() as u32;
        let agent = match &memory.agent_id {
            None => NOBODY,
            Some(agent) => {
                let next = self.agent_numbers.len() as u32 + 1;
                *self.agent_numbers.entry(agent.clone()).or_insert(next)
            }
        };
        self.ids.push(memory.memory_id);
        self.agents.push(agent);
        self.layers.push(memory.layer);
        self.created_ms.push(memory.created_at.millis());
        self.expires_ms.push(i64::MAX);
        self.importance.push(0.0);
        self.holds.push(true);
        self.alive.push(true);
        self.change(document, memory);
        for (key, value) in &memory.metadata {
            let values = match self.metadata.get_mut(key.as_str()) {
                Some(values) => values,
                None => self.metadata.entry(key.as_str().into()).or_default(),
            };
            match value {
                Value::Array(items) => items.iter().for_each(|item| values.add(item, document)),
                value => values.add(value, document),
            }
        }
    }

    /// Takes over what may change of a document.
    pub(super) fn change(&mut self, document: u32, memory: &Memory) {
        let at = document as usize;
        self.importance[at] = memory.importance as f32;
        self.holds[at] = memory.valid_to.is_none();
        self.expires_ms[at] = memory.expires_at.map_or(i64::MAX, Timestamp::millis);
    }

    /// The documents that pass.
    pub(super) fn pass(&self, filter: &MemoryFilter, now: Timestamp) -> Vec<bool> {
        // For an unknown agent a number that no document has: nothing passes.
        let number = |agent| self.agent_numbers.get(agent).copied().unwrap_or(u32::MAX);
        let agent = filter.agent_id.as_ref().map(number);
        let since = filter.since.map_or(i64::MIN, Timestamp::millis);
        let until = filter.until.map_or(i64::MAX, Timestamp::millis);
        let least = filter.min_importance.unwrap_or(0.0) as f32;
        let now = now.millis();
        let mut pass: Vec<bool> = (0..self.len())
            .map(|at| {
                self.alive[at]
                    && self.expires_ms[at] > now
                    && (filter.superseded || self.holds[at])
                    && filter.layer.is_none_or(|layer| layer == self.layers[at])
                    && agent.is_none_or(|agent| agent == self.agents[at])
                    && (since..until).contains(&self.created_ms[at])
                    && self.importance[at] >= least
            })
            .collect();
        if !filter.metadata.is_empty() {
            let found = self.found(&filter.metadata);
            for (document, pass) in pass.iter_mut().enumerate() {
                *pass &= found.contains(document as u32);
            }
        }
        pass
    }

    fn found(&self, filter: &MetadataFilter) -> RoaringBitmap {
        match filter {
            MetadataFilter::All(of) => {
                let mut of = of.iter();
                let first = of.next().map_or_else(|| self.all(), |f| self.found(f));
                of.fold(first, |all, f| all & self.found(f))
            }
            MetadataFilter::Any(of) => of
                .iter()
                .fold(RoaringBitmap::new(), |any, f| any | self.found(f)),
            MetadataFilter::Not(of) => self.all() - self.found(of),
            MetadataFilter::In(key, accepted) => match self.metadata.get(key.as_str()) {
                None => RoaringBitmap::new(),
                Some(values) => accepted
                    .iter()
                    .fold(RoaringBitmap::new(), |any, v| any | values.equal(v)),
            },
            MetadataFilter::Range(key, bounds) => match self.metadata.get(key.as_str()) {
                None => RoaringBitmap::new(),
                Some(values) => values.range(bounds),
            },
        }
    }

    fn all(&self) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..self.len() as u32);
        all
    }

    /// Drops documents without a new number and gives the others theirs.
    pub(super) fn renumber(&mut self, new: &[Option<u32>]) {
        super::keep(&mut self.ids, new);
        super::keep(&mut self.agents, new);
        super::keep(&mut self.layers, new);
        super::keep(&mut self.created_ms, new);
        super::keep(&mut self.expires_ms, new);
        super::keep(&mut self.importance, new);
        super::keep(&mut self.holds, new);
        super::keep(&mut self.alive, new);
        self.metadata.values_mut().for_each(|v| v.renumber(new));
    }
}

impl Values {
    fn add(&mut self, value: &Value, document: u32) {
        match value {
            Value::String(text) => {
                let of = match self.texts.get_mut(text.as_str()) {
                    Some(of) => of,
                    None => self.texts.entry(text.as_str().into()).or_default(),
                };
                of.insert(document);
            }
            Value::Number(number) => {
                if let Some(number) = number.as_f64() {
                    self.numbers.push((number, document));
                }
            }
            Value::Bool(true) => {
                self.yes.insert(document);
            }
            Value::Bool(false) => {
                self.no.insert(document);
            }
            Value::Null => {
                self.null.insert(document);
            }
            Value::Array(_) | Value::Object(_) => {}
        }
    }

    fn equal(&self, value: &Value) -> RoaringBitmap {
        match value {
            Value::String(text) => self.texts.get(text.as_str()).cloned().unwrap_or_default(),
            Value::Number(number) => {
                let wanted = number.as_f64();
                let same = self.numbers.iter().filter(|(n, _)| Some(*n) == wanted);
                same.map(|(_, document)| *document).collect()
            }
            Value::Bool(true) => self.yes.clone(),
            Value::Bool(false) => self.no.clone(),
            Value::Null => self.null.clone(),
            Value::Array(_) | Value::Object(_) => RoaringBitmap::new(),
        }
    }

    fn range(&self, bounds: &Bounds) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        for (text, documents) in &self.texts {
            if bounds.hold(&Value::from(&**text)) {
                found |= documents;
            }
        }
        let inside = self
            .numbers
            .iter()
            .filter(|(number, _)| bounds.hold(&Value::from(*number)));
        found.extend(inside.map(|(_, document)| *document));
        found
    }

    fn renumber(&mut self, new: &[Option<u32>]) {
        let bitmap = |old: &RoaringBitmap| -> RoaringBitmap {
            old.iter().filter_map(|d| new[d as usize]).collect()
        };
        for documents in self.texts.values_mut() {
            *documents = bitmap(documents);
        }
        self.texts.retain(|_, documents| !documents.is_empty());
        let numbers = self.numbers.iter();
        self.numbers = numbers
            .filter_map(|(n, d)| Some((*n, new[*d as usize]?)))
            .collect();
        self.yes = bitmap(&self.yes);
        self.no = bitmap(&self.no);
        self.null = bitmap(&self.null);
    }
}
