//! JSON bodies, refused with the path of the field that is wrong.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::body::read;
use super::wording::{describe, join, lookup};
use crate::Shared;
use crate::problem::{Code, Problem};

/// A JSON body that must be there; as an answer, see [`crate::wire::answer`].
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, Problem> {
        let bytes = read(request).await?;
        if bytes.is_empty() {
            return Err(Problem::new(
                Code::ValidationError,
                "the body is empty; a JSON object is expected",
                json!({}),
            ));
        }
        parse_slice(&bytes).map(Self)
    }
}

/// A JSON body that may be absent or null, which means `{}`.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, Problem> {
        let bytes = read(request).await?;
        let absent = matches!(bytes.trim_ascii(), b"" | b"null");
        parse_slice(if absent { b"{}" } else { &bytes }).map(Self)
    }
}

/// Parses a part of a body that was kept as a value; `at` is its path, for messages.
///
/// # Errors
/// As for a body.
pub(crate) fn parse_value<T: DeserializeOwned>(at: &str, value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(&value).map_err(|error| {
        let path = join(at, error.path());
        let text = error.inner().to_string();
        describe(&path, &text, lookup(&value, error.path()))
    })
}

fn parse_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let result = serde_path_to_error::deserialize(&mut deserializer);
    match result {
        Ok(value) => match deserializer.end() {
            Ok(()) => Ok(value),
            Err(error) => Err(syntax(&error)),
        },
        Err(error) if error.inner().is_data() => {
            let whole: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
            let text = error.inner().to_string();
            // The position says less than the path.
            let text = text
                .rsplit_once(" at line ")
                .map_or(text.as_str(), |(before, _)| before);
            Err(describe(
                &join("", error.path()),
                text,
                lookup(&whole, error.path()),
            ))
        }
        Err(error) => Err(syntax(error.inner())),
    }
}

fn syntax(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(before, _)| before);
    let (line, column) = (error.line(), error.column());
    Problem::new(
        Code::ValidationError,
        format!("the body is not valid JSON: {text} at line {line}, column {column}"),
        json!({"line": line, "column": column}),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::flow::NewFlowBody;

    fn message(body: &[u8]) -> (Option<String>, String) {
        let problem = parse_slice::<NewFlowBody>(body).err().unwrap();
        (
            problem.field().map(str::to_owned),
            problem.message().to_owned(),
        )
    }

    #[test]
    fn a_wrong_field_is_named_with_what_it_was_and_what_is_accepted() {
        let cases: [(&str, &str, &str); 18] = [
            (r#"{"name": 3}"#, "name", "name: must be a string, got 3"),
            (
                r#"{"nmae": "x"}"#,
                "nmae",
                "nmae is not a known field; accepted: flow_id, name, tasks, edges, communication, metadata",
            ),
            (
                r#"{"name": "x", "name": "y"}"#,
                "name",
                "name is given twice",
            ),
            (
                r#"{"tasks": {}}"#,
                "tasks",
                "tasks: must be a list, got an object",
            ),
            (
                r#"{"tasks": [{"key": "a"}]}"#,
                "tasks[0].type",
                "tasks[0].type is required",
            ),
            (
                r#"{"tasks": [{"key": "a", "type": "t"}, {"type": "t"}]}"#,
                "tasks[1].key",
                "tasks[1].key is required",
            ),
            (
                r#"{"tasks": [{"key": "a", "type": "t", "estimate": {"duration": 1}}]}"#,
                "tasks[0].estimate.duration",
                "tasks[0].estimate.duration is not a known field; accepted: duration_s, duration_by_agent_s, demand",
            ),
            (
                r#"{"tasks": [{"key": "a", "type": "t", "estimate": {"demand": {"cpu": "all"}}}]}"#,
                "tasks[0].estimate.demand.cpu",
                "tasks[0].estimate.demand.cpu: must be a number, got 'all'",
            ),
            (
                r#"{"tasks": [{"key": "a", "type": "t", "priority": 9}]}"#,
                "tasks[0].priority",
                "tasks[0].priority: priority must be 1 to 5, got 9",
            ),
            (
                r#"{"tasks": [{"key": "a", "type": "t", "priority": 1.5}]}"#,
                "tasks[0].priority",
                "tasks[0].priority: must be a whole number within its range, got 1.5",
            ),
            (
                r#"{"tasks": [{"key": "a", "type": "t", "priority": 99999999999999999999}]}"#,
                "tasks[0].priority",
                "tasks[0].priority: must be a whole number within its range, got 1e+20",
            ),
            (
                r#"{"tasks": [{"key": "a", "type": "t", "deadline": "soon"}]}"#,
                "tasks[0].deadline",
                "tasks[0].deadline: a time must be RFC 3339, e.g. 2026-01-31T12:00:00.000Z, got 'soon'",
            ),
            (
                r#"{"tasks": [{"key": "a", "type": "t", "retry": {"max_attempts": -1}}]}"#,
                "tasks[0].retry.max_attempts",
                "tasks[0].retry.max_attempts: must be a whole number within its range, got -1",
            ),
            (
                r#"{"flow_id": "a b"}"#,
                "flow_id",
                "flow_id must be 1 to 128 characters of [A-Za-z0-9._-], got 'a b'",
            ),
            (
                r#"{"communication": {"latency_s": null}}"#,
                "communication.latency_s",
                "communication.latency_s: must be a number, got null",
            ),
            (
                r#"{"communication": [0.1, 5]}"#,
                "communication",
                "communication: must be an object, got a list of 2",
            ),
            (r#"[]"#, "", "the body: must be an object, got a list of 0"),
            (r#""x""#, "", "the body: must be an object, got 'x'"),
        ];
        for (body, field, text) in cases {
            let (found, message) = message(body.as_bytes());
            assert_eq!(
                (found.as_deref().unwrap_or_default(), message.as_str()),
                (field, text),
                "{body}"
            );
        }
    }

    #[test]
    fn text_that_is_no_json_is_refused_with_its_place() {
        let nested = format!(
            "{{\"metadata\": {{\"x\": {}1{}}}}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        let cases: [&[u8]; 9] = [
            b"{",
            b"{\"name\": \"x\"} trailing",
            b"{\"name\": tru}",
            b"{\"name\": \"\xff\xfe\"}",
            b"{\"name\": \"\\ud800\"}",
            b"{\"metadata\": {\"x\": 1e999}}",
            b"{\"metadata\": {\"x\": NaN}}",
            b"\xef\xbb\xbf{}",
            nested.as_bytes(),
        ];
        for body in cases {
            let (_, message) = message(body);
            assert!(
                message.starts_with("the body is not valid JSON: "),
                "{message}"
            );
            assert!(message.contains(" at line 1, column "), "{message}");
        }
    }
}
