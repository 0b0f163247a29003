//! Rules of the house that a program can hold.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::root;

const LINES_MAX: usize = 500;

/// Which of our crates may depend on which, and who may name what.
#[test]
fn dependencies_point_one_way() {
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let allowed: &[(&str, &[&str])] = &[
        ("nova-core", &[]),
        ("nova-store", &["nova-core"]),
        ("nova-runtime", &["nova-core"]),
        ("nova-memory", &["nova-core"]),
        ("nova-api", &["nova-core"]),
        ("nova-hooks", &["nova-core"]),
        (
            "nova",
            &[
                "nova-api",
                "nova-core",
                "nova-hooks",
                "nova-memory",
                "nova-runtime",
                "nova-store",
            ],
        ),
        ("xtask", &[]),
    ];
    let only: &[(&str, &[&str])] = &[
        ("axum", &["nova-api"]),
        ("hyper", &["nova-api"]),
        ("tower-http", &["nova-api"]),
        ("rustls", &["nova-api"]),
        ("tokio-rustls", &["nova-api"]),
        ("utoipa", &["nova-api"]),
        ("rmcp", &["nova-api"]),
        ("wasmtime", &["nova-runtime"]),
        ("wasmtime-wasi", &["nova-runtime"]),
        ("notify", &["nova-runtime"]),
        ("backon", &["nova-hooks", "nova-memory", "nova-store"]),
        ("model2vec-rs", &["nova-memory"]),
        ("pulp", &["nova-memory"]),
        ("rust-stemmers", &["nova-core"]),
        ("rusqlite", &["nova-store"]),
        ("anyhow", &["nova", "xtask"]),
        ("figment", &["nova"]),
        ("opentelemetry", &["nova"]),
        ("opentelemetry_sdk", &["nova"]),
        ("opentelemetry-otlp", &["nova"]),
        ("clap", &["nova", "xtask"]),
    ];
    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(
        packages.len(),
        allowed.len() + 1,
        "every crate of the workspace and the tests"
    );
    for package in packages {
        let name = package["name"].as_str().unwrap();
        if name == "nova-tests" {
            continue;
        }
        let may = allowed.iter().find(|(n, _)| *n == name);
        let may = may
            .unwrap_or_else(|| panic!("{name} is not in this list: say what it may depend on"))
            .1;
        let dependencies = package["dependencies"].as_array().unwrap();
        for dependency in dependencies.iter().filter(|d| d["kind"] != "dev") {
            let to = dependency["name"].as_str().unwrap();
            if to.starts_with("nova") {
                assert!(may.contains(&to), "{name} must not depend on {to}");
            }
            if let Some((_, who)) = only.iter().find(|(n, _)| *n == to) {
                assert!(
                    who.contains(&name),
                    "{name} must not name {to}; only {who:?} may"
                );
            }
        }
    }
}

/// Files have one subject and stay small; every one says what it owns.
#[test]
fn files_are_small_and_begin_with_their_purpose() {
    let mut wrong = Vec::new();
    for file in rust_files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!(
                "{}: {lines} lines, at most {LINES_MAX}",
                file.display()
            ));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{}: does not begin with `//!`", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Nothing is left to be done, switched off, or speaks of a machine.
#[test]
fn nothing_is_left_open() {
    let marks = [
        "TODO",
        "FIXME",
        "XXX",
        "#[ignore",
        "todo!(",
        "unimplemented!(",
        "/work/",
        "/root/",
    ];
    let mut wrong = Vec::new();
    for file in rust_files().into_iter().filter(|f| !f.ends_with("tidy.rs")) {
        let text = std::fs::read_to_string(&file).unwrap();
        for (i, line) in text.lines().enumerate() {
            if let Some(mark) = marks.iter().find(|m| line.contains(**m)) {
                wrong.push(format!("{}:{}: {mark}", file.display(), i + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `unsafe` stands in one documented module, where the runtime loads code that it compiled.
#[test]
fn unsafe_code_has_one_place() {
    let unsafe_files: Vec<String> = rust_files()
        .into_iter()
        .filter(|f| !f.ends_with("tidy.rs"))
        .filter(|f| {
            std::fs::read_to_string(f)
                .unwrap()
                .lines()
                .any(|l| l.contains("unsafe {"))
        })
        .map(|f| f.strip_prefix(root()).unwrap().display().to_string())
        .collect();
    assert_eq!(unsafe_files, ["host/nova-runtime/src/artifacts.rs"]);
}

fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["host", "plugins", "tests"] {
        collect(&root().join(folder), &mut files);
    }
    files.sort();
    assert!(
        files.len() > 50,
        "the walk found only {} files",
        files.len()
    );
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|n| n != "target") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}
