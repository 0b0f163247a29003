//! WfCommons' WfFormat 1.5: <https://github.com/wfcommons/WfFormat>.
//!
//! A task's duration is its measured runtime; an edge carries the bytes of the files that
//! the parent writes and the child reads.

use std::collections::HashMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Document {
    name: String,
    workflow: Workflow,
}

#[derive(Deserialize)]
struct Workflow {
    specification: Specification,
    execution: Execution,
}

#[derive(Deserialize)]
struct Specification {
    tasks: Vec<Task>,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    name: String,
    id: String,
    #[serde(default)]
    parents: Vec<String>,
    #[serde(default)]
    input_files: Vec<String>,
    #[serde(default)]
    output_files: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    id: String,
    size_in_bytes: f64,
}

#[derive(Deserialize)]
struct Execution {
    tasks: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    id: String,
    runtime_in_seconds: f64,
}

pub(super) fn convert(json: Value) -> Result<Value> {
    let document: Document = serde_json::from_value(json).context("not WfFormat 1.5")?;
    let Workflow {
        specification,
        execution,
    } = document.workflow;
    let runtimes: HashMap<&str, f64> = execution
        .tasks
        .iter()
        .map(|run| (run.id.as_str(), run.runtime_in_seconds))
        .collect();
    let sizes: HashMap<&str, f64> = specification
        .files
        .iter()
        .map(|file| (file.id.as_str(), file.size_in_bytes))
        .collect();
    let by_id: HashMap<&str, &Task> = specification
        .tasks
        .iter()
        .map(|t| (t.id.as_str(), t))
        .collect();

    let mut tasks = Vec::with_capacity(specification.tasks.len());
    let mut edges = Vec::new();
    for task in &specification.tasks {
        let runtime = runtimes.get(task.id.as_str());
        let runtime =
            runtime.with_context(|| format!("task '{}' has no runtime in 'execution'", task.id))?;
        tasks.push(json!({"key": task.id, "type": task.name, "estimate": {"duration_s": runtime}}));
        for parent in &task.parents {
            let known = by_id.get(parent.as_str());
            let parent = known.with_context(|| {
                format!(
                    "task '{}' has a parent that does not exist: '{parent}'",
                    task.id
                )
            })?;
            let shared = parent
                .output_files
                .iter()
                .filter(|file| task.input_files.contains(file));
            let bytes: f64 = shared.filter_map(|file| sizes.get(file.as_str())).sum();
            edges.push(json!({"from": parent.id, "to": task.id, "data_bytes": bytes}));
        }
    }
    Ok(json!({"name": document.name, "tasks": tasks, "edges": edges}))
}
