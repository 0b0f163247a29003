//! Consolidation with a language model beside the rules: what it says well becomes knowledge, marked as its; whatever it
//! does wrong changes nothing, and no write waits for it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{Client, Daemon, Options, eventually};

const MEMORY: &str = "/api/orchestration/memory";

/// What the endpoint does with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    /// A statement of all episodes, once more in other letters, and one that the rules know.
    Good,
    /// Prose.
    Nonsense,
    /// Cites an episode that there is not.
    WrongIds,
    /// A statement longer than allowed.
    TooLong,
    /// Says nothing.
    Silent,
    /// Status 500.
    Broken,
}

/// A fake of OpenAI's chat endpoint.
struct Endpoint {
    url: String,
    manner: Arc<Mutex<Manner>>,
    /// The requests, whole.
    asked: Arc<Mutex<Vec<Value>>>,
    /// Connections that are not answered.
    held: Arc<Mutex<Vec<TcpStream>>>,
}

impl Endpoint {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Self {
            url: format!("http://{}/v1", listener.local_addr().unwrap()),
            manner: Arc::new(Mutex::new(Manner::Good)),
            asked: Arc::default(),
            held: Arc::default(),
        };
        let (manner, asked) = (Arc::clone(&endpoint.manner), Arc::clone(&endpoint.asked));
        let held = Arc::clone(&endpoint.held);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = request(&mut stream) else {
                    continue;
                };
                asked.lock().unwrap().push(request.clone());
                let manner = *manner.lock().unwrap();
                if manner == Manner::Silent {
                    held.lock().unwrap().push(stream);
                } else {
                    let _ = answer(&mut stream, manner, &request);
                }
            }
        });
        endpoint
    }

    fn be(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn requests(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn environment(&self) -> Vec<(String, String)> {
        let settings = [
            ("SUMMARIZER__URL", self.url.as_str()),
            ("SUMMARIZER__MODEL", "tiny-chat"),
            ("SUMMARIZER__KEY_ENV", "TINY_CHAT_KEY"),
            ("SUMMARIZER__TIMEOUT_MS", "500"),
            ("SUMMARIZER__ATTEMPTS_MAX", "1"),
            ("SUMMARIZER__ROUNDS_MAX", "1"),
            ("SUMMARIZER__PAUSE_S", "0"),
            ("UPKEEP_INTERVAL_MS", "50"),
        ];
        let key = |key| format!("NOVA_MEMORY__{key}");
        let settings = settings.into_iter().map(|(k, v)| (key(k), v.to_owned()));
        let secret = ("TINY_CHAT_KEY".to_owned(), "open sesame".to_owned());
        settings.chain([secret]).collect()
    }
}

/// The JSON of a request that has the right path and key.
fn request(stream: &mut TcpStream) -> Option<Value> {
    let (mut text, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        text.extend_from_slice(&part[..count]);
        let whole = String::from_utf8_lossy(&text);
        if let Some((head, body)) = whole.split_once("\r\n\r\n")
            && let Ok(value) = serde_json::from_str(body)
        {
            assert!(head.starts_with("POST /v1/chat/completions "), "{head}");
            assert!(head.contains("Bearer open sesame"), "{head}");
            return Some(value);
        }
    }
}

fn answer(stream: &mut TcpStream, manner: Manner, asked: &Value) -> std::io::Result<()> {
    let shown: Value =
        serde_json::from_str(asked["messages"][1]["content"].as_str().unwrap()).unwrap();
    let ids: Vec<&str> = shown["episodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["id"].as_str().unwrap())
        .collect();
    let statement = |text: &str, sources: &[&str]| json!({"text": text, "sources": sources});
    let statements = match manner {
        Manner::WrongIds => vec![statement("She sails.", &["e1", "e999"])],
        Manner::TooLong => vec![statement(&"long ".repeat(200), &ids)],
        _ => vec![
            statement("She spends her days at sea.", &ids),
            statement("She spends her days at SEA.", &ids[..1]),
            statement("the harbour is closed in winter", &ids[..1]),
        ],
    };
    let content = match manner {
        Manner::Nonsense => "I think she likes boats!".to_owned(),
        _ => json!({"statements": statements}).to_string(),
    };
    let (status, body) = match manner {
        Manner::Broken => (500, json!({"error": "out of order"})),
        _ => {
            let message = json!({"role": "assistant", "content": content});
            (
                200,
                json!({"choices": [{"message": message, "finish_reason": "stop"}]}),
            )
        }
    };
    let (body, kind) = (body.to_string(), "Content-Type: application/json");
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\n{kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes())
}

/// Stores episodes of an agent, one of which recurs, and consolidates them. Gives the ids of those that are not merged.
fn lived(client: &Client, agent: &str) -> Vec<String> {
    let store = |text: &str| {
        let body = json!({"content": text, "agent_id": agent});
        let stored = client.post(&format!("{MEMORY}/store"), body).expect(201);
        stored["memory_id"].as_str().unwrap().to_owned()
    };
    let ids = [
        store("The harbour is closed in winter."),
        store("She left with the morning tide."),
        store("Rigging the mast took until noon."),
    ];
    store("The harbour is closed in winter!");
    client
        .post(&format!("{MEMORY}/consolidate"), json!({"agent_id": agent}))
        .expect(200);
    ids.to_vec()
}

fn knowledge(client: &Client, agent: &str) -> Vec<Value> {
    let path = format!("{MEMORY}?type=semantic&agent_id={agent}");
    let mut items = client.get(&path).expect(200)["items"]
        .as_array()
        .unwrap()
        .clone();
    items.sort_by_key(|item| item["summarized_by"].to_string());
    items
}

/// How often the summarizer's step ended so.
fn outcomes(client: &Client, outcome: &str) -> u64 {
    let text = client.get("/metrics").text;
    let line = format!("nova_memory_summaries_total{{outcome=\"{outcome}\"}} ");
    let count = text.lines().find_map(|l| l.strip_prefix(&line));
    count.map_or(0, |count| count.trim().parse().unwrap())
}

#[test]
fn a_model_adds_to_what_the_rules_conclude_and_takes_nothing_away() {
    let endpoint = Endpoint::start();
    let daemon = Daemon::with(Options {
        env: endpoint.environment(),
        ..Options::default()
    });
    let bad = [
        (Manner::Nonsense, "invalid"),
        (Manner::WrongIds, "invalid"),
        (Manner::TooLong, "invalid"),
        (Manner::Broken, "unavailable"),
        (Manner::Silent, "unavailable"),
    ];
    for (n, (manner, outcome)) in bad.into_iter().enumerate() {
        endpoint.be(manner);
        let (before, agent) = (outcomes(&daemon, outcome), format!("bad-{n}"));
        lived(&daemon, &agent);
        eventually("the answer is counted", || {
            (outcomes(&daemon, outcome) > before).then_some(())
        });
        let known = knowledge(&daemon, &agent);
        assert_eq!(
            known.len(),
            1,
            "{manner:?}: what the rules conclude: {known:#?}"
        );
        assert_eq!(known[0]["summarized_by"], Value::Null);
    }
    endpoint.be(Manner::Good);
    let ids = lived(&daemon, "ann");
    let known = eventually("the statement is knowledge", || {
        let known = knowledge(&daemon, "ann");
        (known.len() > 1).then_some(known)
    });
    assert_eq!(
        known.len(),
        2,
        "neither what is known nor twice: {known:#?}"
    );
    assert_eq!(known[0]["content"], "She spends her days at sea.");
    assert_eq!(known[0]["summarized_by"], "tiny-chat");
    assert_eq!(known[0]["provenance"], json!(ids));
    assert_eq!(
        (&known[0]["type"], &known[0]["occurrences"]),
        (&json!("semantic"), &json!(3))
    );
    assert_eq!(known[1]["summarized_by"], Value::Null);
    let query = json!({"query": "days at sea", "agent_id": "ann", "type": "semantic"});
    let found = daemon.post(&format!("{MEMORY}/search"), query).expect(200);
    assert_eq!(found["matches"][0]["memory_id"], known[0]["memory_id"]);
    // Those of before were given up, and are not asked about again.
    assert_eq!(knowledge(&daemon, "bad-0").len(), 1);
    let export = daemon.get(&format!("{MEMORY}/export?type=semantic"));
    assert!(export.text.contains("\"summarized_by\":\"tiny-chat\""));
}

#[test]
fn nothing_waits_for_the_model_and_a_kill_promotes_nothing_twice() {
    let endpoint = Endpoint::start();
    endpoint.be(Manner::Silent);
    let mut environment = endpoint.environment();
    // Longer than this test may take: the kill comes while the model thinks.
    for (key, value) in &mut environment {
        if key.ends_with("TIMEOUT_MS") {
            *value = "120000".to_owned();
        }
    }
    let daemon = Daemon::with(Options {
        env: environment,
        ..Options::default()
    });
    let ids = lived(&daemon, "ann");
    eventually("the model is asked", || {
        (endpoint.requests() > 0).then_some(())
    });
    // Writes and consolidations go on meanwhile.
    lived(&daemon, "bob");
    assert_eq!(knowledge(&daemon, "bob").len(), 1);

    endpoint.be(Manner::Good);
    let mut daemon = daemon;
    for _ in 0..3 {
        daemon = daemon.kill_and_restart_with(&endpoint.environment());
    }
    for agent in ["ann", "bob"] {
        eventually("both have their statement", || {
            (knowledge(&daemon, agent).len() > 1).then_some(())
        });
    }
    let daemon = daemon.kill_and_restart_with(&endpoint.environment());
    let asked = endpoint.requests();
    lived(&daemon, "cora");
    eventually("whatever is due was asked about", || {
        (knowledge(&daemon, "cora").len() > 1).then_some(())
    });
    assert_eq!(endpoint.requests(), asked + 1, "about nothing else");
    let known = knowledge(&daemon, "ann");
    assert_eq!(known.len(), 2, "{known:#?}");
    assert_eq!(known[0]["provenance"], json!(ids));
    drop(endpoint.held.lock().unwrap().drain(..));
}
