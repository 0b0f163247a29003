//! Keys, roles and tickets: what they open, and that they end.

use serde_json::{Value, json};

use super::{TASKS, header, text};
use crate::support::{Client, Daemon, eventually};

pub(super) const KEYS: &str = "/api/keys";
const ROLES: &str = "/api/roles";

/// A new key's id and secret.
pub(super) fn make(daemon: &Client, body: Value) -> (String, String) {
    let made = daemon.post(KEYS, body).expect(201);
    (text(&made, "key_id"), text(&made, "secret"))
}

fn listed(daemon: &Client, id: &str) -> Value {
    let keys = daemon.get(KEYS).expect(200);
    let mut keys = keys["items"].as_array().unwrap().iter();
    keys.find(|k| k["key_id"] == id).cloned().unwrap()
}

#[test]
fn a_key_s_secret_is_shown_once_and_has_a_form_that_scanners_know() {
    let daemon = Daemon::start();
    let body = json!({"name": "ci", "permissions": ["read"], "domains": ["a", "b"], "expires_at": "2100-01-01T00:00:00Z"});
    let answer = daemon.post(KEYS, body);
    assert_eq!(header(&answer, "cache-control"), "no-store");
    let location = header(&answer, "location").to_owned();
    let made = answer.expect(201);
    let secret = text(&made, "secret");
    assert!(is_well_formed(&secret), "{secret}");
    let one = daemon.get(&location);
    assert!(!one.text.contains(&secret));
    let one = one.expect(200);
    assert_eq!(one["key_id"], made["key_id"]);

    let list = daemon.get(KEYS);
    assert!(
        !list.text.contains(&secret) && !list.text.contains("hash"),
        "{}",
        list.text
    );
    let key = listed(&daemon, &text(&made, "key_id"));
    assert_eq!(key["prefix"], secret[..9]);
    assert_eq!(
        (
            &key["name"],
            &key["permissions"],
            &key["domains"],
            &key["default_domain"],
            &key["status"]
        ),
        (
            &json!("ci"),
            &json!(["read"]),
            &json!(["a", "b"]),
            &json!("a"),
            &json!("active")
        )
    );
    assert_eq!(
        key["rate_limit"],
        json!({"requests": 100, "window_s": 60.0})
    );
    assert_eq!(key["expires_at"], "2100-01-01T00:00:00.000Z");
    assert_eq!(key["last_used_at"], Value::Null);
    daemon.with_key(&secret).get(TASKS).expect(200);
    assert!(listed(&daemon, &text(&made, "key_id"))["last_used_at"].is_string());

    assert!(!daemon.log().contains(&secret), "the log keeps the secret");
    let folder = daemon.data_dir();
    for file in ["nova.db", "nova.db-wal"] {
        let bytes = std::fs::read(folder.join(file)).unwrap_or_default();
        let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
        assert!(!found, "{file} has the secret");
    }
}

#[test]
fn a_bad_key_is_refused_with_the_field_to_blame() {
    let daemon = Daemon::start();
    let cases = [
        (json!({"permissions": ["read"]}), "name"),
        (json!({"name": "", "permissions": ["read"]}), "name"),
        (json!({"name": "x"}), "permissions"),
        (
            json!({"name": "x", "permissions": ["fly"]}),
            "permissions[0]",
        ),
        (json!({"name": "x", "roles": ["nobody"]}), "roles"),
        (json!({"name": "x", "roles": ["no body"]}), "roles[0]"),
        (
            json!({"name": "x", "roles": ["viewer"], "domains": []}),
            "domains",
        ),
        (
            json!({"name": "x", "roles": ["viewer"], "domains": ["a", "b c"]}),
            "domains[1]",
        ),
        (
            json!({"name": "x", "roles": ["viewer"], "domains": ["a"], "default_domain": "b"}),
            "default_domain",
        ),
        (
            json!({"name": "x", "roles": ["viewer"], "expires_at": "2001-01-01T00:00:00Z"}),
            "expires_at",
        ),
        (
            json!({"name": "x", "roles": ["viewer"], "rate_limit": {"requests": 0, "window_s": 1}}),
            "rate_limit.requests",
        ),
        (
            json!({"name": "x", "roles": ["viewer"], "rate_limit": {"requests": 1_000_001, "window_s": 1}}),
            "rate_limit.requests",
        ),
        (
            json!({"name": "x", "roles": ["viewer"], "rate_limit": {"requests": 1, "window_s": 0}}),
            "rate_limit.window_s",
        ),
        (
            json!({"name": "x", "roles": ["viewer"], "rate_limit": {"requests": 1, "window_s": 86_401}}),
            "rate_limit.window_s",
        ),
        (
            json!({"name": "x", "roles": ["viewer"], "secret": "mine"}),
            "secret",
        ),
    ];
    for (body, field) in cases {
        let error = daemon
            .post(KEYS, body.clone())
            .expect_error(400, "VALIDATION_ERROR");
        assert_eq!(error["details"]["field"], field, "{body}: {error}");
    }
    for (method, path) in [
        ("GET", format!("{KEYS}/none")),
        (
            "DELETE",
            format!("{KEYS}/019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50"),
        ),
        (
            "POST",
            format!("{KEYS}/019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50/rotate"),
        ),
    ] {
        daemon
            .send(method, &path, &[], None)
            .expect_error(404, "RESOURCE_NOT_FOUND");
    }
}

#[test]
fn permissions_and_domains_hold() {
    let daemon = Daemon::start();
    let (_, reader) = make(
        &daemon,
        json!({"name": "r", "permissions": ["read"], "domains": ["a"]}),
    );
    let reader = daemon.with_key(&reader);
    reader.get(TASKS).expect(200);
    reader.get(&format!("{TASKS}?domain=a")).expect(200);
    reader
        .get(&format!("{TASKS}?domain=b"))
        .expect_error(403, "PERMISSION_DENIED");
    reader
        .post(TASKS, json!({"type": "t"}))
        .expect_error(403, "PERMISSION_DENIED");
    reader.get(KEYS).expect_error(403, "PERMISSION_DENIED");
    reader
        .post(KEYS, json!({"name": "x", "roles": ["admin"]}))
        .expect_error(403, "PERMISSION_DENIED");

    // An administrator of one domain gives no more than that, and sees no other's keys.
    let all = json!({"name": "a", "permissions": ["read", "write", "admin"], "domains": ["a"]});
    let (_, admin) = make(&daemon, all);
    let admin = daemon.with_key(&admin);
    admin
        .post(KEYS, json!({"name": "x", "roles": ["admin"]}))
        .expect_error(403, "PERMISSION_DENIED");
    make(
        &admin,
        json!({"name": "x", "roles": ["admin"], "domains": ["a"]}),
    );
    let (others, _) = make(
        &daemon,
        json!({"name": "b", "permissions": ["read"], "domains": ["b"]}),
    );
    admin
        .delete(&format!("{KEYS}/{others}"))
        .expect_error(404, "RESOURCE_NOT_FOUND");
    assert!(!admin.get(KEYS).text.contains(&others));
    let role = json!({"permissions": ["read"], "domains": ["a"]});
    admin
        .put(&format!("{ROLES}/mine"), role)
        .expect_error(403, "PERMISSION_DENIED");
}

#[test]
fn a_revoked_key_s_next_request_is_refused_also_after_kill_9() {
    let daemon = Daemon::start();
    let (id, secret) = make(&daemon, json!({"name": "r", "permissions": ["read"]}));
    daemon.with_key(&secret).get(TASKS).expect(200);
    let revoked = daemon.delete(&format!("{KEYS}/{id}")).expect(200);
    assert_eq!(revoked["status"], "revoked");
    daemon
        .with_key(&secret)
        .get(TASKS)
        .expect_error(401, "AUTHENTICATION_ERROR");
    let daemon = daemon.kill_and_restart();
    daemon
        .with_key(&secret)
        .get(TASKS)
        .expect_error(401, "AUTHENTICATION_ERROR");
    let again = daemon.delete(&format!("{KEYS}/{id}")).expect(200);
    assert_eq!(
        again["orchestration"]["revoked_at"],
        revoked["orchestration"]["revoked_at"]
    );
    daemon
        .post(&format!("{KEYS}/{id}/rotate"), json!({}))
        .expect_error(409, "CONFLICT");
}

#[test]
fn a_rotation_serves_both_secrets_during_its_grace() {
    let daemon = Daemon::start();
    let (id, first) = make(&daemon, json!({"name": "r", "permissions": ["read"]}));
    let ask = |secret: &str| daemon.with_key(secret).get(TASKS).status;
    let rotate = |grace_s: f64| {
        let answer = daemon.post(&format!("{KEYS}/{id}/rotate"), json!({"grace_s": grace_s}));
        let answer = answer.expect(200);
        assert_eq!(answer["key_id"], id);
        (text(&answer, "secret"), answer)
    };
    let (second, answer) = rotate(600.0);
    assert!(answer["orchestration"]["former_secret_until"].is_string());
    assert_eq!((ask(&first), ask(&second)), (200, 200));
    let (third, _) = rotate(600.0);
    assert_eq!((ask(&first), ask(&second), ask(&third)), (401, 200, 200));
    let (fourth, answer) = rotate(0.0);
    assert_eq!(answer["orchestration"]["former_secret_until"], Value::Null);
    assert_eq!((ask(&third), ask(&fourth)), (401, 200));
    let (fifth, _) = rotate(0.2);
    eventually("the grace is over", || (ask(&fourth) == 401).then_some(()));
    assert_eq!(ask(&fifth), 200);
    for bad in [json!(-1), json!(2_592_001), json!("soon")] {
        let error = daemon.post(&format!("{KEYS}/{id}/rotate"), json!({"grace_s": bad}));
        assert_eq!(
            error.expect_error(400, "VALIDATION_ERROR")["details"]["field"],
            "grace_s"
        );
    }
    daemon
        .send("POST", &format!("{KEYS}/{id}/rotate"), &[], None)
        .expect(200);
}

#[test]
fn a_key_ends_when_it_expires() {
    let daemon = Daemon::start();
    let soon = in_ms(400);
    let (id, secret) = make(
        &daemon,
        json!({"name": "r", "permissions": ["read"], "expires_at": soon}),
    );
    eventually("the key ends", || {
        let answer = daemon.with_key(&secret).get(TASKS);
        (answer.status == 401).then_some(())
    });
    assert_eq!(listed(&daemon, &id)["status"], "expired");
}

/// So many milliseconds from now, as RFC 3339.
fn in_ms(ms: u128) -> String {
    let at = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() + ms;
    let (mut days, of_day) = (at / 86_400_000, at % 86_400_000);
    let leap = |year: u128| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u128::from(leap(year)) {
        days -= 365 + u128::from(leap(year));
        year += 1;
    }
    let lengths = [
        31,
        28 + u128::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (seconds, ms) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!(
        "{year}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z",
        month + 1,
        days + 1
    )
}

/// What a scanner for leaked secrets checks: the prefix, and in the last six characters the CRC-32 of all before
/// them, in base 62.
fn is_well_formed(secret: &str) -> bool {
    let (body, sum) = secret.split_at(secret.len() - 6);
    let mut crc = u32::MAX;
    for byte in body.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let digit = |c: u8| match c {
        b'0'..=b'9' => c - b'0',
        b'A'..=b'Z' => c - b'A' + 10,
        _ => c - b'a' + 36,
    };
    let said = sum
        .bytes()
        .fold(0_u64, |sum, c| sum * 62 + u64::from(digit(c)));
    body.starts_with("nova_") && body.len() == 48 && said == u64::from(!crc)
}

#[test]
fn roles_give_what_they_say_at_once() {
    let daemon = Daemon::start();
    let built_in = daemon.get(ROLES).expect(200);
    let names: Vec<&str> = built_in["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["admin", "agent", "operator", "viewer"]);

    let path = format!("{ROLES}/builders");
    let put = |permissions: Value, expected: &str| {
        let body = json!({"permissions": permissions, "domains": ["a"]}).to_string();
        daemon.send(
            "PUT",
            &path,
            &[("If-Match", expected)],
            Some(body.into_bytes()),
        )
    };
    let made = put(json!(["read"]), "*");
    assert_eq!(header(&made, "location"), path);
    assert_eq!(made.expect(201)["orchestration"]["version"], 1);
    let (id, secret) = make(&daemon, json!({"name": "b", "roles": ["builders"]}));
    let builder = daemon.with_key(&secret);
    let in_a = format!("{TASKS}?domain=a");
    builder.get(&in_a).expect(200);
    builder.get(TASKS).expect_error(403, "PERMISSION_DENIED");
    builder
        .post(&in_a, json!({"type": "t"}))
        .expect_error(403, "PERMISSION_DENIED");
    let changed = put(json!(["read", "write"]), "\"1\"");
    assert_eq!(header(&changed, "etag"), "\"2\"");
    changed.expect(200);
    builder.post(&in_a, json!({"type": "t"})).expect(201);
    put(json!(["read"]), "\"1\"").expect_error(409, "CONFLICT");

    let daemon = daemon.kill_and_restart();
    let builder = daemon.with_key(&secret);
    builder.post(&in_a, json!({"type": "t"})).expect(201);
    assert_eq!(
        listed(&daemon, &id)["grants"],
        json!([{"permissions": ["read", "write"], "domains": ["a"]}])
    );
    daemon.delete(&path).expect_error(409, "CONFLICT");
    daemon.delete(&format!("{KEYS}/{id}")).expect(200);
    assert_eq!(daemon.delete(&path).expect(200)["status"], "deleted");
    daemon.get(&path).expect_error(404, "RESOURCE_NOT_FOUND");
    let anything = json!({"permissions": ["read"], "domains": ["*"]});
    daemon
        .put(&format!("{ROLES}/viewer"), anything.clone())
        .expect_error(409, "CONFLICT");
    daemon
        .delete(&format!("{ROLES}/viewer"))
        .expect_error(409, "CONFLICT");
    daemon
        .put(&format!("{ROLES}/no%20name"), anything)
        .expect_error(400, "VALIDATION_ERROR");
    for bad in [
        json!({"permissions": [], "domains": ["*"]}),
        json!({"permissions": ["read"], "domains": []}),
    ] {
        daemon.put(&path, bad).expect_error(400, "VALIDATION_ERROR");
    }
}

#[test]
fn a_change_of_a_key_is_in_the_log() {
    let mut daemon = Daemon::start();
    let (id, _) = make(&daemon, json!({"name": "r", "permissions": ["read"]}));
    daemon
        .post(&format!("{KEYS}/{id}/rotate"), json!({}))
        .expect(200);
    daemon.delete(&format!("{KEYS}/{id}")).expect(200);
    daemon.terminate();
    assert!(daemon.wait().success());
    let log = daemon.log();
    for change in ["created", "rotated", "revoked"] {
        let told = log
            .lines()
            .any(|l| l.contains("API key changed") && l.contains(change) && l.contains(&id));
        assert!(told, "{change}: {log}");
    }
}

#[test]
fn tickets_are_issued_to_who_may_read_and_are_bounded() {
    let daemon = Daemon::start();
    let ticket = daemon.post("/api/auth/tickets", json!({}));
    assert_eq!(header(&ticket, "cache-control"), "no-store");
    let ticket = ticket.expect(200);
    assert!(text(&ticket, "ticket").starts_with("novat_"));
    // A ticket is no key, and nowhere but at the socket's path a parameter.
    let anybody = daemon.anonymous();
    daemon
        .with_key(&text(&ticket, "ticket"))
        .get(TASKS)
        .expect_error(401, "AUTHENTICATION_ERROR");
    anybody
        .get(&format!("{TASKS}?ticket={}", text(&ticket, "ticket")))
        .expect_error(401, "AUTHENTICATION_ERROR");
    let (_, writer) = make(&daemon, json!({"name": "w", "permissions": ["write"]}));
    daemon
        .with_key(&writer)
        .post("/api/auth/tickets", json!({}))
        .expect_error(403, "PERMISSION_DENIED");
    let limit = json!({"requests": 1000, "window_s": 60});
    let (_, reader) = make(
        &daemon,
        json!({"name": "r", "permissions": ["read"], "rate_limit": limit}),
    );
    let reader = daemon.with_key(&reader);
    let ask = || reader.send("POST", "/api/auth/tickets", &[], None);
    assert!((0..100).all(|_| ask().status == 200));
    let refused = ask();
    let wait: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    refused.expect_error(429, "RATE_LIMIT_EXCEEDED");
}
