//! Words of texts: lower-cased, stemmed (Snowball English), in order.

use rust_stemmers::{Algorithm, Stemmer};

/// Longest word that is indexed, in characters; longer ones are cut.
const WORD_MAX_CHARS: usize = 40;

/// Words so common that they say nothing of a text, when a query has others.
const COMMON: [&str; 48] = [
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "did", "do", "does", "for",
    "from", "had", "has", "have", "he", "her", "his", "how", "i", "in", "is", "it", "its", "me",
    "my", "of", "on", "or", "she", "that", "the", "their", "they", "this", "to", "was", "we",
    "were", "what", "when", "where", "which", "who", "with",
];

/// Cuts texts into terms.
pub(super) struct Analyzer {
    stemmer: Stemmer,
}

impl Default for Analyzer {
    fn default() -> Self {
        Self {
            stemmer: Stemmer::create(Algorithm::English),
        }
    }
}

impl Analyzer {
    /// Calls `each` with every term of a text, in order.
    pub(super) fn each(&self, text: &str, mut each: impl FnMut(&str)) {
        for word in words(text) {
            each(&self.stemmer.stem(&word));
        }
    }

    /// The different terms of a query, without common words where others are left.
    pub(super) fn query(&self, text: &str) -> Vec<String> {
        let words: Vec<String> = words(text).collect();
        let telling = words.iter().any(|w| !COMMON.contains(&w.as_str()));
        let mut terms: Vec<String> = words
            .iter()
            .filter(|w| !telling || !COMMON.contains(&w.as_str()))
            .map(|w| self.stemmer.stem(w).into_owned())
            .collect();
        terms.sort_unstable();
        terms.dedup();
        terms
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| {
            word.chars()
                .take(WORD_MAX_CHARS)
                .collect::<String>()
                .to_lowercase()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_stemmed_and_common_ones_left_out_of_queries() {
        let analyzer = Analyzer::default();
        let mut terms = Vec::new();
        analyzer.each("Running DOGS, ran!", |t| terms.push(t.to_owned()));
        assert_eq!(terms, ["run", "dog", "ran"]);
        assert_eq!(analyzer.query("Where did the dogs run?"), ["dog", "run"]);
        assert_eq!(analyzer.query("who is it"), ["is", "it", "who"]);
        assert!(analyzer.query("?!").is_empty());
    }
}
