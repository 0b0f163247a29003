//! Schemathesis makes up requests from the document, good ones and bad ones, and holds every answer
//! against it: no 5xx, no status or shape that is not documented, nothing that breaks the schema taken,
//! nothing that keeps it refused.

use std::process::Command;

use serde_json::json;

use crate::support::{ADMIN_KEY, Daemon, Options, root, tool};

/// Made-up requests for each operation; `NOVA_CONTRACT_EXAMPLES` asks for more.
const EXAMPLES: &str = "8";

fn fuzz(key: Option<&str>) {
    let Some(schemathesis) = tool("python/bin/schemathesis") else {
        return;
    };
    let daemon = Daemon::with(Options {
        env: vec![("NOVA_LEASES__WAIT_MAX_MS".to_owned(), "100".to_owned())],
        ..Options::default()
    });
    // One that may be rotated and revoked, in place of the key that is used.
    let spare = json!({"name": "spare", "roles": ["viewer"]});
    let spare = daemon.post("/api/keys", spare).expect(201);
    let examples = std::env::var("NOVA_CONTRACT_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let scratch = tempfile::tempdir().unwrap();
    let mut command = Command::new(schemathesis);
    command
        .arg("--config-file")
        .arg(root().join("tests/contract/schemathesis.toml"))
        .arg("run")
        .arg(format!("{}/openapi.json", daemon.url))
        .args(["--checks", "all", "--max-examples", &examples])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", root().join("tests/contract/hooks.py"))
        .env("NOVA_CONTRACT_KEY_ID", spare["key_id"].as_str().unwrap())
        .current_dir(scratch.path());
    if let Some(key) = key {
        command.args(["--header", &format!("X-API-Key: {key}")]);
    }
    let output = command.output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}");
    println!("{report}");
    assert_eq!(daemon.anonymous().get("/health").status, 200);
}

#[test]
fn schemathesis_finds_no_broken_promise_with_a_key() {
    fuzz(Some(ADMIN_KEY));
}

#[test]
fn schemathesis_finds_no_broken_promise_without_a_key() {
    fuzz(None);
}
