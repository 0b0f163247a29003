//! The words of memories: stemmed or not, cut in words or in threes; another choice makes the index anew.

use serde_json::{Value, json};

use crate::support::{Client, Daemon, eventually};

const MEMORY: &str = "/api/orchestration/memory";
/// More than one transaction makes anew.
const OTHERS: usize = 450;

fn settings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let key = |key: &str| format!("NOVA_MEMORY__{key}");
    pairs
        .iter()
        .map(|(k, v)| (key(k), (*v).to_owned()))
        .collect()
}

/// Everything is indexed, by words as well.
fn settled(client: &Client) {
    eventually("the words of all memories are made", || {
        let health = client.get("/health").expect(200);
        (health["checks"]["memory"]["status"] == "healthy").then_some(())
    });
}

fn found(client: &Client, query: &str) -> Vec<String> {
    let body = json!({"query": query, "mode": "keyword", "filter": {"of": "test"}});
    let answer = client.post(&format!("{MEMORY}/search"), body).expect(200);
    let matches = answer["matches"].as_array().unwrap().iter();
    let mut texts: Vec<String> = matches
        .map(|m| m["content"].as_str().unwrap().to_owned())
        .collect();
    texts.sort();
    texts
}

#[test]
fn another_analyzer_makes_the_words_anew_and_loses_nothing() {
    let daemon = Daemon::start();
    let texts = [
        "Flights to Zürich were cancelled",
        "The painter is painting houses",
    ];
    for text in texts {
        let body = json!({"content": text, "metadata": {"of": "test"}});
        daemon.post(&format!("{MEMORY}/store"), body).expect(201);
    }
    let lines: String = (0..OTHERS)
        .map(|i| format!("{}\n", json!({"content": format!("note {i} on flights")})))
        .collect();
    let kind = [("Content-Type", "application/x-ndjson")];
    let path = format!("{MEMORY}/import");
    daemon
        .send("POST", &path, &kind, Some(lines.into_bytes()))
        .expect(200);
    assert_eq!(found(&daemon, "flight"), [texts[0]], "stemmed");
    assert_eq!(found(&daemon, "zurich"), [texts[0]], "without diacritics");
    assert_eq!(found(&daemon, "painted house"), [texts[1]]);

    let daemon = daemon.kill_and_restart_with(&settings(&[
        ("STEMMING", "none"),
        ("FOLD_DIACRITICS", "false"),
    ]));
    settled(&daemon);
    assert!(found(&daemon, "flight").is_empty(), "as it is written");
    assert!(found(&daemon, "zurich").is_empty());
    assert_eq!(found(&daemon, "ZÜRICH"), [texts[0]]);
    assert_eq!(found(&daemon, "painting"), [texts[1]]);

    // Killed before that is through, the next start goes on; each start searches as it is told.
    let trigrams = settings(&[("TOKENIZER", "trigrams"), ("STEMMING", "none")]);
    let daemon = daemon
        .kill_and_restart_with(&trigrams)
        .kill_and_restart_with(&trigrams);
    settled(&daemon);
    assert_eq!(found(&daemon, "urich"), [texts[0]], "a part of a word");
    assert_eq!(found(&daemon, "aint"), [texts[1]]);

    let daemon = daemon.kill_and_restart();
    settled(&daemon);
    assert_eq!(found(&daemon, "flight"), [texts[0]]);
    let usage = daemon.get(&format!("{MEMORY}/usage")).expect(200);
    assert_eq!(usage["orchestration"]["episodic"], Value::from(OTHERS + 2));
}
