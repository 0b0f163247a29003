//! Consolidation under `kill -9` at random moments: every episode is accounted for, nothing is promoted twice.
//!
//! `NOVA_CONSOLIDATION_KILLS` says how often (4 without it; 200 is the full run).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{Client, Daemon};

const MEMORY: &str = "/api/orchestration/memory";
/// Statements that recur.
const STATEMENTS: usize = 12;

fn statement(n: usize) -> String {
    let things = ["tea", "maps", "bells", "ropes", "lamps", "sails"];
    let places = ["harbour", "mountain"];
    format!(
        "Ann keeps her {} beside the {} house",
        things[n % 6],
        places[n / 6]
    )
}

/// Everything of a layer, by following the cursors.
fn all(client: &Client, layer: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client
            .get(&format!("{MEMORY}?type={layer}&limit=500{cursor}"))
            .expect(200);
        found.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[test]
fn a_kill_loses_no_episode_and_promotes_none_twice() {
    let asked = std::env::var("NOVA_CONSOLIDATION_KILLS");
    let kills: usize = asked.map_or(4, |text| text.parse().unwrap());
    let mut daemon = Daemon::start();
    // What was said how often, by the ids that were acknowledged.
    let mut said: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for round in 0..kills {
        for n in 0..STATEMENTS {
            // The same words, and yet another content.
            let text = format!("{}{}", statement(n), ".".repeat(round + 1));
            let body = json!({"content": text, "agent_id": "ann"});
            let stored = daemon.post(&format!("{MEMORY}/store"), body).expect(201);
            let id = stored["memory_id"].as_str().unwrap().to_owned();
            said.entry(n).or_default().insert(id);
        }
        let client = Client::clone(&daemon);
        let consolidating = std::thread::spawn(move || {
            // Broken off by the kill, or done before it.
            let _ = client.try_send(
                "POST",
                &format!("{MEMORY}/consolidate"),
                &[],
                Some(b"{}".to_vec()),
            );
        });
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .subsec_nanos();
        std::thread::park_timeout(Duration::from_micros(u64::from(nanos % 40_000)));
        daemon = daemon.kill_and_restart();
        consolidating.join().unwrap();
    }
    daemon
        .post(&format!("{MEMORY}/consolidate"), json!({}))
        .expect(200);

    let listed = all(&daemon, "episodic");
    for id in said.values().flatten() {
        let episode = daemon.get(&format!("{MEMORY}/{id}")).expect(200);
        assert!(
            episode["orchestration"]["consolidated_at"].is_string(),
            "{episode}"
        );
    }
    assert!(listed.len() <= kills * STATEMENTS);
    let known = all(&daemon, "semantic");
    assert_eq!(
        known.len(),
        STATEMENTS,
        "one piece of knowledge for each statement: {known:#?}"
    );
    for (n, episodes) in &said {
        let of = known
            .iter()
            .find(|k| k["content"].as_str().unwrap().starts_with(&statement(*n)));
        let sources: Vec<&str> = of.unwrap()["provenance"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap())
            .collect();
        let distinct: BTreeSet<String> = sources.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(sources.len(), distinct.len(), "no source twice");
        assert_eq!(
            distinct, *episodes,
            "every episode is a source, and nothing else"
        );
        assert_eq!(of.unwrap()["occurrences"], episodes.len());
    }
}
