//! Programs that some tests call and that are no crates: a fuzzer of the HTTP contract, a generator of
//! clients, the official client of a protocol. They come from PyPI and npm in pinned versions into `target/tools`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::Shell;

/// Installs what `tests/tools` lists, unless it is there already.
///
/// # Errors
/// No Python or no npm, or a package that cannot be had.
pub(crate) fn install(sh: &Shell) -> Result<()> {
    let (lists, tools) = (sh.path("tests/tools"), sh.path("target/tools"));
    std::fs::create_dir_all(&tools)?;
    if changed(&lists, &tools, &["requirements.txt"])? {
        let python = tools.join("python");
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&python);
        sh.step("make an environment of Python", &mut venv)?;
        let mut pip = Command::new(python.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(lists.join("requirements.txt"));
        sh.step("install the tools written in Python", &mut pip)?;
        keep(&lists, &tools, &["requirements.txt"])?;
    }
    let manifest = ["package.json", "package-lock.json"];
    if changed(&lists, &tools, &manifest)? {
        let node = tools.join("node");
        std::fs::create_dir_all(&node)?;
        keep(&lists, &node, &manifest)?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&node);
        sh.step("install the tools written in JavaScript", &mut npm)?;
        keep(&lists, &tools, &manifest)?;
    }
    Ok(())
}

/// Whether a list differs from the one that was installed last.
fn changed(lists: &Path, tools: &Path, names: &[&str]) -> Result<bool> {
    for name in names {
        let wanted = std::fs::read(lists.join(name)).with_context(|| format!("reading {name}"))?;
        if std::fs::read(tools.join(name)).ok().as_ref() != Some(&wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Copies lists beside what was installed from them.
fn keep(lists: &Path, to: &Path, names: &[&str]) -> Result<()> {
    for name in names {
        std::fs::copy(lists.join(name), to.join(name))
            .with_context(|| format!("copying {name}"))?;
    }
    Ok(())
}
