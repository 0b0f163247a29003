//! Real workflows and generated graphs of the reference data, where the folder is at hand:
//! `NOVA_SHARED_DATA`, else `../shared/data` beside the repository.

use crate::plan;
use nova_sdk::flow::Problem;
use nova_sdk::flow::testing::{related, unrelated};
use serde_json::Value;
use std::path::PathBuf;

fn data() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let folder = std::env::var_os("NOVA_SHARED_DATA").map_or(PathBuf::from(beside), PathBuf::from);
    let folder = folder.join("scheduling");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no reference data in {}", folder.display());
    None
}

fn read(path: PathBuf) -> Value {
    let text = std::fs::read_to_string(&path).expect("the reference data can be read");
    serde_json::from_str(&text).expect("the reference data is JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().expect("a list");
    list.iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn edges(value: &Value) -> Vec<(u32, u32, f64)> {
    let list = value.as_array().expect("a list of edges");
    list.iter()
        .map(|edge| {
            let edge = numbers(edge);
            (edge[0] as u32, edge[1] as u32, edge[2])
        })
        .collect()
}

/// Compares with a reference implementation of HEFT; ties may fall otherwise.
struct Comparison {
    equal: usize,
    all: usize,
    worst: f64,
}

impl Comparison {
    fn new() -> Self {
        Comparison {
            equal: 0,
            all: 0,
            worst: 0.0,
        }
    }

    /// `expected` holds the reference's makespan, and the best of any method, which no
    /// lower bound may exceed.
    fn add(&mut self, name: &str, problem: &Problem, expected: &Value) {
        let reference_s = expected["reference_rust"]["heft"]["makespan"].as_f64();
        let reference_s = reference_s.expect("a reference makespan");
        let best_s = expected["best_known_makespan"].as_f64().expect("a best");
        let path_s = expected["lower_bounds"]["critical_path"].as_f64();
        let plan = plan(problem);
        let (makespan_s, bound_s) = (plan.makespan_s, plan.lower_bound_s);
        assert!(
            bound_s <= best_s * (1.0 + 1e-6),
            "{name}: {bound_s} over {best_s}"
        );
        assert!(
            bound_s >= path_s.expect("a path") * (1.0 - 1e-6),
            "{name}: {bound_s}"
        );
        let ratio = makespan_s / reference_s;
        self.all += 1;
        if (ratio - 1.0).abs() <= 1e-6 {
            self.equal += 1;
        } else {
            println!("{name}: {makespan_s}, reference {reference_s}, ratio {ratio:.5}");
        }
        self.worst = self.worst.max(ratio);
    }
}

#[test]
fn workflows_are_scheduled_as_the_reference_does() {
    let Some(folder) = data() else { return };
    let cases = read(folder.join("workflow_cases.json"));
    let mut comparison = Comparison::new();
    for case in cases["cases"].as_array().expect("cases") {
        let name = case["workflow"].as_str().expect("a name");
        let name = name.trim_end_matches(".json");
        let workflow = read(folder.join(format!("workflows/{name}.json")));
        let nodes = workflow["nodes"].as_array().expect("nodes");
        let work_s: Vec<f64> = nodes
            .iter()
            .map(|node| node["duration"].as_f64().expect("a duration"))
            .collect();
        let speeds = numbers(&case["speeds"]);
        let mut problem = related(&work_s, &edges(&workflow["edges"]), &speeds);
        problem.communication.bandwidth_bytes_per_s = case["bandwidth_bytes_per_second"]
            .as_f64()
            .unwrap_or(f64::INFINITY);
        let id = case["id"].as_str().unwrap_or(name);
        comparison.add(id, &problem, &case["expected"]);
    }
    println!(
        "{} of {} as the reference, the worst {:.5} times it",
        comparison.equal, comparison.all, comparison.worst
    );
    assert!(comparison.all > 0 && comparison.worst <= 1.02);
    assert!(comparison.equal * 10 >= comparison.all * 9);
}

#[test]
fn generated_graphs_are_scheduled_as_the_reference_does() {
    let Some(folder) = data() else { return };
    let cases = read(folder.join("unrelated_cases.json"));
    let mut comparison = Comparison::new();
    for case in cases["cases"].as_array().expect("cases") {
        let rows: Vec<Vec<f64>> = case["cost"]
            .as_array()
            .expect("rows")
            .iter()
            .map(numbers)
            .collect();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let problem = unrelated(&rows, &edges(&case["edges"]), rows[0].len());
        let id = case["id"].as_str().unwrap_or("a case");
        comparison.add(id, &problem, &case["expected"]);
    }
    println!(
        "{} of {} as the reference, the worst {:.5} times it",
        comparison.equal, comparison.all, comparison.worst
    );
    assert!(comparison.all > 0 && comparison.equal * 10 >= comparison.all * 9);
}
