//! `cargo xtask fuzz`: feeds what parses untrusted bytes with bytes that nobody wrote.
//!
//! The targets are in `tests/fuzz`. They are built with LLVM's coverage instrumentation by the toolchain that
//! builds everything else; libFuzzer comes with its crate and needs a C++ compiler. What is found on the way
//! goes into `target/fuzz/`: the corpus in the repository stays small.

use anyhow::{Result, bail};

use crate::shell::{Shell, cargo};

/// Every target.
const TARGETS: [&str; 4] = ["component", "manifest", "signature", "record"];

/// What cargo-fuzz passes, but for its sanitizers: these need a nightly toolchain, and find little in code
/// without `unsafe`.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Runs one target, or all of them, for so many seconds each.
pub(crate) fn run(sh: &Shell, target: Option<&str>, seconds: u64) -> Result<()> {
    let targets = match target {
        None => TARGETS.to_vec(),
        Some(name) if TARGETS.contains(&name) => vec![name],
        Some(name) => bail!("'{name}' is no target; there are {}", TARGETS.join(", ")),
    };
    let triple = host()?;
    let mut build = cargo(["build", "--release", "--target", &triple]);
    build.args([
        "--manifest-path",
        "tests/fuzz/Cargo.toml",
        "--target-dir",
        "target/fuzz",
    ]);
    sh.step("build the fuzz targets", build.env("RUSTFLAGS", FLAGS))?;
    for name in targets {
        let found = sh.path("target/fuzz/corpus").join(name);
        std::fs::create_dir_all(&found)?;
        let mut fuzz = sh.program(&format!("target/fuzz/{triple}/release/{name}"));
        fuzz.arg(found)
            .arg(sh.path("tests/fuzz/corpus").join(name))
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix=target/fuzz/{name}-"))
            .args(["-print_final_stats=1", "-rss_limit_mb=2048", "-timeout=10"]);
        sh.step(&format!("fuzz {name} for {seconds} s"), &mut fuzz)?;
    }
    Ok(())
}

/// The machine that this runs on: with it named, build scripts and macros are not instrumented.
fn host() -> Result<String> {
    let said = cargo(["-vV"]).output()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    match text.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(triple) => Ok(triple.to_owned()),
        None => bail!("cargo does not say which machine it builds for"),
    }
}
