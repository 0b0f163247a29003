//! The keyword leg's scores.
//!
//! BM25 as in Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), §3.4,
//! with an inverse document frequency that is always positive. k1 = 0.9 and b = 0.4 are the constants of Anserini and of
//! BEIR's baselines (Thakur and others, 2021): most memories are short, and among short texts a longer one is not more
//! wordy but says more.

use super::bits::Bits;
use super::leg::{Leg, Spread};
use super::words::Postings;

const K1: f32 = 0.9;
const B: f32 = 0.4;
/// Documents that are scored together, a multiple of 64: few enough that their scores stay in the nearest cache.
const BLOCK: usize = 4096;
/// Sums that are made side by side.
const LANES: usize = 8;

/// The terms of a query against all documents.
pub(super) struct WordQuery<'a> {
    terms: Vec<Term<'a>>,
    /// Terms of each document.
    lengths: &'a [u32],
    /// What one term of a document's length weighs.
    slope: f32,
}

/// Who has a term, and how much that says.
struct Term<'a> {
    postings: &'a Postings,
    idf: f32,
}

impl<'a> WordQuery<'a> {
    /// The query of these terms, over so many documents of these lengths.
    pub(super) fn new(
        postings: Vec<&'a Postings>,
        lengths: &'a [u32],
        documents: u64,
        length_sum: u64,
    ) -> Self {
        let documents = documents as f32;
        let mean_length = (length_sum as f32 / documents.max(1.0)).max(1.0);
        let term = |postings: &'a Postings| {
            // Documents that are gone are counted until the rest moves together.
            let frequency = (postings.documents.len() as f32).min(documents);
            let idf = ((documents - frequency + 0.5) / (frequency + 0.5)).ln_1p();
            Term { postings, idf }
        };
        Self {
            terms: postings.into_iter().map(term).collect(),
            lengths,
            slope: K1 * B / mean_length,
        }
    }

    #[inline(always)]
    fn part(&self, idf: f32, count: u8, length: u32) -> f32 {
        let count = f32::from(count);
        idf * count * (K1 + 1.0) / (count + K1 * (1.0 - B) + self.slope * length as f32)
    }

    /// One document's score.
    pub(super) fn score(&self, document: u32) -> f32 {
        let part = |term: &Term<'_>| {
            let at = term.postings.documents.binary_search(&document).ok()?;
            let length = self.lengths[document as usize];
            Some(self.part(term.idf, term.postings.counts[at], length))
        };
        // A sum of none would be a negative zero.
        self.terms.iter().filter_map(part).fold(0.0, |a, b| a + b)
    }

    /// The best documents of those that pass, at most `limit`. One that has none of the terms has the score 0 and is not
    /// among them.
    pub(super) fn scan(&self, pass: &Bits, limit: usize) -> Leg {
        let mut found = Found::new(limit);
        let mut cursors = vec![0; self.terms.len()];
        let mut scores = [0.0; BLOCK];
        for (block, words) in pass.words().chunks(BLOCK / 64).enumerate() {
            if words.iter().all(|word| *word == 0) {
                continue;
            }
            let from = block * BLOCK;
            scores.fill(0.0);
            let mut some = false;
            for (term, cursor) in self.terms.iter().zip(&mut cursors) {
                let (documents, counts) = term.postings.within(from..from + BLOCK, cursor);
                some |= !documents.is_empty();
                for (document, count) in documents.iter().zip(counts) {
                    let length = self.lengths[*document as usize];
                    scores[*document as usize % BLOCK] += self.part(term.idf, *count, length);
                }
            }
            if some {
                found.take_block(from as u32, &mut scores, words);
            }
        }
        found.end(pass.count())
    }
}

/// What was found so far.
struct Found {
    limit: usize,
    best: Vec<(f32, u32)>,
    /// The best are above it.
    least: f32,
    sum: f64,
    squares: f64,
}

impl Found {
    fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            best: Vec::new(),
            least: 0.0,
            sum: 0.0,
            squares: 0.0,
        }
    }

    /// Takes the scores of the documents from `from` on that pass.
    fn take_block(&mut self, from: u32, scores: &mut [f32; BLOCK], pass: &[u64]) {
        let (mut sums, mut squares) = ([0.0f32; LANES], [0.0f32; LANES]);
        for (at, (scores, pass)) in (from..)
            .step_by(64)
            .zip(scores.as_chunks_mut::<64>().0.iter_mut().zip(pass))
        {
            if *pass == 0 {
                continue;
            }
            for (bit, score) in scores.iter_mut().enumerate() {
                if pass >> bit & 1 == 0 {
                    *score = 0.0;
                }
            }
            let mut highest = [0.0f32; LANES];
            for scores in scores.as_chunks::<LANES>().0 {
                for i in 0..LANES {
                    sums[i] += scores[i];
                    squares[i] += scores[i] * scores[i];
                    highest[i] = highest[i].max(scores[i]);
                }
            }
            // Of the many that a common word matches most are passed over here.
            if highest.iter().any(|score| *score > self.least) {
                self.take_best(at, scores);
            }
        }
        self.sum += f64::from(sums.iter().sum::<f32>());
        self.squares += f64::from(squares.iter().sum::<f32>());
    }

    fn take_best(&mut self, from: u32, scores: &[f32; 64]) {
        for (document, score) in (from..).zip(scores) {
            if *score > self.least {
                self.best.push((*score, document));
            }
        }
        if self.best.len() >= 4 * self.limit {
            self.cut();
            self.least = self
                .best
                .iter()
                .fold(f32::INFINITY, |least, (score, _)| least.min(*score));
        }
    }

    fn cut(&mut self) {
        if self.best.len() > self.limit {
            self.best
                .select_nth_unstable_by(self.limit, |a, b| b.0.total_cmp(&a.0));
            self.best.truncate(self.limit);
        }
    }

    fn end(mut self, passing: usize) -> Leg {
        self.cut();
        Leg {
            best: self
                .best
                .into_iter()
                .map(|(_, document)| document)
                .collect(),
            spread: Spread::of(passing, self.sum, self.squares),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::words::Words;

    /// Documents of one to nine of 50 words, some more common than others.
    fn some(count: u32) -> Words {
        let mut words = Words::default();
        for document in 0..count {
            let text: Vec<String> = (0..=document % 9)
                .map(|n| {
                    let number = (document * 31 + n * 17).wrapping_mul(2_654_435_761) >> 16;
                    format!("w{}", (number % 50) * (number % 7) / 6)
                })
                .collect();
            words.push(document, &text.join(" "));
        }
        words
    }

    #[test]
    fn scores_are_those_of_the_paper() {
        let mut words = Words::default();
        for (document, text) in (0..).zip(["red red blue", "red", "green green green blue"]) {
            words.push(document, text);
        }
        let part = |have: f64, count: f64, length: f64| {
            let idf = (1.0 + (3.0 - have + 0.5) / (have + 0.5)).ln();
            idf * count * 1.9 / (count + 0.9 * (0.6 + 0.4 * length / (8.0 / 3.0)))
        };
        let query = words.query("red blue");
        let expected = [
            part(2.0, 2.0, 3.0) + part(2.0, 1.0, 3.0),
            part(2.0, 1.0, 1.0),
            part(2.0, 1.0, 4.0),
        ];
        for (document, expected) in (0..).zip(expected) {
            let score = f64::from(query.score(document));
            assert!((score - expected).abs() < 1e-5, "{score}, not {expected}");
        }
        assert_eq!(words.query("white").score(0).to_bits(), 0);
    }

    #[test]
    fn the_best_are_those_of_a_full_sort() {
        let count = 3 * BLOCK as u32 - 77;
        let words = some(count);
        let query = words.query("w1 w2 w9 w40");
        let mut pass = Bits::all(count as usize);
        for document in 0..count {
            // A whole block in the middle does not pass.
            pass.set(
                document,
                document % 3 != 0 && document as usize / BLOCK != 1,
            );
        }
        let scores = |documents: &mut dyn Iterator<Item = u32>| -> Vec<f32> {
            let mut scores: Vec<f32> = documents.map(|d| query.score(d)).collect();
            scores.sort_by(|a, b| b.total_cmp(a));
            scores
        };
        let all = scores(&mut (0..count).filter(|document| pass.has(*document)));
        let matching = all.iter().filter(|score| **score > 0.0).count();
        assert!((1000..pass.count()).contains(&matching), "{matching}");
        let mean = all.iter().map(|s| f64::from(*s)).sum::<f64>() / all.len() as f64;
        let squares = all
            .iter()
            .map(|s| (f64::from(*s) - mean).powi(2))
            .sum::<f64>();
        let deviation = (squares / all.len() as f64).sqrt();
        for limit in [1, 7, 100, 3000, 9000] {
            let found = query.scan(&pass, limit);
            assert!(found.best.iter().all(|document| pass.has(*document)));
            let best = scores(&mut found.best.iter().copied());
            assert_eq!(best, all[..limit.min(matching)], "{limit}");
            assert!(found.spread.z(mean).abs() < 1e-4);
            assert!((found.spread.z(mean + deviation) - 1.0).abs() < 1e-4);
        }
    }

    /// More documents have the words than there are any more.
    #[test]
    fn what_is_gone_makes_no_word_worthless() {
        let mut words = Words::default();
        (0..6).for_each(|document| words.push(document, "red blue"));
        let mut pass = Bits::all(6);
        for document in 0..4 {
            words.forget(document);
            pass.set(document, false);
        }
        let query = words.query("red blue");
        let mut best = query.scan(&pass, 9).best;
        best.sort_unstable();
        assert_eq!(best, [4, 5], "each once");
        assert!(query.score(4) > 0.0);
    }
}
