//! What is accepted as a schema, and what is told of settings that break one.

#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn schema(value: &Value) -> Result<SettingsSchema, String> {
    SettingsSchema::parse(&value.to_string())
}

fn sound() -> SettingsSchema {
    schema(&json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "steps": {"type": "integer", "format": "uint32", "minimum": 1, "maximum": 240, "default": 12},
            "mode": {"enum": ["fast", "exact"]},
            "weights": {"type": "array", "items": {"$ref": "#/$defs/Weight"}, "maxItems": 3}
        },
        "$defs": {"Weight": {"type": "object", "required": ["cost"], "properties": {
            "cost": {"type": "number", "exclusiveMinimum": 0}
        }}}
    }))
    .unwrap()
}

fn told(settings: &Value) -> String {
    let Value::Object(settings) = settings else {
        panic!("{settings}");
    };
    sound().check(settings).err().unwrap_or_default()
}

#[test]
fn settings_that_keep_the_schema_pass() {
    for settings in [
        json!({}),
        json!({"steps": 240, "mode": "exact", "weights": [{"cost": 0.5}, {"cost": 2}]}),
    ] {
        assert_eq!(told(&settings), "");
    }
}

#[test]
fn what_breaks_it_is_told_with_path_value_and_rule() {
    for (settings, parts) in [
        (
            json!({"steps": 241}),
            vec![
                "settings.steps: 241",
                "240",
                "(rule #/properties/steps/maximum)",
            ],
        ),
        (
            json!({"steps": "many"}),
            vec![
                "settings.steps: \"many\"",
                "integer",
                "#/properties/steps/type",
            ],
        ),
        (
            json!({"stepz": 3}),
            vec![
                "settings: ",
                "'stepz'",
                "known are mode, steps, weights",
                "(rule #/additionalProperties)",
            ],
        ),
        (
            json!({"mode": "slow"}),
            vec!["settings.mode: \"slow\"", "fast", "#/properties/mode/enum"],
        ),
        (
            json!({"weights": [{"cost": 1}, {"cost": 0}, {}]}),
            vec![
                "settings.weights[1].cost: 0",
                "(rule #/$defs/Weight/properties/cost/exclusiveMinimum)",
                "settings.weights[2]: \"cost\"",
                "(rule #/$defs/Weight/required)",
            ],
        ),
    ] {
        let told = told(&settings);
        for part in parts {
            assert!(
                told.contains(part),
                "{settings}: '{told}' should say '{part}'"
            );
        }
        assert!(!told.contains('\n'), "{told}");
    }
}

#[test]
fn of_many_violations_the_first_are_told() {
    let schema = schema(&json!({"additionalProperties": {"type": "null"}})).unwrap();
    let settings: Map<String, Value> = (0..20).map(|i| (format!("k{i}"), json!("x"))).collect();
    let told = schema.check(&settings).unwrap_err();
    assert_eq!(told.matches("settings.k").count(), TOLD_MAX, "{told}");
    assert!(told.ends_with('…'), "{told}");

    let long = Map::from_iter([("k".to_owned(), json!("x".repeat(10_000)))]);
    let told = schema.check(&long).unwrap_err();
    assert!(told.chars().count() < TEXT_MAX + 100, "{told}");
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    for (text, part) in [
        ("", "not JSON"),
        ("[]", "must be a JSON object"),
        (r#"{"type": "text"}"#, "wrong at #/type"),
        (
            r#"{"properties": {"a": {"minimum": "x"}}}"#,
            "#/properties/a/minimum",
        ),
        (r#"{"pattern": "("}"#, "#/pattern"),
        (
            r#"{"$schema": "http://json-schema.org/draft-07/schema#"}"#,
            "#/$schema",
        ),
        (
            r##"{"$ref": "#/$defs/None"}"##,
            "#/$ref: '#/$defs/None' must be",
        ),
    ] {
        let told = SettingsSchema::parse(text).unwrap_err();
        assert!(told.contains(part), "{text}: '{told}' should say '{part}'");
        assert!(!told.contains('\n'), "{told}");
    }
}

/// Nothing is expanded before it is counted, or this would not end.
#[test]
fn hostile_schemas_are_refused() {
    let mut deep = json!({});
    for _ in 0..40 {
        deep = json!({"not": deep});
    }
    // Each definition refers twice to the next: 2¹⁴ rules.
    let doubling: Map<String, Value> = (0..14)
        .map(|i| {
            let next = json!({"$ref": format!("#/$defs/d{}", i + 1)});
            (format!("d{i}"), json!({"allOf": [next, next]}))
        })
        .chain([("d14".to_owned(), json!(true))])
        .collect();
    // Each looks at all below it again.
    let mut unevaluated = json!({"unevaluatedProperties": false});
    for _ in 0..20 {
        unevaluated = json!({"unevaluatedProperties": false, "allOf": [unevaluated]});
    }
    let many: Vec<Value> = (0..5000).map(|_| json!({})).collect();
    let patterns: Vec<Value> = (0..65).map(|_| json!({"pattern": "a"})).collect();
    let huge = json!({"description": "x".repeat(SCHEMA_MAX_BYTES)});
    for (value, part) in [
        (huge, "must have at most 65536"),
        (deep, "more than 32 schemas within schemas"),
        (
            json!({"$ref": "#/$defs/d0", "$defs": doubling}),
            "at most 4096 are read",
        ),
        (unevaluated, "at most 4096 are read"),
        (json!({"anyOf": many}), "at most 4096 are read"),
        (
            json!({"allOf": patterns}),
            "more than 64 regular expressions",
        ),
        (
            json!({"pattern": "^((a{1,900}b){1,900}c){1,900}d$"}),
            "#/pattern",
        ),
        (json!({"$ref": "#"}), "#/$ref: '#' must be"),
        (
            json!({"$ref": "https://example.org/s.json"}),
            "nothing is fetched",
        ),
        (json!({"$ref": "file:///etc/passwd"}), "nothing is fetched"),
        (json!({"items": {"$ref": "#/properties/a"}}), "#/items/$ref"),
        (json!({"$id": "https://example.org/"}), "'$id' is not read"),
        (json!({"$dynamicRef": "#a"}), "'$dynamicRef' is not read"),
        (
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"items": {"$ref": "#/$defs/a"}}}}),
            "is recursive",
        ),
    ] {
        let told = schema(&value).unwrap_err();
        assert!(told.contains(part), "'{told}' should say '{part}'");
    }
}

/// An expression that takes a backtracking engine years.
#[test]
fn expressions_take_linear_time() {
    let schema = schema(&json!({"properties": {"name": {"pattern": "^(a+)+$"}}})).unwrap();
    let name = format!("{}!", "a".repeat(40_000));
    let settings = Map::from_iter([("name".to_owned(), json!(name))]);
    let told = schema.check(&settings).unwrap_err();
    assert!(told.starts_with("settings.name: "), "{told}");
}

/// Names that only look like keywords, and data, are left alone.
#[test]
fn data_is_not_read_as_rules() {
    let schema = schema(&json!({
        "properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}},
        "default": {"$ref": "https://example.org"},
        "examples": [{"$id": "x"}]
    }))
    .unwrap();
    let settings = Map::from_iter([("$ref".to_owned(), json!(1))]);
    let told = schema.check(&settings).unwrap_err();
    assert!(told.starts_with("settings.$ref: 1"), "{told}");
}
