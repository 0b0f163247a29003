//! What can be set of a plugin, for people: a line for each key of its schema.

use serde_json::Value;

/// `steps: integer, 1 to 240, default 12. Steps that forecasts look ahead.`
pub(crate) fn lines(schema: &Value) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    (properties.into_iter().flatten())
        .map(|(key, rules)| line(key, rules))
        .collect()
}

fn line(key: &str, rules: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(kind) = rules.get("type") {
        parts.push(match kind {
            Value::String(name) => name.clone(),
            other => other.to_string(),
        });
    }
    if let Some(values) = rules.get("enum") {
        parts.push(format!("one of {values}"));
    }
    let bound = |name: &str| rules.get(name).map(Value::to_string);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => parts.push(format!("{least} to {most}")),
        (Some(least), None) => parts.push(format!("{least} or more")),
        (None, Some(most)) => parts.push(format!("at most {most}")),
        (None, None) => {}
    }
    parts.extend(bound("exclusiveMinimum").map(|least| format!("above {least}")));
    parts.extend(bound("exclusiveMaximum").map(|most| format!("below {most}")));
    parts.extend(bound("default").map(|value| format!("default {value}")));
    let description = rules.get("description").and_then(Value::as_str);
    let words = description.unwrap_or_default().split_whitespace();
    let told = words.collect::<Vec<_>>().join(" ");
    let about = parts.join(", ");
    match (about.is_empty(), told.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{key}: {told}"),
        (false, true) => format!("{key}: {about}"),
        (false, false) => format!("{key}: {about}. {told}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_has_a_line() {
        let schema = json!({"properties": {
            "any": true,
            "mode": {"enum": ["fast", "exact"]},
            "steps": {"type": "integer", "minimum": 1, "maximum": 240, "default": 12, "description": "How\nfar."},
            "limit": {"type": ["number", "null"], "exclusiveMinimum": 0}
        }});
        assert_eq!(
            lines(&schema),
            [
                "any",
                "limit: [\"number\",\"null\"], above 0",
                "mode: one of [\"fast\",\"exact\"]",
                "steps: integer, 1 to 240, default 12. How far.",
            ]
        );
        assert!(lines(&json!({})).is_empty());
    }
}
