//! Vectors from a service: memories are found by their words at once, and by meaning when the service answers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::{Client, Daemon, Options, eventually};

const MEMORY: &str = "/api/orchestration/memory";

/// A service of vectors, which refuses until it is told otherwise. A text about a cat or a kitten points one way, any
/// other the other way.
fn service(open: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let is_open = open.load(Ordering::SeqCst);
            std::thread::spawn(move || answer(stream, is_open));
        }
    });
    url
}

fn answer(mut stream: TcpStream, is_open: bool) -> Option<()> {
    let asked = body(&mut stream)?;
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

#[test]
fn a_memory_is_found_by_words_at_once_and_by_meaning_later() {
    let open = Arc::new(AtomicBool::new(false));
    let settings = [
        ("URL", service(Arc::clone(&open))),
        ("MODEL", "small".to_owned()),
        ("ATTEMPTS_MAX", "1".to_owned()),
    ];
    let settings = settings.map(|(key, value)| (format!("NOVA_MEMORY__EMBEDDING_{key}"), value));
    let daemon = Daemon::with(Options {
        env: settings.to_vec(),
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
    let usage =
        || daemon.get(&format!("{MEMORY}/usage")).expect(200)["orchestration"]["embedding"].clone();
    assert_eq!(usage()["model"], "small");
    eventually("the missing vectors are counted", || {
        (usage()["share"] == 0.0).then_some(())
    });

    open.store(true, Ordering::SeqCst);
    eventually("every memory has its vector", || {
        (usage()["share"] == 1.0).then_some(())
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
    open.store(false, Ordering::SeqCst);
    let degraded = search(&daemon, "invoice", "hybrid");
    assert_eq!(degraded["orchestration"]["mode"], "keyword");
    assert!(degraded["orchestration"]["degraded"].is_string());
    assert_eq!(degraded["matches"][0]["content"], "The invoice was paid.");
}
