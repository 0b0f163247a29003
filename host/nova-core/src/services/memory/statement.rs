//! Statements compared: which say the same, and which takes another's place.
//!
//! Deterministic, over words: no model is asked. Two statements are the same when they share nearly all
//! their words ([`SAME_WORDS`]), and numbers and negations agree, since "at 3" and "at 4", or "likes"
//! and "does not like", differ in one word and in everything. One statement takes another's place when both
//! carry the same `fact` in their metadata, or say something else with the same subject and verb
//! ("Ann lives in Bonn", "Ann lives in Kiel").

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::Memory;

/// Jaccard index of the words from which two statements are the same.
const SAME_WORDS: f64 = 0.8;
/// Words that carry no meaning of their own.
const FILLERS: [&str; 24] = [
    "a", "an", "the", "of", "to", "in", "on", "at", "and", "or", "is", "are", "was", "were", "be",
    "been", "it", "that", "this", "with", "for", "by", "as", "just",
];
/// Words that turn a statement around.
const NEGATIONS: [&str; 8] = [
    "not", "no", "never", "none", "nobody", "nothing", "without", "cannot",
];
/// Verbs of state: what follows them is the statement's value.
const VERBS: [&str; 20] = [
    "is", "are", "was", "were", "has", "have", "had", "likes", "like", "loves", "prefers", "wants",
    "needs", "lives", "works", "owns", "uses", "knows", "believes", "plans",
];

/// A statement prepared for comparing.
pub(super) struct Statement {
    words: BTreeSet<String>,
    numbers: BTreeSet<String>,
    negations: usize,
    /// Everything up to and with the first verb of state.
    stem: Option<Vec<String>>,
    fact: Option<String>,
}

impl Statement {
    pub(super) fn of(memory: &Memory) -> Self {
        let tokens = tokens(&memory.text());
        let stem = tokens
            .iter()
            .take(8)
            .position(|t| VERBS.contains(&t.as_str()))
            .filter(|verb| *verb > 0)
            .map(|verb| tokens[..=verb].to_vec());
        let negations = tokens.iter().filter(|t| is_negation(t)).count();
        let numbers = tokens
            .iter()
            .filter(|t| t.chars().any(|c| c.is_ascii_digit()))
            .cloned()
            .collect();
        let words = tokens
            .into_iter()
            .filter(|t| !FILLERS.contains(&t.as_str()))
            .collect();
        let fact = match memory.metadata.get("fact") {
            Some(Value::String(fact)) => Some(fact.clone()),
            _ => None,
        };
        Self {
            words,
            numbers,
            negations,
            stem,
            fact,
        }
    }

    /// Groups of words, of which whatever says the same has one whole group.
    ///
    /// Of n words it may lack m = ⌊(1 − [`SAME_WORDS`]) n⌋; so of m + 1 groups it lacks no word of one at
    /// least (the pigeonhole principle of similarity joins: Xiao et al., "Efficient Similarity Joins for Near
    /// Duplicate Detection", WWW 2008, §3). Long words, which are rare, are spread over the groups.
    pub(super) fn marks(&self) -> Vec<Vec<String>> {
        let mut words: Vec<&String> = self.words.iter().collect();
        words.sort_by_key(|w| (Reverse(w.len()), *w));
        let lacking = ((1.0 - SAME_WORDS) * words.len() as f64 + 1e-9).floor() as usize;
        let mut groups = vec![Vec::new(); lacking + 1];
        for (n, word) in words.into_iter().enumerate() {
            groups[n % (lacking + 1)].push(word.clone());
        }
        groups
    }

    /// The words that whatever this takes the place of has in common with it; none where anything may be.
    pub(super) fn subject(&self) -> Option<&Vec<String>> {
        self.stem.as_ref()
    }

    /// The fact that it states, where its metadata names it.
    pub(super) fn fact(&self) -> Option<&str> {
        self.fact.as_deref()
    }

    /// Whether both say the same.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.numbers == other.numbers
            && self.negations == other.negations
            && jaccard(&self.words, &other.words) >= SAME_WORDS
    }

    /// Whether this newer statement takes the older one's place.
    pub(super) fn supersedes(&self, older: &Self) -> bool {
        if self.fact.is_some() && self.fact == older.fact {
            return true;
        }
        self.stem.is_some() && self.stem == older.stem && !self.same_as(older)
    }
}

fn is_negation(token: &str) -> bool {
    NEGATIONS.contains(&token) || token.ends_with("n't")
}

fn tokens(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .map(|word| word.trim_matches('\'').to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

fn jaccard(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let common = a.intersection(b).count();
    let all = a.len() + b.len() - common;
    if all == 0 {
        return 0.0;
    }
    common as f64 / all as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{Domain, NewMemory, Timestamp};

    fn statement(text: &str) -> Statement {
        let new = NewMemory {
            content: json!(text),
            ..NewMemory::default()
        };
        let memory = super::super::store::record(Domain::default(), new, Timestamp::from_millis(0));
        Statement::of(&memory)
    }

    #[test]
    fn the_same_is_told_from_the_similar() {
        let cases = [
            ("The sky is blue", "the sky is blue!", true),
            ("Ann likes green tea", "Ann likes green tea.", true),
            ("Ann likes green tea", "Ann likes black coffee", false),
            ("The meeting starts at 3", "The meeting starts at 4", false),
            ("Bob likes Ann", "Bob does not like Ann", false),
            ("Bob isn't here today", "Bob is here today", false),
        ];
        for (a, b, same) in cases {
            assert_eq!(statement(a).same_as(&statement(b)), same, "{a} / {b}");
        }
    }

    #[test]
    fn what_says_the_same_has_a_whole_group_of_marks() {
        let ten = "alpha bravo charlie delta echo foxtrot golf hotel india juliett";
        for (text, other) in [
            ("green tea", "tea, green"),
            (
                ten,
                "alpha bravo charlie delta echo foxtrot golf hotel india kilo",
            ),
            (
                ten,
                "juliett hotel golf foxtrot echo delta charlie bravo alpha",
            ),
        ] {
            let (one, two) = (statement(text), statement(other));
            assert!(one.same_as(&two), "{text} / {other}");
            for (a, b) in [(&one, &two), (&two, &one)] {
                let whole = |group: &Vec<String>| group.iter().all(|w| b.words.contains(w));
                assert!(a.marks().iter().any(whole), "{text} / {other}");
            }
        }
        let all: usize = statement(ten).marks().iter().map(Vec::len).sum();
        assert_eq!(all, 10);
    }

    #[test]
    fn another_value_of_the_same_subject_takes_its_place() {
        let cases = [
            ("Ann lives in Kiel", "Ann lives in Bonn", true),
            ("Ann lives in Bonn", "Ann lives in Bonn!", false),
            ("Bob lives in Kiel", "Ann lives in Bonn", false),
            ("Run the tests", "Run the build", false),
        ];
        for (newer, older, expected) in cases {
            assert_eq!(
                statement(newer).supersedes(&statement(older)),
                expected,
                "{newer} / {older}"
            );
        }
    }
}
