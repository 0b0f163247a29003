//! How a socket ends, and how many there may be.

use serde_json::json;

use super::{daemon, is_alive};
use crate::support::{Daemon, Socket, eventually};

fn metric(daemon: &Daemon, line: &str) -> Option<f64> {
    let text = daemon.get("/metrics").text;
    let found = text.lines().find_map(|l| l.strip_prefix(line))?;
    found.trim().parse().ok()
}

#[test]
fn a_silent_peer_is_closed_and_one_that_answers_pings_is_not() {
    let daemon = daemon(&[("ping_interval_ms", "50"), ("silent_ms", "400")]);
    let (mut silent, mut alive) = (Socket::open(&daemon, ""), Socket::open(&daemon, ""));
    // Twice the time after which a silent one is closed.
    for _ in 0..16 {
        alive.wait_for_ping();
    }
    is_alive(&mut alive);
    let closed = "nova_ws_closed_total{reason=\"silent\"}";
    eventually("the silent one is closed", || metric(&daemon, closed));
    assert_eq!(silent.close_code(), 1001);
    is_alive(&mut alive);
    assert_eq!(metric(&daemon, closed), Some(1.0));
}

#[test]
fn a_drain_closes_sockets_and_the_daemon_ends() {
    let mut daemon = Daemon::start();
    let (mut idle, mut busy) = (Socket::open(&daemon, ""), Socket::open(&daemon, ""));
    busy.ask(json!({"type": "subscribe", "topics": ["tasks", "agents"], "interval_ms": 1000}));
    daemon.terminate();
    assert_eq!(idle.close_code(), 1001);
    assert_eq!(busy.close_code(), 1001);
    assert!(daemon.wait().success());
}

#[test]
fn no_more_sockets_than_allowed_are_open() {
    let daemon = daemon(&[("sockets_max", "2")]);
    let (first, second) = (Socket::open(&daemon, ""), Socket::open(&daemon, ""));
    let (status, body) = Socket::try_open(&daemon, "").err().unwrap();
    assert_eq!(status, 503);
    assert_eq!(body["error"]["code"], "SERVICE_UNAVAILABLE");
    assert_eq!(metric(&daemon, "nova_ws_sockets"), Some(2.0));
    // A peer that has gone away gives its place back.
    drop(first);
    let mut again = eventually("a place is free", || Socket::try_open(&daemon, "").ok());
    is_alive(&mut again);
    drop(second);
}
