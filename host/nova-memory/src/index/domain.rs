//! One domain's part of the index, and the search over it.

use std::collections::{BTreeMap, HashMap, HashSet};

use nova_core::ports::{Alike, Hit, IndexQuery, LegScores, MemoryVector, SearchMode};
use nova_core::{Analyzer, Memory, MemoryId, Timestamp};

use super::attributes::Attributes;
use super::vectors::{VectorQuery, Vectors};
use super::words::{WordScores, Words};

/// Candidates that each leg brings, at least.
const CANDIDATES: usize = 100;
/// Documents that are gone before the rest moves together, at least; and then as many as are left.
const GONE_MAX: usize = 1000;

/// Everything of one domain.
#[derive(Default)]
pub(super) struct DomainIndex {
    documents: HashMap<MemoryId, u32>,
    attributes: Attributes,
    words: Words,
    vectors: BTreeMap<String, Vectors>,
    gone: usize,
    /// What was removed while the index is built.
    removed: HashSet<MemoryId>,
}

/// The mean and the spread of a leg's scores over all that pass.
#[derive(Clone, Copy)]
struct Spread {
    mean: f64,
    deviation: f64,
}

impl Spread {
    /// How many deviations a score lies above the mean; 0 where all are the same.
    fn z(self, score: f64) -> f64 {
        if self.deviation > 1e-9 {
            (score - self.mean) / self.deviation
        } else {
            0.0
        }
    }
}

impl DomainIndex {
    pub(super) fn new(analyzer: Analyzer) -> Self {
        Self {
            words: Words::new(analyzer),
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.documents.len()
    }

    /// Adds a record; of one that is there, takes over what may have changed. Adds the vectors.
    pub(super) fn put(&mut self, memory: &Memory, vectors: &[MemoryVector]) {
        let document = match self.documents.get(&memory.memory_id) {
            Some(document) => {
                self.attributes.change(*document, memory);
                *document
            }
            None => {
                let document = self.attributes.len() as u32;
                self.attributes.push(memory);
                self.words.push(document, &memory.text());
                self.documents.insert(memory.memory_id, document);
                document
            }
        };
        for vector in vectors {
            // Vectors of one model are of one length; clients bring theirs in any.
            let space = format!("{}/{}", vector.model, vector.vector.len());
            self.vectors
                .entry(space)
                .or_insert_with(|| Vectors::new(vector.vector.len()))
                .push(document, &vector.vector);
        }
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, id: MemoryId) {
        let Some(document) = self.documents.remove(&id) else {
            return;
        };
        self.attributes.alive.set(document, false);
        self.words.forget(document);
        self.gone += 1;
        if self.gone > GONE_MAX.max(self.documents.len()) {
            self.compact();
        }
    }

    /// Adds a record as it was read, unless it was put or removed since: what is known is newer.
    pub(super) fn restore(&mut self, memory: &Memory, vectors: &[MemoryVector]) {
        let id = memory.memory_id;
        if !self.removed.contains(&id) && !self.documents.contains_key(&id) {
            self.put(memory, vectors);
        }
    }

    /// Takes a record out that may yet be read.
    pub(super) fn remove_while_built(&mut self, id: MemoryId) {
        self.removed.insert(id);
        self.remove(id);
    }

    /// Nothing will be restored any more.
    pub(super) fn built(&mut self) {
        self.removed = HashSet::new();
    }

    fn compact(&mut self) {
        let mut next = 0;
        let documents = 0..self.attributes.len() as u32;
        let new: Vec<Option<u32>> = documents
            .map(|document| {
                self.attributes.alive.has(document).then(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        self.attributes.renumber(&new);
        self.words.renumber(&new);
        self.vectors.values_mut().for_each(|v| v.renumber(&new));
        for document in self.documents.values_mut() {
            if let Some(number) = new[*document as usize] {
                *document = number;
            }
        }
        self.gone = 0;
    }

    /// Records that may say what another says, oldest first, at most `limit`.
    pub(super) fn alike(&self, alike: &Alike<'_>, limit: usize) -> Vec<MemoryId> {
        let comparable = self.attributes.comparable(alike);
        let mut found = self.words.holding(alike.groups, &comparable, limit);
        if let Some(fact) = alike.fact {
            let stating = self.attributes.stating(fact);
            found.extend(stating.filter(|d| comparable(*d)).take(limit));
            found.sort_unstable();
            found.dedup();
        }
        let ids = found.into_iter().take(limit);
        ids.map(|d| self.attributes.ids[d as usize]).collect()
    }

    /// The best matches, best first.
    ///
    /// Each leg brings its best; both legs' scores of all candidates are normalized by the mean and the deviation over
    /// all that pass, weighed and summed.
    pub(super) fn search(&self, query: &IndexQuery) -> Vec<Hit> {
        let pass = self.attributes.pass(&query.filter, query.now);
        let passing = pass.count();
        let passes = |document: u32| pass.has(document);
        let wanted = CANDIDATES.max(4 * query.limit);
        let mut candidates: Vec<u32> = Vec::new();

        let text = query
            .text
            .as_deref()
            .filter(|_| query.mode != SearchMode::Vector);
        let words = text.map(|text| self.words.score(text, passes));
        let word_spread = words.as_ref().map(|words| {
            candidates.extend(words.best(wanted));
            spread(words, passing)
        });

        let vector = query
            .vector
            .as_ref()
            .filter(|_| query.mode != SearchMode::Keyword);
        let vector = vector.and_then(|(model, numbers)| {
            let space = self.vectors.get(&format!("{model}/{}", numbers.len()))?;
            Some((space, space.query(numbers)?))
        });
        let vector_spread = vector.as_ref().map(|(space, numbers)| {
            let found = space.scan(numbers, passes, wanted);
            candidates.extend(found.best.iter().map(|(document, _)| *document));
            Spread {
                mean: found.mean.into(),
                deviation: found.deviation.into(),
            }
        });
        candidates.sort_unstable();
        candidates.dedup();
        let legs = Legs {
            words: words.as_ref().zip(word_spread),
            vector: vector
                .as_ref()
                .map(|(space, numbers)| (*space, numbers))
                .zip(vector_spread),
        };
        let mut hits: Vec<Hit> = candidates
            .into_iter()
            .map(|document| self.hit(document, &legs, query))
            .collect();
        // Equal scores: the newer first, so that the order is stable.
        hits.sort_by(|a, b| {
            let newer = b.memory_id.cmp(&a.memory_id);
            b.score.total_cmp(&a.score).then(newer)
        });
        hits.truncate(query.limit);
        hits
    }

    fn hit(&self, document: u32, legs: &Legs<'_>, query: &IndexQuery) -> Hit {
        let at = document as usize;
        let ranking = &query.ranking;
        let (mut relevance, mut scores) = (0.0, LegScores::default());
        if let Some((words, spread)) = &legs.words {
            scores.keyword = words.scores[at].into();
            relevance += ranking.keyword_weight * spread.z(scores.keyword);
        }
        if let Some(((space, numbers), spread)) = &legs.vector
            && let Some(cosine) = space.cosine(numbers, document)
        {
            scores.vector = cosine.into();
            relevance += ranking.vector_weight * spread.z(scores.vector);
        }
        let created = Timestamp::from_millis(self.attributes.created_ms[at]);
        scores.recency = ranking.recency(self.attributes.layers[at], query.now.since_s(created));
        scores.importance = self.attributes.importance[at].into();
        Hit {
            memory_id: self.attributes.ids[at],
            score: ranking.score(relevance, scores.recency, scores.importance),
            scores,
        }
    }
}

struct Legs<'a> {
    words: Option<(&'a WordScores, Spread)>,
    vector: Option<((&'a Vectors, &'a VectorQuery), Spread)>,
}

/// Over all that pass: those without a matching word have 0.
fn spread(words: &WordScores, passing: usize) -> Spread {
    let (mut sum, mut squares) = (0.0, 0.0);
    for document in &words.matched {
        let score = f64::from(words.scores[*document as usize]);
        sum += score;
        squares += score * score;
    }
    let n = passing.max(1) as f64;
    let mean = sum / n;
    Spread {
        mean,
        deviation: (squares / n - mean * mean).max(0.0).sqrt(),
    }
}
