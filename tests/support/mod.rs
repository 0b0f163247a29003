//! What the tests share: the daemon as a child process, an HTTP client, polling, plans checked
//! independently of the product's own code.

mod client;
mod daemon;
mod plan;
mod shared_data;
mod socket;
mod tools;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use client::{Answer, Client};
pub use daemon::{ADMIN_KEY, Daemon, Options, nova};
pub use plan::{Problem, check_plan};
pub use shared_data::shared_data;
pub use socket::Socket;
pub use tools::tool;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A component of the default plugins.
pub fn default_plugin(name: &str) -> Vec<u8> {
    component(
        &root()
            .join("target/plugins")
            .join(name)
            .join(format!("{name}.wasm")),
    )
}

/// A misbehaving guest.
pub fn fixture(name: &str) -> Vec<u8> {
    component(
        &root()
            .join("target/fixtures")
            .join(format!("fixture-{name}.wasm")),
    )
}

fn component(path: &Path) -> Vec<u8> {
    std::fs::read(path)
        .unwrap_or_else(|e| panic!("{}: {e}; run `cargo xtask plugins` first", path.display()))
}

/// The same component with other bytes, and so with another digest: a custom section is added.
pub fn another_build(component: &[u8], mark: u32) -> Vec<u8> {
    let name = b"build-mark";
    let content = mark.to_le_bytes();
    let mut out = component.to_vec();
    // Section 0 (custom), its size, the name with its length, the content: all below 128, so that
    // each LEB128 number is one byte.
    out.extend([0, (1 + name.len() + content.len()) as u8, name.len() as u8]);
    out.extend(name);
    out.extend(content);
    out
}

/// Asks again and again until there is an answer; fails the test with `what` after a minute.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "still not so after a minute: {what}"
        );
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
