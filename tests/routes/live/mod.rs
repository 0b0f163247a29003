//! The WebSocket: who gets in, what is answered, how it ends.

mod ends;
mod keys;
mod many;
mod streams;

use serde_json::{Value, json};

use super::{AGENTS, is_time, number, text};
use crate::support::{Daemon, Options, Socket};

/// A daemon with these keys of `[websocket]`.
fn daemon(keys: &[(&str, &str)]) -> Daemon {
    let name = |key: &str| format!("NOVA_WEBSOCKET__{}", key.to_uppercase());
    Daemon::with(Options {
        env: keys
            .iter()
            .map(|(key, value)| (name(key), (*value).to_owned()))
            .collect(),
        ..Options::default()
    })
}

/// Is still served.
fn is_alive(socket: &mut Socket) {
    assert_eq!(socket.ask(json!({"type": "ping"})), json!({"type": "pong"}));
}

#[test]
fn a_key_is_asked_for_before_the_upgrade() {
    let daemon = Daemon::start();
    for client in [
        daemon.anonymous(),
        daemon.with_key("not-the-key-of-this-daemon"),
    ] {
        let (status, body) = Socket::try_open(&client, "").err().unwrap();
        assert_eq!(status, 401);
        assert_eq!(body["error"]["code"], "AUTHENTICATION_ERROR");
    }
    let (status, body) = Socket::try_open(&daemon, "?domian=x").err().unwrap();
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("VALIDATION_ERROR"))
    );
    let plain = daemon.get("/api/analytics/ws");
    let error = plain.expect_error(400, "VALIDATION_ERROR");
    assert!(text(&error, "message").contains("WebSocket"), "{error}");
    is_alive(&mut Socket::open(&daemon, ""));
}

#[test]
fn the_document_has_the_messages() {
    let daemon = Daemon::start();
    let openapi = daemon.get("/openapi.json").expect(200);
    let operation = &openapi["paths"]["/api/analytics/ws"]["get"];
    assert!(operation["responses"]["101"].is_object(), "{operation}");
    for (side, kinds) in [
        ("client", ["subscribe", "ping", "agent_analytics"]),
        ("server", ["analytics_update", "event", "lagged"]),
    ] {
        let name = operation[format!("x-{side}-message")]["$ref"]
            .as_str()
            .unwrap();
        let schema = openapi.pointer(name.strip_prefix('#').unwrap()).unwrap();
        for kind in kinds {
            assert!(
                schema.to_string().contains(&format!("\"{kind}\"")),
                "{schema}"
            );
        }
    }
}

#[test]
fn a_question_is_answered_once_as_the_get_answers_it() {
    let daemon = Daemon::start();
    let agent = json!({"agent_id": "worker", "name": "Worker"});
    daemon.post(AGENTS, agent).expect(201);
    let mut socket = Socket::open(&daemon, "");
    for (kind, scope, subject) in [
        ("flow_analytics", "flows", None),
        ("resource_analytics", "resources", None),
        ("agent_analytics", "agents", None),
        ("agent_analytics", "agents", Some("worker")),
    ] {
        let mut message = json!({"type": kind, "domain": "general"});
        if let Some(subject) = subject {
            message["agent_id"] = json!(subject);
        }
        let update = socket.ask(message);
        assert_eq!(update["type"], "analytics_update", "{update}");
        assert_eq!(update["subject"], json!(subject));
        assert_eq!(update["topic"], scope);
        assert_eq!(update["analytics"]["scope"], scope);
        assert!(update["insights"].is_array());
        assert!((0.0..=1.0).contains(&number(&update["confidence"])));
        assert_eq!(update["strategy"]["plugin"], "pulse");
        is_time(&update["timestamp"]);
        let mut get = daemon.get(&format!("/api/analytics/{scope}")).expect(200);
        let fields = get.as_object_mut().unwrap();
        for name in fields.keys() {
            assert!(!update[name].is_null(), "{name} in {update}");
        }
    }
    is_alive(&mut socket);
}

#[test]
fn what_is_wrong_is_said_and_the_socket_stays_open() {
    let daemon = daemon(&[("message_max_bytes", "4096"), ("subscriptions_max", "2")]);
    let mut socket = Socket::open(&daemon, "");
    let cases: [(Value, &str, &str); 16] = [
        (json!([]), "VALIDATION_ERROR", ""),
        (json!("ping"), "VALIDATION_ERROR", ""),
        (json!({}), "VALIDATION_ERROR", "type"),
        (json!({"type": 3}), "VALIDATION_ERROR", "type"),
        (json!({"type": "pong"}), "VALIDATION_ERROR", "type"),
        (json!({"type": "ping", "at": 1}), "VALIDATION_ERROR", "type"),
        (
            json!({"type": "flow_analytics", "agent_id": "a"}),
            "VALIDATION_ERROR",
            "agent_id",
        ),
        (
            json!({"type": "flow_analytics", "window_s": 0}),
            "VALIDATION_ERROR",
            "window_s",
        ),
        (
            json!({"type": "flow_analytics", "flow_id": "nothing"}),
            "RESOURCE_NOT_FOUND",
            "",
        ),
        (
            json!({"type": "agent_analytics", "agent_id": "no id"}),
            "RESOURCE_NOT_FOUND",
            "",
        ),
        (json!({"type": "subscribe"}), "VALIDATION_ERROR", "topics"),
        (
            json!({"type": "subscribe", "topics": []}),
            "VALIDATION_ERROR",
            "topics",
        ),
        (
            json!({"type": "subscribe", "topics": ["weather"]}),
            "VALIDATION_ERROR",
            "topics[0]",
        ),
        (
            json!({"type": "subscribe", "topics": ["flows"], "interval_ms": 1}),
            "VALIDATION_ERROR",
            "interval_ms",
        ),
        (
            json!({"type": "subscribe", "topics": ["flows"], "since_seq": 1_000_000}),
            "VALIDATION_ERROR",
            "since_seq",
        ),
        (
            json!({"type": "subscribe", "topics": ["flows", "tasks", "agents"]}),
            "VALIDATION_ERROR",
            "topics",
        ),
    ];
    for (message, code, field) in cases {
        let error = socket.ask(message.clone());
        assert_eq!(error["type"], "error", "{message}: {error}");
        assert_eq!(error["error"]["code"], code, "{message}: {error}");
        assert_eq!(error["request"], message);
        assert!(!text(&error["error"], "message").is_empty());
        if !field.is_empty() {
            assert_eq!(error["error"]["details"]["field"], field, "{error}");
        }
    }
    socket.send_text("{\"type\": ");
    assert_eq!(socket.recv()["error"]["code"], "VALIDATION_ERROR");
    socket.send_binary(b"{\"type\": \"ping\"}");
    assert_eq!(socket.recv()["error"]["code"], "VALIDATION_ERROR");
    let exact = format!("{{\"type\":\"ping\"}}{}", " ".repeat(4096 - 15));
    socket.send_text(&exact);
    assert_eq!(socket.recv()["type"], "pong");
    socket.send_text(&format!("{exact} "));
    assert_eq!(socket.recv()["error"]["code"], "PAYLOAD_TOO_LARGE");
    is_alive(&mut socket);
    socket.send_text(&" ".repeat(4 * 4096));
    assert_eq!(socket.close_code(), 1009);
}
