//! Many subscribers of one stream, one of which never reads: the small size of `cargo xtask bench sockets`.

use serde_json::json;

use super::{Daemon, daemon, is_alive};
use crate::support::Socket;

const SUBSCRIBERS: usize = 60;
const BATCHES: usize = 40;
const METRICS: usize = 25;

fn record(daemon: &Daemon, name: &str) {
    let metrics = vec![json!({"name": name, "value": 1}); METRICS];
    let answer = daemon.post("/api/analytics/metrics", json!({"metrics": metrics}));
    answer.expect(200);
}

#[test]
fn many_get_everything_and_one_that_never_reads_holds_up_nobody() {
    // Room for all that is sent: what is tested is that nothing else drops it.
    let daemon = daemon(&[("queue_len", "2048")]);
    let subscribe = || {
        let mut socket = Socket::open(&daemon, "");
        let answer = socket.ask(json!({"type": "subscribe", "topics": ["flows"]}));
        assert_eq!(answer["type"], "subscribed");
        socket
    };
    let stuck = subscribe();
    let reading: Vec<_> = (0..SUBSCRIBERS)
        .map(|_| {
            let mut socket = subscribe();
            std::thread::spawn(move || {
                let mut seqs = Vec::new();
                loop {
                    let message = socket.recv();
                    assert_eq!(message["type"], "event", "{message}");
                    seqs.push(message["seq"].as_u64().unwrap());
                    if message["metric"] == "last" {
                        return seqs;
                    }
                }
            })
        })
        .collect();
    for _ in 0..BATCHES {
        record(&daemon, "load");
    }
    let last = json!({"metrics": [{"name": "last", "value": 1}]});
    daemon.post("/api/analytics/metrics", last).expect(200);
    for subscriber in reading {
        let seqs = subscriber.join().unwrap();
        assert_eq!(seqs.len(), BATCHES * METRICS + 1);
        assert!(seqs.is_sorted_by(|a, b| a < b));
    }
    drop(stuck);
    is_alive(&mut Socket::open(&daemon, ""));
}
