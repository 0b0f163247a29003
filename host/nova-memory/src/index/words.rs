//! The keyword leg: an inverted index with BM25 scores.
//!
//! BM25 as in Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), §3.4,
//! with the usual k1 = 1.2, b = 0.75 and an inverse document frequency that is never negative.

use std::collections::HashMap;

use super::terms::Analyzer;

const K1: f32 = 1.2;
const B: f32 = 0.75;

/// Which documents have which terms, how often.
#[derive(Default)]
pub(super) struct Words {
    analyzer: Analyzer,
    postings: HashMap<Box<str>, Vec<(u32, u16)>>,
    lengths: Vec<u32>,
    length_sum: u64,
    documents: u64,
}

/// The keyword scores of one query.
pub(super) struct WordScores {
    /// By document; 0 = no word matches.
    pub(super) scores: Vec<f32>,
    /// Documents with a score, each once.
    pub(super) matched: Vec<u32>,
}

impl Words {
    /// Adds the next document; its number is the count of those before.
    pub(super) fn push(&mut self, document: u32, text: &str) {
        let mut counts: HashMap<String, u16> = HashMap::new();
        let mut length = 0u32;
        self.analyzer.each(text, |term| {
            length += 1;
            match counts.get_mut(term) {
                Some(count) => *count = count.saturating_add(1),
                None => {
                    counts.insert(term.to_owned(), 1);
                }
            }
        });
        for (term, count) in counts {
            match self.postings.get_mut(term.as_str()) {
                Some(list) => list.push((document, count)),
                None => {
                    self.postings.insert(term.into(), vec![(document, count)]);
                }
            }
        }
        self.lengths.push(length);
        self.length_sum += u64::from(length);
        self.documents += 1;
    }

    /// A document no longer counts; its postings stay until [`Words::renumber`].
    pub(super) fn forget(&mut self, document: u32) {
        if let Some(length) = self.lengths.get(document as usize) {
            self.length_sum -= u64::from(*length);
            self.documents -= 1;
        }
    }

    /// Scores every document that has one of the query's terms.
    pub(super) fn score(&self, query: &str, alive: impl Fn(u32) -> bool) -> WordScores {
        let mut scores = vec![0.0f32; self.lengths.len()];
        let mut matched = Vec::new();
        let documents = self.documents as f32;
        let mean_length = (self.length_sum as f32 / documents.max(1.0)).max(1.0);
        for term in self.analyzer.query(query) {
            let Some(list) = self.postings.get(term.as_str()) else {
                continue;
            };
            let frequency = list.len() as f32;
            let idf = (1.0 + (documents - frequency + 0.5).max(0.0) / (frequency + 0.5)).ln();
            for &(document, count) in list {
                let at = document as usize;
                if scores[at] == 0.0 {
                    if !alive(document) {
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

    /// Drops documents without a new number and gives the others theirs.
    pub(super) fn renumber(&mut self, new: &[Option<u32>]) {
        for list in self.postings.values_mut() {
            let kept = list
                .iter()
                .filter_map(|(d, count)| Some((new[*d as usize]?, *count)));
            *list = kept.collect();
        }
        self.postings.retain(|_, list| !list.is_empty());
        super::keep(&mut self.lengths, new);
    }
}
