//! Programs that `cargo xtask tools` installs.

use std::path::PathBuf;

use super::root;

/// A file below `target/tools`. Where it is absent: none, and a line that says so; CI has them all.
pub fn tool(relative: &str) -> Option<PathBuf> {
    let path = root().join("target/tools").join(relative);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is absent; run `cargo xtask tools` first",
        path.display()
    );
    eprintln!(
        "skipped: {} is absent; `cargo xtask tools` installs it",
        path.display()
    );
    None
}
