//! Statements compared: which say the same, and which takes another's place.
//!
//! Deterministic, over words: no model is asked. Two statements are the same when they differ in nothing but case, the
//! punctuation around words, and articles that carry no meaning: one word, one sign or another order may turn a statement
//! around ("Ann paid Bob", "Bob paid Ann"). Of objects every key and value counts, and so does the `fact` that the metadata
//! may name. One statement takes another's place when both carry the same `fact`, or, unless both carry one, say
//! something else with the same subject and a verb that has one value at a time ("Ann lives in Bonn", "Ann lives in
//! Kiel").

use serde_json::Value;

use crate::domain::Memory;

/// Words that carry no meaning of their own. "A" does: few came, a few came.
const FILLERS: [&str; 1] = ["the"];
/// Verbs that have one value at a time, each with its preposition: what follows is the value. What one is, has or likes
/// may be many things at once.
const VERBS: [[&str; 2]; 18] = [
    ["live", "in"],
    ["lives", "in"],
    ["live", "at"],
    ["lives", "at"],
    ["reside", "in"],
    ["resides", "in"],
    ["reside", "at"],
    ["resides", "at"],
    ["work", "at"],
    ["works", "at"],
    ["work", "for"],
    ["works", "for"],
    ["moved", "to"],
    ["am", "called"],
    ["is", "called"],
    ["am", "named"],
    ["is", "named"],
    ["name", "is"],
];
/// Longest subject of such a verb, in words: of a longer sentence it may be another's verb.
const SUBJECT_MAX: usize = 4;

/// A statement prepared for comparing.
pub(super) struct Statement {
    /// The content, each text in it reduced to its words.
    said: Value,
    /// The words that searches see.
    words: Vec<String>,
    /// Of a text, everything up to and with a verb that has one value.
    stem: Option<Vec<String>>,
    fact: Option<String>,
}

impl Statement {
    pub(super) fn of(memory: &Memory) -> Self {
        let words = words(&memory.text());
        let verb = words
            .windows(2)
            .take(SUBJECT_MAX + 1)
            .position(|pair| VERBS.iter().any(|verb| pair == verb))
            .filter(|verb| *verb > 0 && memory.content.is_string() && !is_question(&words));
        let stem = verb.map(|verb| words[..verb + 2].to_vec());
        let fact = match memory.metadata.get("fact") {
            Some(Value::String(fact)) => Some(fact.clone()),
            _ => None,
        };
        Self {
            said: reduced(&memory.content),
            words,
            stem,
            fact,
        }
    }

    /// The words of it: whatever says the same has them all.
    pub(super) fn marks(&self) -> Vec<String> {
        let mut all = self.words.clone();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The words that whatever says the same has, and whatever this takes the place of but by its fact.
    pub(super) fn subject(&self) -> Vec<String> {
        self.stem.clone().unwrap_or_else(|| self.marks())
    }

    /// The fact that it states, where its metadata names it.
    pub(super) fn fact(&self) -> Option<&str> {
        self.fact.as_deref()
    }

    /// Whether both say the same, and of the same fact where one is named.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.says(other) && self.fact == other.fact
    }

    /// Whether both have the same words, whatever fact they are of.
    pub(super) fn says(&self, other: &Self) -> bool {
        self.said == other.said
    }

    /// Whether this newer statement takes the older one's place.
    pub(super) fn supersedes(&self, older: &Self) -> bool {
        if let (Some(fact), Some(other)) = (&self.fact, &older.fact) {
            return fact == other;
        }
        self.stem.is_some() && self.stem == older.stem && !self.says(older)
    }
}

fn is_question(words: &[String]) -> bool {
    words.last().is_some_and(|word| word.ends_with('?'))
}

/// A content with every text in it reduced to its words, in order; keys, numbers, truth values and nulls stay.
fn reduced(content: &Value) -> Value {
    match content {
        Value::String(text) => match words(text).join(" ") {
            // Of a text without words nothing is known but itself.
            empty if empty.is_empty() => content.clone(),
            words => Value::String(words),
        },
        Value::Array(items) => items.iter().map(reduced).collect(),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| (key.clone(), reduced(value)));
            Value::Object(pairs.collect())
        }
        Value::Number(_) | Value::Bool(_) | Value::Null => content.clone(),
    }
}

/// The words of a text without what carries no meaning. Only what stands around a word is dropped, so that a number keeps
/// its sign and its decimals; a question mark stays, for to ask is not to state.
fn words(text: &str) -> Vec<String> {
    let opens = |c| matches!(c, '"' | '\'' | '(' | '[' | '{' | '“' | '‘' | '„' | '«');
    let closes = |c| {
        matches!(c, '.' | ',' | ';' | ':' | '!' | '…' | '。' | '，' | '！')
            || matches!(c, '"' | '\'' | ')' | ']' | '}' | '“' | '”' | '’' | '»')
    };
    text.split_whitespace()
        .map(|word| word.trim_start_matches(opens).trim_end_matches(closes))
        .map(str::to_lowercase)
        .filter(|word| !word.is_empty() && !FILLERS.contains(&word.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{Domain, NewMemory, Timestamp};

    fn of(content: Value) -> Statement {
        let new = NewMemory {
            content,
            ..NewMemory::default()
        };
        let memory = super::super::store::record(Domain::default(), new, Timestamp::from_millis(0));
        Statement::of(&memory)
    }

    fn statement(text: &str) -> Statement {
        of(json!(text))
    }

    #[test]
    fn the_same_is_told_from_the_similar() {
        let long = "all integration tests of the new release candidate on the main branch passed";
        let cases = [
            ("The sky is blue", "the sky is blue!", true),
            ("Ann likes green tea", "\"Ann likes the green tea.\"", true),
            ("It is 3.50 now", "it is 3.50, now...", true),
            ("Ann likes green tea", "Ann likes black coffee", false),
            ("The meeting starts at 3", "The meeting starts at 4", false),
            ("It is -5 outside", "It is 5 outside", false),
            ("It costs 3.5", "It costs 3 5", false),
            ("It costs .5", "It costs 5", false),
            ("Bob likes Ann", "Bob does not like Ann", false),
            ("Bob isn't here today", "Bob is here today", false),
            ("Alice paid Bob", "Bob paid Alice", false),
            ("Ann was here", "Ann is here", false),
            ("A few came", "Few came", false),
            ("Ann uses C++", "Ann uses C", false),
            ("Ann is here?", "Ann is here", false),
            ("?!", "...", false),
            (long, &long.replace("passed", "failed"), false),
        ];
        for (a, b, same) in cases {
            assert_eq!(statement(a).same_as(&statement(b)), same, "{a} / {b}");
        }
    }

    #[test]
    fn every_key_and_value_of_an_object_counts() {
        let door = json!({"door": "x", "open": true, "by": ["Ann", {"age": 7}]});
        let cases = [
            (
                json!({"open": true, "by": ["ann", {"age": 7}], "door": "X."}),
                true,
            ),
            (
                json!({"door": "x", "open": false, "by": ["Ann", {"age": 7}]}),
                false,
            ),
            (
                json!({"door": "x", "open": null, "by": ["Ann", {"age": 7}]}),
                false,
            ),
            (
                json!({"door": "x", "open": true, "by": ["Ann", {"age": -7}]}),
                false,
            ),
            (
                json!({"gate": "x", "open": true, "by": ["Ann", {"age": 7}]}),
                false,
            ),
            (json!("x true Ann 7"), false),
        ];
        for (other, same) in cases {
            assert_eq!(
                of(door.clone()).same_as(&of(other.clone())),
                same,
                "{other}"
            );
        }
    }

    #[test]
    fn statements_of_different_facts_stand_beside_each_other() {
        let about = |text: &str, fact: Option<&str>| Statement {
            fact: fact.map(str::to_owned),
            ..statement(text)
        };
        let (bonn, kiel) = ("Ann lives in Bonn", "Ann lives in Kiel");
        let cases = [
            (
                about(bonn, Some("home")),
                about(bonn, Some("home")),
                true,
                true,
            ),
            (
                about(bonn, Some("home")),
                about(bonn, Some("work")),
                false,
                false,
            ),
            (about(bonn, Some("home")), about(bonn, None), false, false),
            (
                about(kiel, Some("work")),
                about(bonn, Some("home")),
                false,
                false,
            ),
            (about(kiel, Some("home")), about(bonn, None), false, true),
        ];
        for (newer, older, same, supersedes) in cases {
            let shown = format!(
                "{:?} {:?} / {:?} {:?}",
                newer.said, newer.fact, older.said, older.fact
            );
            assert_eq!(newer.same_as(&older), same, "{shown}");
            assert_eq!(newer.supersedes(&older), supersedes, "{shown}");
        }
    }

    #[test]
    fn what_says_the_same_has_all_marks() {
        for (text, other) in [
            ("green tea", "Green TEA!"),
            ("It is the -5 that it is", "it is -5 that it is."),
        ] {
            let (one, two) = (statement(text), statement(other));
            assert!(one.same_as(&two), "{text} / {other}");
            assert_eq!(one.marks(), two.marks());
        }
        assert_eq!(of(json!({"door": "x", "open": true})).marks(), ["x"]);
    }

    #[test]
    fn another_value_of_the_same_subject_takes_its_place() {
        let cases = [
            ("Ann lives in Kiel", "Ann lives in Bonn", true),
            ("Ann lives in Bonn", "Ann lives in Bonn!", false),
            ("Bob lives in Kiel", "Ann lives in Bonn", false),
            ("Run the tests", "Run the build", false),
            ("Ann works for Nova", "Ann works for Acme", true),
            ("My name is Ann", "My name is Anna", true),
            ("Ann is in Berlin", "Ann is a doctor", false),
            ("I have a meeting", "I have a peanut allergy", false),
            ("Ann likes tea", "Ann likes maps", false),
            ("Who lives in Bonn?", "Who lives in Kiel?", false),
            ("Ann never lives in Kiel", "Ann lives in Bonn", false),
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
