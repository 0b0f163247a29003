//! The plain graph: `{name, kinds, nodes: [{id, duration, kind}], edges: [[from, to, bytes]]}`;
//! durations in seconds, `kind` an index into `kinds`.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Graph {
    name: String,
    #[serde(default)]
    kinds: Vec<String>,
    nodes: Vec<Node>,
    #[serde(default)]
    edges: Vec<(u64, u64, f64)>,
}

#[derive(Deserialize)]
struct Node {
    id: u64,
    duration: f64,
    kind: Option<usize>,
}

pub(super) fn convert(json: Value) -> Result<Value> {
    let graph: Graph = serde_json::from_value(json).context("not a graph")?;
    let fallback = "task".to_owned();
    let mut tasks = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let kind = match node.kind {
            Some(kind) => graph
                .kinds
                .get(kind)
                .with_context(|| format!("node {} has the unknown kind {kind}", node.id))?,
            None => &fallback,
        };
        tasks.push(json!({
            "key": node.id.to_string(), "type": kind, "estimate": {"duration_s": node.duration},
        }));
    }
    let known: std::collections::HashSet<u64> = graph.nodes.iter().map(|n| n.id).collect();
    let mut edges = Vec::with_capacity(graph.edges.len());
    for (from, to, bytes) in graph.edges {
        for end in [from, to] {
            anyhow::ensure!(
                known.contains(&end),
                "an edge names node {end}, which does not exist"
            );
        }
        edges.push(json!({"from": from.to_string(), "to": to.to_string(), "data_bytes": bytes}));
    }
    Ok(json!({"name": graph.name, "tasks": tasks, "edges": edges}))
}
