//! `nova plugin build`: the component of a project, with its manifest, in `dist/NAME`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::project::{Language, Project};

const TARGET: &str = "wasm32-wasip2";

/// Builds the component and lays out what is copied into a plugin directory.
///
/// # Errors
/// The tool that is missing and how to get it, or what the tool said.
pub(crate) fn build(project: &Project) -> Result<PathBuf> {
    std::fs::create_dir_all(project.dist())?;
    let component = project.component();
    match project.language {
        Language::Rust => rust(project, &component)?,
        Language::Python => run(
            Command::new("componentize-py")
                .args(["-d", "wit/v0.1", "-w", project.kind.as_str()])
                // Nothing of WASI is needed, and what is not imported need not be granted.
                .args(["componentize", "--stub-wasi", "app", "-o"])
                .arg(absolute(&component)?)
                .current_dir(&project.folder),
            "componentize-py is needed: pip install componentize-py",
        )?,
        Language::Javascript => javascript(project, &component)?,
    }
    std::fs::copy(
        project.folder.join("plugin.toml"),
        project.dist().join("plugin.toml"),
    )?;
    Ok(component)
}

fn rust(project: &Project, component: &Path) -> Result<()> {
    run(
        Command::new("cargo")
            .args(["build", "--release", "--target", TARGET])
            .current_dir(&project.folder),
        "cargo is needed: https://rustup.rs, then rustup target add wasm32-wasip2",
    )?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let file = format!("{}.wasm", project.name.replace('-', "_"));
    // Relative to where cargo ran, as it takes it.
    let built = project
        .folder
        .join(target)
        .join(TARGET)
        .join("release")
        .join(file);
    std::fs::copy(&built, component)
        .with_context(|| format!("{} was not built", built.display()))?;
    Ok(())
}

fn javascript(project: &Project, component: &Path) -> Result<()> {
    // The project's own tool first, then one on the path.
    let own = absolute(&project.folder.join("node_modules/.bin/componentize-qjs"))?;
    let tool = if own.exists() {
        own
    } else {
        PathBuf::from("componentize-qjs")
    };
    // Nothing of WASI is needed, and what is not imported need not be granted.
    run(
        Command::new(tool)
            .args(["--wit", "wit/v0.1", "--world", project.kind.as_str()])
            .args(["--js", "app.js", "--sync", "--stub-wasi", "--output"])
            .arg(absolute(component)?)
            .current_dir(&project.folder),
        "componentize-qjs is needed: npm install in the project's folder",
    )
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{}", path.display()))
}

fn run(command: &mut Command, missing: &str) -> Result<()> {
    let status = match command.status() {
        Ok(status) => status,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!("{missing}"),
        Err(error) => return Err(error).context(missing.to_owned()),
    };
    if !status.success() {
        bail!(
            "{} failed ({status})",
            command.get_program().to_string_lossy()
        );
    }
    Ok(())
}
