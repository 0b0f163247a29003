//! Reading workflows of other tools as requests to make a flow.
//!
//! Two formats: WfCommons' WfFormat 1.5, and a plain graph (`nodes` with durations, `edges` with
//! bytes). What a file holds is recognised by its fields.

mod graph;
mod wfformat;

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The body of `POST /api/orchestration/flows` for the workflow in `file`.
///
/// # Errors
/// A file that cannot be read, is no JSON, has neither format, or contradicts itself; names the task
/// to blame.
pub(crate) fn read(file: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let json: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    convert(json).with_context(|| format!("{} cannot be imported", file.display()))
}

fn convert(json: Value) -> Result<Value> {
    if json.get("workflow").is_some() {
        wfformat::convert(json)
    } else if json.get("nodes").is_some() {
        graph::convert(json)
    } else {
        bail!(
            "neither WfFormat (a 'workflow' with a 'specification') nor a graph ('nodes' and 'edges')"
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_graph_becomes_a_flow() {
        let flow = convert(json!({
            "name": "g", "source": "x", "kinds": ["split", "join"],
            "nodes": [{"id": 0, "duration": 1.5, "kind": 0}, {"id": 1, "duration": 2.0, "kind": 1}],
            "edges": [[0, 1, 100]],
        }));
        let expected = json!({
            "name": "g",
            "tasks": [
                {"key": "0", "type": "split", "estimate": {"duration_s": 1.5}},
                {"key": "1", "type": "join", "estimate": {"duration_s": 2.0}},
            ],
            "edges": [{"from": "0", "to": "1", "data_bytes": 100.0}],
        });
        assert_eq!(flow.unwrap(), expected);
    }

    #[test]
    fn wfformat_becomes_a_flow_with_the_bytes_of_shared_files() {
        let flow = convert(json!({
            "name": "w", "schemaVersion": "1.5",
            "workflow": {
                "specification": {
                    "tasks": [
                        {"name": "split", "id": "s1", "parents": [], "children": ["j1"], "outputFiles": ["a", "b"]},
                        {"name": "join", "id": "j1", "parents": ["s1"], "children": [], "inputFiles": ["a", "c"]},
                    ],
                    "files": [{"id": "a", "sizeInBytes": 10}, {"id": "b", "sizeInBytes": 5}, {"id": "c", "sizeInBytes": 7}],
                },
                "execution": {"tasks": [{"id": "s1", "runtimeInSeconds": 3.0}, {"id": "j1", "runtimeInSeconds": 4}]},
            },
        }));
        let expected = json!({
            "name": "w",
            "tasks": [
                {"key": "s1", "type": "split", "estimate": {"duration_s": 3.0}},
                {"key": "j1", "type": "join", "estimate": {"duration_s": 4.0}},
            ],
            "edges": [{"from": "s1", "to": "j1", "data_bytes": 10.0}],
        });
        assert_eq!(flow.unwrap(), expected);
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_the_task_named() {
        let task = |id: &str, parents: &[&str]| json!({"name": "t", "id": id, "parents": parents, "children": []});
        let wf = |tasks: Vec<Value>, runs: Value| json!({"name": "w", "schemaVersion": "1.5", "workflow": {"specification": {"tasks": tasks}, "execution": {"tasks": runs}}});
        let cases = [
            (json!({"a": 1}), "neither WfFormat"),
            (
                wf(
                    vec![task("x", &["nobody"])],
                    json!([{"id": "x", "runtimeInSeconds": 1.0}]),
                ),
                "'nobody'",
            ),
            (wf(vec![task("x", &[])], json!([])), "'x' has no runtime"),
            (
                json!({"name": "g", "kinds": ["k"], "nodes": [{"id": 0, "duration": 1.0, "kind": 3}], "edges": []}),
                "kind 3",
            ),
            (
                json!({"name": "g", "kinds": ["k"], "nodes": [], "edges": [[0, 1, 2]]}),
                "node 0",
            ),
        ];
        for (json, named) in cases {
            let error = format!("{:#}", convert(json).unwrap_err());
            assert!(error.contains(named), "{error}");
        }
    }
}
