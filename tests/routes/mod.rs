//! Every route against the real daemon: one file for each branch of the tree of URLs, and two for
//! what holds everywhere (errors, keys).

mod agents;
mod alerts;
mod analytics;
mod auth;
mod chaos;
mod decisions;
mod errors;
mod flows;
mod idempotency;
mod keys;
mod leases;
mod limits;
mod live;
mod measure;
mod memory;
mod memory_lines;
mod memory_model;
mod memory_words;
mod plugins;
mod resources;
mod service;
mod strategies;
mod tasks;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Answer;

const TASKS: &str = "/api/orchestration/tasks";
const AGENTS: &str = "/api/orchestration/agents";
const FLOWS: &str = "/api/orchestration/flows";
const RESOURCES: &str = "/api/orchestration/resources";
const ALLOCATE: &str = "/api/orchestration/resources/allocate";
const ALLOCATIONS: &str = "/api/orchestration/resources/allocations";

/// An operation of the OpenAPI document.
struct Operation {
    method: String,
    path: String,
    body: Value,
}

impl Operation {
    fn all(openapi: &Value) -> Vec<Self> {
        let paths = openapi["paths"].as_object().unwrap();
        let each = paths.iter().flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, body)| Self {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    body: body.clone(),
                })
        });
        each.collect()
    }

    /// Its path with every parameter replaced.
    fn path_with(&self, id: &str) -> String {
        let mut parts = self.path.split('{');
        let mut path = parts.next().unwrap().to_owned();
        for part in parts {
            path.push_str(id);
            path.push_str(part.split_once('}').unwrap().1);
        }
        path
    }

    /// Whether it needs a key.
    fn is_closed(&self) -> bool {
        self.body["security"]
            .as_array()
            .is_some_and(|s| !s.is_empty())
    }

    fn takes_a_body(&self) -> bool {
        self.body["requestBody"].is_object()
    }
}

/// A text of an answer.
#[track_caller]
fn text(body: &Value, field: &str) -> String {
    let found = body[field].as_str();
    found
        .unwrap_or_else(|| panic!("no text '{field}' in {body}"))
        .to_owned()
}

/// A number of an answer.
#[track_caller]
fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

/// The texts of a list, as a set.
#[track_caller]
fn texts(list: &Value) -> BTreeSet<String> {
    let items = list
        .as_array()
        .unwrap_or_else(|| panic!("{list} is no list"));
    items
        .iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

/// One field of each item of a list, in its order.
#[track_caller]
fn column(list: &Value, field: &str) -> Vec<String> {
    let items = list["items"]
        .as_array()
        .unwrap_or_else(|| panic!("{list} is no page"));
    items.iter().map(|item| text(item, field)).collect()
}

/// A header; empty where it is absent.
fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer
        .headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// Checks the envelope around a record and gives the record.
#[track_caller]
fn record(body: &Value, id: &str, status: &str) -> Value {
    assert!(body[id].is_string(), "{id} is at the top: {body}");
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["confidence"], 1.0, "facts are certain: {body}");
    is_time(&body["timestamp"]);
    assert!(body["orchestration"].is_object(), "{body}");
    assert_eq!(body["orchestration"][id], body[id], "{body}");
    body["orchestration"].clone()
}

/// Checks who decided.
#[track_caller]
fn decided_by(body: &Value, kind: &str, plugin: &str, route: &str) {
    let strategy = &body["strategy"];
    assert_eq!(strategy["kind"], kind, "{strategy}");
    assert_eq!(strategy["plugin"], plugin, "{strategy}");
    assert_eq!(strategy["route"], route, "{strategy}");
    assert_eq!(strategy["version"], "0.1.0", "{strategy}");
    assert_eq!(strategy["degraded"], Value::Null, "{strategy}");
    is_digest(&strategy["digest"]);
    is_uuid7(strategy["decision_id"].as_str().unwrap());
    assert!(number(&strategy["elapsed_us"]) > 0.0, "{strategy}");
    assert!((0.0..=1.0).contains(&number(&body["confidence"])), "{body}");
    is_time(&body["timestamp"]);
}

/// RFC 3339 UTC with milliseconds.
#[track_caller]
fn is_time(value: &Value) {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no time"));
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{text}");
}

/// Milliseconds between two times less than a day apart.
#[track_caller]
fn ms_between(from: &Value, to: &Value) -> u64 {
    is_time(from);
    is_time(to);
    let of_day = |value: &Value| -> i64 {
        let text = value.as_str().unwrap();
        let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
        ((part(11..13) * 60 + part(14..16)) * 60 + part(17..19)) * 1000 + part(20..23)
    };
    (of_day(to) - of_day(from)).rem_euclid(86_400_000) as u64
}

#[track_caller]
fn is_uuid7(text: &str) {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_hexdigit() { 'x' } else { c })
        .collect();
    assert_eq!(shape, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "{text}");
    assert_eq!(&text[14..15], "7", "{text}");
}

#[track_caller]
fn is_digest(value: &Value) {
    let hex = value.as_str().and_then(|text| text.strip_prefix("sha256:"));
    let hex = hex.unwrap_or_else(|| panic!("{value} is no digest"));
    assert!(
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()),
        "{hex}"
    );
}

/// The field that a refusal names.
#[track_caller]
fn refused_field(answer: Answer) -> String {
    let error = answer.expect_error(400, "VALIDATION_ERROR");
    error["details"]["field"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}
