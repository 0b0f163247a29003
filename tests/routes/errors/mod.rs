//! Whatever is wrong with a request: the one shape, and never a 5xx. Bodies are in [`bodies`].

mod bodies;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{AGENTS, ALLOCATE, Operation, TASKS, header, is_uuid7};
use crate::support::{Answer, Daemon, eventually};

#[test]
fn unknown_paths_and_methods() {
    let daemon = Daemon::start();
    let tasks_slash = format!("{TASKS}/");
    for path in [
        "/nowhere",
        "/api",
        &tasks_slash,
        "//",
        "/%ff",
        "/health/",
        "/docs/a/b",
    ] {
        daemon.get(path).expect_error(404, "RESOURCE_NOT_FOUND");
    }
    let one = format!("{TASKS}/x");
    let cases = [
        ("PATCH", TASKS, "GET,HEAD,POST"),
        ("DELETE", TASKS, "GET,HEAD,POST"),
        ("POST", &one, "DELETE,GET,HEAD,PUT"),
        ("POST", "/health", "GET,HEAD"),
        ("GET", ALLOCATE, "POST"),
        ("TRACE", "/", "GET,HEAD"),
    ];
    for (method, path, allow) in cases {
        let answer = daemon.send(method, path, &[], None);
        let mut allowed: Vec<&str> = header(&answer, "allow").split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(","), allow, "{method} {path}");
        answer.expect_error(405, "METHOD_NOT_ALLOWED");
    }
    // An id that cannot be one does not exist.
    let long = "x".repeat(4000);
    for id in [
        "no-uuid",
        "%20",
        "a%2Fb",
        "%00",
        "..%2f..",
        "%E2%82%AC",
        &long,
    ] {
        daemon
            .get(&format!("{TASKS}/{id}"))
            .expect_error(404, "RESOURCE_NOT_FOUND");
        daemon
            .get(&format!("{AGENTS}/{id}"))
            .expect_error(404, "RESOURCE_NOT_FOUND");
        daemon
            .get(&format!("/api/plugins/{id}"))
            .expect_error(404, "RESOURCE_NOT_FOUND");
    }
    daemon
        .get(&format!("{TASKS}/%ff%fe"))
        .expect_error(400, "VALIDATION_ERROR");
}

#[test]
fn request_ids_and_times_are_in_every_answer() {
    let daemon = Daemon::start();
    let long = "x".repeat(128);
    let longer = "x".repeat(129);
    let missing = format!("{TASKS}/none");
    // Each path ends otherwise: 200, 404 of the router, 404 of a record, 401.
    for path in ["/health", "/nowhere", &missing, TASKS] {
        let client = if path == TASKS {
            daemon.anonymous()
        } else {
            (*daemon).clone()
        };
        for (id, echoed) in [
            ("a-1._Z", true),
            (&*long, true),
            (&*longer, false),
            ("two words", false),
            ("a/b", false),
        ] {
            let answer = client.send("GET", path, &[("X-Request-ID", id)], None);
            let told = header(&answer, "x-request-id").to_owned();
            match echoed {
                true => assert_eq!(told, id),
                false => is_uuid7(&told),
            }
            let seconds: f64 = header(&answer, "x-response-time").parse().unwrap();
            assert!((0.0..20.0).contains(&seconds), "{seconds}");
            if answer.status >= 400 {
                assert_eq!(answer.body["detail"]["request_id"], told.as_str());
            }
        }
        let fresh = || header(&client.get(path), "x-request-id").to_owned();
        assert_ne!(fresh(), fresh());
    }
}

#[test]
fn no_input_ends_in_a_5xx() {
    let daemon = Daemon::start();
    let openapi = daemon.get("/openapi.json").expect(200);
    let deep = (0..100).fold(json!(1), |inner, _| json!({"parameters": [inner]}));
    let huge = json!({"type": "t", "name": "n", "resource_id": "r", "capacity": 1e308, "unit": "u", "speed": 1e308});
    let bodies = [
        json!([]),
        json!(null),
        json!("x"),
        json!(-1),
        json!(true),
        deep,
        huge,
        json!({"tasks": [{"key": "", "type": ""}], "name": ""}),
        json!({"__proto__": {}, "": "", "\u{0}": "\u{202e}"}),
        json!({"agents": [], "task": {}, "resources": {}, "requests": []}),
        json!({"parameters": {"target": [], "agents": [null]}, "constraints": {"max_cost": -0.0}}),
        json!({"capacity": 0, "unit": "💥", "name": "💥", "type": "💥"}),
    ];
    let values = [
        "",
        "%00",
        "%ff",
        "-1",
        "1e999",
        "NaN",
        "null",
        "%F0%9F%92%A5",
        "x%27%20OR%201=1--",
    ];
    let mut asked = 0;
    let mut check = |answer: Answer, what: String| {
        assert!(answer.status < 500, "{what}: {}", answer.text);
        if answer.status >= 400 {
            let code = answer.body["error"]["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            answer.expect_error(status_of(&code), &code);
        }
        asked += 1;
    };
    for operation in Operation::all(&openapi) {
        let (method, path) = (operation.method.as_str(), operation.path_with("no-such"));
        if operation.takes_a_body() {
            for body in &bodies {
                let bytes = body.to_string().into_bytes();
                check(
                    daemon.send(method, &path, &[], Some(bytes)),
                    format!("{method} {path} {body}"),
                );
            }
        }
        let parameters = operation.body["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for name in parameters
            .iter()
            .filter(|p| p["in"] == "query")
            .map(|p| p["name"].as_str().unwrap())
        {
            for value in values {
                let path = format!("{path}?{name}={value}");
                check(
                    daemon.send(method, &path, &[], None),
                    format!("{method} {path}"),
                );
            }
        }
    }
    assert!(asked > 500, "{asked} requests");
    let health: Value = daemon.get("/health").expect(200);
    assert_eq!(health["status"], "healthy");
}

fn status_of(code: &str) -> u16 {
    match code {
        "VALIDATION_ERROR" => 400,
        "RESOURCE_NOT_FOUND" => 404,
        "CONFLICT" => 409,
        "STRATEGY_REJECTED" => 422,
        other => panic!("no bad input is answered by '{other}'"),
    }
}

/// One answer from a socket; none when it stays silent for a moment.
fn answer(socket: &mut TcpStream) -> Option<String> {
    let mut buffer = [0; 64 * 1024];
    match socket.read(&mut buffer) {
        Ok(n) => Some(String::from_utf8_lossy(&buffer[..n]).into_owned()),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(_) => Some(String::new()),
    }
}

/// Clients keep connections and use them again: a refusal before the body has come either reads
/// the body too, or says that the connection closes (RFC 9112, section 9.6).
#[test]
fn a_refused_request_does_not_break_the_next_one() {
    let daemon = Daemon::start();
    let address = daemon.url.strip_prefix("http://").unwrap();
    for (path, status) in [(TASKS, 401), ("/health", 405), ("/nowhere", 404)] {
        let mut socket = TcpStream::connect(address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let early = answer(&mut socket);
        let refused = match early {
            Some(early) if early.to_ascii_lowercase().contains("connection: close") => {
                assert!(early.starts_with(&format!("HTTP/1.1 {status} ")), "{early}");
                continue;
            }
            Some(early) => {
                let _ = socket.write_all(b"{}");
                early
            }
            None => {
                socket.write_all(b"{}").unwrap();
                eventually("the answer comes after the body", || answer(&mut socket))
            }
        };
        assert!(
            refused.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {refused}"
        );
        let _ = socket.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
        let next = eventually("the next answer", || answer(&mut socket));
        assert!(
            next.starts_with("HTTP/1.1 200 "),
            "{path}: the next request found the connection closed: {next}"
        );
    }
}
