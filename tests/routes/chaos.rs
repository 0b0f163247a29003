//! The worker protocol under chaos: workers that die with leases in their hands, and a daemon that is killed.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::leases::{on, patient, register};
use super::{FLOWS, TASKS};
use crate::support::{Answer, Client, Daemon, eventually};

const WORKERS: usize = 8;
const LEASE: Duration = Duration::from_millis(500);
/// How far the daemon's clock may be behind when it cuts its time to milliseconds.
const CLOCK: Duration = Duration::from_millis(2);

/// `NOVA_CHAOS=full`: 2,000 tasks, about a minute of killing.
struct Size {
    layers: usize,
    width: usize,
    kills: usize,
    /// Longest time that a task takes.
    work: Duration,
}

impl Size {
    fn asked_for() -> Self {
        match std::env::var("NOVA_CHAOS").is_ok_and(|v| v == "full") {
            true => Self {
                layers: 40,
                width: 50,
                kills: 30,
                work: Duration::from_millis(300),
            },
            false => Self {
                layers: 6,
                width: 12,
                kills: 3,
                work: Duration::ZERO,
            },
        }
    }
}

/// What the workers share: where the daemon is now, and which lease is known to hold until when.
struct Stage {
    client: Mutex<Client>,
    held: Mutex<HashMap<String, Instant>>,
    finished: AtomicUsize,
    over: AtomicBool,
    chance: AtomicU64,
    size: Size,
}

impl Stage {
    /// One of `of`, by a generator that all share.
    fn roll(&self, of: u64) -> u64 {
        let step = |seed: u64| Some(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        let seed = self.chance.fetch_update(SeqCst, SeqCst, step).unwrap();
        (seed >> 33) % of
    }

    /// Asks until a daemon answers.
    fn post(&self, path: &str, body: &Value) -> Option<Answer> {
        let mut answer = None;
        eventually("a daemon answers", || {
            let client = self.client.lock().unwrap().clone();
            let bytes = Some(body.to_string().into_bytes());
            answer = client.try_send("POST", path, &[], bytes).ok();
            (answer.is_some() || self.over.load(SeqCst)).then_some(())
        });
        answer
    }

    /// A worker: leases, works, tells; and now and then dies without a word, and another takes its place.
    fn work(&self, path: &str) {
        while !self.over.load(SeqCst) {
            self.live(path);
        }
    }

    fn live(&self, path: &str) {
        loop {
            let body = json!({"max": 2, "lease_s": LEASE.as_secs_f64(), "wait_ms": 100});
            let asked = Instant::now();
            let Some(answer) = self.post(path, &body) else {
                return;
            };
            let answer = answer.expect(200);
            let leased = answer["orchestration"].as_array().unwrap();
            for leased in leased {
                self.hold(leased, asked + LEASE - CLOCK);
            }
            for leased in leased {
                if self.roll(8) == 0 {
                    return;
                }
                let most = self.size.work.as_micros() as u64;
                std::thread::park_timeout(Duration::from_micros(self.roll(most.max(1))));
                self.tell(leased);
            }
            if self.over.load(SeqCst) {
                return;
            }
        }
    }

    /// The lease began after it was asked for (by a clock of milliseconds), so until then nobody else may get the task.
    fn hold(&self, leased: &Value, until: Instant) {
        let task = leased["task_id"].as_str().unwrap().to_owned();
        let now = Instant::now();
        let before = self.held.lock().unwrap().insert(task, until);
        assert!(
            before.is_none_or(|before| before <= now),
            "leased twice: {leased}"
        );
    }

    fn tell(&self, leased: &Value) {
        let task = leased["task_id"].as_str().unwrap();
        // Before the daemon hears of it: it may give the task to another at once.
        self.held.lock().unwrap().remove(task);
        let lease_id = &leased["lease_id"];
        let (verb, body) = match self.roll(10) {
            0 => {
                let why = json!({"lease_id": lease_id, "error": "bad luck", "transient": true});
                ("fail", why)
            }
            _ => ("complete", json!({"lease_id": lease_id})),
        };
        let Some(answer) = self.post(&on(leased, verb), &body) else {
            return;
        };
        // 409: the lease has run out meanwhile.
        assert!(matches!(answer.status, 200 | 409), "{answer:?}");
        if verb == "complete" && answer.status == 200 {
            self.finished.fetch_add(1, SeqCst);
        }
    }
}

/// A flow of layers, each task waiting for two of the layer before.
fn layered(client: &Client, layers: usize, width: usize) -> usize {
    let retry = json!({"max_attempts": 50, "backoff_ms": 1, "max_backoff_ms": 10});
    let key = |layer: usize, i: usize| format!("t{layer}-{}", i % width);
    let tasks: Vec<Value> = (0..layers * width)
        .map(|n| {
            let (layer, i) = (n / width, n % width);
            let depends_on = match layer {
                0 => vec![],
                _ => vec![key(layer - 1, i), key(layer - 1, i + 1)],
            };
            json!({"key": key(layer, i), "type": "work", "retry": retry, "depends_on": depends_on})
        })
        .collect();
    let body = json!({"flow_id": "chaos", "name": "chaos", "tasks": tasks});
    client.post(FLOWS, body).expect(201);
    layers * width
}

/// Every task is completed exactly once, in order; no attempt begins before the one before it has ended, and
/// nobody is given a task that another's lease holds.
#[test]
fn chaos_loses_nothing_and_does_nothing_twice() {
    let size = Size::asked_for();
    let (kills, mut daemon) = (size.kills, Daemon::with(patient()));
    let count = layered(&daemon, size.layers, size.width);
    let workers: Vec<String> = (0..WORKERS)
        .map(|i| register(&daemon, &format!("w{i}")))
        .collect();
    let stage = Stage {
        client: Mutex::new(Client::clone(&daemon)),
        held: Mutex::default(),
        finished: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        chance: AtomicU64::new(42),
        size,
    };
    let daemon = std::thread::scope(|scope| {
        for path in &workers {
            scope.spawn(|| stage.work(path));
        }
        // Ends the workers whatever becomes of this thread.
        let end = End(&stage.over);
        for kill in 1..=kills {
            let due = count * kill / (kills + 1);
            eventually("the workers get on", || {
                (stage.finished.load(SeqCst) >= due).then_some(())
            });
            std::thread::park_timeout(Duration::from_micros(stage.roll(20_000)));
            daemon = daemon.kill_and_restart();
            *stage.client.lock().unwrap() = Client::clone(&daemon);
        }
        eventually("the flow is closed", || {
            let flow = daemon.get(&format!("{FLOWS}/chaos")).expect(200);
            (flow["status"] != "active").then_some(())
        });
        drop(end);
        daemon
    });
    let flow = daemon.get(&format!("{FLOWS}/chaos")).expect(200);
    assert_eq!(flow["status"], "completed", "{flow}");
    let attempts = check(&daemon, count);
    eprintln!("chaos: {count} tasks, {attempts} attempts, {kills} kills of the daemon");
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Reads every task's history. How many attempts there were.
fn check(client: &Client, count: usize) -> usize {
    let mut records = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client
            .get(&format!("{TASKS}?flow_id=chaos&limit=500{cursor}"))
            .expect(200);
        records.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(records.len(), count);
    let mut attempts = 0;
    let mut times = HashMap::new();
    for record in &records {
        let id = record["task_id"].as_str().unwrap();
        let task = client.get(&format!("{TASKS}/{id}")).expect(200)["orchestration"].clone();
        let history = task["history"].as_array().unwrap();
        let steps = |to: &str| history.iter().filter(|h| h["to"] == to).count();
        assert_eq!(steps("completed"), 1, "{history:?}");
        assert_eq!(history.last().unwrap()["to"], "completed");
        attempts += steps("in_progress");
        // Begun, ended, begun: never begun twice without an end in between.
        let running = history
            .iter()
            .filter(|h| h["to"] == "in_progress" || h["from"] == "in_progress");
        for (i, step) in running.enumerate() {
            assert_eq!(step["to"] == "in_progress", i % 2 == 0, "{history:?}");
        }
        let time = |field: &str| task[field].as_str().unwrap().to_owned();
        times.insert(id.to_owned(), (time("started_at"), time("finished_at")));
    }
    for record in &records {
        let (started, _) = &times[record["task_id"].as_str().unwrap()];
        for dependency in record["dependencies"].as_array().unwrap() {
            let (_, ended) = &times[dependency.as_str().unwrap()];
            assert!(ended <= started, "{ended} before {started}");
        }
    }
    attempts
}
