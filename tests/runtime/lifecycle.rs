//! How the daemon starts, refuses to start, and ends.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use serde_json::json;

use crate::support::{Daemon, eventually, nova};

#[test]
fn sigterm_drains_and_exits_zero_with_nothing_lost() {
    let mut daemon = Daemon::start();
    let task = daemon
        .post("/api/orchestration/tasks", json!({"type": "x"}))
        .expect(201);
    let id = task["task_id"].as_str().unwrap().to_owned();
    daemon.get("/health/ready").expect(200);
    daemon.terminate();
    assert!(daemon.wait().success());
    let daemon = daemon.kill_and_restart();
    daemon
        .get(&format!("/api/orchestration/tasks/{id}"))
        .expect(200);
}

#[test]
fn a_request_in_flight_finishes_while_draining() {
    let mut daemon = Daemon::start();
    let address = daemon.url.strip_prefix("http://").unwrap().to_owned();
    let body = json!({"type": "slow client"}).to_string();
    // The head is there, the body is not: the request is in flight.
    let mut socket = TcpStream::connect(&address).unwrap();
    let head = format!(
        "POST /api/orchestration/tasks HTTP/1.1\r\nHost: {address}\r\nX-API-Key: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        crate::support::ADMIN_KEY,
        body.len()
    );
    std::io::Write::write_all(&mut socket, head.as_bytes()).unwrap();
    // The server asks for the body only once a handler reads it.
    let mut buffer = [0; 1024];
    let n = socket.read(&mut buffer).unwrap();
    assert!(String::from_utf8_lossy(&buffer[..n]).contains("100 Continue"));
    daemon.terminate();
    eventually(
        "no new connection is taken, or not ready",
        || match daemon.try_send("GET", "/health/ready", &[], None) {
            Err(_) => Some(()),
            Ok(answer) => (answer.status == 503).then_some(()),
        },
    );
    std::io::Write::write_all(&mut socket, body.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("201 Created"), "{answer}");
    assert!(daemon.wait().success());
}

/// Starts `nova` with these arguments and expects it to end with one line that contains `word`.
fn refused(args: &[&str], env: &[(&str, &str)], word: &str) {
    let home = tempfile::tempdir().unwrap();
    let output = nova()
        .args(args)
        .current_dir(home.path())
        .env_remove("NOVA_BOOTSTRAP_KEY")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{args:?} must fail");
    let last = told.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("nova: ") && last.contains(word),
        "{args:?} should speak of '{word}': {told}"
    );
}

#[test]
fn what_cannot_work_ends_with_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("a-file");
    std::fs::write(&file, "x").unwrap();
    let below_a_file = file.join("data");
    refused(&["serve", "--listen", &address], &[], "in use");
    refused(
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            below_a_file.to_str().unwrap(),
        ],
        &[],
        "--data-dir",
    );
    refused(&["serve", "--config", "missing.toml"], &[], "missing.toml");
    refused(&["serve"], &[("NOVA_SERVER__LISTEM", "x")], "listem");
    refused(
        &["serve", "--listen", "127.0.0.1:0"],
        &[("NOVA_PLUGINS__SETTLE_MS", "soon")],
        "settle_ms",
    );
    refused(
        &[
            "serve",
            "--profile",
            "production",
            "--listen",
            "127.0.0.1:0",
        ],
        &[],
        "NOVA_BOOTSTRAP_KEY",
    );
    refused(
        &["serve", "--listen", "127.0.0.1:0"],
        &[("NOVA_BOOTSTRAP_KEY", "short")],
        "NOVA_BOOTSTRAP_KEY",
    );
    refused(&["plugin", "check", "missing.wasm"], &[], "missing.wasm");
    refused(&["flow", "import", "missing.json"], &[], "missing.json");
}

#[test]
fn the_dev_profile_prints_a_first_key_once_and_it_works() {
    let home = tempfile::tempdir().unwrap();
    let start = || {
        let mut child = nova()
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--data-dir",
                "data",
                "--plugin-dir",
            ])
            .arg(crate::support::root().join("target/plugins"))
            .current_dir(home.path())
            .env_remove("NOVA_BOOTSTRAP_KEY")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (mut text, mut byte) = (String::new(), [0; 1]);
        let stdout = child.stdout.as_mut().unwrap();
        while !(text.contains("nova ready: ") && text.ends_with('\n')) {
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "it ended early: {text}");
            text.push(byte[0] as char);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        text
    };
    let first = start();
    assert!(first.contains("nova_"), "a first key is printed: {first}");
    assert!(!start().contains("nova_"), "and never again");
}

#[test]
fn the_configuration_is_checked_and_printed_with_its_sources() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("nova.toml");
    std::fs::write(&file, "[server]\nmax_body_bytes = 1000\n").unwrap();
    let config = |words: &[&str]| {
        let mut command = nova();
        command.arg("config").args(words).arg("--config").arg(&file);
        command.env("NOVA_DATA__READERS", "3").output().unwrap()
    };
    assert!(config(&["check"]).status.success());
    let printed = config(&["print", "--json", "--listen", "127.0.0.1:0"]);
    let keys: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    let source = |key: &str| {
        let entry = keys.as_array().unwrap().iter().find(|k| k["key"] == key);
        entry.unwrap()["source"].as_str().unwrap().to_owned()
    };
    assert!(source("server.max_body_bytes").starts_with("file "));
    assert_eq!(source("server.listen"), "flag --listen");
    assert_eq!(source("data.readers"), "environment NOVA_DATA__READERS");
    assert_eq!(source("data.batch_max"), "default");
    let printed = String::from_utf8(config(&["print"]).stdout).unwrap();
    assert!(
        printed.contains("max_body_bytes = 1000  # file "),
        "{printed}"
    );

    std::fs::write(&file, "[server]\nmax_body_bytes = 0\n").unwrap();
    let checked = config(&["check", "--json"]);
    assert!(!checked.status.success());
    let answer: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(answer["valid"], false);
    let error = answer["error"].as_str().unwrap();
    assert!(error.contains("server.max_body_bytes"), "{error}");
}

#[test]
fn a_command_whose_reader_goes_away_ends_without_a_word() {
    let mut command = nova();
    let piped = command.args(["config", "print"]).stdout(Stdio::piped());
    let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let said = child.wait_with_output().unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.is_empty(), "{said}");
}

#[test]
fn sighup_takes_over_log_levels_and_names_what_needs_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("nova.toml");
    std::fs::write(&file, "[log]\nfilter = \"info\"\n").unwrap();
    let daemon = Daemon::with(crate::support::Options {
        config: Some(file.clone()),
        ..Default::default()
    });
    std::fs::write(
        &file,
        "[log]\nfilter = \"debug\"\n[server]\nmax_body_bytes = 1000\n",
    )
    .unwrap();
    daemon.signal("HUP");
    eventually("the daemon names the key that needs a restart", || {
        let log = daemon.log();
        let changed = log.contains("log.filter") && log.contains("need a restart");
        (changed && log.contains("server.max_body_bytes")).then_some(())
    });
    std::fs::write(&file, "[log]\nfliter = \"debug\"\n").unwrap();
    daemon.signal("HUP");
    eventually("a broken file is refused and named", || {
        daemon.log().contains("fliter").then_some(())
    });
    daemon.get("/health").expect(200);
}
