//! The keyword leg: an inverted index with BM25 scores.
//!
//! BM25 as in Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), §3.4,
//! with the usual k1 = 1.2, b = 0.75 and an inverse document frequency that is never negative.

use std::collections::HashMap;

use nova_core::Analyzer;
use nova_core::analyzer::Tokenizer;

const K1: f32 = 1.2;
const B: f32 = 0.75;
/// Terms of a query that count, the rarest: no query may cost without bound.
const QUERY_TERMS_MAX: usize = 128;
/// Words whose term is remembered: the first ones met, and so the common ones.
const REMEMBERED_MAX: usize = 1 << 16;

/// Which documents have which terms, how often.
#[derive(Default)]
pub(super) struct Words {
    analyzer: Analyzer,
    terms: HashMap<Box<str>, u32>,
    /// By the term's number.
    postings: Vec<Postings>,
    /// Word → term, where a word is one term: to look up is faster than to stem.
    remembered: HashMap<Box<str>, u32>,
    lengths: Vec<u32>,
    length_sum: u64,
    documents: u64,
}

/// The documents that have a term, ascending.
#[derive(Default)]
struct Postings {
    documents: Vec<u32>,
    counts: Vec<u8>,
}

/// The keyword scores of one query.
pub(super) struct WordScores {
    /// By document; 0 = no word matches.
    pub(super) scores: Vec<f32>,
    /// Documents with a score, each once.
    pub(super) matched: Vec<u32>,
}

impl WordScores {
    /// The documents of the highest scores, at most `limit` and in no order. Of the many that a common word matches most
    /// are passed over by one comparison.
    pub(super) fn best(&self, limit: usize) -> Vec<u32> {
        let by_score = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0);
        let mut best: Vec<(f32, u32)> = Vec::new();
        let mut least = f32::NEG_INFINITY;
        for document in &self.matched {
            let score = self.scores[*document as usize];
            if score <= least {
                continue;
            }
            best.push((score, *document));
            if best.len() >= 4 * limit.max(1) {
                best.select_nth_unstable_by(limit, by_score);
                best.truncate(limit);
                least = best
                    .iter()
                    .fold(f32::INFINITY, |least, (s, _)| least.min(*s));
            }
        }
        if best.len() > limit {
            best.select_nth_unstable_by(limit, by_score);
            best.truncate(limit);
        }
        best.into_iter().map(|(_, document)| document).collect()
    }
}

impl Words {
    pub(super) fn new(analyzer: Analyzer) -> Self {
        Self {
            analyzer,
            ..Self::default()
        }
    }

    /// Adds the next document; its number is the count of those before.
    pub(super) fn push(&mut self, document: u32, text: &str) {
        let mut found: Vec<u32> = Vec::with_capacity(64);
        let is_one_term = self.analyzer.tokenizer == Tokenizer::Words;
        Analyzer::each_word(text, |word| {
            if let Some(term) = self.remembered.get(word) {
                found.push(*term);
                return;
            }
            let analyzer = self.analyzer;
            analyzer.each_of(word, |term| found.push(self.number(term)));
            if is_one_term
                && self.remembered.len() < REMEMBERED_MAX
                && let Some(term) = found.last()
            {
                self.remembered.insert(word.into(), *term);
            }
        });
        let length = found.len() as u32;
        found.sort_unstable();
        for same in found.chunk_by(|a, b| a == b) {
            if let Some(postings) = self.postings.get_mut(same[0] as usize) {
                postings.documents.push(document);
                postings.counts.push(same.len().min(255) as u8);
            }
        }
        self.lengths.push(length);
        self.length_sum += u64::from(length);
        self.documents += 1;
    }

    /// The number of a term, a new one where it has none.
    fn number(&mut self, term: &str) -> u32 {
        if let Some(number) = self.terms.get(term) {
            return *number;
        }
        let number = self.postings.len() as u32;
        self.postings.push(Postings::default());
        self.terms.insert(term.into(), number);
        number
    }

    fn postings(&self, term: &str) -> Option<&Postings> {
        self.postings.get(*self.terms.get(term)? as usize)
    }

    /// A document no longer counts; its postings stay until [`Words::renumber`].
    pub(super) fn forget(&mut self, document: u32) {
        if let Some(length) = self.lengths.get(document as usize) {
            self.length_sum -= u64::from(*length);
            self.documents -= 1;
        }
    }

    /// Scores every document that has one of the query's terms.
    pub(super) fn score(&self, query: &str, pass: impl Fn(u32) -> bool) -> WordScores {
        let mut scores = vec![0.0f32; self.lengths.len()];
        let mut matched = Vec::new();
        let documents = self.documents as f32;
        let mean_length = (self.length_sum as f32 / documents.max(1.0)).max(1.0);
        let terms = self.analyzer.query(query);
        let mut lists: Vec<&Postings> = terms.iter().filter_map(|t| self.postings(t)).collect();
        lists.sort_by_key(|list| list.documents.len());
        lists.truncate(QUERY_TERMS_MAX);
        for list in lists {
            let frequency = list.documents.len() as f32;
            let idf = (1.0 + (documents - frequency + 0.5).max(0.0) / (frequency + 0.5)).ln();
            for (&document, &count) in list.documents.iter().zip(&list.counts) {
                let at = document as usize;
                if scores[at] == 0.0 {
                    if !pass(document) {
                        continue;
                    }
                    matched.push(document);
                }
                let count = f32::from(count);
                let length = self.lengths[at] as f32 / mean_length;
                scores[at] += idf * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length));
            }
        }
        WordScores { scores, matched }
    }

    /// Documents that have all words of one of the groups at least and pass, ascending, at most `limit`.
    pub(super) fn holding(
        &self,
        groups: &[Vec<String>],
        pass: impl Fn(u32) -> bool,
        limit: usize,
    ) -> Vec<u32> {
        let mut found = Vec::new();
        for group in groups {
            let terms = group.iter().flat_map(|word| self.analyzer.terms(word));
            let lists: Option<Vec<&Postings>> = terms.map(|term| self.postings(&term)).collect();
            let Some(mut lists) = lists else { continue };
            lists.sort_by_key(|list| list.documents.len());
            let Some((rarest, others)) = lists.split_first() else {
                continue;
            };
            let holds = |d: &&u32| {
                let mut others = others.iter();
                pass(**d) && others.all(|list| list.documents.binary_search(d).is_ok())
            };
            found.extend(rarest.documents.iter().filter(holds).take(limit));
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        found
    }

    /// Drops documents without a new number and gives the others theirs.
    pub(super) fn renumber(&mut self, new: &[Option<u32>]) {
        for list in &mut self.postings {
            let old = std::mem::take(list);
            for (document, count) in old.documents.into_iter().zip(old.counts) {
                if let Some(number) = new[document as usize] {
                    list.documents.push(number);
                    list.counts.push(count);
                }
            }
        }
        self.drop_unused();
        super::keep(&mut self.lengths, new);
    }

    /// Terms without a document go, and the others move together.
    fn drop_unused(&mut self) {
        let mut next = 0;
        let lists = self.postings.iter();
        let numbers: Vec<Option<u32>> = lists
            .map(|list| {
                (!list.documents.is_empty()).then(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        self.postings.retain(|list| !list.documents.is_empty());
        for map in [&mut self.terms, &mut self.remembered] {
            map.retain(|_, number| match numbers[*number as usize] {
                Some(new) => {
                    *number = new;
                    true
                }
                None => false,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_whole_also_after_documents_went() {
        let mut words = Words::default();
        let texts = ["red green blue", "green blue", "blue running", "red blue"];
        for (document, text) in (0..).zip(texts) {
            words.push(document, text);
        }
        let groups = |groups: &[&[&str]]| -> Vec<Vec<String>> {
            let owned = |group: &&[&str]| group.iter().map(|w| (*w).to_owned()).collect();
            groups.iter().map(owned).collect()
        };
        let holding = |words: &Words, of: &[&[&str]]| words.holding(&groups(of), |_| true, 9);
        assert_eq!(holding(&words, &[&["red", "blue"]]), [0, 3]);
        assert_eq!(holding(&words, &[&["run"], &["green", "red"]]), [0, 2]);
        assert!(holding(&words, &[&["red", "white"], &[]]).is_empty());
        let none = words.holding(&groups(&[&["blue"]]), |d| d == 1, 9);
        assert_eq!(
            (
                none,
                words.holding(&groups(&[&["blue"]]), |_| true, 2).len()
            ),
            (vec![1], 2)
        );

        words.forget(0);
        words.renumber(&[None, Some(0), Some(1), Some(2)]);
        assert_eq!(holding(&words, &[&["red", "blue"]]), [2]);
        words.push(3, "red runs");
        assert_eq!(holding(&words, &[&["red"]]), [2, 3]);
        assert_eq!(holding(&words, &[&["running"]]), [1, 3]);
    }

    #[test]
    fn the_best_are_those_of_a_full_sort() {
        let scores: Vec<f32> = (0..5000u32)
            .map(|d| (d.wrapping_mul(2_654_435_761) >> 20) as f32)
            .collect();
        let matched: Vec<u32> = (0..5000).filter(|d| d % 3 != 0).collect();
        let of = |documents: &[u32]| -> Vec<f32> {
            let scores = documents.iter().map(|d| scores[*d as usize]);
            let mut scores: Vec<f32> = scores.collect();
            scores.sort_by(|a, b| b.total_cmp(a));
            scores
        };
        let found = WordScores {
            scores: scores.clone(),
            matched: matched.clone(),
        };
        for limit in [1, 7, 100, 3000, 9000] {
            let best = found.best(limit);
            let all = of(&matched);
            assert_eq!(of(&best), all[..limit.min(all.len())], "{limit}");
        }
    }

    #[test]
    fn a_query_of_many_words_is_scored_by_the_rarest() {
        let mut words = Words::default();
        let many: Vec<String> = (0..QUERY_TERMS_MAX).map(|i| format!("w{i}")).collect();
        words.push(0, &many.join(" "));
        words.push(1, "common");
        words.push(2, "common");
        let query = format!("{} common", many.join(" "));
        assert_eq!(words.score(&query, |_| true).matched, [0]);
        assert_eq!(words.score("common", |_| true).matched, [1, 2]);
    }
}
