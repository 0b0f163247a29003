//! The daemon as a child process, measured from outside.
#![allow(dead_code, reason = "each benchmark uses its part")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

/// An operator's key, which may ask a million times a second.
pub(crate) const KEY: &str = "nova-benchmark-operator-key";

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
    agent: ureq::Agent,
    _home: tempfile::TempDir,
}

impl Daemon {
    /// The `nova` that was built beside this program, with the default plugins, in this profile; what it says goes to
    /// `log`.
    pub(crate) fn start(profile: &str, log: Stdio) -> Self {
        let program = std::env::current_exe().unwrap();
        let program = program.ancestors().nth(2).unwrap().join("nova");
        assert!(
            program.is_file(),
            "{} is missing; run `cargo build --release --workspace`",
            program.display()
        );
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command
            .args(["serve", "--profile", profile, "--listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(home.path())
            .arg("--plugin-dir")
            .arg(root.join("target/plugins"))
            .env("NOVA_BOOTSTRAP_KEY", KEY)
            .stdout(Stdio::piped())
            .stderr(log);
        // The first one compiles the plugins, and keeps memory of that which would hide what comes later.
        let (mut first, _) = spawn(&mut command);
        first.kill().unwrap();
        first.wait().unwrap();
        let (child, address) = spawn(&mut command);
        Self {
            child,
            address,
            agent: ureq::Agent::new_with_defaults(),
            _home: home,
        }
    }

    /// Posts JSON; the answer must be a success.
    pub(crate) fn post(&self, path: &str, body: &Value) {
        post(&self.agent, &format!("http://{}{path}", self.address), body);
    }

    /// Records user metrics, whose value is the time since `start` in milliseconds.
    pub(crate) async fn record(&self, count: u32, start: Instant) {
        let (agent, url) = (
            self.agent.clone(),
            format!("http://{}/api/analytics/metrics", self.address),
        );
        let record = move || {
            let value = start.elapsed().as_secs_f64() * 1000.0;
            let metrics = (0..count).map(|_| json!({"name": "benchmark", "value": value}));
            post(
                &agent,
                &url,
                &json!({"metrics": metrics.collect::<Vec<Value>>()}),
            );
        };
        tokio::task::spawn_blocking(record).await.unwrap();
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .unwrap()
            << 10
    }

    /// CPU time so far, in seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        cpu_s(&self.child)
    }
}

/// A daemon that is ready, and where it listens.
fn spawn(command: &mut Command) -> (Child, String) {
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = |line: String| line.strip_prefix("nova ready: http://").map(str::to_owned);
    let address = lines.map_while(Result::ok).find_map(ready);
    (
        child,
        address.expect("the daemon ended before it was ready"),
    )
}

fn post(agent: &ureq::Agent, url: &str, body: &Value) {
    let answer = agent.post(url).header("X-API-Key", KEY).send_json(body);
    let status = answer.unwrap().status();
    assert!(status.is_success(), "{url}: {status}");
}

/// CPU time of a process so far, in seconds.
pub(crate) fn cpu_s(process: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    // After the name in brackets: state, ten fields, then user and system time.
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ');
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .map(|t| t.parse::<u64>().unwrap())
        .sum();
    // Linux counts in hundredths of a second.
    ticks as f64 / 100.0
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
