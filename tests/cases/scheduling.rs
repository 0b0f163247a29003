//! Every real workflow of the reference data over 4, 8 and 16 agents of different speed: loaded by
//! the import command's request, optimized, and the plan checked without the product's code.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::{Client, Daemon, Problem, check_plan, nova, shared_data};

const SPEEDS: [f64; 16] = [
    1.0, 0.5, 2.0, 1.5, 0.75, 1.25, 1.75, 1.0, 0.5, 2.0, 1.5, 0.75, 1.25, 1.75, 1.0, 0.5,
];
const LAN_BYTES_PER_S: f64 = 125e6;

#[test]
fn every_real_workflow_gets_a_valid_plan_on_4_8_and_16_agents() {
    let Some(folder) = shared_data("scheduling/workflows") else {
        return;
    };
    let daemon = Daemon::start();
    for agents in [4, 8, 16] {
        for (i, speed) in SPEEDS.iter().take(agents).enumerate() {
            let agent = json!({"agent_id": format!("agent-{i}"), "name": format!("agent {i}"), "speed": speed});
            daemon
                .post(
                    &format!("/api/orchestration/agents?domain=a{agents}"),
                    agent,
                )
                .expect(201);
        }
    }
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let request = nova()
            .args(["flow", "import", "--print"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(
            request.status.success(),
            "{}",
            String::from_utf8_lossy(&request.stderr)
        );
        let mut request: Value = serde_json::from_slice(&request.stdout).unwrap();
        request["communication"] = json!({"bandwidth_bytes_per_s": LAN_BYTES_PER_S});
        for agents in [4, 8, 16] {
            let domain = format!("a{agents}");
            let made = daemon
                .post(
                    &format!("/api/orchestration/flows?domain={domain}"),
                    request.clone(),
                )
                .expect(201);
            let flow = made["flow_id"].as_str().unwrap();
            let answer = daemon
                .post(
                    &format!("/api/orchestration/flows/{flow}/optimize?domain={domain}"),
                    json!({}),
                )
                .expect(200);
            let problem = problem(&request, &made, agents);
            let makespan = check_plan(&problem, &answer["plan"]);
            let baseline = answer["plan"]["baseline_makespan_s"].as_f64().unwrap();
            assert!(baseline > 0.0 && makespan > 0.0);
            let confidence = answer["confidence"].as_f64().unwrap();
            let bound = answer["plan"]["lower_bound_s"].as_f64().unwrap();
            assert!(
                (confidence - bound / makespan).abs() < 1e-9,
                "confidence is lower bound ÷ makespan"
            );
            assert_eq!(answer["strategy"]["plugin"], "heft");
        }
        seen += 1;
    }
    assert!(seen >= 16, "only {seen} workflows");
}

/// What the request and the answer say of the problem.
fn problem(request: &Value, made: &Value, agents: usize) -> Problem {
    let id = |key: &str| made["tasks"][key].as_str().unwrap().to_owned();
    let tasks = request["tasks"].as_array().unwrap();
    let duration = |t: &Value| t["estimate"]["duration_s"].as_f64().unwrap();
    let edge = |e: &Value| {
        (
            id(e["from"].as_str().unwrap()),
            id(e["to"].as_str().unwrap()),
            e["data_bytes"].as_f64().unwrap(),
        )
    };
    Problem {
        duration_s: tasks
            .iter()
            .map(|t| (id(t["key"].as_str().unwrap()), duration(t)))
            .collect(),
        edges: request["edges"]
            .as_array()
            .unwrap()
            .iter()
            .map(edge)
            .collect(),
        agents: (0..agents)
            .map(|i| (format!("agent-{i}"), (SPEEDS[i], 1)))
            .collect::<HashMap<_, _>>(),
        bandwidth_bytes_per_s: LAN_BYTES_PER_S,
    }
}

#[test]
fn the_same_question_gets_the_same_answer() {
    let daemon = Daemon::start();
    let flow = diamond(&daemon);
    let ask = || {
        daemon
            .post(
                &format!("/api/orchestration/flows/{flow}/optimize"),
                json!({}),
            )
            .expect(200)
    };
    let (first, second) = (ask(), ask());
    assert_eq!(first["plan"], second["plan"]);
    assert_eq!(first["optimizations"], second["optimizations"]);
    assert_ne!(
        first["strategy"]["decision_id"],
        second["strategy"]["decision_id"]
    );
}

/// Two agents and a diamond of four tasks; gives the flow's id.
pub fn diamond(client: &Client) -> String {
    for (id, speed) in [("fast", 2.0), ("slow", 1.0)] {
        client
            .post(
                "/api/orchestration/agents",
                json!({"agent_id": id, "name": id, "speed": speed}),
            )
            .expect(201);
    }
    let task = |key: &str, seconds: f64, after: &[&str]| json!({"key": key, "type": "work", "estimate": {"duration_s": seconds}, "depends_on": after});
    let flow = json!({"name": "diamond", "tasks": [
        task("a", 2.0, &[]), task("b", 4.0, &["a"]), task("c", 4.0, &["a"]), task("d", 2.0, &["b", "c"]),
    ]});
    client.post("/api/orchestration/flows", flow).expect(201)["flow_id"]
        .as_str()
        .unwrap()
        .to_owned()
}
