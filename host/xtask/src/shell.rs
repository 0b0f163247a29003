//! Running other programs from the repository's root, with their progress visible.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Runs programs at the repository's root.
pub(crate) struct Shell {
    root: PathBuf,
}

impl Shell {
    /// The repository that this program was built from.
    pub(crate) fn at_root() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here
            .ancestors()
            .nth(2)
            .context("xtask lies two folders below the root")?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// A path in the repository.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// A program of the repository's, to be run at the root.
    pub(crate) fn program(&self, relative: &str) -> Command {
        Command::new(self.path(relative))
    }

    /// Says what comes, runs it at the root unless it has a folder of its own, and fails with it.
    pub(crate) fn step(&self, what: &str, command: &mut Command) -> Result<()> {
        eprintln!("==> {what}");
        if command.get_current_dir().is_none() {
            command.current_dir(&self.root);
        }
        let status = command
            .status()
            .with_context(|| format!("cannot run {}", shown(command)))?;
        if !status.success() {
            bail!("{what}: {} ended with {status}", shown(command));
        }
        Ok(())
    }

    /// Replaces this program by another one, so that signals reach it.
    pub(crate) fn become_program(&self, what: &str, mut command: Command) -> Result<()> {
        eprintln!("==> {what}");
        command.current_dir(&self.root);
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            let error = command.exec();
            Err(error).with_context(|| format!("cannot run {}", shown(&command)))
        }
        #[cfg(not(unix))]
        self.step(what, &mut command)
    }
}

/// The cargo that runs this program.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    // Set by the outer cargo for this program alone; in an inner one they would cause rebuilds.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    command
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|w| w.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
