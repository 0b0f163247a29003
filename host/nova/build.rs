//! Puts the plugin contract and the SDK into the binary, so that `nova plugin new` makes a project
//! that builds wherever the binary is.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = here.join("../..");
    let mut text = String::new();
    for (name, folder) in [("SDK", "plugins/sdk"), ("WIT", "wit/v0.1")] {
        let folder = root.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        list(&folder, &mut files)?;
        files.sort();
        let _ = writeln!(text, "pub(super) static {name}: &[(&str, &str)] = &[");
        for file in files {
            let short = file
                .strip_prefix(&folder)
                .unwrap_or(&file)
                .display()
                .to_string();
            let whole = file.display().to_string();
            let _ = writeln!(text, "    ({short:?}, include_str!({whole:?})),");
        }
        text.push_str("];\n");
    }
    for (name, file) in [
        ("WORKSPACE", "plugins/Cargo.toml"),
        ("LOCK", "plugins/Cargo.lock"),
        ("CARGO_CONFIG", "plugins/.cargo/config.toml"),
    ] {
        let whole = root.join(file).display().to_string();
        println!("cargo::rerun-if-changed={whole}");
        let _ = writeln!(
            text,
            "pub(super) static {name}: &str = include_str!({whole:?});"
        );
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("vendored.rs"), text)
}

/// Text files below a folder, but for what builds leave there.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                list(&path, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}
