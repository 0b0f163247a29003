//! serde's words in a client's: the field by its path, what it was, what is accepted.

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::problem::{Problem, refused};
use crate::wire::page::shown;

/// Turns serde's words into ours: the field by its path, what it was, what is accepted.
pub(super) fn describe(path: &str, text: &str, got: Option<String>) -> Problem {
    if let Some((name, rest)) = quoted(text, "missing field ") {
        let field = dotted(path, name);
        return refused(&field, format!("{field} is required{rest}"), None);
    }
    if let Some((name, rest)) = quoted(text, "unknown field ") {
        let accepted = match rest.strip_prefix(", expected ") {
            Some(list) => format!(
                "; accepted: {}",
                list.trim_start_matches("one of ").replace('`', "")
            ),
            None => "; none is accepted here".to_owned(),
        };
        let field = if path.rsplit('.').next() == Some(name) {
            path.to_owned()
        } else {
            dotted(path, name)
        };
        return refused(
            &field,
            format!("{field} is not a known field{accepted}"),
            None,
        );
    }
    if let Some((name, _)) = quoted(text, "duplicate field ") {
        let field = if path.rsplit('.').next() == Some(name) {
            path.to_owned()
        } else {
            dotted(path, name)
        };
        return refused(&field, format!("{field} is given twice"), None);
    }
    let words = plain(text);
    let subject = if path.is_empty() { "the body" } else { path };
    let message = match &got {
        Some(got) if !words.contains("got ") => format!("{subject}: {words}, got {got}"),
        _ if words.starts_with(path) && !path.is_empty() => words,
        _ => format!("{subject}: {words}"),
    };
    refused(path, message, got)
}

/// `prefix` + `` `name` `` + rest.
fn quoted<'a>(text: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(prefix)?
        .strip_prefix('`')?
        .split_once('`')
}

/// serde speaks of Rust's types; a client knows JSON's.
fn plain(text: &str) -> String {
    let text = match text
        .strip_prefix("invalid type: ")
        .or_else(|| text.strip_prefix("invalid value: "))
    {
        Some(rest) => match rest.split_once(", expected ") {
            Some((_, expected)) => format!("must be {}", json_words(expected)),
            None => rest.to_owned(),
        },
        None => match text
            .strip_prefix("unknown variant ")
            .and_then(|t| t.split_once(", expected "))
        {
            Some((_, list)) => format!("must be {list}"),
            None => text.to_owned(),
        },
    };
    text.replace('`', "'")
}

fn json_words(expected: &str) -> String {
    match expected {
        "i64" | "u64" | "u32" | "usize" | "u16" | "u8" | "i32" => {
            "a whole number within its range".to_owned()
        }
        "f64" | "f32" => "a number".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other => other.to_owned(),
    }
}

pub(super) fn join(at: &str, path: &Path) -> String {
    let mut out = at.to_owned();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => out.push_str(&format!("[{index}]")),
            Segment::Map { key } => out = dotted(&out, key),
            // A variant or an unknown place adds nothing that a client could look for.
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    out
}

fn dotted(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// What stands at the path, shortened.
pub(super) fn lookup(whole: &Value, path: &Path) -> Option<String> {
    let mut value = whole;
    for segment in path.iter() {
        value = match segment {
            Segment::Seq { index } => value.get(index)?,
            Segment::Map { key } => value.get(key.as_str())?,
            Segment::Enum { .. } | Segment::Unknown => value,
        };
    }
    let text = match value {
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
        Value::Null => "null".to_owned(),
        Value::String(text) => format!("'{}'", shown(text)),
        scalar => shown(&scalar.to_string()),
    };
    Some(text)
}
