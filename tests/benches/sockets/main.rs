//! The subscribers' benchmark: many WebSockets that follow one stream, and one that never reads.
//!
//! `cargo xtask bench sockets` starts the daemon, opens 5,000 subscribers on loopback and records 100 events a
//! second for ten seconds. It prints what arrived and when, and what the daemon's memory did; then what one
//! subscriber that never reads costs. Both ends of every socket need a file handle: `ulimit -n 16384`.
//! Other sizes: `cargo bench --workspace --bench sockets -- SUBSCRIBERS EVENTS_PER_S SECONDS`.
//! Timings are never asserted: machines differ and are noisy.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

#[path = "../common/daemon.rs"]
mod daemon;
mod subscriber;

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use daemon::Daemon;
use subscriber::{Counts, follow, never_read};

/// Requests that record events, in a second.
const BATCHES_PER_S: u32 = 10;
/// Sockets that are opened at a time.
const OPENING: usize = 64;
/// How long the last events may take to arrive.
const SETTLE: Duration = Duration::from_secs(60);

fn main() {
    let numbers: Vec<u32> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let number = |at: usize, default| numbers.get(at).copied().unwrap_or(default);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let daemon = Daemon::start("dev", Stdio::null());
        many(
            &daemon,
            number(0, 5000) as usize,
            number(1, 100),
            number(2, 10),
        )
        .await;
        one_that_never_reads(&daemon).await;
    });
}

async fn many(daemon: &Daemon, subscribers: usize, events_per_s: u32, seconds: u32) {
    // What the first requests allocate belongs to no subscriber.
    daemon.record(10, Instant::now()).await;
    let idle = daemon.resident_bytes();
    let counts = Arc::new(Counts::default());
    let began = Instant::now();
    for start in (0..subscribers).step_by(OPENING) {
        let group = start..subscribers.min(start + OPENING);
        let opening: Vec<_> = group
            .map(|_| tokio::spawn(follow(daemon.address.clone(), Arc::clone(&counts))))
            .collect();
        for one in opening {
            one.await.unwrap();
        }
    }
    let opened = began.elapsed();
    let open = daemon.resident_bytes();

    let (cpu, start) = (daemon.cpu_s(), Instant::now());
    counts.start(start);
    let mut tick = tokio::time::interval(Duration::from_secs(1) / BATCHES_PER_S);
    let mut sent = 0;
    let mut peak = open;
    for _ in 0..seconds * BATCHES_PER_S {
        tick.tick().await;
        daemon.record(events_per_s / BATCHES_PER_S, start).await;
        sent += u64::from(events_per_s / BATCHES_PER_S);
        peak = peak.max(daemon.resident_bytes());
    }
    let recorded_in = start.elapsed();
    let expected = sent * subscribers as u64;
    while counts.events.load(Relaxed) < expected && start.elapsed() < recorded_in + SETTLE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = start.elapsed();
    peak = peak.max(daemon.resident_bytes());
    let cpu = daemon.cpu_s() - cpu;

    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let received = counts.events.load(Relaxed);
    println!("{subscribers} subscribers, {events_per_s} events/s for {seconds} s");
    println!(
        "  opened in                  {:>10.2} s",
        opened.as_secs_f64()
    );
    println!(
        "  events recorded            {sent:>10} in {:.2} s",
        recorded_in.as_secs_f64()
    );
    println!(
        "  messages received          {received:>10} of {expected}, in {:.2} s",
        took.as_secs_f64()
    );
    println!(
        "  messages told as missed    {:>10}",
        counts.missed.load(Relaxed)
    );
    println!(
        "  out of order or repeated   {:>10}",
        counts.disorder.load(Relaxed)
    );
    let [p50, p99, most] = counts.latency_ms();
    println!(
        "  from the client to all     {p50:>10.1} ms median, {p99:.1} ms p99, {most:.1} ms most"
    );
    println!(
        "  daemon's CPU               {:>10.2} s, {:.2} µs a message",
        cpu,
        1e6 * cpu / received.max(1) as f64
    );
    println!("  daemon's memory, idle      {:>10.1} MiB", mib(idle));
    println!(
        "    above it, sockets open   {:>10.1} MiB",
        mib(open.saturating_sub(idle))
    );
    println!(
        "    above it, at most        {:>10.1} MiB, {:.0} bytes a subscriber",
        mib(peak.saturating_sub(idle)),
        peak.saturating_sub(idle) as f64 / subscribers.max(1) as f64
    );
    counts.end();
}

/// What a subscriber that never reads costs beside one that reads, over the same events.
async fn one_that_never_reads(daemon: &Daemon) {
    let start = Instant::now();
    let mut grown = Vec::new();
    for reads in [true, false] {
        let counts = Arc::new(Counts::default());
        counts.start(start);
        let stuck = if reads {
            follow(daemon.address.clone(), Arc::clone(&counts)).await;
            None
        } else {
            Some(never_read(&daemon.address).await)
        };
        // Beyond what the connection takes: several megabytes each.
        daemon.record(1000, start).await;
        let before = daemon.resident_bytes();
        for _ in 0..100 {
            daemon.record(1000, start).await;
        }
        grown.push(daemon.resident_bytes().saturating_sub(before));
        counts.end();
        drop(stuck);
    }
    println!("100,000 events past one subscriber, growth of the daemon's memory");
    println!("  that reads                 {:>10} KiB", grown[0] >> 10);
    println!("  that never reads           {:>10} KiB", grown[1] >> 10);
}
