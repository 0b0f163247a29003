//! What filters look at: one column an attribute, and the metadata turned around.

use nova_core::domain::memory_filter::Bounds;
use nova_core::ports::{Alike, MemoryFilter};
use nova_core::{AgentId, Memory, MemoryId, MemoryLayer, MetadataFilter, Timestamp};
use roaring::RoaringBitmap;
use serde_json::Value;

use super::HashMap;
use super::bits::Bits;

/// The number of what belongs to no agent.
const NOBODY: u32 = 0;
/// The key of the metadata under which a statement names the fact that it states.
const FACT: &str = "fact";

/// Columns over all documents of one domain.
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) ids: Vec<MemoryId>,
    pub(super) agents: Vec<u32>,
    pub(super) layers: Vec<MemoryLayer>,
    pub(super) created_ms: Vec<i64>,
    expires_ms: Vec<i64>,
    /// Whether any document expires.
    expiring: bool,
    pub(super) importance: Vec<f32>,
    /// Statements that hold.
    holds: Bits,
    pub(super) alive: Bits,
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
        self.holds.set(document, memory.valid_to.is_none());
        self.expires_ms[at] = memory.expires_at.map_or(i64::MAX, Timestamp::millis);
        self.expiring |= memory.expires_at.is_some();
    }

    /// The documents that pass.
    pub(super) fn pass(&self, filter: &MemoryFilter, now: Timestamp) -> Bits {
        let mut pass = self.alive.clone();
        if !filter.superseded {
            pass.and(&self.holds);
        }
        if self.expiring {
            let now = now.millis();
            pass.keep(&self.expires_ms, |end| end > now);
        }
        if let Some(wanted) = filter.layer {
            pass.keep(&self.layers, |layer| layer == wanted);
        }
        if let Some(agent) = &filter.agent_id {
            let wanted = self.agent(Some(agent));
            pass.keep(&self.agents, |agent| agent == wanted);
        }
        if filter.since.is_some() || filter.until.is_some() {
            let since = filter.since.map_or(i64::MIN, Timestamp::millis);
            let until = filter.until.map_or(i64::MAX, Timestamp::millis);
            pass.keep(&self.created_ms, |at| (since..until).contains(&at));
        }
        if let Some(least) = filter.min_importance {
            let least = least as f32;
            pass.keep(&self.importance, |importance| importance >= least);
        }
        if !filter.metadata.is_empty() {
            pass.and(&self.found(&filter.metadata));
        }
        pass
    }

    /// An agent's number; for an unknown one a number that no document has.
    fn agent(&self, agent: Option<&AgentId>) -> u32 {
        agent.map_or(NOBODY, |agent| {
            self.agent_numbers.get(agent).copied().unwrap_or(u32::MAX)
        })
    }

    /// Whether a document may be compared: of the layer and the agent, and it holds now.
    pub(super) fn comparable(&self, alike: &Alike<'_>) -> impl Fn(u32) -> bool {
        let (agent, now) = (self.agent(alike.agent), alike.now.millis());
        let layer = alike.layer;
        move |document| {
            let at = document as usize;
            self.layers[at] == layer
                && self.agents[at] == agent
                && self.alive.has(document)
                && self.holds.has(document)
                && self.expires_ms[at] > now
        }
    }

    /// Whether a document is never forgotten.
    pub(super) fn lasts(&self, document: u32) -> bool {
        self.expires_ms[document as usize] == i64::MAX
    }

    /// Documents that state this fact.
    pub(super) fn stating(&self, fact: &str) -> impl Iterator<Item = u32> {
        let values = self.metadata.get(FACT).and_then(|of| of.texts.get(fact));
        values.into_iter().flatten()
    }

    fn found(&self, filter: &MetadataFilter) -> Bits {
        match filter {
            MetadataFilter::All(of) => {
                let mut all = Bits::all(self.len());
                of.iter().for_each(|f| all.and(&self.found(f)));
                all
            }
            MetadataFilter::Any(of) => {
                let mut any = Bits::none(self.len());
                of.iter().for_each(|f| any.or(&self.found(f)));
                any
            }
            MetadataFilter::Not(of) => {
                let mut not = self.found(of);
                not.invert();
                not
            }
            MetadataFilter::In(key, accepted) => {
                let mut found = Bits::none(self.len());
                if let Some(values) = self.metadata.get(key.as_str()) {
                    values.one_of(accepted, &mut found);
                }
                found
            }
            MetadataFilter::Range(key, bounds) => {
                let mut found = Bits::none(self.len());
                if let Some(values) = self.metadata.get(key.as_str()) {
                    values.range(bounds, &mut found);
                }
                found
            }
        }
    }

    /// Drops documents without a new number and gives the others theirs.
    pub(super) fn renumber(&mut self, new: &[Option<u32>]) {
        super::keep(&mut self.ids, new);
        super::keep(&mut self.agents, new);
        super::keep(&mut self.layers, new);
        super::keep(&mut self.created_ms, new);
        super::keep(&mut self.expires_ms, new);
        super::keep(&mut self.importance, new);
        let mut holds = Bits::default();
        for (document, number) in (0..).zip(new) {
            if number.is_some() {
                holds.push(self.holds.has(document));
            }
        }
        self.holds = holds;
        self.alive = Bits::all(self.len());
        self.metadata.values_mut().for_each(|v| v.renumber(new));
    }
}

fn add_all(documents: &RoaringBitmap, to: &mut Bits) {
    documents.iter().for_each(|d| to.set(d, true));
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

    /// Adds the documents that have one of these values.
    fn one_of(&self, accepted: &[Value], found: &mut Bits) {
        let mut numbers = Vec::new();
        for value in accepted {
            match value {
                Value::String(text) => {
                    if let Some(documents) = self.texts.get(text.as_str()) {
                        add_all(documents, found);
                    }
                }
                // `0.0` and `-0.0` are the same number.
                Value::Number(number) => numbers.extend(number.as_f64().map(|n| n + 0.0)),
                Value::Bool(true) => add_all(&self.yes, found),
                Value::Bool(false) => add_all(&self.no, found),
                Value::Null => add_all(&self.null, found),
                Value::Array(_) | Value::Object(_) => {}
            }
        }
        match numbers.as_mut_slice() {
            [] => {}
            [wanted] => {
                found.add_where(&self.numbers, |number| number == *wanted);
            }
            // However many are accepted, all are looked at once.
            many => {
                many.sort_unstable_by(f64::total_cmp);
                found.add_where(&self.numbers, |number| {
                    let known = many.binary_search_by(|n| n.total_cmp(&(number + 0.0)));
                    known.is_ok()
                });
            }
        }
    }

    fn range(&self, bounds: &Bounds, found: &mut Bits) {
        // Numbers are compared with numbers alone, so that one look at the bounds is enough for all of them.
        if let Some(numbers) = Numbers::of(bounds) {
            found.add_where(&self.numbers, |number| numbers.hold(number));
            return;
        }
        let Some(texts) = Texts::of(bounds) else {
            return;
        };
        for (text, documents) in &self.texts {
            if texts.hold(text) {
                add_all(documents, found);
            }
        }
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

/// Bounds that are texts.
struct Texts<'a> {
    gte: Option<&'a str>,
    gt: Option<&'a str>,
    lte: Option<&'a str>,
    lt: Option<&'a str>,
}

impl<'a> Texts<'a> {
    /// None where one of the bounds is none.
    fn of(bounds: &'a Bounds) -> Option<Self> {
        let text = |bound: &'a Option<Value>| match bound {
            None => Some(None),
            Some(value) => value.as_str().map(Some),
        };
        Some(Self {
            gte: text(&bounds.gte)?,
            gt: text(&bounds.gt)?,
            lte: text(&bounds.lte)?,
            lt: text(&bounds.lt)?,
        })
    }

    fn hold(&self, text: &str) -> bool {
        self.gte.is_none_or(|bound| text >= bound)
            && self.gt.is_none_or(|bound| text > bound)
            && self.lte.is_none_or(|bound| text <= bound)
            && self.lt.is_none_or(|bound| text < bound)
    }
}

/// Bounds that are numbers.
struct Numbers {
    gte: f64,
    gt: f64,
    lte: f64,
    lt: f64,
    above: bool,
    below: bool,
}

impl Numbers {
    /// None where one of the bounds is none.
    fn of(bounds: &Bounds) -> Option<Self> {
        let number = |bound: &Option<Value>, open: f64| match bound {
            None => Some(open),
            Some(value) => value.as_f64(),
        };
        Some(Self {
            gte: number(&bounds.gte, f64::NEG_INFINITY)?,
            gt: number(&bounds.gt, f64::NEG_INFINITY)?,
            lte: number(&bounds.lte, f64::INFINITY)?,
            lt: number(&bounds.lt, f64::INFINITY)?,
            above: bounds.gt.is_some(),
            below: bounds.lt.is_some(),
        })
    }

    fn hold(&self, number: f64) -> bool {
        let above = !self.above | (number > self.gt);
        let below = !self.below | (number < self.lt);
        (number >= self.gte) & (number <= self.lte) & above & below
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nova_core::Domain;
    use serde_json::json;

    use super::*;

    fn attributes(all: &[Value]) -> Attributes {
        let mut attributes = Attributes::default();
        for metadata in all {
            let now = Timestamp::from_millis(0);
            attributes.push(&Memory {
                memory_id: MemoryId::generate(),
                domain: Domain::default(),
                agent_id: None,
                layer: MemoryLayer::Episodic,
                content: json!("text"),
                importance: 0.5,
                context: serde_json::Map::new(),
                metadata: metadata.as_object().unwrap().clone(),
                provenance: Vec::new(),
                occurrences: 1,
                merged_into: None,
                valid_from: now,
                valid_to: None,
                access_count: 0,
                accessed_at: None,
                created_at: now,
                consolidated_at: None,
                expires_at: None,
                summarized_by: None,
            });
        }
        attributes
    }

    /// The index lets through what the filter itself does.
    #[test]
    fn filters_mean_the_same_in_the_index() {
        let all = [
            json!({"n": 1, "t": "a"}),
            json!({"n": -0.0, "t": "b", "ok": true}),
            json!({"n": [2, 3.5], "t": ["c", "d"], "ok": false}),
            json!({"n": "2", "t": null}),
            json!({}),
        ];
        let attributes = attributes(&all);
        let filters = [
            json!({"n": 1}),
            json!({"n": 0}),
            json!({"n": {"in": [0, 1, 3.5, "2", null]}}),
            json!({"n": {"in": [7, 8]}}),
            json!({"n": {"gt": 1}}),
            json!({"n": {"gte": 1, "lt": 2}}),
            json!({"n": {"lte": 0.0}}),
            json!({"n": {"gte": "2"}}),
            json!({"n": {"gte": 1, "lt": "3"}}),
            json!({"t": {"gte": "b", "lt": "d"}}),
            json!({"t": {"gt": "b", "lte": "c"}}),
            json!({"t": {"in": ["a", null]}}),
            json!({"ok": true}),
            json!({"$not": {"ok": {"in": [true, false]}}}),
            json!({"$or": [{"t": "a"}, {"$not": {"n": {"gt": 0}}}]}),
        ];
        for filter in filters {
            let metadata = MetadataFilter::parse(filter.as_object().unwrap()).unwrap();
            let asked = MemoryFilter {
                metadata: metadata.clone(),
                ..MemoryFilter::default()
            };
            let pass = attributes.pass(&asked, Timestamp::from_millis(0));
            for (document, of) in (0..).zip(&all) {
                let expected = metadata.matches(of.as_object().unwrap());
                assert_eq!(pass.has(document), expected, "{filter} {of}");
            }
        }
    }
}
