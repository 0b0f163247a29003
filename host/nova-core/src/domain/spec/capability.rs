//! Capabilities read out of a persona: its skills and its occupation, as short names.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::domain::task::CAPABILITIES_MAX;

/// Words of one capability at most.
const WORDS_MAX: usize = 5;
/// Bytes of one capability at most.
const BYTES_MAX: usize = 64;

/// Words before the skill itself ("You are proficient in Python").
const LEADS: [&str; 38] = [
    "you",
    "i",
    "he",
    "she",
    "they",
    "are",
    "am",
    "is",
    "can",
    "have",
    "has",
    "a",
    "an",
    "the",
    "very",
    "highly",
    "able",
    "to",
    "also",
    "proficient",
    "fluent",
    "familiar",
    "skilled",
    "experienced",
    "experience",
    "expert",
    "expertise",
    "knowledgeable",
    "knowledge",
    "good",
    "great",
    "strong",
    "advanced",
    "basic",
    "at",
    "in",
    "with",
    "of",
];
/// Words that do not end a capability.
const JOINS: [&str; 12] = [
    "and", "or", "of", "the", "a", "an", "to", "for", "with", "in", "on", "such",
];

/// What a persona can do: of each skill and of the occupation's title one short name.
///
/// A skill is a text, or an object with a `name`, `skill` or `title`; so is the occupation.
pub fn capabilities(spec: &Map<String, Value>) -> BTreeSet<String> {
    let Some(persona) = spec.get("persona") else {
        return BTreeSet::new();
    };
    let skills = match persona.get("skills") {
        Some(Value::Array(skills)) => skills.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let sources = persona.get("occupation").into_iter().chain(skills);
    let named = sources.filter_map(text).filter_map(capability);
    let mut found = BTreeSet::new();
    for name in named {
        if found.len() < CAPABILITIES_MAX {
            found.insert(name);
        }
    }
    found
}

fn text(value: &Value) -> Option<&str> {
    let of = |key| value.get(key).and_then(Value::as_str);
    value
        .as_str()
        .or_else(|| of("title"))
        .or_else(|| of("name"))
        .or_else(|| of("skill"))
}

/// The first words that say what it is, in small letters, joined by `-`.
fn capability(text: &str) -> Option<String> {
    let clause = text.split(['.', ',', ';', ':', '(', '\n']).next()?;
    let words = clause
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '+' | '#')))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .skip_while(|word| LEADS.contains(&word.as_str()));
    let mut words: Vec<String> = words.take(WORDS_MAX).collect();
    while words.last().is_some_and(|w| JOINS.contains(&w.as_str())) {
        words.pop();
    }
    let mut name = words.join("-");
    while name.len() > BYTES_MAX {
        words.pop();
        name = words.join("-");
    }
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn skills_and_the_occupation_become_names() {
        let cases = [
            ("Linguist", Some("linguist")),
            (
                "You are proficient in Python, and use it for most tasks.",
                Some("python"),
            ),
            (
                "You are fluent in French, English, and Spanish",
                Some("french"),
            ),
            (
                "You are able to design and conduct experiments and evaluations for systems.",
                Some("design-and-conduct-experiments"),
            ),
            ("C++ programming", Some("c++-programming")),
            ("Cooking (French)", Some("cooking")),
            ("You are.", None),
            ("", None),
        ];
        for (text, name) in cases {
            assert_eq!(capability(text).as_deref(), name, "{text}");
        }
        let spec = json!({"persona": {
            "occupation": {"title": "Data Scientist", "organization": "X"},
            "skills": ["Python", {"name": "Statistics"}, 7],
        }});
        let found = capabilities(spec.as_object().unwrap());
        let names: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(names, ["data-scientist", "python", "statistics"]);
        assert!(capabilities(&Map::new()).is_empty());
    }

    #[test]
    fn there_are_never_too_many() {
        let skills: Vec<String> = (0..CAPABILITIES_MAX + 5)
            .map(|i| format!("skill {i}"))
            .collect();
        let spec = json!({"persona": {"skills": skills}});
        assert_eq!(
            capabilities(spec.as_object().unwrap()).len(),
            CAPABILITIES_MAX
        );
    }
}
