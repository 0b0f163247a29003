//! The TinyTroupe bridge's own tests, with a real daemon to work for.
//!
//! They need Python with `httpx` and `pytest`: `NOVA_PYTHON`, else what `cargo xtask tools` has installed, else
//! `python3`. Without these they are skipped, and a line says so.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{ADMIN_KEY, Daemon, Options, root};

fn python() -> Option<PathBuf> {
    let own = root().join("target/tools/python/bin/python");
    let named = std::env::var_os("NOVA_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| if own.exists() { own } else { "python3".into() });
    let wanted = ["-c", "import httpx, pytest"];
    let has = Command::new(&python).args(wanted).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!(
        "skipped: {} lacks httpx or pytest; the bridge to TinyTroupe is not tested",
        python.display()
    );
    None
}

#[test]
fn the_bridge_works_for_a_daemon() {
    let Some(python) = python() else { return };
    let env = [("NOVA_LEASES__SWEEP_INTERVAL_MS", "20")];
    let daemon = Daemon::with(Options {
        env: env.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
        ..Options::default()
    });
    let output = Command::new(python)
        .args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"])
        .current_dir(root().join("host/bridges/tinytroupe"))
        .env("NOVA_URL", &daemon.url)
        .env("NOVA_API_KEY", ADMIN_KEY)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{told}");
    assert!(
        told.contains("test_library") || !told.contains("skipped"),
        "with a daemon only the test of the real library may be skipped: {told}"
    );
    assert!(!told.contains("NOVA_URL is not set"), "{told}");
}
