//! One domain's part of the index, and the search over it.

use std::collections::HashSet;

use nova_core::ports::{Alike, Hit, IndexQuery, LegScores, MemoryVector, Ranking, SearchMode};
use nova_core::{Analyzer, Memory, MemoryId, Timestamp};

use super::HashMap;
use super::attributes::Attributes;
use super::bits::Bits;
use super::bm25::WordQuery;
use super::episodes::Episodes;
use super::leg::Spread;
use super::vectors::{VectorQuery, Vectors};
use super::words::Words;

/// Candidates that each leg brings, at least.
const CANDIDATES: usize = 100;
/// Matches that lend something to the episodes near them, at least; of more searches get worse, not better.
const LENDERS: usize = 20;
/// Documents that are gone before the rest moves together, at least; and then as many as are left.
const GONE_MAX: usize = 1000;

/// Everything of one domain.
#[derive(Default)]
pub(super) struct DomainIndex {
    documents: HashMap<MemoryId, u32>,
    attributes: Attributes,
    episodes: Episodes,
    words: Words,
    /// By model and length: vectors of one model are of one length, but clients bring theirs in any.
    vectors: HashMap<String, HashMap<usize, Vectors>>,
    gone: usize,
    /// What was removed while the index is built.
    removed: HashSet<MemoryId>,
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
                self.episodes.add(&self.attributes, document);
                self.words.push(document, &memory.text());
                self.documents.insert(memory.memory_id, document);
                document
            }
        };
        for vector in vectors {
            self.put_vector(document, vector);
        }
    }

    /// Adds vectors to a record that is there.
    pub(super) fn put_vectors(&mut self, id: MemoryId, vectors: &[MemoryVector]) {
        let Some(&document) = self.documents.get(&id) else {
            return;
        };
        for vector in vectors {
            self.put_vector(document, vector);
        }
    }

    /// Gives a document a vector, in the place of the one that it has of this model, of whatever length that is.
    fn put_vector(&mut self, document: u32, vector: &MemoryVector) {
        let length = vector.vector.len();
        let spaces = self.vectors.entry(vector.model.clone()).or_default();
        for (_, other) in spaces.iter_mut().filter(|(of, _)| **of != length) {
            other.remove(document);
        }
        let space = spaces.entry(length);
        let space = space.or_insert_with(|| Vectors::new(length));
        space.put(document, &vector.vector);
    }

    fn has_vector(&self, document: u32, model: &str) -> bool {
        let spaces = self.vectors.get(model);
        spaces.is_some_and(|spaces| spaces.values().any(|space| space.has(document)))
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, id: MemoryId) {
        let Some(document) = self.documents.remove(&id) else {
            return;
        };
        self.attributes.alive.set(document, false);
        self.episodes.remove(&self.attributes, document);
        self.words.forget(document);
        self.gone += 1;
        if self.gone > GONE_MAX.max(self.documents.len()) {
            self.compact();
        }
    }

    /// Adds a record as it was read, unless it was put or removed since: what is known is newer. Of one that was put, adds
    /// the vectors that did not come with it.
    pub(super) fn restore(&mut self, memory: &Memory, vectors: &[MemoryVector]) {
        let id = memory.memory_id;
        if self.removed.contains(&id) {
            return;
        }
        let Some(&document) = self.documents.get(&id) else {
            return self.put(memory, vectors);
        };
        for vector in vectors {
            if !self.has_vector(document, &vector.model) {
                self.put_vector(document, vector);
            }
        }
    }

    /// Takes a record out that may yet be read.
    pub(super) fn remove_while_built(&mut self, id: MemoryId) {
        self.removed.insert(id);
        self.remove(id);
    }

    /// Nothing will be restored any more.
    pub(super) fn built(&mut self) {
        self.removed = HashSet::default();
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
        self.episodes = Episodes::of(&self.attributes);
        self.words.renumber(&new);
        let spaces = self.vectors.values_mut().flat_map(HashMap::values_mut);
        spaces.for_each(|space| space.renumber(&new));
        for document in self.documents.values_mut() {
            if let Some(number) = new[*document as usize] {
                *document = number;
            }
        }
        self.gone = 0;
    }

    /// Records that may say what another says, oldest first, at most `limit` by their words and as many by their fact.
    pub(super) fn alike(&self, alike: &Alike<'_>, limit: usize) -> Vec<MemoryId> {
        let comparable = self.attributes.comparable(alike);
        // What says the same is as long, whatever else has its words; and what is to be forgotten hides nothing.
        let length = self.words.length_of(alike.text);
        let apart = |d: &u32| {
            let brief = !self.attributes.lasts(*d);
            (brief, self.words.length(*d).abs_diff(length), *d)
        };
        let nearest = |mut found: Vec<u32>| {
            found.sort_unstable_by_key(apart);
            found.truncate(limit);
            found
        };
        let mut found = nearest(self.words.holding(alike.words, &comparable));
        if let Some(fact) = alike.fact {
            let stating = self.attributes.stating(fact);
            found.extend(nearest(stating.filter(|d| comparable(*d)).collect()));
        }
        found.sort_unstable();
        found.dedup();
        let ids = found.into_iter();
        ids.map(|d| self.attributes.ids[d as usize]).collect()
    }

    fn space(&self, model: &str, length: usize) -> Option<&Vectors> {
        self.vectors.get(model)?.get(&length)
    }

    /// The best matches, best first.
    ///
    /// Each leg brings its best; both legs' scores of all candidates are normalized by the mean and the deviation over
    /// all that pass, weighed and summed. In a hybrid search the best lend to the episodes near them.
    pub(super) fn search(&self, query: &IndexQuery) -> Vec<Hit> {
        let pass = self.attributes.pass(&query.filter, query.now);
        let wanted = CANDIDATES.max(4 * query.limit);
        let mut candidates: Vec<u32> = Vec::new();
        let mut legs = Legs::default();
        if query.mode != SearchMode::Vector
            && let Some(text) = &query.text
        {
            let words = self.words.query(text);
            let found = words.scan(&pass, wanted);
            candidates.extend(found.best);
            legs.words = Some((words, found.spread));
        }
        if query.mode != SearchMode::Keyword
            && let Some((model, numbers)) = &query.vector
            && let Some(space) = self.space(model, numbers.len())
            && let Some(numbers) = space.query(numbers)
        {
            let found = space.scan(&numbers, &pass, wanted);
            candidates.extend(found.best);
            legs.vector = Some((space, numbers, found.spread));
        }
        candidates.sort_unstable();
        candidates.dedup();
        let ranking = &query.ranking;
        let mut matches: Vec<Match> = candidates
            .into_iter()
            .map(|document| self.matched(document, &legs, query))
            .collect();
        if query.mode == SearchMode::Hybrid && ranking.nearby_weight > 0.0 {
            self.lend(&mut matches, &legs, &pass, query);
        }
        let mut hits: Vec<Hit> = matches.iter().map(|m| self.hit(m, ranking)).collect();
        // Equal scores: the newer first, so that the order is stable.
        hits.sort_by(|a, b| {
            let newer = b.memory_id.cmp(&a.memory_id);
            b.score.total_cmp(&a.score).then(newer)
        });
        hits.truncate(query.limit);
        hits
    }

    /// How well a document matches by itself.
    fn matched(&self, document: u32, legs: &Legs<'_>, query: &IndexQuery) -> Match {
        let at = document as usize;
        let ranking = &query.ranking;
        let (mut relevance, mut scores) = (0.0, LegScores::default());
        if let Some((words, spread)) = &legs.words {
            scores.keyword = words.score(document).into();
            relevance += ranking.keyword_weight * spread.z(scores.keyword);
        }
        if let Some((space, numbers, spread)) = &legs.vector
            && let Some(cosine) = space.cosine(numbers, document)
        {
            scores.vector = cosine.into();
            relevance += ranking.vector_weight * spread.z(scores.vector);
        }
        let created = Timestamp::from_millis(self.attributes.created_ms[at]);
        scores.recency = ranking.recency(self.attributes.layers[at], query.now.since_s(created));
        scores.importance = self.attributes.importance[at].into();
        Match {
            document,
            relevance,
            scores,
        }
    }

    /// The best matches lend to the episodes near them that pass. Who borrows without having been a match becomes one.
    fn lend(&self, matches: &mut Vec<Match>, legs: &Legs<'_>, pass: &Bits, query: &IndexQuery) {
        let ranking = &query.ranking;
        let mut lenders: Vec<&Match> = matches.iter().filter(|m| m.relevance > 0.0).collect();
        lenders.sort_unstable_by(|a, b| {
            let first = a.document.cmp(&b.document);
            b.relevance.total_cmp(&a.relevance).then(first)
        });
        lenders.truncate(LENDERS.max(2 * query.limit));
        let within_ms = (ranking.nearby_within_s * 1e3) as i64;
        let mut lent: HashMap<u32, f64> = HashMap::default();
        for lender in lenders {
            let near = self
                .episodes
                .near(&self.attributes, lender.document, within_ms);
            for (document, share) in near.filter(|(document, _)| pass.has(*document)) {
                *lent.entry(document).or_default() += share * lender.relevance;
            }
        }
        // Matches are in the order of their documents until here.
        let is_match = |d: &u32| matches.binary_search_by_key(d, |m| m.document).is_ok();
        let others = lent.keys().filter(|document| !is_match(document));
        let others: Vec<Match> = others.map(|d| self.matched(*d, legs, query)).collect();
        matches.extend(others);
        for found in matches {
            let lent = lent.get(&found.document).copied().unwrap_or_default();
            found.scores.nearby = ranking.nearby_weight * lent;
        }
    }

    fn hit(&self, found: &Match, ranking: &Ranking) -> Hit {
        let scores = found.scores;
        let relevance = found.relevance + scores.nearby;
        Hit {
            memory_id: self.attributes.ids[found.document as usize],
            score: ranking.score(relevance, scores.recency, scores.importance),
            scores,
        }
    }
}

/// A document that may be a hit.
struct Match {
    document: u32,
    /// The weighed sum of its legs' scores, normalized.
    relevance: f64,
    scores: LegScores,
}

/// What the legs found, as far as they were asked.
#[derive(Default)]
struct Legs<'a> {
    words: Option<(WordQuery<'a>, Spread)>,
    vector: Option<(&'a Vectors, VectorQuery, Spread)>,
}
