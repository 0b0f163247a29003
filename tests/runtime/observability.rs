//! What operators see: access lines, traces in and out, metrics, and that the examples name real ones.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Daemon, Options, eventually, root};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn with(env: &[(&str, &str)]) -> Daemon {
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Daemon::with(Options {
        env: env.collect(),
        ..Options::default()
    })
}

/// The access lines so far.
fn access(daemon: &Daemon) -> Vec<Value> {
    let lines = daemon.log();
    let lines = lines.lines().filter_map(|l| serde_json::from_str(l).ok());
    lines
        .filter(|l: &Value| l["target"] == "nova_access")
        .collect()
}

#[test]
fn each_request_has_one_line_that_says_who_and_never_the_secret() {
    let daemon = with(&[("NOVA_LOG__FORMAT", "json")]);
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let headers = [("X-Request-ID", "req-1"), ("traceparent", &*traceparent)];
    let answer = daemon.send("GET", "/api/plugins", &headers, None);
    // The trace is continued by a span of its own.
    let continued = answer.headers["traceparent"].to_str().unwrap();
    assert!(
        continued.starts_with(&format!("00-{TRACE}-")),
        "{continued}"
    );
    assert_ne!(continued, traceparent);
    daemon.anonymous().get("/api/plugins").expect(401);
    let lines = eventually("both lines are written", || {
        let lines = access(&daemon);
        (lines.len() >= 2).then_some(lines)
    });
    let line = lines
        .iter()
        .find(|l| l["span"]["request_id"] == "req-1")
        .unwrap();
    assert_eq!(
        (&line["status"], &line["route"]),
        (&json!(200), &json!("/api/plugins"))
    );
    assert_eq!(line["span"]["trace_id"], TRACE, "{line}");
    assert_eq!(line["span"]["domain"], "general", "{line}");
    assert!(
        line["span"]["key_id"].is_string() && line["took_us"].is_u64(),
        "{line}"
    );
    assert!(
        line["peer"].as_str().unwrap().starts_with("127.0.0.1:"),
        "{line}"
    );
    let refused = lines.iter().find(|l| l["status"] == 401).unwrap();
    assert_eq!(refused["code"], "AUTHENTICATION_ERROR");
    assert!(!daemon.log().contains(ADMIN_KEY));
}

#[test]
fn lines_of_what_went_well_are_sampled_and_refusals_are_not() {
    let daemon = with(&[
        ("NOVA_LOG__FORMAT", "json"),
        ("NOVA_LOG__ACCESS_SAMPLE", "0"),
    ]);
    for _ in 0..20 {
        daemon.get("/health").expect(200);
    }
    daemon.get("/nowhere").expect(404);
    let lines = eventually("the refusal's line is written", || {
        let lines = access(&daemon);
        (!lines.is_empty()).then_some(lines)
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["status"], 404);
}

/// Takes spans as a collector does; tells of each body.
fn collector() -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let mut socket = BufReader::new(socket);
            let mut length = 0;
            let mut head = String::new();
            while socket.read_line(&mut head).unwrap_or(0) > 0 {
                let line = head.trim().to_ascii_lowercase();
                head.clear();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                } else if line.is_empty() {
                    let mut body = vec![0; length];
                    socket.read_exact(&mut body).unwrap();
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    socket.get_mut().write_all(answer).unwrap();
                    if tell.send(body).is_err() {
                        return;
                    }
                }
            }
        }
    });
    (url, told)
}

#[test]
fn spans_reach_a_collector_in_the_trace_of_the_client() {
    let (url, told) = collector();
    let mut daemon = with(&[
        ("NOVA_TELEMETRY__OTLP_ENDPOINT", &url),
        ("NOVA_TELEMETRY__OTLP_INTERVAL_MS", "50"),
        ("NOVA_TELEMETRY__SERVICE_NAME", "nova-under-test"),
    ]);
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let headers = [("X-Request-ID", "req-2"), ("traceparent", &*traceparent)];
    let answer = daemon.send("GET", "/api/plugins/heft", &headers, None);
    let place = answer.headers["traceparent"].to_str().unwrap().to_owned();
    // Ids travel as bytes.
    let bytes = |hex: &str| -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap())
            .collect()
    };
    let has = |body: &[u8], part: &[u8]| body.windows(part.len()).any(|w| w == part);
    let body = loop {
        let body = told
            .recv_timeout(Duration::from_secs(60))
            .expect("a span is sent");
        if has(&body, &bytes(TRACE)) {
            break body;
        }
    };
    let own_span = place.split('-').nth(2).unwrap();
    for part in [
        &bytes(own_span)[..],
        &bytes("b7ad6b7169203331"),
        b"GET /api/plugins/{name}",
        b"req-2",
        b"nova-under-test",
    ] {
        assert!(has(&body, part), "{}", String::from_utf8_lossy(part));
    }
    assert!(!has(&body, ADMIN_KEY.as_bytes()));
    // One that its client does not record is not recorded here; its trace goes on all the same.
    let unrecorded = format!("00-{}-b7ad6b7169203331-00", "1".repeat(32));
    let answer = daemon.send("GET", "/health", &[("traceparent", &unrecorded)], None);
    let place = answer.headers["traceparent"].to_str().unwrap();
    assert!(
        place.starts_with(&unrecorded[..36]) && place.ends_with("-00"),
        "{place}"
    );
    // The last spans are sent before the end.
    let last = daemon.send("GET", "/health", &[("X-Request-ID", "req-last")], None);
    assert!(
        last.headers.contains_key("traceparent"),
        "a trace of its own"
    );
    daemon.terminate();
    assert!(daemon.wait().success());
    let rest: Vec<u8> = told.try_iter().flatten().collect();
    assert!(has(&rest, b"req-last"));
    assert!(!has(&rest, &bytes(&"1".repeat(32))));
}

#[test]
fn a_collector_that_is_away_costs_spans_and_no_request() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut daemon = with(&[
        ("NOVA_TELEMETRY__OTLP_ENDPOINT", &format!("http://{gone}")),
        ("NOVA_TELEMETRY__OTLP_INTERVAL_MS", "10"),
        ("NOVA_TELEMETRY__OTLP_QUEUE_SPANS", "4"),
    ]);
    for _ in 0..50 {
        daemon.get("/health").expect(200);
    }
    daemon.terminate();
    assert!(daemon.wait().success());
}

/// The metrics that a text names, without what Prometheus adds to a histogram's name.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named = words.filter(|word| word.starts_with("nova_"));
    let base = |name: &str| {
        let suffixes = ["_bucket", "_sum", "_count"];
        let cut = suffixes.iter().find_map(|s| name.strip_suffix(s));
        cut.unwrap_or(name).to_owned()
    };
    named.map(base).collect()
}

/// The text of every Rust file in a folder.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    text
}

#[test]
fn the_dashboard_and_the_alerts_name_metrics_that_the_daemon_exports() {
    let daemon = Daemon::start();
    // Some appear with the first thing that they count.
    daemon
        .post("/api/orchestration/tasks", json!({"type": "demo"}))
        .expect(201);
    let exported = eventually("leases are counted", || {
        let text = daemon.get("/metrics").text;
        let lines = text.lines().filter(|l| !l.starts_with('#'));
        let exported = names(&lines.collect::<Vec<_>>().join("\n"));
        exported.contains("nova_leases_active").then_some(exported)
    });
    let folder = root().join("config/monitoring");
    let dashboard = std::fs::read_to_string(folder.join("grafana-dashboard.json")).unwrap();
    let parsed: Value = serde_json::from_str(&dashboard).unwrap();
    for panel in parsed["panels"].as_array().unwrap() {
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
    }
    let alerts = std::fs::read_to_string(folder.join("prometheus-alerts.yaml")).unwrap();
    // Those that count what is rare are not exported yet: their names are in the source.
    let declared = names(&sources(&root().join("host")));
    for text in [dashboard, alerts] {
        let used = names(&text);
        assert!(used.len() > 5, "{used:?}");
        let unknown: Vec<_> = used
            .iter()
            .filter(|name| !exported.contains(*name) && !declared.contains(*name))
            .collect();
        assert!(unknown.is_empty(), "nobody exports {unknown:?}");
    }
}
