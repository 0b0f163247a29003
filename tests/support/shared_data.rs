//! The folder with reference data of third parties, which is not in the repository.

use std::path::PathBuf;

use super::root;

/// A file of the reference data; none, and a line that says so, when the folder is absent.
pub fn shared_data(relative: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os("NOVA_SHARED_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => root().join("../shared/data"),
    };
    let path = folder.join(relative);
    if path.exists() {
        return Some(path);
    }
    eprintln!(
        "skipped: {} is absent; set NOVA_SHARED_DATA to the folder with the reference data",
        path.display()
    );
    None
}
