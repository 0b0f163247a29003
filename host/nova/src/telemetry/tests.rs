//! Lines as they are written.
#![allow(clippy::unwrap_used)]
use std::io;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing::field::{Empty, display};

use super::json_fields::JsonFields;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_has_its_span_with_every_kind_of_field() {
    let lines = Lines::default();
    let out = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .fmt_fields(JsonFields)
        .with_writer(move || out.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let text = "a \"b\" \\ \n \u{1} ü";
        let span = tracing::info_span!(
            "all",
            text,
            shown = display(text),
            told = debug("x"),
            whole = -3_i64,
            most = u64::MAX,
            part = 0.5,
            nan = f64::NAN,
            yes = true,
            none = None::<u64>,
            later = Empty,
            last = Empty,
        );
        span.record("later", display("l"));
        span.record("last", 2);
        span.in_scope(|| tracing::info!("said"));
        tracing::info_span!("empty", later = Empty).in_scope(|| tracing::info!("said"));
        let filled = tracing::info_span!("filled", later = Empty);
        filled.record("later", 1);
        filled.in_scope(|| tracing::info!("said"));
    });
    let written = lines.0.lock().unwrap();
    let spans: Vec<Value> = serde_json::Deserializer::from_slice(&written)
        .into_iter::<Value>()
        .map(|line| line.unwrap()["span"].take())
        .collect();
    let text = "a \"b\" \\ \n \u{1} ü";
    let all = json!({
        "name": "all", "text": text, "shown": text, "told": "\"x\"", "whole": -3,
        "most": u64::MAX, "part": 0.5, "nan": null, "yes": true, "later": "l", "last": 2,
    });
    let filled = json!({"name": "filled", "later": 1});
    assert_eq!(spans, [all, json!({"name": "empty"}), filled]);
}
