//! Memories as lines: exported, broken off and taken up again, imported, imported again.

use serde_json::{Value, json};

use super::{refused_field, text};
use crate::support::{Answer, Client, Daemon, Options};

const MEMORY: &str = "/api/orchestration/memory";

fn export(client: &Client, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("{MEMORY}/export{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let lines = answer.text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn import(client: &Client, query: &str, lines: &[Value]) -> Answer {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let path = format!("{MEMORY}/import{query}");
    let kind = [("Content-Type", "application/x-ndjson")];
    client.send("POST", &path, &kind, Some(text.into_bytes()))
}

fn without_cursor(lines: &[Value]) -> Vec<Value> {
    let mut lines = lines.to_vec();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("cursor");
    }
    lines
}

fn fill(daemon: &Client, count: usize) {
    for i in 0..count {
        let body = json!({"content": format!("note {i} of the harbour"), "agent_id": "ann", "metadata": {"i": i}});
        daemon.post(&format!("{MEMORY}/store"), body).expect(201);
    }
}

#[test]
fn an_export_travels_whole_and_only_once() {
    let (here, there) = (Daemon::start(), Daemon::start());
    fill(&here, 3);
    let vector = json!({"content": "brought along", "type": "semantic", "embedding": [0.5, 1.0]});
    here.post(&format!("{MEMORY}/store"), vector).expect(201);
    let again = json!({"content": "note 0 of the harbour!", "agent_id": "ann", "importance": 0.9});
    here.post(&format!("{MEMORY}/store"), again).expect(201);
    here.post(&format!("{MEMORY}/consolidate"), json!({}))
        .expect(200);

    let lines = export(&here, "");
    let (end, records) = lines.split_last().unwrap();
    assert_eq!(*end, json!({"end": true, "exported": records.len()}));
    assert!(records.len() >= 6, "the promoted one too: {records:?}");
    let done = import(&there, "", &lines).expect(200);
    assert_eq!(
        done["orchestration"],
        json!({"lines": records.len(), "imported": records.len(), "known": 0})
    );
    let moved = export(&there, "");
    assert_eq!(without_cursor(&moved), without_cursor(&lines));
    let again = import(&there, "", &lines).expect(200);
    assert_eq!(again["orchestration"]["known"], records.len());
    let search = json!({"query": "harbour", "filter": {"i": 2}});
    let found = there.post(&format!("{MEMORY}/search"), search).expect(200);
    assert_eq!(found["matches"][0]["memory_id"], records[2]["memory_id"]);
    let search = json!({"embedding": [1.0, 2.0], "mode": "vector"});
    let found = there.post(&format!("{MEMORY}/search"), search).expect(200);
    assert_eq!(found["matches"][0]["content"], "brought along");

    // An export that broke off goes on after the last line that arrived.
    let rest = export(&here, &format!("?cursor={}", text(&records[1], "cursor")));
    assert_eq!(rest[..rest.len() - 1], records[2..]);
    let known = export(&here, "?type=semantic");
    assert!(known.len() >= 3);
    assert!(
        known[..known.len() - 1]
            .iter()
            .all(|line| line["type"] == "semantic")
    );
    assert_eq!(export(&here, "?agent_id=nobody").len(), 1);
}

#[test]
fn ids_of_another_domain_become_others_and_the_same_each_time() {
    let daemon = Daemon::start();
    fill(&daemon, 2);
    let lines = export(&daemon, "");
    for known in [0, 2] {
        let done = import(&daemon, "?domain=copy", &lines).expect(200);
        assert_eq!(done["orchestration"]["known"], known);
    }
    let copies = export(&daemon, "?domain=copy");
    assert_ne!(copies[0]["memory_id"], lines[0]["memory_id"]);
    assert_eq!(copies[0]["content"], lines[0]["content"]);
    assert_eq!(copies[0]["domain"], "copy");
    assert_eq!(export(&daemon, ""), lines, "the first domain is as it was");
}

#[test]
fn a_long_import_is_read_as_it_comes_and_a_bad_line_is_named() {
    let limit = ("NOVA_SERVER__MAX_BODY_BYTES".to_owned(), "20000".to_owned());
    let daemon = Daemon::with(Options {
        env: vec![limit],
        ..Options::default()
    });
    let line = |i: usize| json!({"content": format!("line {i} {}", "x".repeat(200))});
    let many: Vec<Value> = (0..500).map(line).collect();
    let done = import(&daemon, "", &many).expect(200);
    assert_eq!(
        done["orchestration"]["imported"], 500,
        "ten times a body's limit"
    );

    let mut bad: Vec<Value> = (500..750).map(line).collect();
    bad[240] = json!({"content": "x", "importance": 3});
    let error = import(&daemon, "", &bad).expect_error(400, "VALIDATION_ERROR");
    assert_eq!(error["details"]["line"], 241);
    assert_eq!(error["details"]["imported"], 240);
    assert_eq!(error["details"]["field"], "importance");
    for (field, line) in [
        ("memory_id", json!({"content": "x", "memory_id": "7"})),
        ("contents", json!({"contents": "x"})),
        ("content", json!({"content": 7})),
        ("embedding", json!({"content": "x", "embedding": [0.0]})),
    ] {
        assert_eq!(refused_field(import(&daemon, "", &[line])), field);
    }
    let send = |text: &str| {
        let kind = [("Content-Type", "application/x-ndjson")];
        let body = Some(text.as_bytes().to_vec());
        daemon.send("POST", &format!("{MEMORY}/import"), &kind, body)
    };
    send("{\n").expect_error(400, "VALIDATION_ERROR");
    assert_eq!(send("\n\n").expect(200)["orchestration"]["lines"], 0);
    let long = json!({"content": "y".repeat(20_001)}).to_string();
    let short = json!({"content": "this one is sound"}).to_string();
    let error = send(&format!("{short}\n{long}")).expect_error(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(
        (&error["details"]["line"], &error["details"]["imported"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(send(&short).expect(200)["orchestration"]["known"], 1);
    assert_eq!(
        refused_field(daemon.get(&format!("{MEMORY}/export?cursor=x"))),
        "cursor"
    );
}

#[test]
fn the_model_serves_vectors_in_openais_shape() {
    let daemon = Daemon::start();
    let model = text(&daemon.get("/v1/models").expect(200)["data"][0], "id");
    let body =
        json!({"input": ["a cat on a sofa", "a kitten on a couch", "tax law"], "model": model});
    let made = daemon.post("/v1/embeddings", body.clone()).expect(200);
    assert_eq!(
        (&made["object"], &made["model"]),
        (&json!("list"), &json!(model))
    );
    let vector = |i: usize| -> Vec<f64> {
        assert_eq!(made["data"][i]["index"], i);
        let numbers = made["data"][i]["embedding"].as_array().unwrap();
        numbers.iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let near = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let (a, b, c) = (vector(0), vector(1), vector(2));
    assert_eq!(a.len(), 256);
    assert!(near(&a, &b) > near(&a, &c) + 0.2);
    assert_eq!(made["usage"]["prompt_tokens"], 12);

    let mut asked = body;
    asked["encoding_format"] = json!("base64");
    asked["dimensions"] = json!(8);
    let bytes = daemon.post("/v1/embeddings", asked).expect(200);
    let encoded = bytes["data"][0]["embedding"].as_str().unwrap();
    assert_eq!(encoded.len(), 44, "8 numbers of 4 bytes in Base64");
    let one = daemon
        .post(
            "/v1/embeddings",
            json!({"input": "one", "model": "default"}),
        )
        .expect(200);
    assert_eq!(one["data"].as_array().unwrap().len(), 1);

    for (field, body) in [
        ("input", json!({"input": []})),
        ("input", json!({"input": vec!["x"; 2049]})),
        ("input[1]", json!({"input": ["x", 7]})),
        ("input[0]", json!({"input": ["x".repeat(64 * 1024 + 1)]})),
        (
            "encoding_format",
            json!({"input": "x", "encoding_format": "hex"}),
        ),
        ("dimensions", json!({"input": "x", "dimensions": 257})),
        ("dimensions", json!({"input": "x", "dimensions": 0})),
        ("inputs", json!({"inputs": "x", "input": "x"})),
    ] {
        let shown: String = body.to_string().chars().take(80).collect();
        let answer = daemon.post("/v1/embeddings", body);
        assert_eq!(refused_field(answer), field, "{shown}");
    }
    let other = json!({"input": "x", "model": "text-embedding-3-small"});
    daemon
        .post("/v1/embeddings", other)
        .expect_error(404, "RESOURCE_NOT_FOUND");
    let usage = daemon.get(&format!("{MEMORY}/usage")).expect(200);
    assert_eq!(usage["orchestration"]["embedding"]["share"], 1.0);
}
