//! The keyword leg: an inverted index.

use std::hash::{Hash, Hasher};
use std::ops::Range;

use nova_core::Analyzer;
use nova_core::analyzer::Tokenizer;

use super::HashMap;
use super::bm25::WordQuery;

/// Terms of a query that count, the rarest: no query may cost without bound.
const QUERY_TERMS_MAX: usize = 128;
/// Words whose term is remembered: the first ones met, and so the common ones.
const REMEMBERED_MAX: usize = 1 << 14;

/// Which documents have which terms, how often.
#[derive(Default)]
pub(super) struct Words {
    analyzer: Analyzer,
    terms: HashMap<Box<str>, u32>,
    /// By the term's number.
    postings: Vec<Postings>,
    /// Word → term, where a word is one term: to look up is faster than to stem.
    remembered: HashMap<Short, u32>,
    lengths: Vec<u32>,
    length_sum: u64,
    documents: u64,
}

/// A word of at most 15 bytes, so that a table finds it where it looks first. The last byte is its length.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Short([u8; 16]);

impl Short {
    fn of(word: &str) -> Option<Self> {
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let mut bytes = [0; 16];
        bytes[15] = word.len().min(16) as u8;
        bytes[..15]
            .get_mut(..word.len())?
            .copy_from_slice(word.as_bytes());
        Some(Self(bytes))
    }
}

impl Hash for Short {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_le_bytes(self.0));
    }
}

/// The documents that have a term, ascending, and how often each has it.
#[derive(Default)]
pub(super) struct Postings {
    pub(super) documents: Vec<u32>,
    pub(super) counts: Vec<u8>,
}

impl Postings {
    /// Those of the documents in a range. `cursor` is where the ranges before ended; ranges rise.
    pub(super) fn within(&self, range: Range<usize>, cursor: &mut usize) -> (&[u32], &[u8]) {
        let rest = &self.documents[*cursor..];
        let from = *cursor + rest.partition_point(|d| (*d as usize) < range.start);
        // No more than the range is long.
        let most = self.documents.len().min(from + range.len());
        let rest = &self.documents[from..most];
        let to = from + rest.partition_point(|d| (*d as usize) < range.end);
        *cursor = to;
        (&self.documents[from..to], &self.counts[from..to])
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
            let short = Short::of(word);
            if let Some(term) = short.and_then(|word| self.remembered.get(&word)) {
                found.push(*term);
                return;
            }
            let analyzer = self.analyzer;
            analyzer.each_of(word, |term| found.push(self.number(term)));
            if is_one_term
                && self.remembered.len() < REMEMBERED_MAX
                && let (Some(word), Some(term)) = (short, found.last())
            {
                self.remembered.insert(word, *term);
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

    /// The query of a text: of its terms, the rarest.
    pub(super) fn query(&self, text: &str) -> WordQuery<'_> {
        let terms = self.analyzer.query(text);
        let mut lists: Vec<&Postings> = terms.iter().filter_map(|t| self.postings(t)).collect();
        lists.sort_by_key(|list| list.documents.len());
        lists.truncate(QUERY_TERMS_MAX);
        WordQuery::new(lists, &self.lengths, self.documents, self.length_sum)
    }

    /// Terms of a document.
    pub(super) fn length(&self, document: u32) -> u32 {
        self.lengths[document as usize]
    }

    /// Terms of a text.
    pub(super) fn length_of(&self, text: &str) -> u32 {
        let mut length = 0;
        self.analyzer.each(text, |_| length += 1);
        length
    }

    /// Documents that have all of the words and pass, ascending.
    pub(super) fn holding(&self, words: &[String], pass: impl Fn(u32) -> bool) -> Vec<u32> {
        let terms = words.iter().flat_map(|word| self.analyzer.terms(word));
        let lists: Option<Vec<&Postings>> = terms.map(|term| self.postings(&term)).collect();
        let mut lists = lists.unwrap_or_default();
        lists.sort_by_key(|list| list.documents.len());
        let Some((rarest, others)) = lists.split_first() else {
            return Vec::new();
        };
        let holds = |d: &u32| {
            let mut others = others.iter();
            pass(*d) && others.all(|list| list.documents.binary_search(d).is_ok())
        };
        let documents = rarest.documents.iter().copied();
        documents.filter(holds).collect()
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
        let renumber = |number: &mut u32| match numbers[*number as usize] {
            Some(new) => {
                *number = new;
                true
            }
            None => false,
        };
        self.terms.retain(|_, number| renumber(number));
        self.remembered.retain(|_, number| renumber(number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::bits::Bits;

    #[test]
    fn postings_are_given_by_rising_ranges() {
        let postings = Postings {
            documents: vec![2, 3, 9, 10, 25, 30],
            counts: vec![1, 2, 3, 4, 5, 6],
        };
        let mut cursor = 0;
        let mut within = |range| postings.within(range, &mut cursor);
        assert_eq!(within(0..3), (&[2][..], &[1][..]));
        assert_eq!(within(3..10), (&[3, 9][..], &[2, 3][..]));
        // A range was passed over, and the last one goes beyond the end.
        assert_eq!(within(20..30), (&[25][..], &[5][..]));
        assert_eq!(within(30..40), (&[30][..], &[6][..]));
        assert_eq!(within(40..50), (&[][..], &[][..]));
    }

    #[test]
    fn words_are_remembered_by_all_of_their_letters() {
        let of = |word: &str| Short::of(word).map(|word| word.0);
        assert_ne!(of("ab"), of("a"));
        assert_ne!(of("a\0"), of("a"));
        assert!(of("fifteen-letters").is_some() && of("sixteen--letters").is_none());
        assert_eq!(of("7up"), None, "numbers come once and go");
    }

    #[test]
    fn all_words_are_found_also_after_documents_went() {
        let mut words = Words::default();
        let texts = ["red green blue", "green blue", "blue running", "red blue"];
        for (document, text) in (0..).zip(texts) {
            words.push(document, text);
        }
        let owned = |of: &[&str]| -> Vec<String> { of.iter().map(|w| (*w).to_owned()).collect() };
        let holding = |words: &Words, of: &[&str]| words.holding(&owned(of), |_| true);
        assert_eq!(holding(&words, &["red", "blue"]), [0, 3]);
        assert_eq!(holding(&words, &["run"]), [2]);
        assert!(holding(&words, &["red", "white"]).is_empty());
        assert!(holding(&words, &[]).is_empty());
        let blue = owned(&["blue"]);
        assert_eq!(words.holding(&blue, |d| d == 1), [1]);
        assert_eq!(
            words.length_of("Blue is the blue running"),
            words.length_of("a b c d e")
        );
        assert_eq!((words.length(0), words.length(1)), (3, 2));

        words.forget(0);
        words.renumber(&[None, Some(0), Some(1), Some(2)]);
        assert_eq!(holding(&words, &["red", "blue"]), [2]);
        words.push(3, "red runs");
        assert_eq!(holding(&words, &["red"]), [2, 3]);
        assert_eq!(holding(&words, &["running"]), [1, 3]);
    }

    #[test]
    fn a_query_of_many_words_is_scored_by_the_rarest() {
        let mut words = Words::default();
        let many: Vec<String> = (0..QUERY_TERMS_MAX).map(|i| format!("w{i}")).collect();
        words.push(0, &many.join(" "));
        words.push(1, "common");
        words.push(2, "common");
        let query = format!("{} common", many.join(" "));
        let found = |query: &str| {
            let mut best = words.query(query).scan(&Bits::all(3), 9).best;
            best.sort_unstable();
            best
        };
        assert_eq!(found(&query), [0]);
        assert_eq!(found("common"), [1, 2]);
    }
}
