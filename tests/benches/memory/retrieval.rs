//! How well each leg finds what answers a question: recall and mean reciprocal rank, and the time it takes.

use std::time::Instant;

use serde_json::{Value, json};

use crate::corpus::{self, Conversation};
use crate::quantile::quantile;
use crate::support::{Client, Daemon};
use crate::{import, indexed};

const DEPTHS: [usize; 4] = [1, 5, 10, 20];

/// Prints the table.
pub fn run() {
    let (name, conversations) = corpus::load();
    let daemon = Daemon::start();
    let mut turns = 0;
    for (i, conversation) in conversations.iter().enumerate() {
        // Repetitions are memories of their own here: evidence names turns, not words.
        let lines = conversation.turns.iter().map(|turn| {
            json!({"content": turn.text, "metadata": {"turn": turn.id}, "context": {"turn": turn.id}})
        });
        let mut lines: Vec<Value> = lines.collect();
        for (n, line) in lines.iter_mut().enumerate() {
            line["memory_id"] = json!(format!("00000000-0000-8000-8000-{i:04x}{n:08x}"));
        }
        turns += lines.len();
        import(&daemon, &domain(i), &lines);
    }
    indexed(&daemon);
    let questions: usize = conversations.iter().map(|c| c.questions.len()).sum();
    println!(
        "\nretrieval, {name}: {} conversations, {turns} turns, {questions} questions",
        conversations.len()
    );
    println!(
        "{:<9} {:>8} {:>8} {:>9} {:>9} {:>7} {:>9} {:>9} {:>11}",
        "mode",
        "recall@1",
        "recall@5",
        "recall@10",
        "recall@20",
        "MRR",
        "p50 ms",
        "p99 ms",
        "CPU ms each"
    );
    for mode in ["keyword", "vector", "hybrid"] {
        measure(&daemon, mode, &conversations);
    }
}

fn domain(i: usize) -> String {
    format!("talk-{i}")
}

fn measure(daemon: &Daemon, mode: &str, conversations: &[Conversation]) {
    let (mut recall, mut reciprocal, mut times) = ([0.0; 4], 0.0, Vec::new());
    let before = daemon.cpu_s();
    for (i, conversation) in conversations.iter().enumerate() {
        for question in &conversation.questions {
            let began = Instant::now();
            let found = search(daemon, &domain(i), mode, &question.text);
            times.push(began.elapsed().as_secs_f64() * 1e3);
            let hits: Vec<bool> = found
                .iter()
                .map(|id| question.evidence.contains(id))
                .collect();
            for (recall, depth) in recall.iter_mut().zip(DEPTHS) {
                let hit = hits.iter().take(depth).filter(|hit| **hit).count();
                *recall += hit as f64 / question.evidence.len() as f64;
            }
            reciprocal += hits
                .iter()
                .position(|hit| *hit)
                .map_or(0.0, |at| 1.0 / (at + 1) as f64);
        }
    }
    let cpu_ms = (daemon.cpu_s() - before) * 1e3;
    let count = times.len() as f64;
    let [one, five, ten, twenty] = recall.map(|r| r / count);
    println!(
        "{mode:<9} {one:>8.3} {five:>8.3} {ten:>9.3} {twenty:>9.3} {:>7.3} {:>9.2} {:>9.2} {:>11.2}",
        reciprocal / count,
        quantile(&times, 0.5),
        quantile(&times, 0.99),
        cpu_ms / count,
    );
}

fn search(client: &Client, domain: &str, mode: &str, query: &str) -> Vec<String> {
    let body = json!({"query": query, "mode": mode, "limit": 20});
    let path = format!("/api/orchestration/memory/search?domain={domain}");
    let answer = client.post(&path, body).expect(200);
    let matches = answer["matches"].as_array().unwrap().iter();
    matches
        .map(|m| m["metadata"]["turn"].as_str().unwrap().to_owned())
        .collect()
}
