//! `nova plugin new`: a project that builds as it stands.
//!
//! Everything it needs comes out of the binary: the contract goes into `wit/`, and for Rust the SDK,
//! which is not published, into `vendor/nova-sdk` with the workspace tables and the lock file that it
//! was tested with, so that a project builds without network wherever those crates are at hand.

use std::path::Path;

use anyhow::{Context, Result, bail};
use nova_core::strategy::Kind;
use toml::{Table, Value};

use super::project::Language;
use super::vendored;

/// Longest name of a plugin, in characters.
const NAME_MAX: usize = 64;

/// What the plugins under `plugins/examples` call themselves.
const EXAMPLE: &str = "example";

/// Makes the project `name` in `folder`, which must not exist or be empty.
///
/// # Errors
/// A name that cannot be one, a folder in use, a pair of kind and language without a template.
pub(crate) fn create(folder: &Path, name: &str, kind: Kind, language: Language) -> Result<()> {
    check_name(name)?;
    if folder.exists() && std::fs::read_dir(folder)?.next().is_some() {
        bail!("{} exists and is not empty", folder.display());
    }
    let files = match language {
        Language::Rust => rust(name, kind)?,
        Language::Python | Language::Javascript => scripted(name, kind, language)?,
    };
    for (file, text) in files {
        put(&folder.join(file), &text)?;
    }
    for (file, text) in vendored::WIT {
        put(&folder.join("wit/v0.1").join(file), text)?;
    }
    put(&folder.join("plugin.toml"), &manifest(name, kind, language))?;
    put(
        &folder.join(".gitignore"),
        "/target\n/dist\n/node_modules\n__pycache__\n",
    )?;
    match kind {
        Kind::FlowOptimizer => put(
            &folder.join("cases/two-builders.json"),
            include_str!("templates/flow.json"),
        ),
        Kind::ResourceAllocator => put(
            &folder.join("cases/two-teams.json"),
            include_str!("templates/allocation.json"),
        ),
        Kind::AnalyticsProcessor => Ok(()),
    }
}

/// A crate's name is the strictest of what a name must be.
fn check_name(name: &str) -> Result<()> {
    let letters = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if !letters || !first || name.len() > NAME_MAX {
        bail!("the name '{name}' must be 1 to {NAME_MAX} of [a-z0-9-], a letter first");
    }
    Ok(())
}

fn manifest(name: &str, kind: Kind, language: Language) -> String {
    // Interpreters are large and start slowly.
    let limits = if language == Language::Rust {
        "deadline_ms = 1000\n"
    } else {
        "deadline_ms = 5000\nwall_ms = 20000\ntable_elements = 100000\n"
    };
    format!(
        "name = \"{name}\"\nversion = \"0.1.0\"\nkind = \"{kind}\"\nfile = \"{name}.wasm\"\n\n[limits]\n{limits}\n# Handed to the plugin as a JSON object.\n[settings]\n"
    )
}

fn rust(name: &str, kind: Kind) -> Result<Vec<(String, String)>> {
    let source = match kind {
        Kind::FlowOptimizer => include_str!("templates/flow.rs.txt"),
        Kind::ResourceAllocator => include_str!("templates/allocation.rs.txt"),
        Kind::AnalyticsProcessor => include_str!("templates/analytics.rs.txt"),
    };
    let mut files = vec![
        ("src/lib.rs".to_owned(), source.replace("@name@", name)),
        ("Cargo.toml".to_owned(), cargo_toml(name)?),
        ("Cargo.lock".to_owned(), vendored::LOCK.to_owned()),
        (
            ".cargo/config.toml".to_owned(),
            vendored::CARGO_CONFIG.to_owned(),
        ),
    ];
    for (file, text) in vendored::SDK {
        files.push((format!("vendor/nova-sdk/{file}"), (*text).to_owned()));
    }
    Ok(files)
}

/// The package, and a workspace with the tables that the vendored SDK inherits from.
fn cargo_toml(name: &str) -> Result<String> {
    let theirs: Table = vendored::WORKSPACE
        .parse()
        .context("the SDK's workspace cannot be read")?;
    let tables = theirs.get("workspace").and_then(Value::as_table);
    let mut workspace = tables.cloned().unwrap_or_default();
    let members = vec![Value::from("vendor/nova-sdk")];
    workspace.insert("members".to_owned(), Value::Array(members));
    if let Some(Value::Table(dependencies)) = workspace.get_mut("dependencies") {
        dependencies.retain(|_, value| value.get("path").is_none());
        let path = Table::from_iter([("path".to_owned(), Value::from("vendor/nova-sdk"))]);
        dependencies.insert("nova-sdk".to_owned(), Value::Table(path));
    }
    // The lints of Nova's own house are for Nova's own house.
    if let Some(Value::Table(lints)) = workspace.get_mut("lints") {
        lints.clear();
    }
    let mut ours: Table = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         [lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n\
         [dependencies]\nnova-sdk = {{ workspace = true }}\nschemars = {{ workspace = true }}\nserde = {{ workspace = true }}\nserde_json = {{ workspace = true }}\n"
    )
    .parse()?;
    ours.insert("workspace".to_owned(), Value::Table(workspace));
    if let Some(release) = theirs.get("profile").and_then(|p| p.get("release")) {
        let profile = Table::from_iter([("release".to_owned(), release.clone())]);
        ours.insert("profile".to_owned(), Value::Table(profile));
    }
    Ok(toml::to_string(&ours)?)
}

fn scripted(name: &str, kind: Kind, language: Language) -> Result<Vec<(String, String)>> {
    let (file, source) = match (language, kind) {
        (Language::Python, Kind::FlowOptimizer) => (
            "app.py",
            include_str!("../../../../plugins/examples/python/flow.py"),
        ),
        (Language::Python, Kind::ResourceAllocator) => (
            "app.py",
            include_str!("../../../../plugins/examples/python/allocation.py"),
        ),
        (Language::Javascript, Kind::FlowOptimizer) => (
            "app.js",
            include_str!("../../../../plugins/examples/javascript/flow.js"),
        ),
        (Language::Javascript, Kind::ResourceAllocator) => (
            "app.js",
            include_str!("../../../../plugins/examples/javascript/allocation.js"),
        ),
        _ => bail!("there is a template for {kind} in rust only: use --lang rust"),
    };
    let mut files = vec![(file.to_owned(), source.replace(EXAMPLE, name))];
    if language == Language::Javascript {
        files.push((
            "package.json".to_owned(),
            include_str!("../../../../plugins/examples/javascript/package.json")
                .replace(EXAMPLE, name),
        ));
    } else {
        files.push((
            "requirements.txt".to_owned(),
            "componentize-py\n".to_owned(),
        ));
    }
    Ok(files)
}

fn put(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
