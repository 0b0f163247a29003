//! Optimization: plans that hold, bounds that are kept, refusals that say why.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{EDGES, WORK_S, diamond, two_agents};
use crate::routes::{FLOWS, TASKS, decided_by, number, refused_field, text};
use crate::support::{Answer, Client, Daemon, Problem, check_plan};

/// The problem that [`diamond`] and [`two_agents`] make.
fn problem(made: &Value) -> Problem {
    let id = |key: &str| text(&made["tasks"], key);
    Problem {
        duration_s: WORK_S.iter().map(|(key, s)| (id(key), *s)).collect(),
        edges: EDGES
            .iter()
            .map(|(from, to)| (id(from), id(to), 0.0))
            .collect(),
        agents: HashMap::from([("fast".to_owned(), (2.0, 1)), ("slow".to_owned(), (1.0, 1))]),
        bandwidth_bytes_per_s: f64::INFINITY,
    }
}

fn optimize(client: &Client, flow: &str, body: Value) -> Answer {
    client.post(&format!("{FLOWS}/{flow}/optimize"), body)
}

#[test]
fn a_plan_serves_its_target_keeps_its_bounds_and_is_applied() {
    let daemon = Daemon::start();
    two_agents(&daemon);
    let made = daemon.post(FLOWS, diamond("f")).expect(201);
    let problem = problem(&made);
    let plan = |body: Value| {
        let answer = optimize(&daemon, "f", body).expect(200);
        decided_by(&answer, "flow-optimizer", "heft", "default");
        check_plan(&problem, &answer["plan"]);
        let agents: HashMap<&str, (f64, f64)> =
            HashMap::from([("fast", (2.0, 10.0)), ("slow", (1.0, 1.0))]);
        let cost: f64 = (answer["plan"]["assignments"].as_array().unwrap().iter())
            .map(|a| {
                (number(&a["finish_s"]) - number(&a["start_s"]))
                    * agents[a["agent_id"].as_str().unwrap()].1
            })
            .sum();
        assert!(
            (number(&answer["plan"]["cost"]) - cost).abs() < 1e-6,
            "{answer}"
        );
        answer
    };
    let before = daemon.get(&format!("{FLOWS}/f")).expect(200)["orchestration"].clone();
    let fastest = plan(json!({}));
    assert_eq!(
        (&fastest["flow_id"], &fastest["status"]),
        (&json!("f"), &json!("optimized"))
    );
    let (makespan, bound) = (
        number(&fastest["plan"]["makespan_s"]),
        number(&fastest["plan"]["lower_bound_s"]),
    );
    assert!((bound..=5.5).contains(&makespan), "{fastest}");
    assert!(
        (number(&fastest["confidence"]) - bound / makespan).abs() < 1e-9,
        "{fastest}"
    );
    assert!(number(&fastest["plan"]["baseline_makespan_s"]) >= makespan);
    for optimization in fastest["optimizations"].as_array().unwrap() {
        assert!(
            number(&optimization["impact"]) > 0.0
                && !text(optimization, "description").contains('{')
        );
    }
    let facts = &fastest["analytics"];
    assert_eq!(
        (
            &facts["tasks"],
            &facts["open_tasks"],
            &facts["agents"],
            &facts["edges"]
        ),
        (&json!(4), &json!(4), &json!(2), &json!(4))
    );
    assert_eq!(
        (&facts["total_work_s"], &facts["critical_path_s"]),
        (&json!(11.0), &json!(8.0))
    );
    let now = daemon.get(&format!("{FLOWS}/f")).expect(200)["orchestration"].clone();
    assert_eq!(now, before, "a question changes nothing");

    let cheapest = plan(json!({"parameters": {"target": "cost"}}));
    assert_eq!(
        (&cheapest["plan"]["cost"], &cheapest["plan"]["makespan_s"]),
        (&json!(11.0), &json!(11.0))
    );
    plan(
        json!({"parameters": {"target": "balanced", "weights": {"makespan": 1.0, "cost": 0.1}, "max_iterations": 10, "time_budget_ms": 50}}),
    );
    let bounded = plan(
        json!({"constraints": {"max_latency_s": 6.0, "min_throughput": 0.1, "deadline": "2999-01-01T00:00:00Z"}}),
    );
    assert!(number(&bounded["plan"]["makespan_s"]) <= 6.0);
    let capped = plan(json!({"constraints": {"max_cost": 11.0}}));
    assert!(number(&capped["plan"]["cost"]) <= 11.0 + 1e-6);
    let alone = plan(json!({"parameters": {"agents": ["slow"]}}));
    assert_eq!(alone["plan"]["makespan_s"], 11.0);
    let asked = optimize(&daemon, "f", json!({"strategy": "heft"})).expect(200);
    decided_by(&asked, "flow-optimizer", "heft", "request");

    let applied = optimize(&daemon, "f", json!({"apply": true})).expect(200);
    assert_eq!(
        (&applied["status"], &applied["plan"]["applied"]),
        (&json!("applied"), &json!(true))
    );
    assert_eq!(
        applied["plan"]["assignments"],
        fastest["plan"]["assignments"]
    );
    let flow = daemon.get(&format!("{FLOWS}/f")).expect(200)["orchestration"].clone();
    assert!(number(&flow["version"]) > number(&before["version"]));
    for place in applied["plan"]["assignments"].as_array().unwrap() {
        let task = flow["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|t| t["task_id"] == place["task_id"])
            .unwrap();
        assert_eq!(task["agent_id"], place["agent_id"]);
        assert_eq!(
            (&task["planned"]["start_s"], &task["planned"]["finish_s"]),
            (&place["start_s"], &place["finish_s"])
        );
    }
}

#[test]
fn what_has_no_plan_is_refused_with_the_reason() {
    let daemon = Daemon::start();
    let made = daemon.post(FLOWS, diamond("f")).expect(201);
    let nobody = optimize(&daemon, "f", json!({})).expect_error(409, "CONFLICT");
    assert_eq!(nobody["details"]["reason"], "no-agents", "{nobody}");
    two_agents(&daemon);
    let gpu = json!({"flow_id": "gpu", "tasks": [
        {"key": "a", "type": "t"}, {"key": "b", "type": "t", "required_capabilities": ["gpu"]},
    ]});
    let gpu = text(&daemon.post(FLOWS, gpu).expect(201)["tasks"], "b");
    let late = json!({"flow_id": "late", "tasks": [
        {"key": "a", "type": "t"},
        {"key": "b", "type": "t", "estimate": {"duration_s": 1e6}, "depends_on": ["a"], "deadline": "2020-01-01T00:00:00Z"},
    ]});
    let late = text(&daemon.post(FLOWS, late).expect(201)["tasks"], "b");
    let rejected = |flow: &str, body: Value, reason: &str| {
        let error = optimize(&daemon, flow, body).expect_error(422, "STRATEGY_REJECTED");
        assert_eq!(
            (&error["details"]["plugin"], &error["details"]["code"]),
            (&json!("heft"), &json!("infeasible"))
        );
        assert_eq!(error["details"]["reason"], reason, "{error}");
        error
    };
    for (flow, task, reason) in [
        ("gpu", gpu, "no-capable-agent"),
        ("late", late, "deadline-too-early"),
    ] {
        let error = rejected(flow, json!({}), reason);
        assert_eq!(error["details"]["task_id"], task.as_str(), "{error}");
        assert!(text(&error, "message").contains(&task), "{error}");
    }
    // The critical path takes 4 s on the fast agent.
    let error = rejected(
        "f",
        json!({"constraints": {"max_latency_s": 3.9}}),
        "latency-too-low",
    );
    let ids = made["tasks"].as_object().unwrap();
    assert!(
        ids.values().any(|id| *id == error["details"]["task_id"]),
        "{error}"
    );
    rejected(
        "f",
        json!({"constraints": {"deadline": "2020-01-01T00:00:00Z"}}),
        "latency-too-low",
    );
    rejected(
        "f",
        json!({"constraints": {"max_cost": 10.9}}),
        "cost-too-low",
    );
    rejected(
        "f",
        json!({"constraints": {"min_throughput": 100}}),
        "throughput-too-high",
    );

    daemon
        .post(
            FLOWS,
            json!({"flow_id": "over", "tasks": [{"key": "a", "type": "t"}]}),
        )
        .expect(201);
    let only = text(
        &daemon.get(&format!("{TASKS}?flow_id=over")).expect(200)["items"][0],
        "task_id",
    );
    daemon.delete(&format!("{TASKS}/{only}")).expect(200);
    let over = optimize(&daemon, "over", json!({})).expect_error(409, "CONFLICT");
    assert_eq!(over["details"]["status"], "cancelled");
    optimize(&daemon, "none", json!({})).expect_error(404, "RESOURCE_NOT_FOUND");
    let stranger = json!({"parameters": {"agents": ["fast", "nobody"]}});
    optimize(&daemon, "f", stranger).expect_error(404, "RESOURCE_NOT_FOUND");
    for (body, field) in [
        (json!({"strategy": "none"}), "strategy"),
        (json!({"strategy": "drf"}), "strategy"),
        (
            json!({"parameters": {"target": "speed"}}),
            "parameters.target",
        ),
        (json!({"parameters": {"agents": []}}), "agents"),
        (
            json!({"parameters": {"time_budget_ms": 60_001}}),
            "time_budget_ms",
        ),
        (
            json!({"constraints": {"max_latency_s": 0}}),
            "constraints.max_latency_s",
        ),
        (json!({"aply": true}), "aply"),
    ] {
        let found = refused_field(optimize(&daemon, "f", body.clone()));
        assert!(found.ends_with(field), "{body}: {found} is {field}");
    }
    let flow = daemon.get(&format!("{FLOWS}/f")).expect(200)["orchestration"].clone();
    assert_eq!(flow["version"], 1, "nothing was written");
}

#[test]
fn what_runs_already_stays_where_it_is() {
    let daemon = Daemon::start();
    two_agents(&daemon);
    let made = daemon.post(FLOWS, diamond("f")).expect(201);
    let id = |key: &str| text(&made["tasks"], key);
    for change in [
        json!({"status": "assigned", "agent_id": "slow"}),
        json!({"status": "in_progress"}),
    ] {
        daemon
            .put(&format!("{TASKS}/{}", id("a")), change)
            .expect(200);
    }
    let answer = optimize(&daemon, "f", json!({"apply": true})).expect(200);
    assert_eq!(
        (
            &answer["analytics"]["tasks"],
            &answer["analytics"]["open_tasks"]
        ),
        (&json!(4), &json!(3))
    );
    let place = |key: &str| {
        let all = answer["plan"]["assignments"].as_array().unwrap();
        all.iter()
            .find(|a| a["task_id"] == id(key).as_str())
            .unwrap()
            .clone()
    };
    let a = place("a");
    assert_eq!(a["agent_id"], "slow");
    assert!(
        number(&a["start_s"]) <= 0.0 && number(&a["finish_s"]) <= 2.0,
        "{a}"
    );
    for next in ["b", "c", "d"] {
        assert!(
            number(&place(next)["start_s"]) >= number(&a["finish_s"]) - 1e-9,
            "{answer}"
        );
    }
    let task = daemon.get(&format!("{TASKS}/{}", id("a"))).expect(200);
    assert_eq!(
        (&task["status"], &task["agent_id"]),
        (&json!("in_progress"), &json!("slow"))
    );
    // Its end is another problem: only what is open is planned anew.
    daemon
        .put(
            &format!("{TASKS}/{}", id("a")),
            json!({"status": "completed"}),
        )
        .expect(200);
    daemon.delete(&format!("{TASKS}/{}", id("c"))).expect(200);
    let answer = optimize(&daemon, "f", json!({})).expect(200);
    assert_eq!(
        answer["analytics"]["open_tasks"], 1,
        "c is cancelled, and d with it"
    );
}
