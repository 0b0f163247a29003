//! What can be set of a plugin: the JSON Schema that it states, and whether its settings keep it.
//!
//! A plugin is not to be trusted with its schema more than with its answers: only that part of JSON
//! Schema 2020-12 is read in which every check ends soon ([`bounds`]). Regular expressions run in
//! linear time, and nothing is ever fetched.

mod bounds;

use std::fmt;

use jsonschema::paths::LocationSegment;
use jsonschema::{Draft, PatternOptions, ValidationError};
use serde_json::{Map, Value};

/// Largest schema that is read, in bytes.
pub const SCHEMA_MAX_BYTES: usize = 64 << 10;
/// Largest regular expression, compiled, in bytes.
const PATTERN_MAX_BYTES: usize = 256 << 10;
/// Violations told at a time.
const TOLD_MAX: usize = 5;
/// Longest text of one violation, in characters.
const TEXT_MAX: usize = 300;

/// A schema that may be checked against.
#[derive(Clone, PartialEq, Debug)]
pub struct SettingsSchema(Value);

impl SettingsSchema {
    /// Reads what a plugin states.
    ///
    /// # Errors
    /// Why it is not accepted, with the place in the schema, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > SCHEMA_MAX_BYTES {
            return Err(format!(
                "the schema has {} bytes, must have at most {SCHEMA_MAX_BYTES}",
                text.len()
            ));
        }
        let schema: Value = serde_json::from_str(text)
            .map_err(|error| format!("the schema is not JSON: {error}"))?;
        if !schema.is_object() {
            return Err("the schema must be a JSON object".to_owned());
        }
        bounds::check(&schema)?;
        // What remains is for the library to say: a keyword of a wrong type, a wrong expression.
        validator(&schema)?;
        Ok(Self(schema))
    }

    /// Holds settings to the schema.
    ///
    /// # Errors
    /// The path of what is wrong, what it was, and the rule that it breaks, in one line; the first
    /// few where there are many.
    pub fn check(&self, settings: &Map<String, Value>) -> Result<(), String> {
        let settings = Value::Object(settings.clone());
        let validator = validator(&self.0)?;
        let mut errors = validator.iter_errors(&settings);
        let told: Vec<String> = (errors.by_ref().take(TOLD_MAX))
            .map(|error| self.tell(&error))
            .collect();
        if told.is_empty() {
            return Ok(());
        }
        let more = if errors.next().is_some() { "; …" } else { "" };
        Err(format!("{}{more}", told.join("; ")))
    }

    /// The schema as it was stated.
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// As [`as_value`](Self::as_value), to be kept.
    pub fn into_value(self) -> Value {
        self.0
    }

    fn tell(&self, error: &ValidationError<'_>) -> String {
        let rule = error.schema_path();
        let known = match self.known_keys(rule.as_str()) {
            Some(keys) => format!("; known are {keys}"),
            None => String::new(),
        };
        let text = shortened(&error.to_string());
        format!("{}: {text}{known} (rule #{rule})", Path(error))
    }

    /// The properties beside a rule that refuses others.
    fn known_keys(&self, rule: &str) -> Option<String> {
        let parent = rule.strip_suffix("/additionalProperties")?;
        let properties = self.0.pointer(parent)?.get("properties")?.as_object()?;
        let keys: Vec<&str> = properties.keys().map(String::as_str).collect();
        (!keys.is_empty()).then(|| shortened(&keys.join(", ")))
    }
}

fn validator(schema: &Value) -> Result<jsonschema::Validator, String> {
    let patterns = PatternOptions::regex()
        .size_limit(PATTERN_MAX_BYTES)
        .dfa_size_limit(PATTERN_MAX_BYTES);
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|error| {
            let text = shortened(&error.to_string());
            format!("the schema is wrong at #{}: {text}", error.instance_path())
        })
}

/// Where in the settings an error is, as the manifest would be read: `settings.weights[0]`.
struct Path<'a>(&'a ValidationError<'a>);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings")?;
        for segment in self.0.instance_path() {
            match segment {
                LocationSegment::Property(key) => write!(f, ".{key}")?,
                LocationSegment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

fn shortened(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
