//! Instances with reference results, which are not in the repository: `NOVA_SHARED_DATA`, else
//! `../shared/data` beside it. Its README gives formats, sources and how each figure was made.

use super::{related, unrelated};
use crate::flow::Problem;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// An instance and what is known of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub id: String,
    /// The problem, without budget.
    pub problem: Problem,
    /// The smallest makespan known, seconds.
    pub best_s: f64,
    /// Whether no schedule is shorter than that.
    pub is_proven: bool,
    /// The largest lower bound known, seconds.
    pub bound_s: f64,
    /// The longest path on the fastest agents, seconds.
    pub path_s: f64,
    /// The makespan of a reference implementation of HEFT, seconds.
    pub heft_s: Option<f64>,
}

/// The folder of the reference data.
#[derive(Clone, Debug)]
pub struct Reference {
    folder: PathBuf,
}

impl Reference {
    /// The folder, if it is at hand; else a line that says so.
    pub fn find() -> Option<Self> {
        let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
        let folder = std::env::var_os("NOVA_SHARED_DATA");
        let folder = folder.map_or(PathBuf::from(beside), PathBuf::from);
        if folder.is_dir() {
            return Some(Reference { folder });
        }
        println!(
            "skipped: no reference data in {}; NOVA_SHARED_DATA names its folder",
            folder.display()
        );
        None
    }

    /// Where the data is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Real workflows on related agents: related speeds, one bandwidth.
    ///
    /// # Panics
    /// As all of these, when a file is not as its README says.
    pub fn workflows(&self) -> Vec<Case> {
        let cases = self.read("scheduling/workflow_cases.json");
        list(&cases["cases"])
            .iter()
            .map(|case| {
                let name = text(&case["workflow"]).trim_end_matches(".json");
                let graph = self.read(&format!("scheduling/workflows/{name}.json"));
                let nodes = list(&graph["nodes"]).iter();
                let work_s: Vec<f64> = nodes.map(|node| number(&node["duration"])).collect();
                let speeds = numbers(&case["speeds"]);
                let mut problem = related(&work_s, &edges(&graph["edges"]), &speeds);
                if let Some(bandwidth) = case["bandwidth_bytes_per_second"].as_f64() {
                    problem.communication.bandwidth_bytes_per_s = bandwidth;
                }
                expected(case, problem)
            })
            .collect()
    }

    /// Generated graphs with a duration for each task on each agent.
    pub fn unrelated(&self) -> Vec<Case> {
        let cases = self.read("scheduling/unrelated_cases.json");
        list(&cases["cases"])
            .iter()
            .map(|case| {
                let rows: Vec<Vec<f64>> = list(&case["cost"]).iter().map(numbers).collect();
                let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
                let agents = rows[0].len();
                expected(case, unrelated(&rows, &edges(&case["edges"]), agents))
            })
            .collect()
    }

    /// Resource-constrained projects (PSPLIB): one agent that supplies the renewable
    /// resources and has a slot for every task.
    pub fn projects(&self) -> Vec<Case> {
        let cases = self.read("scheduling/rcpsp_psplib.json");
        list(&cases["cases"]).iter().map(project).collect()
    }

    fn read(&self, file: &str) -> Value {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

fn expected(case: &Value, problem: Problem) -> Case {
    let known = &case["expected"];
    Case {
        id: text(&case["id"]).to_owned(),
        problem,
        best_s: number(&known["best_known_makespan"]),
        is_proven: known["proven_optimal"].as_bool() == Some(true),
        bound_s: number(&known["best_lower_bound"]),
        path_s: number(&known["lower_bounds"]["critical_path"]),
        heft_s: known["reference_rust"]["heft"]["makespan"].as_f64(),
    }
}

fn project(case: &Value) -> Case {
    let capacity = numbers(&case["capacity"]);
    let duration_s = numbers(&case["duration"]);
    let mut problem = related(&duration_s, &edges(&case["edges"]), &[1.0]);
    problem.agents.slots = vec![duration_s.len() as u32];
    for (resource, &amount) in capacity.iter().enumerate() {
        problem.agents.supply_agent.push(0);
        problem.agents.supply_resource.push(resource as u32);
        problem.agents.supply_amount.push(amount);
    }
    for (task, row) in list(&case["demand"]).iter().enumerate() {
        for (resource, amount) in numbers(row).into_iter().enumerate() {
            if amount > 0.0 {
                problem.demands.task.push(task as u32);
                problem.demands.resource.push(resource as u32);
                problem.demands.amount.push(amount);
            }
        }
    }
    let known = &case["expected"];
    Case {
        id: text(&case["id"]).to_owned(),
        problem,
        best_s: number(&known["best_known"]),
        is_proven: known["optimal"].is_number(),
        bound_s: number(&known["lower_bound"]),
        path_s: number(&known["critical_path"]),
        heft_s: None,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> f64 {
    match value.as_f64() {
        Some(number) => number,
        None => panic!("a number is expected in place of {value}"),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

/// Edges are [from, to] or [from, to, bytes].
fn edges(value: &Value) -> Vec<(u32, u32, f64)> {
    list(value)
        .iter()
        .map(|edge| {
            let edge = numbers(edge);
            let bytes = edge.get(2).copied().unwrap_or(0.0);
            (edge[0] as u32, edge[1] as u32, bytes)
        })
        .collect()
}
