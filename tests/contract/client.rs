//! A TypeScript client, generated from the document: it compiles under the strictest rules, and it
//! works.

use std::path::Path;
use std::process::Command;

use crate::support::{ADMIN_KEY, Daemon, root, tool};

/// Runs a program of npm's, which must succeed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[test]
fn a_generated_client_compiles_and_works() {
    let Some(modules) = tool("node/node_modules") else {
        return;
    };
    let program = |name: &str| Command::new(modules.join(".bin").join(name));
    let daemon = Daemon::start();
    let project = tempfile::tempdir().unwrap();
    let at = |name: &str| project.path().join(name);
    let sources = root().join("tests/contract");
    for name in ["client.ts", "tsconfig.json"] {
        std::fs::copy(sources.join(name), at(name)).unwrap();
    }
    std::fs::write(at("package.json"), r#"{"type": "module"}"#).unwrap();
    std::fs::write(at("node.d.ts"), NODE).unwrap();
    link(&modules, &at("node_modules"));

    run(program("openapi-typescript")
        .arg(format!("{}/openapi.json", daemon.url))
        .arg("--default-non-nullable=false")
        .arg("--output")
        .arg(at("schema.d.ts")));
    run(program("tsc").arg("--project").arg(at("tsconfig.json")));
    let said = run(Command::new("node")
        .arg(at("client.js"))
        .env("NOVA_URL", &daemon.url)
        .env("NOVA_API_KEY", ADMIN_KEY));
    assert_eq!(said.trim(), "the generated client works");
}

/// What the client uses of Node, so that its types need not be installed.
const NODE: &str = r#"declare const process: { env: Record<string, string | undefined> };
declare module "node:assert/strict" {
  const assert: {
    ok(value: unknown, message?: string): asserts value;
    equal(actual: unknown, expected: unknown): void;
  };
  export default assert;
}
"#;

fn link(to: &Path, at: &Path) {
    std::os::unix::fs::symlink(to, at).unwrap();
}
