//! Coordination: each pattern's graph, and what is refused.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::register;
use crate::routes::{AGENTS, FLOWS, TASKS, header, is_uuid7, record, refused_field, text, texts};
use crate::support::Daemon;

/// `key agent <- keys it waits for`, one a task.
fn graph(flow: &Value) -> BTreeSet<String> {
    let tasks = flow["tasks"].as_array().unwrap();
    let key_of: BTreeMap<String, String> = tasks
        .iter()
        .map(|t| (text(t, "task_id"), text(t, "key")))
        .collect();
    let shown = tasks.iter().map(|task| {
        let before: BTreeSet<String> = texts(&task["dependencies"])
            .iter()
            .map(|id| key_of[id].clone())
            .collect();
        let before: Vec<String> = before.into_iter().collect();
        format!(
            "{} {} <- {}",
            text(task, "key"),
            text(task, "agent_id"),
            before.join(" ")
        )
    });
    shown.collect()
}

#[test]
fn each_pattern_makes_its_graph() {
    let daemon = Daemon::start();
    for id in ["a", "b", "c"] {
        register(&daemon, id, &["review"], 5);
    }
    let two_rounds = [
        "round-1-1 a <- ",
        "round-1-2 b <- ",
        "round-1-3 c <- ",
        "round-2-1 a <- round-1-1 round-1-2 round-1-3",
        "round-2-2 b <- round-1-1 round-1-2 round-1-3",
        "round-2-3 c <- round-1-1 round-1-2 round-1-3",
    ];
    let cases: [(Value, &str, &[&str]); 7] = [
        (
            json!(null),
            "parallel",
            &["work-1 a <- ", "work-2 b <- ", "work-3 c <- "],
        ),
        (
            json!("parallel"),
            "parallel",
            &["work-1 a <- ", "work-2 b <- ", "work-3 c <- "],
        ),
        (
            json!("sequential"),
            "sequential",
            &["step-1 a <- ", "step-2 b <- step-1", "step-3 c <- step-2"],
        ),
        (
            json!({"type": "hierarchical"}),
            "hierarchical",
            &[
                "plan a <- ",
                "work-1 b <- plan",
                "work-2 c <- plan",
                "gather a <- work-1 work-2",
            ],
        ),
        (json!("mesh"), "mesh", &two_rounds),
        (
            json!({"type": "mesh", "parameters": {"rounds": 2}}),
            "mesh",
            &two_rounds,
        ),
        (
            json!({"type": "mesh", "parameters": {"rounds": 1}}),
            "mesh",
            &two_rounds[..3],
        ),
    ];
    for (strategy, pattern, expected) in cases {
        let body = json!({
            "agents": ["a", "b", "c"], "strategy": strategy, "constraints": {"deadline": "2999-01-01T00:00:00Z"},
            "task": {"type": "review", "priority": 3, "parameters": {"pr": 7}, "required_capabilities": ["review"]}
        });
        let answer = daemon.post(&format!("{AGENTS}/coordinate"), body);
        let location = header(&answer, "location").to_owned();
        let body = answer.expect(201);
        assert_eq!(
            graph(&record(&body, "flow_id", "coordinated")),
            expected.iter().map(|e| (*e).to_owned()).collect()
        );
        is_uuid7(&text(&body, "coordination_id"));
        assert_eq!(location, format!("{FLOWS}/{}", text(&body, "flow_id")));
        let flow = daemon.get(&location).expect(200)["orchestration"].clone();
        assert_eq!(
            graph(&flow),
            graph(&body["orchestration"]),
            "it is a flow like any other"
        );
        for task in flow["tasks"].as_array().unwrap() {
            let is_first = task["dependencies"] == json!([]);
            assert_eq!(
                task["status"],
                if is_first { "assigned" } else { "blocked" }
            );
            assert_eq!(
                (&task["priority"], &task["parameters"]["pr"]),
                (&json!(3), &json!(7))
            );
            assert_eq!(task["deadline"], "2999-01-01T00:00:00.000Z");
            let about = &task["parameters"]["coordination"];
            assert_eq!(
                (&about["pattern"], &about["agents"]),
                (&json!(pattern), &json!(["a", "b", "c"]))
            );
            assert_eq!(about["coordination_id"], body["coordination_id"]);
        }
        let ids: BTreeSet<String> = flow["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| text(t, "task_id"))
            .collect();
        assert_eq!(texts(&body["task_ids"]), ids);
        for id in ids {
            // Room for the next case.
            daemon.put(&format!("{TASKS}/{id}"), json!({"status": "cancelled"}));
        }
    }
}

#[test]
fn a_sequence_hands_over_and_nonsense_makes_nothing() {
    let daemon = Daemon::start();
    for (id, can) in [("a", "x"), ("b", "x"), ("c", "y")] {
        register(&daemon, id, &[can], 1);
    }
    let coordinate = |agents: &[&str], strategy: Value, task: Value| {
        daemon.post(
            &format!("{AGENTS}/coordinate"),
            json!({"agents": agents, "strategy": strategy, "task": task}),
        )
    };
    let task = || json!({"type": "t"});
    let mesh = |rounds: u32| json!({"type": "mesh", "parameters": {"rounds": rounds}});
    for (agents, strategy, field) in [
        (&[][..], json!("parallel"), "agents"),
        (&["a", "b", "a"][..], json!("parallel"), "agents[2]"),
        (&["a"], json!("hierarchical"), "agents"),
        (&["a"], json!("swarm"), "strategy"),
        (&["a"], json!({"type": "swarm"}), "strategy.type"),
        (&["a"], json!({"typ": "mesh"}), "strategy.typ"),
        (&["a"], mesh(0), "rounds"),
        (&["a"], mesh(1000), "rounds"),
        (
            &["a"],
            json!({"type": "parallel", "parameters": {"rounds": 2}}),
            "rounds",
        ),
    ] {
        let found = refused_field(coordinate(agents, strategy.clone(), task()));
        assert!(found.ends_with(field), "{strategy}: {found} is {field}");
    }
    coordinate(&["a", "nobody"], json!("parallel"), task()).expect_error(404, "RESOURCE_NOT_FOUND");
    let needs = json!({"type": "t", "required_capabilities": ["x"]});
    let refused = coordinate(&["a", "c"], json!("parallel"), needs).expect_error(409, "CONFLICT");
    assert_eq!(
        (
            &refused["details"]["agent_id"],
            &refused["details"]["missing"]
        ),
        (&json!("c"), &json!(["x"]))
    );
    for list in [FLOWS, TASKS] {
        assert_eq!(
            daemon.get(list).expect(200)["items"],
            json!([]),
            "nothing half-written"
        );
    }

    let made = coordinate(&["a", "b", "c"], json!("sequential"), task()).expect(201);
    let flow = text(&made, "flow_id");
    for (n, agent) in ["a", "b", "c"].iter().enumerate() {
        let id = made["task_ids"][n].as_str().unwrap();
        let now = daemon.get(&format!("{TASKS}/{id}")).expect(200);
        assert_eq!(
            (&now["status"], &now["agent_id"]),
            (&json!("assigned"), &json!(agent)),
            "step {n}"
        );
        for status in ["in_progress", "completed"] {
            daemon
                .put(&format!("{TASKS}/{id}"), json!({"status": status}))
                .expect(200);
        }
    }
    assert_eq!(
        daemon.get(&format!("{FLOWS}/{flow}")).expect(200)["status"],
        "completed"
    );
}
