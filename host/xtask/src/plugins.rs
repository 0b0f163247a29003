//! Building the guests and staging them as a plugin directory.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{Shell, cargo};

const TARGET: &str = "wasm32-wasip2";
/// The strategies that ship with Nova.
const DEFAULTS: [&str; 9] = [
    "heft",
    "peft",
    "cpop",
    "nova-flow",
    "drf",
    "maxmin",
    "binpack",
    "provision",
    "pulse",
];

/// Builds the shipped plugins and lays them out in `target/plugins/NAME/`.
pub(crate) fn stage_defaults(sh: &Shell) -> Result<()> {
    ensure_target(sh)?;
    let packages = DEFAULTS.into_iter().flat_map(|name| ["--package", name]);
    build(sh, "build the default plugins", packages)?;
    for name in DEFAULTS {
        let folder = sh.path("target/plugins").join(name);
        let file = artifact(sh, &name.replace('-', "_"));
        put(&file, &folder.join(format!("{name}.wasm")))?;
        put(
            &sh.path("plugins").join(name).join("plugin.toml"),
            &folder.join("plugin.toml"),
        )?;
    }
    Ok(())
}

/// Builds the misbehaving guests that tests load into `target/fixtures/NAME.wasm`.
pub(crate) fn stage_fixtures(sh: &Shell) -> Result<()> {
    ensure_target(sh)?;
    let names = fixtures(sh)?;
    let packages = names.iter().flat_map(|name| ["--package", name]);
    build(sh, "build the fixtures", packages)?;
    for name in &names {
        let file = artifact(sh, &name.replace('-', "_"));
        put(
            &file,
            &sh.path("target/fixtures").join(format!("{name}.wasm")),
        )?;
    }
    Ok(())
}

/// Runs the guests' native tests.
pub(crate) fn test(sh: &Shell) -> Result<()> {
    sh.step(
        "test the plugins natively",
        cargo(["test", "--workspace"]).current_dir(sh.path("plugins")),
    )
}

/// The fixture packages that are components of their own.
fn fixtures(sh: &Shell) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(sh.path("plugins/fixtures"))? {
        let manifest = entry?.path().join("Cargo.toml");
        let Ok(text) = std::fs::read_to_string(&manifest) else {
            continue;
        };
        if !text.contains("cdylib") {
            continue;
        }
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        names.push(
            name.with_context(|| format!("{} has no name", manifest.display()))?
                .to_owned(),
        );
    }
    names.sort();
    Ok(names)
}

fn build<'a>(sh: &Shell, what: &str, packages: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut command = cargo(["build", "--release", "--target", TARGET]);
    sh.step(what, command.args(packages).current_dir(sh.path("plugins")))
}

fn artifact(sh: &Shell, crate_name: &str) -> std::path::PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(Into::into);
    let target: std::path::PathBuf = target.unwrap_or_else(|| sh.path("plugins/target"));
    target
        .join(TARGET)
        .join("release")
        .join(format!("{crate_name}.wasm"))
}

/// Installs the wasm target where it is missing; automatic installation may be off.
fn ensure_target(sh: &Shell) -> Result<()> {
    let libdir = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    let installed = libdir.is_ok_and(|out| {
        out.status.success() && Path::new(String::from_utf8_lossy(&out.stdout).trim()).is_dir()
    });
    if installed {
        return Ok(());
    }
    let add = &mut Command::new("rustup");
    let added = sh.step(
        "install the wasm target",
        add.args(["target", "add", TARGET]),
    );
    added.with_context(|| format!("the target {TARGET} is missing; install it and try again"))
}

/// Copies a file so that a running daemon sees the old one or the new one, never a part. A file
/// that is the same stays untouched.
fn put(from: &Path, to: &Path) -> Result<()> {
    let bytes = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if std::fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let Some(folder) = to.parent() else {
        bail!("{} has no folder", to.display())
    };
    let part = to.with_extension("tmp");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&part, bytes))
        .and_then(|()| std::fs::rename(&part, to))
        .with_context(|| format!("cannot write {}", to.display()))
}
