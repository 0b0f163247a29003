//! How often a key may ask, and an address may fail.

use serde_json::json;

use super::keys::{KEYS, make};
use super::{AGENTS, RESOURCES, TASKS, header, text};
use crate::support::{ADMIN_KEY, Answer, Daemon, Options, eventually};

/// The three headers of a budget.
fn budget(answer: &Answer) -> (u32, u32, u32) {
    let number = |name| header(answer, name).parse().unwrap();
    (
        number("ratelimit-limit"),
        number("ratelimit-remaining"),
        number("ratelimit-reset"),
    )
}

#[test]
fn a_key_that_asks_too_often_is_told_when_to_come_again() {
    let daemon = Daemon::start();
    let limit = json!({"requests": 3, "window_s": 3600});
    let (id, secret) = make(
        &daemon,
        json!({"name": "r", "permissions": ["read"], "rate_limit": limit}),
    );
    let client = daemon.with_key(&secret);
    let (first, second) = (client.get(TASKS), client.get(AGENTS));
    assert_eq!(budget(&first), (3, 2, 3600));
    assert_eq!(budget(&second).1, 1);
    // What is refused for another reason counts too.
    let third = client.post(TASKS, json!({"type": "t"}));
    assert_eq!((third.status, budget(&third).1), (403, 0));
    let refused = client.get(RESOURCES);
    let wait: u32 = header(&refused, "retry-after").parse().unwrap();
    assert_eq!(budget(&refused), (3, 0, wait));
    assert!((3500..=3600).contains(&wait), "{wait}");
    let error = refused.expect_error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(error["details"]["retry_after_s"], wait);
    // A rotation gives no new budget; another key has its own.
    let rotated = daemon
        .post(&format!("{KEYS}/{id}/rotate"), json!({}))
        .expect(200);
    assert_eq!(
        daemon.with_key(&text(&rotated, "secret")).get(TASKS).status,
        429
    );
    assert_eq!(daemon.get(TASKS).status, 200);
    assert!(
        daemon
            .anonymous()
            .get("/metrics")
            .text
            .contains("nova_rate_limit_refused_total{subject=\"key\"}")
    );

    let (_, short) = make(
        &daemon,
        json!({"name": "r", "permissions": ["read"], "rate_limit": {"requests": 1, "window_s": 0.3}}),
    );
    let short = daemon.with_key(&short);
    short.get(TASKS).expect(200);
    eventually("the window has slid on", || {
        (short.get(TASKS).status == 200).then_some(())
    });
}

#[test]
fn the_default_limit_is_the_configured_one() {
    let env = [
        ("NOVA_AUTH__RATE_REQUESTS", "5"),
        ("NOVA_AUTH__RATE_WINDOW_S", "600"),
        ("NOVA_AUTH__OPERATOR_RATE_REQUESTS", "7"),
    ];
    let daemon = Daemon::with(Options {
        env: env.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ..Options::default()
    });
    let (_, secret) = make(&daemon, json!({"name": "r", "permissions": ["read"]}));
    assert_eq!(budget(&daemon.with_key(&secret).get(TASKS)).0, 5);
    assert_eq!(budget(&daemon.get(TASKS)).0, 7);
}

#[test]
fn failed_authentications_of_an_address_are_limited_and_lock_nobody_out() {
    let daemon = Daemon::with(Options {
        env: vec![("NOVA_AUTH__FAILURES_MAX".to_owned(), "3".to_owned())],
        ..Options::default()
    });
    let stranger = daemon.with_key("not-the-key-of-this-daemon");
    for _ in 0..3 {
        stranger
            .get(TASKS)
            .expect_error(401, "AUTHENTICATION_ERROR");
    }
    let refused = stranger.get(TASKS);
    let wait: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    refused.expect_error(429, "RATE_LIMIT_EXCEEDED");
    // From the same address: who has a key, and who has sent none.
    daemon.with_key(ADMIN_KEY).get(TASKS).expect(200);
    daemon
        .anonymous()
        .get(TASKS)
        .expect_error(401, "AUTHENTICATION_ERROR");
    daemon.anonymous().get("/health").expect(200);
}
