//! Records the cold build of Nova as a workflow: every compilation unit, its measured seconds and
//! what it waited for, from cargo's timing report, in WfCommons' format (WfFormat 1.5).
//!
//! A unit whose report tells frontend from codegen becomes two tasks, because cargo starts
//! dependents as soon as the frontend is done. A task's parent is the one whose end released it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::shell::{Shell, cargo};

/// A unit of cargo's timing report; times in seconds.
#[derive(Deserialize)]
struct Unit {
    i: usize,
    name: String,
    version: String,
    mode: String,
    target: String,
    start: f64,
    duration: f64,
    unblocked_units: Vec<usize>,
    unblocked_rmeta_units: Vec<usize>,
    sections: Option<Vec<(String, Section)>>,
}

#[derive(Deserialize)]
struct Section {
    start: f64,
    end: f64,
}

/// Builds into an empty target folder, or reads `report`, and writes the workflow to `out`.
pub(crate) fn run(sh: &Shell, out: &Path, report: Option<&Path>) -> Result<()> {
    let report = match report {
        Some(report) => report.to_owned(),
        None => build_cold(sh)?,
    };
    let html = std::fs::read_to_string(&report)
        .with_context(|| format!("cannot read {}", report.display()))?;
    let workflow = to_wfformat(&units(&html)?)?;
    let out = sh.path(out);
    std::fs::create_dir_all(out.parent().context("the output has no folder")?)?;
    std::fs::write(&out, serde_json::to_string_pretty(&workflow)? + "\n")
        .with_context(|| format!("cannot write {}", out.display()))?;
    eprintln!("wrote {}", out.display());
    Ok(())
}

fn build_cold(sh: &Shell) -> Result<PathBuf> {
    let target = sh.path("target/record-build");
    if target.exists() {
        std::fs::remove_dir_all(&target)?;
    }
    // Downloads would be measured as waiting otherwise.
    sh.step("fetch the dependencies", &mut cargo(["fetch", "--locked"]))?;
    let args = ["build", "--timings", "--locked", "--package", "nova"];
    sh.step(
        "build from nothing",
        cargo(args).env("CARGO_TARGET_DIR", &target),
    )?;
    Ok(target.join("cargo-timings/cargo-timing.html"))
}

/// The report's data: a JSON array inside its script.
fn units(html: &str) -> Result<Vec<Unit>> {
    let start = html
        .find("const UNIT_DATA = ")
        .context("no UNIT_DATA in the report")?;
    let json = &html[start + "const UNIT_DATA = ".len()..];
    let mut stream = serde_json::Deserializer::from_str(json).into_iter();
    let units: Vec<Unit> = stream.next().context("UNIT_DATA is empty")??;
    ensure!(!units.is_empty(), "the report lists no unit");
    Ok(units)
}

/// One task of the workflow.
struct Part {
    id: String,
    kind: &'static str,
    seconds: f64,
    parents: Vec<String>,
}

fn to_wfformat(units: &[Unit]) -> Result<Value> {
    let label = |u: &Unit| {
        let target = u
            .target
            .trim()
            .replace(['(', ')', ' '], "-")
            .replace("--", "-");
        let text = [
            u.name.as_str(),
            u.version.as_str(),
            target.trim_matches('-'),
        ];
        let text: Vec<&str> = text.into_iter().filter(|t| !t.is_empty()).collect();
        format!("{}-{}", text.join("-").replace(['+', '"'], "."), u.i)
    };
    let mut parts: Vec<Part> = Vec::new();
    for unit in units {
        let id = label(unit);
        let frontend = unit
            .sections
            .iter()
            .flatten()
            .find(|(name, _)| name == "frontend");
        let split = frontend
            .map(|(_, s)| s.end - s.start)
            .filter(|s| *s > 0.0 && *s < unit.duration);
        match split {
            Some(seconds) => {
                let codegen = unit.duration - seconds;
                let frontend_id = format!("{id}-frontend");
                let parents = vec![frontend_id.clone()];
                parts.push(Part {
                    id: frontend_id,
                    kind: "frontend",
                    seconds,
                    parents: vec![],
                });
                parts.push(Part {
                    id: format!("{id}-codegen"),
                    kind: "codegen",
                    seconds: codegen,
                    parents,
                });
            }
            None => {
                let kind = match unit.mode.as_str() {
                    "run-custom-build" => "run-build-script",
                    _ if unit.target.contains("build-script") => "build-script",
                    _ => "compile",
                };
                parts.push(Part {
                    id,
                    kind,
                    seconds: unit.duration,
                    parents: vec![],
                });
            }
        }
    }
    for unit in units {
        let (id, release) = (
            label(unit),
            [&unit.unblocked_units, &unit.unblocked_rmeta_units],
        );
        for (list, end) in release.into_iter().zip(["-codegen", "-frontend"]) {
            let split = format!("{id}{end}");
            let by = if parts.iter().any(|p| p.id == split) {
                split
            } else {
                id.clone()
            };
            for waiting in list {
                let unit = units
                    .iter()
                    .find(|u| u.i == *waiting)
                    .context("an unknown unit waits")?;
                let (whole, first) = (label(unit), format!("{}-frontend", label(unit)));
                let part = parts.iter_mut().find(|p| p.id == whole || p.id == first);
                part.context("a unit without a task waits")?
                    .parents
                    .push(by.clone());
            }
        }
    }
    let makespan = units
        .iter()
        .map(|u| u.start + u.duration)
        .fold(0.0, f64::max);
    Ok(document(&parts, makespan))
}

fn document(parts: &[Part], makespan: f64) -> Value {
    let children = |id: &String| -> Vec<&String> {
        parts
            .iter()
            .filter(|p| p.parents.contains(id))
            .map(|p| &p.id)
            .collect()
    };
    let specification: Vec<Value> = parts
        .iter()
        .map(|p| json!({"name": p.kind, "id": p.id, "parents": p.parents, "children": children(&p.id)}))
        .collect();
    let round = |seconds: f64| (seconds * 100.0).round() / 100.0;
    let execution: Vec<Value> = parts
        .iter()
        .map(|p| json!({"id": p.id, "runtimeInSeconds": round(p.seconds), "machines": ["builder"]}))
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    json!({
        "name": "nova-build",
        "description": "The cold build of Nova with the dev profile: every compilation unit with its measured seconds \
                        and the unit whose end released it, from cargo's timing report.",
        "schemaVersion": "1.5",
        "runtimeSystem": {"name": "cargo", "version": cargo_version(), "url": "https://doc.rust-lang.org/cargo/"},
        "workflow": {
            "specification": {"tasks": specification, "files": []},
            "execution": {
                "makespanInSeconds": round(makespan),
                "tasks": execution,
                "machines": [{"nodeName": "builder", "cpu": {"coreCount": cores}}],
            },
        },
    })
}

/// E.g. `1.95.0`; empty when cargo does not say.
fn cargo_version() -> String {
    let out = cargo(["--version"])
        .output()
        .map(|o| o.stdout)
        .unwrap_or_default();
    String::from_utf8_lossy(&out)
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_report_becomes_a_workflow_with_frontend_and_codegen_apart() {
        let html = r#"<script>const UNIT_DATA = [
            {"i": 7, "name": "a", "version": "1.0.0", "mode": "todo", "target": "", "features": [], "start": 0.0,
             "duration": 3.0, "unblocked_units": [9], "unblocked_rmeta_units": [8],
             "sections": [["frontend", {"start": 0.0, "end": 1.0}], ["codegen", {"start": 1.0, "end": 3.0}]]},
            {"i": 8, "name": "b", "version": "2.0.0", "mode": "todo", "target": " build-script", "features": [],
             "start": 1.0, "duration": 1.5, "unblocked_units": [], "unblocked_rmeta_units": [], "sections": null},
            {"i": 9, "name": "c", "version": "0.1.0", "mode": "todo", "target": " bin \"c\"", "features": [],
             "start": 3.0, "duration": 0.5, "unblocked_units": [], "unblocked_rmeta_units": [], "sections": null}
        ];
        const X = 1;</script>"#;
        let flow = to_wfformat(&units(html).unwrap()).unwrap();
        let tasks = flow["workflow"]["specification"]["tasks"]
            .as_array()
            .unwrap();
        let parents = |i: usize| tasks[i]["parents"].to_string();
        assert_eq!(tasks.len(), 4);
        assert_eq!(tasks[0]["id"], "a-1.0.0-7-frontend");
        assert_eq!(parents(1), r#"["a-1.0.0-7-frontend"]"#);
        assert_eq!(
            (tasks[2]["name"].as_str(), parents(2).as_str()),
            (Some("build-script"), r#"["a-1.0.0-7-frontend"]"#)
        );
        assert_eq!(parents(3), r#"["a-1.0.0-7-codegen"]"#);
        let runtimes = flow["workflow"]["execution"]["tasks"].as_array().unwrap();
        assert_eq!(runtimes[1]["runtimeInSeconds"], 2.0);
    }
}
