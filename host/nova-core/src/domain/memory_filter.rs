//! Filters over memories: equality and ranges over metadata, joined by and, or, not.
//!
//! Written as JSON: `{"topic": "health", "year": {"gte": 2020, "lt": 2024}}` means both; `{"$or": [F, …]}`,
//! `{"$and": [F, …]}` and `{"$not": F}` join filters. A list in the metadata matches when one
//! of its items does.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Most conditions of one filter.
pub const CONDITIONS_MAX: usize = 64;
/// Most values of one `in`.
pub const VALUES_MAX: usize = 1000;
/// How deep filters may be nested.
pub const DEPTH_MAX: usize = 8;

/// A condition over metadata.
#[derive(Clone, PartialEq, Debug)]
pub enum MetadataFilter {
    /// All of them; of none: true.
    All(Vec<MetadataFilter>),
    /// One of them.
    Any(Vec<MetadataFilter>),
    /// Not this.
    Not(Box<MetadataFilter>),
    /// The value under the key equals one of these scalars.
    In(String, Vec<Value>),
    /// The number or text under the key is in a range.
    Range(String, Bounds),
}

/// A range; every bound that is set must hold. Numbers compare with numbers, texts with texts.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Bounds {
    /// At least this.
    pub gte: Option<Value>,
    /// More than this.
    pub gt: Option<Value>,
    /// At most this.
    pub lte: Option<Value>,
    /// Less than this.
    pub lt: Option<Value>,
}

impl Default for MetadataFilter {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl MetadataFilter {
    /// Reads a filter's JSON.
    ///
    /// # Errors
    /// [`Error::Validation`] naming the path of what is wrong.
    pub fn parse(map: &Map<String, Value>) -> Result<Self> {
        let mut left = CONDITIONS_MAX;
        parse_all(map, "filter", DEPTH_MAX, &mut left)
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::All(of) if of.is_empty())
    }

    /// Whether this metadata passes.
    pub fn matches(&self, metadata: &Map<String, Value>) -> bool {
        match self {
            Self::All(of) => of.iter().all(|f| f.matches(metadata)),
            Self::Any(of) => of.iter().any(|f| f.matches(metadata)),
            Self::Not(of) => !of.matches(metadata),
            Self::In(key, accepted) => {
                one_of(metadata.get(key), |v| accepted.iter().any(|a| same(a, v)))
            }
            Self::Range(key, bounds) => one_of(metadata.get(key), |v| bounds.hold(v)),
        }
    }
}

impl Bounds {
    /// Whether a value is inside.
    pub fn hold(&self, value: &Value) -> bool {
        let check = |bound: &Option<Value>, accepted: &[Ordering]| {
            bound
                .as_ref()
                .is_none_or(|b| order(value, b).is_some_and(|o| accepted.contains(&o)))
        };
        check(&self.gte, &[Ordering::Greater, Ordering::Equal])
            && check(&self.gt, &[Ordering::Greater])
            && check(&self.lte, &[Ordering::Less, Ordering::Equal])
            && check(&self.lt, &[Ordering::Less])
    }
}

fn one_of(value: Option<&Value>, matches: impl Fn(&Value) -> bool) -> bool {
    match value {
        None => false,
        Some(Value::Array(items)) => items.iter().any(matches),
        Some(value) => matches(value),
    }
}

/// Equality of scalars: `1` and `1.0` are the same number.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn refuse<T>(path: &str, message: impl std::fmt::Display) -> Result<T> {
    Err(Error::field(path, format!("{path} {message}")))
}

fn parse_all(
    map: &Map<String, Value>,
    path: &str,
    depth: usize,
    left: &mut usize,
) -> Result<MetadataFilter> {
    if depth == 0 {
        return refuse(path, format!("is nested deeper than {DEPTH_MAX}"));
    }
    let mut parts = Vec::with_capacity(map.len());
    for (key, value) in map {
        let path = format!("{path}.{key}");
        if *left == 0 {
            return refuse(&path, format!("is more than {CONDITIONS_MAX} conditions"));
        }
        *left -= 1;
        parts.push(match key.as_str() {
            "$and" => MetadataFilter::All(parse_list(value, &path, depth, left)?),
            "$or" => MetadataFilter::Any(parse_list(value, &path, depth, left)?),
            "$not" => match value {
                Value::Object(inner) => {
                    MetadataFilter::Not(Box::new(parse_all(inner, &path, depth - 1, left)?))
                }
                _ => return refuse(&path, "must be a filter object"),
            },
            other if other.starts_with('$') => {
                return refuse(&path, "is no operator; accepted: $and, $or, $not");
            }
            _ => condition(key, value, &path)?,
        });
    }
    Ok(match parts.len() {
        1 => parts.remove(0),
        _ => MetadataFilter::All(parts),
    })
}

fn parse_list(
    value: &Value,
    path: &str,
    depth: usize,
    left: &mut usize,
) -> Result<Vec<MetadataFilter>> {
    let Value::Array(items) = value else {
        return refuse(path, "must be a list of filter objects");
    };
    if items.is_empty() {
        return refuse(path, "must not be empty");
    }
    let parse = |(i, item): (usize, &Value)| match item {
        Value::Object(map) => parse_all(map, &format!("{path}[{i}]"), depth - 1, left),
        _ => refuse(&format!("{path}[{i}]"), "must be a filter object"),
    };
    items.iter().enumerate().map(parse).collect()
}

fn condition(key: &str, value: &Value, path: &str) -> Result<MetadataFilter> {
    match value {
        Value::Object(operators) => range(key, operators, path),
        Value::Array(_) => refuse(
            path,
            "must be a scalar, or an object with gt, gte, lt, lte, in",
        ),
        scalar => Ok(MetadataFilter::In(key.to_owned(), vec![scalar.clone()])),
    }
}

fn range(key: &str, operators: &Map<String, Value>, path: &str) -> Result<MetadataFilter> {
    if operators.is_empty() {
        return refuse(path, "must have one of gt, gte, lt, lte, in");
    }
    if let Some(accepted) = operators.get("in") {
        let Value::Array(accepted) = accepted else {
            return refuse(&format!("{path}.in"), "must be a list of scalars");
        };
        let scalar = |v: &Value| !v.is_array() && !v.is_object();
        if operators.len() > 1 || accepted.is_empty() || !accepted.iter().all(scalar) {
            return refuse(
                &format!("{path}.in"),
                "must be a list of scalars and the only operator",
            );
        }
        if accepted.len() > VALUES_MAX {
            return refuse(
                &format!("{path}.in"),
                format!(
                    "may have at most {VALUES_MAX} values, got {}",
                    accepted.len()
                ),
            );
        }
        return Ok(MetadataFilter::In(key.to_owned(), accepted.clone()));
    }
    let mut bounds = Bounds::default();
    for (operator, bound) in operators {
        let path = format!("{path}.{operator}");
        let place = match operator.as_str() {
            "gte" => &mut bounds.gte,
            "gt" => &mut bounds.gt,
            "lte" => &mut bounds.lte,
            "lt" => &mut bounds.lt,
            _ => return refuse(&path, "is no operator; accepted: gt, gte, lt, lte, in"),
        };
        if !bound.is_number() && !bound.is_string() {
            return refuse(&path, "must be a number or a string");
        }
        *place = Some(bound.clone());
    }
    Ok(MetadataFilter::Range(key.to_owned(), bounds))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn parse(filter: Value) -> Result<MetadataFilter> {
        MetadataFilter::parse(filter.as_object().unwrap())
    }

    #[test]
    fn filters_let_through_what_they_say() {
        let metadata = json!({"topic": "health", "year": 2022, "tags": ["a", "b"], "day": "2026-01-05", "ok": true});
        let metadata = metadata.as_object().unwrap();
        let cases = [
            (json!({}), true),
            (json!({"topic": "health"}), true),
            (json!({"topic": "work"}), false),
            (json!({"nothing": "x"}), false),
            (json!({"year": 2022.0}), true),
            (json!({"year": {"gte": 2022, "lt": 2023}}), true),
            (json!({"year": {"gt": 2022}}), false),
            (
                json!({"day": {"gte": "2026-01-01", "lte": "2026-01-31"}}),
                true,
            ),
            (json!({"topic": {"gt": 1}}), false),
            (json!({"tags": "b"}), true),
            (json!({"tags": {"in": ["x", "a"]}}), true),
            (json!({"ok": true}), true),
            (json!({"$or": [{"topic": "work"}, {"year": 2022}]}), true),
            (json!({"$and": [{"topic": "work"}, {"year": 2022}]}), false),
            (json!({"$not": {"topic": "work"}}), true),
            (json!({"$not": {"nothing": 1}, "topic": "health"}), true),
        ];
        for (filter, expected) in cases {
            assert_eq!(
                parse(filter.clone()).unwrap().matches(metadata),
                expected,
                "{filter}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let mut deep = json!({"a": 1});
        for _ in 0..DEPTH_MAX {
            deep = json!({"$not": deep});
        }
        let many: Map<String, Value> = (0..=CONDITIONS_MAX)
            .map(|i| (format!("k{i:03}"), json!(i)))
            .collect();
        let values: Vec<usize> = (0..=VALUES_MAX).collect();
        assert!(parse(json!({"a": {"in": values[1..]}})).is_ok());
        let cases = [
            (json!({"a": {"in": values}}), "filter.a.in"),
            (json!({"a": []}), "filter.a"),
            (json!({"a": {}}), "filter.a"),
            (json!({"a": {"near": 1}}), "filter.a.near"),
            (json!({"a": {"gt": true}}), "filter.a.gt"),
            (json!({"a": {"in": []}}), "filter.a.in"),
            (json!({"$nor": []}), "filter.$nor"),
            (json!({"$or": []}), "filter.$or"),
            (json!({"$or": [{"a": {"gt": null}}]}), "filter.$or[0].a.gt"),
            (json!({"$not": 3}), "filter.$not"),
            (Value::Object(many), "filter.k064"),
        ];
        for (filter, path) in cases {
            let error = parse(filter.clone()).unwrap_err();
            assert_eq!(error.details()["field"], path, "{filter}");
        }
        assert!(parse(deep).is_err());
    }
}
