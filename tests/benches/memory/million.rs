//! Memory at size: how fast it is filled, searched and started again, and what it takes.

use std::time::Instant;

use serde_json::{Value, json};

use crate::quantile::quantile;
use crate::support::Daemon;
use crate::{import, indexed};

/// Memories without `NOVA_BENCH_MEMORIES`.
const DEFAULT: usize = 100_000;
const DOMAINS: usize = 3;
/// Lines of one import.
const CHUNK: usize = 10_000;
const QUERIES: usize = 200;
/// Words of the made-up vocabulary, and bytes of a text.
const WORDS: u64 = 20_000;
const TEXT_BYTES: usize = 200;

/// Prints the figures.
pub fn run() {
    let asked = std::env::var("NOVA_BENCH_MEMORIES").ok();
    let count: usize = asked.map_or(DEFAULT, |text| {
        text.parse().expect("NOVA_BENCH_MEMORIES: a number")
    });
    println!("\n{count} memories of about {TEXT_BYTES} bytes in {DOMAINS} domains");
    let daemon = Daemon::start();
    indexed(&daemon);
    let mut random = Random(7);
    let began = Instant::now();
    let mut stored = 0;
    while stored < count {
        let part = CHUNK.min(count - stored);
        let lines: Vec<Value> = (stored..stored + part)
            .map(|i| json!({"content": text(&mut random, i), "metadata": {"kind": i % 10, "n": i}}))
            .collect();
        import(&daemon, &domain(stored / CHUNK), &lines);
        stored += part;
        if stored % (CHUNK * 10) == 0 || stored == count {
            let rate = stored as f64 / began.elapsed().as_secs_f64();
            println!("    {stored} stored, {rate:.0} a second");
        }
    }
    println!(
        "store rate through the import      {:>10.0} /s",
        count as f64 / began.elapsed().as_secs_f64()
    );
    singly(&daemon, &mut random);
    search(&daemon, &mut random);
    settled(&daemon);
    memory(&daemon);
    search(&daemon, &mut random);

    let began = Instant::now();
    let daemon = daemon.kill_and_restart();
    println!(
        "ready again after kill -9          {:>10.2} s",
        began.elapsed().as_secs_f64()
    );
    indexed(&daemon);
    println!(
        "index complete after               {:>10.2} s",
        began.elapsed().as_secs_f64()
    );
    memory(&daemon);
    search(&daemon, &mut random);
}

/// The daemon's own, and with the pages of its files, which the kernel takes back when it needs them.
fn memory(daemon: &Daemon) {
    let (own, all) = (daemon.own_bytes() as f64, daemon.resident_bytes() as f64);
    println!(
        "resident memory                    {:>10.0} MB, {:.0} MB with mapped files",
        own / 1e6,
        all / 1e6
    );
}

/// Waits until the background has consolidated all, so that what is measured next is not its work as well.
fn settled(daemon: &Daemon) {
    let began = Instant::now();
    for i in 0..DOMAINS {
        let path = format!("/api/orchestration/memory/consolidate?domain={}", domain(i));
        while daemon.post(&path, json!({})).expect(200)["orchestration"]["waiting"] != 0 {}
    }
    println!(
        "the rest consolidated in           {:>10.0} s",
        began.elapsed().as_secs_f64()
    );
}

/// One request a memory, one client.
fn singly(daemon: &Daemon, random: &mut Random) {
    let count = 1000;
    let began = Instant::now();
    for i in 0..count {
        let body = json!({"content": text(random, usize::MAX - i), "metadata": {"kind": 99}});
        daemon
            .post("/api/orchestration/memory/store?domain=size-0", body)
            .expect(201);
    }
    println!(
        "store rate, one by one             {:>10.0} /s",
        f64::from(count as u32) / began.elapsed().as_secs_f64()
    );
}

fn search(daemon: &Daemon, random: &mut Random) {
    let mut times = Vec::with_capacity(QUERIES);
    let before = daemon.cpu_s();
    for i in 0..QUERIES {
        let query: Vec<String> = (0..4).map(|_| word(random)).collect();
        let body = json!({"query": query.join(" "), "filter": {"kind": {"lt": 5}}, "limit": 10});
        let path = format!("/api/orchestration/memory/search?domain={}", domain(i));
        let began = Instant::now();
        let answer = daemon.post(&path, body).expect(200);
        times.push(began.elapsed().as_secs_f64() * 1e3);
        assert_eq!(answer["orchestration"]["mode"], "hybrid");
    }
    let cpu_ms = (daemon.cpu_s() - before) * 1e3 / QUERIES as f64;
    println!(
        "hybrid search with a filter        {:>10.2} ms p50, {:.2} ms p99, {cpu_ms:.2} ms of CPU each",
        quantile(&times, 0.5),
        quantile(&times, 0.99),
    );
}

fn domain(i: usize) -> String {
    format!("size-{}", i % DOMAINS)
}

fn text(random: &mut Random, i: usize) -> String {
    let mut text = format!("note {i}");
    while text.len() < TEXT_BYTES {
        text.push(' ');
        text.push_str(&word(random));
    }
    text
}

/// Words as common as in a language: the n-th about 1/n as often as the first.
fn word(random: &mut Random) -> String {
    let uniform = (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
    let rank = ((WORDS as f64).powf(uniform)) as u64;
    // Letters of the rank, so that words look like words.
    let mut number = rank.wrapping_mul(2_654_435_761) % 11_881_376;
    let mut word = String::new();
    for _ in 0..5 {
        word.push((b'a' + (number % 26) as u8) as char);
        number /= 26;
    }
    word
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
