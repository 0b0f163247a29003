//! Words of texts as keyword searches know them: cut, lower-cased, stemmed, without diacritics.
//!
//! One analyzer makes the terms of the datastore's full-text index and of the index in memory, so that both find
//! the same. Stems are Snowball's (Porter, "Snowball: a language for stemming algorithms", 2001).

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Longest word that is indexed, in characters; longer ones are cut.
const WORD_MAX_CHARS: usize = 40;
/// Characters of a term where texts are cut into overlapping pieces.
const PIECE_CHARS: usize = 3;
/// Of the name that is kept with an index: another number where the same settings give other terms.
const VERSION: u32 = 1;

/// English words so common that they say nothing of a text, when a query has others.
const COMMON: [&str; 48] = [
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "did", "do", "does", "for",
    "from", "had", "has", "have", "he", "her", "his", "how", "i", "in", "is", "it", "its", "me",
    "my", "of", "on", "or", "she", "that", "the", "their", "they", "this", "to", "was", "we",
    "were", "what", "when", "where", "which", "who", "with",
];

/// Languages whose stems are known.
const LANGUAGES: [(&str, Algorithm); 18] = [
    ("arabic", Algorithm::Arabic),
    ("danish", Algorithm::Danish),
    ("dutch", Algorithm::Dutch),
    ("english", Algorithm::English),
    ("finnish", Algorithm::Finnish),
    ("french", Algorithm::French),
    ("german", Algorithm::German),
    ("greek", Algorithm::Greek),
    ("hungarian", Algorithm::Hungarian),
    ("italian", Algorithm::Italian),
    ("norwegian", Algorithm::Norwegian),
    ("portuguese", Algorithm::Portuguese),
    ("romanian", Algorithm::Romanian),
    ("russian", Algorithm::Russian),
    ("spanish", Algorithm::Spanish),
    ("swedish", Algorithm::Swedish),
    ("tamil", Algorithm::Tamil),
    ("turkish", Algorithm::Turkish),
];

/// How words are brought to their stems.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stemming(Option<(&'static str, Algorithm)>);

impl Stemming {
    /// Words stay as they are.
    pub const NONE: Self = Self(None);

    /// A language in English and small letters, or `none`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "none" {
            return Some(Self::NONE);
        }
        let known = LANGUAGES.into_iter().find(|(name, _)| *name == text)?;
        Some(Self(Some(known)))
    }

    /// The name that [`Stemming::parse`] takes.
    pub fn as_str(self) -> &'static str {
        self.0.map_or("none", |(name, _)| name)
    }

    /// Every name that is accepted.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ["none"]
            .into_iter()
            .chain(LANGUAGES.iter().map(|(name, _)| *name))
    }
}

impl Default for Stemming {
    /// English.
    fn default() -> Self {
        Self(Some(("english", Algorithm::English)))
    }
}

/// What of a text becomes a term.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tokenizer {
    /// Each word.
    #[default]
    Words,
    /// Every three characters in a row, for languages without spaces, and to find parts of words.
    Trigrams,
}

impl Tokenizer {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Words, Self::Trigrams];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Trigrams => "trigrams",
        }
    }

    /// The one of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == text)
    }
}

/// Cuts texts into terms. Cheap to copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Analyzer {
    /// How words are stemmed; pieces of words are not.
    pub stemming: Stemming,
    /// What becomes a term.
    pub tokenizer: Tokenizer,
    /// Whether `é` is found by `e`.
    pub fold_diacritics: bool,
}

impl Default for Analyzer {
    /// English words, without diacritics.
    fn default() -> Self {
        Self {
            stemming: Stemming::default(),
            tokenizer: Tokenizer::default(),
            fold_diacritics: true,
        }
    }
}

impl Analyzer {
    /// Names what the terms are like: indexes of different names do not go together.
    pub fn name(&self) -> String {
        let (tokenizer, stemming) = (self.tokenizer.as_str(), self.stemming.as_str());
        let fold = if self.fold_diacritics {
            "folded"
        } else {
            "exact"
        };
        format!("{VERSION} {tokenizer} {stemming} {fold}")
    }

    /// Calls `each` with every term of a text, in order.
    pub fn each(&self, text: &str, mut each: impl FnMut(&str)) {
        let stemmer = self.stemmer();
        for_words(text, |word| self.term(stemmer.as_ref(), word, &mut each));
    }

    /// Calls `each` with every word of a text, in order, lower-cased and no more: [`Analyzer::each_of`] makes
    /// its terms.
    pub fn each_word(text: &str, each: impl FnMut(&str)) {
        for_words(text, each);
    }

    /// Calls `each` with every term of a word that [`Analyzer::each_word`] gave.
    pub fn each_of(&self, word: &str, mut each: impl FnMut(&str)) {
        self.term(self.stemmer().as_ref(), word, &mut each);
    }

    /// The terms of a text, in order.
    pub fn terms(&self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        self.each(text, |term| terms.push(term.to_owned()));
        terms
    }

    /// The different terms of a query, without common words where others are left.
    pub fn query(&self, text: &str) -> Vec<String> {
        let stemmer = self.stemmer();
        let is_common = |word: &str| {
            self.stemming == Stemming::default()
                && self.tokenizer == Tokenizer::Words
                && COMMON.contains(&word)
        };
        let mut telling = false;
        for_words(text, |word| telling |= !is_common(word));
        let mut terms = Vec::new();
        for_words(text, |word| {
            if !telling || !is_common(word) {
                self.term(stemmer.as_ref(), word, &mut |term| {
                    terms.push(term.to_owned());
                });
            }
        });
        terms.sort_unstable();
        terms.dedup();
        terms
    }

    fn stemmer(&self) -> Option<Stemmer> {
        let (_, algorithm) = self.stemming.0?;
        (self.tokenizer == Tokenizer::Words).then(|| Stemmer::create(algorithm))
    }

    fn term(&self, stemmer: Option<&Stemmer>, word: &str, each: &mut impl FnMut(&str)) {
        // Some languages tell words apart by their diacritics while they are stemmed.
        let stem = stemmer.map_or(Cow::Borrowed(word), |stemmer| stemmer.stem(word));
        let plain = if self.fold_diacritics {
            fold(&stem)
        } else {
            stem
        };
        match self.tokenizer {
            Tokenizer::Words => each(&plain),
            Tokenizer::Trigrams => pieces(&plain, each),
        }
    }
}

fn for_words(text: &str, mut each: impl FnMut(&str)) {
    // A letter and its accent are one character here, so that no word falls apart.
    let composed: Cow<'_, str> = match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfc().collect()),
    };
    let mut lower = String::new();
    for word in composed.split(|c: char| !c.is_alphanumeric()) {
        let cut = match word.char_indices().nth(WORD_MAX_CHARS) {
            _ if word.len() <= WORD_MAX_CHARS => word,
            Some((end, _)) => &word[..end],
            None => word,
        };
        if cut.is_empty() {
            continue;
        }
        if cut.is_ascii() {
            lower.clear();
            lower.push_str(cut);
            lower.make_ascii_lowercase();
        } else {
            lower = cut.to_lowercase();
        }
        each(&lower);
    }
}

/// Every [`PIECE_CHARS`] characters in a row; a shorter word is one piece.
fn pieces(word: &str, each: &mut impl FnMut(&str)) {
    let starts: Vec<usize> = word.char_indices().map(|(at, _)| at).collect();
    if starts.len() <= PIECE_CHARS {
        return each(word);
    }
    for (n, from) in starts[..=starts.len() - PIECE_CHARS].iter().enumerate() {
        let to = starts.get(n + PIECE_CHARS).copied().unwrap_or(word.len());
        each(&word[*from..to]);
    }
}

/// Without the marks of Latin, Greek and Cyrillic letters.
fn fold(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        return Cow::Borrowed(word);
    }
    let letters = word.nfd().filter(|c| !('\u{300}'..='\u{36f}').contains(c));
    Cow::Owned(letters.nfc().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn analyzer(stemming: &str, tokenizer: Tokenizer, fold_diacritics: bool) -> Analyzer {
        Analyzer {
            stemming: Stemming::parse(stemming).unwrap(),
            tokenizer,
            fold_diacritics,
        }
    }

    #[test]
    fn words_are_stemmed_and_common_ones_left_out_of_queries() {
        let analyzer = Analyzer::default();
        assert_eq!(analyzer.terms("Running DOGS, ran!"), ["run", "dog", "ran"]);
        assert_eq!(analyzer.query("Where did the dogs run?"), ["dog", "run"]);
        assert_eq!(analyzer.query("who is it"), ["is", "it", "who"]);
        assert!(analyzer.query("?!").is_empty());
        assert_eq!(
            analyzer.terms(&"x".repeat(50)),
            ["x".repeat(WORD_MAX_CHARS)]
        );
    }

    #[test]
    fn each_setting_gives_its_own_terms() {
        use Tokenizer::{Trigrams, Words};
        let cases: [(Analyzer, &str, &[&str]); 8] = [
            (analyzer("none", Words, true), "The dogs", &["the", "dogs"]),
            (
                analyzer("german", Words, true),
                "Häuser Haus",
                &["haus", "haus"],
            ),
            (
                analyzer("none", Words, true),
                "Crème brûlée",
                &["creme", "brulee"],
            ),
            (analyzer("none", Words, false), "Crème", &["crème"]),
            // An accent of its own joins its letter.
            (analyzer("none", Words, false), "re\u{301}sume", &["résume"]),
            (
                analyzer("russian", Words, true),
                "книги книгу",
                &["книг", "книг"],
            ),
            (
                analyzer("none", Trigrams, true),
                "Straßen ab",
                &["str", "tra", "raß", "aße", "ßen", "ab"],
            ),
            (
                analyzer("none", Trigrams, true),
                "東京都庁",
                &["東京都", "京都庁"],
            ),
        ];
        for (analyzer, text, expected) in cases {
            assert_eq!(analyzer.terms(text), expected, "{} {text}", analyzer.name());
        }
    }

    #[test]
    fn words_taken_apart_give_the_same_terms() {
        let text = "Running through Zürich's STREETS";
        for name in Stemming::names() {
            for tokenizer in Tokenizer::ALL {
                let analyzer = analyzer(name, tokenizer, true);
                let mut terms = Vec::new();
                Analyzer::each_word(text, |word| {
                    analyzer.each_of(word, |term| terms.push(term.to_owned()));
                });
                assert_eq!(terms, analyzer.terms(text), "{}", analyzer.name());
            }
        }
        assert_eq!(Stemming::parse("klingon"), None);
    }
}
