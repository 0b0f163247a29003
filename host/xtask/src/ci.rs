//! What CI runs, in the order that fails soonest.

use anyhow::Result;

use crate::plugins;
use crate::shell::{Shell, cargo};

/// Formatting, lints and build of both workspaces. The tests follow by the README's own command, which
/// `.ci/run` calls.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    let guests = sh.path("plugins");
    sh.step("check formatting", &mut cargo(["fmt", "--all", "--check"]))?;
    sh.step(
        "check formatting of the plugins",
        cargo(["fmt", "--all", "--check"]).current_dir(&guests),
    )?;
    plugins::stage_defaults(sh)?;
    let lints = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    sh.step("lint the plugins", cargo(lints).current_dir(&guests))?;
    sh.step("lint the daemon", &mut cargo(lints))?;
    sh.step(
        "build the daemon",
        &mut cargo(["build", "--workspace", "--locked"]),
    )
}
