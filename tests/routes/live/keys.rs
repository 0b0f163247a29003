//! A socket and its key: tickets, one budget with REST, and the end of the key.

use serde_json::{Value, json};

use super::{is_alive, text};
use crate::routes::TASKS;
use crate::support::{Client, Daemon, Socket};

const KEYS: &str = "/api/keys";
/// Policy violation, RFC 6455.
const POLICY: u16 = 1008;

/// A new key's id, and a client that has it.
fn make(daemon: &Client, body: Value) -> (String, Client) {
    let made = daemon.post(KEYS, body).expect(201);
    let client = daemon.with_key(&text(&made, "secret"));
    (text(&made, "key_id"), client)
}

fn flows() -> Value {
    json!({"type": "subscribe", "topics": ["tasks"]})
}

#[test]
fn a_ticket_opens_one_socket_once() {
    let daemon = Daemon::start();
    let ticket = daemon.post("/api/auth/tickets", json!({})).expect(200);
    let query = format!("?ticket={}", text(&ticket, "ticket"));
    let browser = daemon.anonymous();
    is_alive(&mut Socket::open(&browser, &query));
    for bad in [&query as &str, "?ticket=novat_unknown", "?ticket="] {
        let (status, body) = Socket::try_open(&browser, bad).err().unwrap();
        assert_eq!(
            (status, &body["error"]["code"]),
            (401, &json!("AUTHENTICATION_ERROR"))
        );
    }
    // A ticket ends with its key.
    let (id, reader) = make(&daemon, json!({"name": "r", "permissions": ["read"]}));
    let ticket = reader.post("/api/auth/tickets", json!({})).expect(200);
    daemon.delete(&format!("{KEYS}/{id}")).expect(200);
    let query = format!("?ticket={}", text(&ticket, "ticket"));
    assert_eq!(Socket::try_open(&browser, &query).err().unwrap().0, 401);
}

#[test]
fn messages_and_requests_have_one_budget_and_a_refused_one_leaves_the_socket_open() {
    let daemon = Daemon::start();
    let limit = json!({"requests": 4, "window_s": 3600});
    let (_, client) = make(
        &daemon,
        json!({"name": "r", "permissions": ["read"], "rate_limit": limit}),
    );
    let mut socket = Socket::open(&client, "");
    client.get(TASKS).expect(200);
    socket.send(flows());
    socket.recv_type("subscribed");
    // Neither asks for work.
    (0..10).for_each(|_| is_alive(&mut socket));
    let last = client.get(TASKS);
    assert_eq!(last.headers["ratelimit-remaining"], "0");
    socket.send(json!({"type": "flow_analytics"}));
    let refused = socket.recv_type("error");
    assert_eq!(refused["error"]["code"], "RATE_LIMIT_EXCEEDED");
    assert_eq!(refused["request"]["type"], "flow_analytics");
    client.get(TASKS).expect_error(429, "RATE_LIMIT_EXCEEDED");
    is_alive(&mut socket);
}

#[test]
fn the_end_of_a_key_ends_its_sockets_and_no_other() {
    let daemon = Daemon::start();
    let (id, client) = make(&daemon, json!({"name": "r", "permissions": ["read"]}));
    let mut sockets = [Socket::open(&client, ""), Socket::open(&client, "")];
    let mut other = Socket::open(&daemon, "");
    sockets[0].send(flows());
    sockets[0].recv_type("subscribed");
    daemon
        .post(&format!("{KEYS}/{id}/rotate"), json!({}))
        .expect(200);
    sockets.iter_mut().for_each(is_alive);
    daemon.delete(&format!("{KEYS}/{id}")).expect(200);
    for socket in &mut sockets {
        assert_eq!(socket.close_code(), POLICY);
    }
    is_alive(&mut other);

    let role = |permissions: Value| {
        let body = json!({"permissions": permissions, "domains": ["general"]});
        assert!(daemon.put("/api/roles/watchers", body).status < 300);
    };
    role(json!(["read"]));
    let (_, watcher) = make(&daemon, json!({"name": "w", "roles": ["watchers"]}));
    let mut socket = Socket::open(&watcher, "");
    role(json!(["write"]));
    assert_eq!(socket.close_code(), POLICY);
    is_alive(&mut other);
}
