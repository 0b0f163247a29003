//! `nova doctor`: fires hostile guests at the limits of a configuration, and says which held.

use anyhow::{Result, bail};
use clap::Args;
use nova_runtime::{CaseReport, Diagnosis, LATE_MAX_MS, doctor};

use super::given::Given;
use crate::wiring::runtime_config;

/// See `nova doctor --help`.
#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    given: Given,
}

/// Runs the command; fails when something did not hold.
pub(crate) fn run(args: &DoctorArgs) -> Result<()> {
    let given = args.given.load()?;
    let config = runtime_config(&given, &given.data.dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let is_json = args.json;
    let found = runtime.block_on(doctor(&config, |case| {
        if !is_json {
            print(case);
        }
    }))?;
    if is_json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        summary(&found);
    }
    if !found.is_healthy() {
        bail!("not every limit held");
    }
    Ok(())
}

fn print(case: &CaseReport) {
    let verdict = if case.held { "held" } else { "NOT HELD" };
    let figure = case.figure.map(|n| format!(" = {n}")).unwrap_or_default();
    let late = case.late_ms.map(|ms| format!(", {ms:.1} ms past it"));
    println!(
        "{verdict:<8}  {:<52} by {}{figure} after {:.1} ms{}",
        case.case,
        case.held_by,
        case.elapsed_ms,
        late.unwrap_or_default()
    );
    if !case.held {
        println!("          {}", case.told);
    }
}

fn summary(found: &Diagnosis) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{} of {} held; deadlines were noticed at most {:.1} ms of the guest's own time late: {} the bound of {LATE_MAX_MS} ms",
        found.held,
        found.cases.len(),
        found.late_max_ms,
        if found.is_in_time() {
            "within"
        } else {
            "NOT within"
        }
    );
    println!(
        "resident memory {:.1} MiB before a round of all cases, {:.1} MiB after it: {}",
        mib(found.resident_before_bytes),
        mib(found.resident_after_bytes),
        if found.memory_held {
            "returned to its level"
        } else {
            "NOT returned to its level"
        }
    );
}
