//! The Model Context Protocol, spoken by the official Python SDK over the network.

use std::process::Command;

use serde_json::json;

use crate::support::{ADMIN_KEY, Daemon, root, tool};

#[test]
fn the_official_client_remembers_and_makes_tasks() {
    let Some(python) = tool("python/bin/python") else {
        return;
    };
    let daemon = Daemon::start();
    let reader = json!({"name": "reader", "roles": ["viewer"], "domains": ["general"]});
    let reader = daemon.post("/api/keys", reader).expect(201);
    let output = Command::new(python)
        .arg(root().join("tests/contract/mcp_client.py"))
        .env("NOVA_URL", &daemon.url)
        .env("NOVA_API_KEY", ADMIN_KEY)
        .env("NOVA_READER_KEY", reader["secret"].as_str().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{wrong}");
    assert_eq!(said.trim(), "the official client works");
}
