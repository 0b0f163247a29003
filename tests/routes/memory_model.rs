//! Vectors from a service: memories are found by their words at once, and by meaning when the service answers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{Client, Daemon, Options, eventually};

const MEMORY: &str = "/api/orchestration/memory";
const ALWAYS: usize = usize::MAX / 2;

/// A service of vectors, which answers for so many texts and then refuses. A text about a cat or a kitten points one
/// way, any other the other way.
fn service(budget: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let budget = Arc::clone(&budget);
            std::thread::spawn(move || answer(stream, &budget));
        }
    });
    url
}

fn answer(mut stream: TcpStream, budget: &AtomicUsize) -> Option<()> {
    let asked = body(&mut stream)?;
    let count = asked["input"].as_array()?.len();
    let is_open = budget
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(count)
        })
        .is_ok();
    let texts = asked["input"].as_array()?.iter().filter_map(Value::as_str);
    let vector = |text: &str| {
        let is_cat = text.contains("cat") || text.contains("kitten");
        if is_cat { [1.0, 0.1] } else { [0.1, 1.0] }
    };
    let data: Vec<Value> = texts
        .enumerate()
        .map(|(index, text)| json!({"index": index, "embedding": vector(text)}))
        .collect();
    let (status, body) = match is_open {
        true => (200, json!({"data": data})),
        false => (503, json!({"error": "later"})),
    };
    let body = body.to_string();
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).ok()
}

/// The JSON of a request.
fn body(stream: &mut TcpStream) -> Option<Value> {
    let (mut text, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        text.extend_from_slice(&part[..count]);
        let whole = String::from_utf8_lossy(&text);
        if let Some((_, body)) = whole.split_once("\r\n\r\n")
            && let Ok(value) = serde_json::from_str(body)
        {
            return Some(value);
        }
    }
}

fn search(client: &Client, query: &str, mode: &str) -> Value {
    let body = json!({"query": query, "mode": mode});
    client.post(&format!("{MEMORY}/search"), body).expect(200)
}

/// The environment of a daemon that asks this service.
fn asking(url: String) -> Vec<(String, String)> {
    let settings = [
        ("URL", url),
        ("MODEL", "small".to_owned()),
        ("ATTEMPTS_MAX", "1".to_owned()),
    ];
    let settings = settings.map(|(key, value)| (format!("NOVA_MEMORY__EMBEDDING_{key}"), value));
    settings.to_vec()
}

fn embedding(client: &Client) -> Value {
    client.get(&format!("{MEMORY}/usage")).expect(200)["orchestration"]["embedding"].clone()
}

#[test]
fn a_memory_is_found_by_words_at_once_and_by_meaning_later() {
    let budget = Arc::new(AtomicUsize::new(0));
    let daemon = Daemon::with(Options {
        env: asking(service(Arc::clone(&budget))),
        ..Options::default()
    });
    for text in ["The cat sleeps on the sofa.", "The invoice was paid."] {
        daemon
            .post(&format!("{MEMORY}/store"), json!({"content": text}))
            .expect(201);
    }
    let by_words = search(&daemon, "sofa", "hybrid");
    assert_eq!(
        by_words["matches"][0]["content"],
        "The cat sleeps on the sofa."
    );
    assert_eq!(embedding(&daemon)["model"], "small");
    eventually("the missing vectors are counted", || {
        (embedding(&daemon)["share"] == 0.0).then_some(())
    });

    budget.store(ALWAYS, Ordering::SeqCst);
    eventually("every memory has its vector", || {
        (embedding(&daemon)["share"] == 1.0).then_some(())
    });
    let by_meaning = search(&daemon, "kitten", "vector");
    assert_eq!(
        by_meaning["matches"][0]["content"],
        "The cat sleeps on the sofa."
    );
    assert!(
        by_meaning["matches"][0]["scores"]["vector"]
            .as_f64()
            .unwrap()
            > 0.9
    );

    // Away again: searches go by words, and say so.
    budget.store(0, Ordering::SeqCst);
    let degraded = search(&daemon, "invoice", "hybrid");
    assert_eq!(degraded["orchestration"]["mode"], "keyword");
    assert!(degraded["orchestration"]["degraded"].is_string());
    assert_eq!(degraded["matches"][0]["content"], "The invoice was paid.");
}

#[test]
fn a_service_that_hangs_holds_up_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (tell, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Open as long as the other end is.
            tell.send(stream).unwrap();
        }
    });
    let mut env = asking(url);
    let limit = ("NOVA_MEMORY__EMBEDDING_TIMEOUT_MS", "600000");
    env.push((limit.0.to_owned(), limit.1.to_owned()));
    let daemon = Daemon::with(Options {
        env,
        ..Options::default()
    });
    let store = |content: &str| {
        let body = json!({"content": content, "importance": 0.9});
        daemon.post(&format!("{MEMORY}/store"), body).expect(201);
    };
    store("The cat sleeps.");
    let _waits = asked.recv().unwrap();
    store("The dog barks.");
    eventually("both became knowledge", || {
        let known = daemon.get(&format!("{MEMORY}?type=semantic")).expect(200);
        (known["items"].as_array()?.len() == 2).then_some(())
    });
}

/// Memories beside the one that is looked for.
const OTHERS: usize = 149;
/// Texts that the background embeds at a time.
const BATCH: usize = 64;

#[test]
fn old_vectors_serve_until_the_new_model_has_made_its_own() {
    let daemon = Daemon::start();
    let sofa = "The cat sleeps on the sofa.";
    let lines = (0..OTHERS).map(|i| format!("Invoice number {i} was paid."));
    let lines: String = lines
        .chain([sofa.to_owned()])
        .map(|text| format!("{}\n", json!({"content": text})))
        .collect();
    let kind = [("Content-Type", "application/x-ndjson")];
    let path = format!("{MEMORY}/import");
    daemon
        .send("POST", &path, &kind, Some(lines.into_bytes()))
        .expect(200);
    let by_old = |daemon: &Daemon| {
        // The bundled model's cosine of these two, which the service does not give.
        let found = search(daemon, "a kitten napping on a couch", "vector");
        assert_eq!(found["orchestration"]["mode"], "vector", "{found}");
        assert_eq!(found["matches"][0]["content"], sofa);
        found["matches"][0]["scores"]["vector"].as_f64().unwrap()
    };
    let before = by_old(&daemon);

    let budget = Arc::new(AtomicUsize::new(BATCH));
    let daemon = daemon.kill_and_restart_with(&asking(service(Arc::clone(&budget))));
    let share = BATCH as f64 / (OTHERS + 1) as f64;
    eventually(
        "a part has its new vector, and the service gives no more",
        || {
            let now = embedding(&daemon);
            (now["model"] == "small" && now["share"] == share).then_some(())
        },
    );
    assert_eq!(by_old(&daemon), before, "the old vectors serve");
    // Stored meanwhile: found by meaning at once, since the old model makes its vector too.
    let body = json!({"content": "A puppy runs through the garden."});
    daemon.post(&format!("{MEMORY}/store"), body).expect(201);
    let found = search(&daemon, "a young dog playing outside", "vector");
    assert_eq!(
        found["matches"][0]["content"],
        "A puppy runs through the garden."
    );

    budget.store(ALWAYS, Ordering::SeqCst);
    eventually("every memory has its new vector, and these serve", || {
        let found = search(&daemon, "kitten", "vector");
        let cosine = found["matches"][0]["scores"]["vector"].as_f64()?;
        (embedding(&daemon)["share"] == 1.0 && cosine > 0.999).then_some(())
    });
    assert_eq!(
        search(&daemon, "kitten", "vector")["matches"][0]["content"],
        sofa
    );
}
