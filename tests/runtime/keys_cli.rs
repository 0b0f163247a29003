//! `nova keys`: over HTTP, and on the data directory of a stopped daemon.

use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::{ADMIN_KEY, Daemon, nova};

const TASKS: &str = "/api/orchestration/tasks";

fn run(args: &[&str], place: &[&str]) -> Output {
    let mut command = nova();
    command
        .arg("keys")
        .args(args)
        .args(place)
        .stdin(Stdio::null());
    command.env_remove("NOVA_URL").env_remove("NOVA_API_KEY");
    command.output().unwrap()
}

#[track_caller]
fn json(args: &[&str], place: &[&str]) -> Value {
    let output = run(&[args, &["--json"]].concat(), place);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn refused(args: &[&str], place: &[&str], word: &str) {
    let output = run(args, place);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        told.starts_with("nova: ") && told.contains(word) && told.trim_end().lines().count() == 1,
        "{args:?} should speak of '{word}': {told}"
    );
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}

/// Makes, lists, rotates and revokes a key at this place; its secrets, the last one first.
fn all_of_it(place: &[&str]) -> (String, Vec<String>) {
    let made = json(
        &[
            "create",
            "--name",
            "ci",
            "--role",
            "viewer",
            "--domain",
            "a,b",
            "--rate-requests",
            "7",
        ],
        place,
    );
    let (id, first) = (text(&made, "key_id"), text(&made, "secret"));
    let keys = json(&["list"], place);
    let key = keys
        .as_array()
        .unwrap()
        .iter()
        .find(|k| k["key_id"] == id.as_str())
        .unwrap();
    assert_eq!(
        (
            &key["name"],
            &key["roles"],
            &key["domains"],
            &key["rate_limit"]
        ),
        (
            &"ci".into(),
            &serde_json::json!(["viewer"]),
            &serde_json::json!(["a", "b"]),
            &serde_json::json!({"requests": 7, "window_s": 60.0})
        )
    );
    assert!(!keys.to_string().contains(&first));
    let shown = run(&["list"], place);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.starts_with("ID ") && shown.contains(&id) && shown.contains("role:viewer"),
        "{shown}"
    );
    let second = text(&json(&["rotate", &id, "--grace-s", "600"], place), "secret");
    assert_ne!(first, second);
    let gone = json(&["create", "--name", "gone", "--permission", "read"], place);
    let revoked = json(&["revoke", &text(&gone, "key_id")], place);
    assert_eq!(revoked["status"], "revoked");
    refused(&["rotate", &text(&gone, "key_id")], place, "revoked");
    refused(&["revoke", "nonsense"], place, "UUID");
    refused(
        &["revoke", "019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50"],
        place,
        "does not exist",
    );
    refused(
        &["create", "--name", "x", "--permission", "fly"],
        place,
        "fly",
    );
    (text(&gone, "secret"), vec![second, first])
}

#[test]
fn a_running_daemon_is_asked_and_acts_at_once() {
    let daemon = Daemon::start();
    let place = ["--url", &daemon.url, "--key", ADMIN_KEY];
    let (gone, secrets) = all_of_it(&place);
    for secret in &secrets {
        daemon.with_key(secret).get(TASKS).expect(200);
    }
    daemon
        .with_key(&gone)
        .get(TASKS)
        .expect_error(401, "AUTHENTICATION_ERROR");
    refused(&["list"], &["--url", &daemon.url], "--key");
    refused(
        &["list"],
        &["--url", &daemon.url, "--key", "not-a-key-of-this-daemon"],
        "401",
    );
    refused(
        &["list"],
        &["--url", "http://127.0.0.1:1", "--key", "x"],
        "127.0.0.1:1",
    );
    let dir = daemon.data_dir();
    refused(&["list"], &["--data-dir", dir.to_str().unwrap()], "--url");
}

#[test]
fn a_stopped_daemon_s_keys_are_made_in_its_data_directory() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let place = ["--data-dir", dir.to_str().unwrap()];
    refused(&["list"], &place, "no data directory");
    let (gone, secrets) = all_of_it(&place);
    let admin = text(
        &json(&["create", "--name", "me", "--role", "admin"], &place),
        "secret",
    );
    let daemon = Daemon::on(home);
    for secret in &secrets {
        daemon.with_key(secret).get(TASKS).expect(200);
    }
    daemon.with_key(&admin).get("/api/keys").expect(200);
    daemon
        .with_key(&gone)
        .get(TASKS)
        .expect_error(401, "AUTHENTICATION_ERROR");
}
