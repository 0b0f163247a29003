//! What it costs to recognise a key, and to count its request, against the keyed hash alone.

use std::hint::black_box;
use std::time::Instant;

use nova_core::services::{KeyView, NewKey, Services};
use nova_core::{Permission, RateLimit};

const CALLS: u32 = 200_000;
const ROUNDS: usize = 5;

/// Prints the table.
pub(crate) async fn run(services: &Services) {
    let keys = &services.keys;
    println!("\nnanoseconds of a key's way in, best of {ROUNDS} × {CALLS}");
    println!("{:<44} {:>8} {:>8}", "", "ns", "more");
    // Of no key at all: the hash and a look-up that finds nothing.
    let stranger = best(|| drop(black_box(keys.authenticate("nova_unknown"))));
    row("the hash of an unknown secret", stranger, stranger);
    for (name, requests, window_ms) in [
        ("admitted, 100 in 60 s (exact; then refused)", 100, 60_000),
        (
            "admitted, 1,000,000 in 1 s (buckets)",
            RateLimit::REQUESTS_MAX,
            1000,
        ),
        ("admitted, 1,000 in 1 ms (exact, much to forget)", 1000, 1),
    ] {
        let limit = RateLimit {
            requests,
            window_ms,
        };
        let (view, secret) = key(services, limit).await;
        let known = best(|| drop(black_box(keys.authenticate(&secret))));
        row("the key is recognised", known, stranger);
        let admitted = best(|| drop(black_box(keys.admit(&secret))));
        row(name, admitted, known);
        let id = view.key.key_id;
        let taken = best(|| drop(black_box(keys.take(id))));
        row("  a message of its WebSocket", taken, 0.0);
    }
}

async fn key(services: &Services, limit: RateLimit) -> (KeyView, String) {
    let new = NewKey {
        permissions: [Permission::Read].into(),
        rate_limit: Some(limit),
        ..NewKey::default()
    };
    services.keys.create(None, new).await.unwrap()
}

/// Nanoseconds of one call.
fn best(call: impl Fn()) -> f64 {
    let round = |_| {
        let began = Instant::now();
        (0..CALLS).for_each(|_| call());
        began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

fn row(name: &str, ns: f64, base: f64) {
    println!("{name:<44} {ns:>8.0} {:>8.0}", ns - base);
}
