//! Examples whose result is printed in a paper, asked for through the API.

use serde_json::{Value, json};

use crate::support::{Daemon, Options};

/// Topcuoglu, Hariri, Wu: Performance-effective and low-complexity task scheduling, IEEE TPDS 13(3), 2002:
/// the ten tasks of figure 2 on three processors, as the flow `paper`.
fn heft_paper(daemon: &Daemon) {
    let cost = [
        [14, 16, 9],
        [13, 19, 18],
        [11, 13, 19],
        [13, 8, 17],
        [12, 13, 10],
        [13, 16, 9],
        [7, 15, 11],
        [5, 11, 14],
        [18, 12, 20],
        [21, 7, 16],
    ];
    let edges = [
        (0, 1, 18),
        (0, 2, 12),
        (0, 3, 9),
        (0, 4, 11),
        (0, 5, 14),
        (1, 7, 19),
        (1, 8, 16),
        (2, 6, 23),
        (3, 7, 27),
        (3, 8, 23),
        (4, 8, 13),
        (5, 7, 15),
        (6, 9, 17),
        (7, 9, 11),
        (8, 9, 13),
    ];
    for p in 0..3 {
        daemon
            .post(
                "/api/orchestration/agents",
                json!({"agent_id": format!("p{p}"), "name": "processor"}),
            )
            .expect(201);
    }
    let tasks: Vec<Value> = cost
        .iter()
        .enumerate()
        .map(|(i, [a, b, c])| {
            json!({"key": i.to_string(), "type": "task", "estimate": {"duration_by_agent_s": {"p0": a, "p1": b, "p2": c}}})
        })
        .collect();
    let edges: Vec<Value> = edges
        .iter()
        .map(|(from, to, bytes)| json!({"from": from.to_string(), "to": to.to_string(), "data_bytes": bytes}))
        .collect();
    // One byte takes one unit of time, so that the paper's communication costs are bytes.
    let flow = json!({"flow_id": "paper", "name": "fig. 2", "tasks": tasks, "edges": edges,
                      "communication": {"bandwidth_bytes_per_s": 1.0}});
    daemon.post("/api/orchestration/flows", flow).expect(201);
}

/// HEFT's makespan is 80; the optimum, proven by a solver, is 73.
#[test]
fn the_shipped_default_solves_the_heft_paper_s_example_that_heft_takes_80_for() {
    let daemon = Daemon::with(Options {
        plugins: Some(vec!["nova-flow", "heft", "drf", "pulse"]),
        ..Options::default()
    });
    heft_paper(&daemon);
    let optimize = |body: Value| {
        daemon
            .post("/api/orchestration/flows/paper/optimize", body)
            .expect(200)
    };
    let found = optimize(json!({}));
    let strategy = &found["strategy"];
    assert_eq!(
        (&strategy["plugin"], &strategy["route"]),
        (&json!("nova-flow"), &json!("default"))
    );
    assert_eq!(found["plan"]["makespan_s"], 73.0);
    let again = optimize(json!({}));
    assert_eq!(again["plan"], found["plan"], "the same every time");
    let at_once = optimize(json!({"parameters": {"time_budget_ms": 0}}));
    let makespan_s = at_once["plan"]["makespan_s"].as_f64().unwrap();
    assert!((73.0..=80.0).contains(&makespan_s), "{makespan_s}");
    let heft = optimize(json!({"strategy": "heft"}));
    assert_eq!(heft["plan"]["makespan_s"], 80.0);
}

/// Ghodsi et al.: Dominant Resource Fairness, NSDI 2011, §4.1: 9 CPUs and 18 GB; A's tasks need ⟨1 CPU, 4 GB⟩,
/// B's ⟨3 CPU, 1 GB⟩; A gets three tasks, B two.
#[test]
fn the_drf_paper_s_example_gives_3_and_2_tasks() {
    let daemon = Daemon::start();
    for (id, capacity, unit) in [("cpu", 9, "cores"), ("memory", 18, "GB")] {
        daemon
            .post(
                "/api/orchestration/resources",
                json!({"resource_id": id, "capacity": capacity, "unit": unit}),
            )
            .expect(201);
    }
    let claim = |who: &str, cpu: f64, memory: f64| json!({"consumer": who, "bundles": 9, "resources": {"cpu": {"requested": 9.0 * cpu}, "memory": {"requested": 9.0 * memory}}});
    let requests = json!({"requests": [claim("A", 1.0, 4.0), claim("B", 3.0, 1.0)]});
    let answer = daemon
        .post("/api/orchestration/resources/allocate", requests)
        .expect(201);
    let given = |i: usize, resource: &str| {
        let items = answer["allocations_by_request"][i]["allocations"]
            .as_array()
            .unwrap();
        items.iter().find(|a| a["resource_id"] == resource).unwrap()["allocated"]
            .as_f64()
            .unwrap()
    };
    assert_eq!([given(0, "cpu"), given(0, "memory")], [3.0, 12.0]);
    assert_eq!([given(1, "cpu"), given(1, "memory")], [6.0, 2.0]);
}
