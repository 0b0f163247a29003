//! Memories: stored, found by words and by meaning, consolidated, forgotten; across a `kill -9`.

use serde_json::{Value, json};

use super::{column, header, refused_field};
use crate::support::{Client, Daemon, eventually};

const MEMORY: &str = "/api/orchestration/memory";
const STORE: &str = "/api/orchestration/memory/store";
const SEARCH: &str = "/api/orchestration/memory/search";

fn store(client: &Client, body: Value) -> String {
    let answer = client.post(STORE, body).expect(201);
    answer["memory_id"].as_str().unwrap().to_owned()
}

/// The index is complete, so that searches stand on both legs.
fn indexed(client: &Client) {
    eventually("the index over memories is complete", || {
        let health = client.get("/health").expect(200);
        (health["checks"]["memory"]["status"] == "healthy").then_some(())
    });
}

fn matches(client: &Client, body: Value) -> Vec<Value> {
    let answer = client.post(SEARCH, body).expect(200);
    answer["matches"].as_array().unwrap().clone()
}

#[test]
fn a_memory_is_kept_recognised_and_forgotten() {
    let daemon = Daemon::start();
    let body = json!({"content": {"what": "met Bob", "where": "Kiel"}, "importance": 0.7, "agent_id": "ann",
        "context": {"mood": "good"}, "metadata": {"topic": "people"}});
    let answer = daemon.post(STORE, body.clone());
    let place = header(&answer, "location").to_owned();
    let stored = answer.expect(201);
    assert_eq!(
        place,
        format!("{MEMORY}/{}", stored["memory_id"].as_str().unwrap())
    );
    assert_eq!(
        (&stored["status"], &stored["confidence"]),
        (&json!("stored"), &json!(1.0))
    );
    let record = daemon.get(&place).expect(200)["orchestration"].clone();
    for field in ["content", "importance", "agent_id", "context", "metadata"] {
        assert_eq!(record[field], body[field], "{field}");
    }
    assert_eq!(
        (&record["type"], &record["provenance"]),
        (&json!("episodic"), &json!([]))
    );

    let again = daemon.post(STORE, body).expect(200);
    assert_eq!(
        (&again["memory_id"], &again["known"]),
        (&stored["memory_id"], &json!(true))
    );
    assert!(again["orchestration"]["access_count"].as_u64().unwrap() >= 1);

    daemon
        .get(&format!("{place}?domain=other"))
        .expect_error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(daemon.delete(&place).expect(200)["status"], "forgotten");
    daemon.get(&place).expect_error(404, "RESOURCE_NOT_FOUND");
    assert!(matches(&daemon, json!({"query": "Bob"})).is_empty());
}

#[test]
fn search_finds_by_words_and_by_meaning_within_its_filters() {
    let daemon = Daemon::start();
    indexed(&daemon);
    let facts = [
        ("The cat sleeps on the sofa all afternoon.", "home", 2024),
        ("Quarterly revenue grew by nine percent.", "work", 2025),
        ("Ann's flight to Lisbon leaves on Friday.", "travel", 2026),
        ("The invoice for the server was paid.", "work", 2026),
    ];
    let ids: Vec<String> = facts
        .iter()
        .map(|(text, topic, year)| {
            store(
                &daemon,
                json!({"content": text, "metadata": {"topic": topic, "year": year}}),
            )
        })
        .collect();
    let first = |body: Value| matches(&daemon, body)[0].clone();
    let by_word = first(json!({"query": "flights", "mode": "keyword"}));
    assert_eq!(by_word["memory_id"], ids[2].as_str());
    assert!(by_word["scores"]["keyword"].as_f64().unwrap() > 0.0);
    let by_meaning = first(json!({"query": "a kitten napping on a couch", "mode": "vector"}));
    assert_eq!(by_meaning["memory_id"], ids[0].as_str());
    assert_eq!(by_meaning["scores"]["keyword"], 0.0);
    assert!(by_meaning["scores"]["vector"].as_f64().unwrap() > 0.2);
    let both = first(json!({"query": "company earnings grew"}));
    assert_eq!(both["memory_id"], ids[1].as_str());

    let of = |filter: Value| {
        matches(
            &daemon,
            json!({"query": "the", "filter": filter, "limit": 10}),
        )
    };
    assert_eq!(
        of(json!({"topic": "work", "year": {"gt": 2025}}))[0]["memory_id"],
        ids[3].as_str()
    );
    assert_eq!(of(json!({"topic": "work"})).len(), 2);
    assert_eq!(of(json!({"$not": {"topic": "work"}})).len(), 2);
    assert!(matches(&daemon, json!({"query": "cat", "agent_id": "nobody"})).is_empty());
    let foreign = daemon.post(&format!("{SEARCH}?domain=other"), json!({"query": "cat"}));
    assert_eq!(foreign.expect(200)["matches"], json!([]));

    store(
        &daemon,
        json!({"content": "brought along", "embedding": [0.0, 1.0, 0.0]}),
    );
    let own = first(json!({"embedding": [0.0, 2.0, 0.1], "mode": "vector"}));
    assert_eq!(own["content"], "brought along");
}

#[test]
fn what_recurs_becomes_knowledge_and_survives_a_kill() {
    let daemon = Daemon::start();
    for text in [
        "Ann drinks green tea",
        "the bus was late",
        "Ann drinks green tea.",
    ] {
        store(&daemon, json!({"content": text, "agent_id": "ann"}));
    }
    let done = daemon
        .post(&format!("{MEMORY}/consolidate"), json!({}))
        .expect(200);
    assert_eq!(done["orchestration"]["promoted"], 1, "{done}");
    let daemon = daemon.kill_and_restart();
    let known = daemon.get(&format!("{MEMORY}?type=semantic")).expect(200);
    let known = known["items"].as_array().unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0]["provenance"].as_array().unwrap().len(), 2);
    let again = daemon
        .post(&format!("{MEMORY}/consolidate"), json!({}))
        .expect(200);
    assert_eq!(
        again["orchestration"]["episodes"], 0,
        "nothing is promoted twice"
    );
    indexed(&daemon);
    let found = matches(
        &daemon,
        json!({"query": "what does Ann drink", "type": "semantic"}),
    );
    assert_eq!(found[0]["memory_id"], known[0]["memory_id"]);
    let episodes = daemon.get(&format!("{MEMORY}/usage")).expect(200);
    assert_eq!(episodes["orchestration"]["episodic"], 3, "episodes stay");
    assert_eq!(episodes["orchestration"]["waiting"], 0);
}

#[test]
fn many_are_forgotten_by_a_filter_and_never_by_none() {
    let daemon = Daemon::start();
    for i in 0..5 {
        store(
            &daemon,
            json!({"content": format!("note {i}"), "metadata": {"i": i}}),
        );
    }
    daemon
        .post(&format!("{MEMORY}/forget"), json!({}))
        .expect_error(400, "VALIDATION_ERROR");
    let gone = daemon
        .post(
            &format!("{MEMORY}/forget"),
            json!({"filter": {"i": {"lt": 3}}}),
        )
        .expect(200);
    assert_eq!(gone["orchestration"]["forgotten"], 3);
    let left = daemon.get(MEMORY).expect(200);
    assert_eq!(column(&left, "content"), ["note 4", "note 3"]);
}

#[test]
fn bad_memories_name_their_field() {
    let daemon = Daemon::start();
    let cases = [
        ("content", json!({"content": ""})),
        ("content", json!({"content": 7})),
        ("content", json!({})),
        ("importance", json!({"content": "x", "importance": 2})),
        ("type", json!({"content": "x", "type": "procedural"})),
        ("embedding", json!({"content": "x", "embedding": []})),
        ("ttl_s", json!({"content": "x", "ttl_s": -1})),
        ("agent", json!({"content": "x", "agent": "ann"})),
    ];
    for (field, body) in cases {
        let answer = daemon.post(STORE, body.clone());
        assert_eq!(refused_field(answer), field, "{body}");
    }
    for (field, body) in [
        ("query", json!({})),
        ("limit", json!({"query": "x", "limit": 201})),
        (
            "filter.a.near",
            json!({"query": "x", "filter": {"a": {"near": 1}}}),
        ),
        ("mode", json!({"query": "x", "mode": "fuzzy"})),
    ] {
        let answer = daemon.post(SEARCH, body.clone());
        assert_eq!(refused_field(answer), field, "{body}");
    }
    assert!(
        daemon.get(MEMORY).expect(200)["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}
