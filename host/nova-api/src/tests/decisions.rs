//! Endpoints that decide something: who works with whom, when, and with what.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::support::TestApi;

const AGENTS: &str = "/api/orchestration/agents";
const FLOWS: &str = "/api/orchestration/flows";
const RESOURCES: &str = "/api/orchestration/resources";

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} in {value}"))
}

#[tokio::test]
async fn agents_coordinate_and_are_assigned() {
    let api = TestApi::new().await;
    let made = api.post(AGENTS, json!({"agent_id": "a", "capabilities": ["rust"], "spec": {"persona": {"name": "Ann"}}})).await;
    assert_eq!(made.header("location"), "/api/orchestration/agents/a");
    let agent = made.expect(201);
    assert_eq!(
        (
            text(&agent, "status"),
            text(&agent["orchestration"], "name")
        ),
        ("registered", "a")
    );
    assert_eq!(agent["orchestration"]["spec"]["persona"]["name"], "Ann");
    api.post(AGENTS, json!({"agent_id": "b", "name": "Bob"}))
        .await
        .expect(201);
    api.post(AGENTS, json!({"capabilities": []}))
        .await
        .error(400, "VALIDATION_ERROR");
    api.post(AGENTS, json!({"agent_id": "coordinate"}))
        .await
        .error(400, "VALIDATION_ERROR");

    let body = json!({"agents": ["a", "b"], "task": {"type": "t"}, "strategy": {"type": "mesh", "parameters": {"rounds": 3}}});
    let made = api.post(&format!("{AGENTS}/coordinate"), body).await;
    let done = made.expect(201);
    assert_eq!(text(&done, "status"), "coordinated");
    assert_eq!(
        made.header("location"),
        format!("{FLOWS}/{}", text(&done, "flow_id"))
    );
    assert!(!text(&done, "coordination_id").is_empty());
    assert_eq!(done["orchestration"]["tasks"].as_array().unwrap().len(), 6);
    for (strategy, field) in [
        (json!("circle"), "strategy"),
        (json!({"type": "x"}), "strategy.type"),
        (json!({"tipe": "x"}), "strategy.tipe"),
        (json!(3), "strategy"),
    ] {
        let body = json!({"agents": ["a"], "task": {"type": "t"}, "strategy": strategy});
        let refused = api
            .post(&format!("{AGENTS}/coordinate"), body)
            .await
            .error(400, "VALIDATION_ERROR");
        assert_eq!(refused["details"]["field"], field);
    }

    api.post(AGENTS, json!({"agent_id": "c", "capabilities": ["rust"]}))
        .await
        .expect(201);
    let assigned = api
        .post(
            &format!("{AGENTS}/c/assign"),
            json!({"task": {"type": "t", "required_capabilities": ["rust"]}}),
        )
        .await
        .expect(200);
    assert_eq!(
        (text(&assigned, "status"), text(&assigned, "agent_id")),
        ("assigned", "c")
    );
    let busy = api.get(&format!("{AGENTS}/c")).await.expect(200);
    assert_eq!(
        (text(&busy, "status"), &busy["orchestration"]["free_slots"]),
        ("busy", &json!(0))
    );
    let refused = api
        .post(
            &format!("{AGENTS}/c/assign"),
            json!({"task": {"type": "t"}}),
        )
        .await
        .error(409, "CONFLICT");
    assert_eq!(refused["details"]["reason"], "concurrency");
    let able = api
        .get(&format!("{AGENTS}?capability=rust"))
        .await
        .expect(200);
    assert_eq!(able["items"].as_array().unwrap().len(), 2);
    for body in [
        json!({}),
        json!({"task": {"type": "t"}, "task_id": text(&assigned, "task_id")}),
    ] {
        api.post(&format!("{AGENTS}/c/assign"), body)
            .await
            .error(400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn a_flow_is_made_optimized_and_applied() {
    let api = TestApi::new().await;
    let body = json!({
        "flow_id": "f",
        "tasks": [
            {"key": "a", "type": "t", "estimate": {"duration_s": 10}},
            {"key": "b", "type": "t", "depends_on": ["a"], "estimate": {"duration_s": 20}}
        ],
        "edges": [{"from": "a", "to": "b", "data_bytes": 1000}]
    });
    let made = api.post(FLOWS, body.clone()).await;
    assert_eq!(made.header("location"), "/api/orchestration/flows/f");
    let made = made.expect(201);
    let (a, b) = (text(&made["tasks"], "a"), text(&made["tasks"], "b"));
    assert_eq!(
        made["orchestration"]["edges"],
        json!([{"from": a, "to": b, "data_bytes": 1000.0}])
    );
    api.post(FLOWS, body).await.error(409, "CONFLICT");

    api.post(&format!("{FLOWS}/f/optimize"), json!({}))
        .await
        .error(409, "CONFLICT");
    api.post(
        AGENTS,
        json!({"agent_id": "w", "speed": 2, "cost_per_s": 3}),
    )
    .await
    .expect(201);
    let plan = api
        .call("POST", &format!("{FLOWS}/f/optimize"), None)
        .await
        .expect(200);
    assert_eq!(
        (text(&plan, "status"), &plan["plan"]["makespan_s"]),
        ("optimized", &json!(15.0))
    );
    let planned: Vec<&str> = plan["plan"]["assignments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| text(p, "task_id"))
        .collect();
    assert_eq!(planned, [a, b]);
    assert!(
        plan["plan"]["critical_path"]
            .as_array()
            .unwrap()
            .contains(&json!(b))
    );
    assert_eq!(plan["plan"]["cost"], 45.0);
    assert_eq!(
        (
            text(&plan["strategy"], "route"),
            text(&plan["strategy"], "kind")
        ),
        ("default", "flow-optimizer")
    );
    assert_eq!(plan["analytics"]["agent_utilization"], json!({"w": 1.0}));
    let applied = api
        .post(&format!("{FLOWS}/f/optimize"), json!({"apply": true}))
        .await
        .expect(200);
    assert_eq!(
        (text(&applied, "status"), &applied["plan"]["applied"]),
        ("applied", &json!(true))
    );

    let flow = api.get(&format!("{FLOWS}/f")).await.expect(200);
    let record = &flow["orchestration"];
    assert_eq!(
        record["progress"],
        json!({"total": 2, "by_status": {"blocked": 1, "ready": 1}, "ratio": 0.0})
    );
    assert_eq!(
        record["critical_path"],
        json!({"tasks": [a, b], "length_s": 30.0})
    );
    assert_eq!(record["tasks"][0]["agent_id"], "w");
    assert_eq!(record["tasks"][1]["planned"]["start_s"], 5.0);
    let unknown = api
        .post(
            &format!("{FLOWS}/f/optimize"),
            json!({"strategy": "nothing"}),
        )
        .await
        .error(400, "VALIDATION_ERROR");
    assert_eq!(unknown["details"]["field"], "strategy");
    let cycle = json!({"name": "x", "tasks": [{"key": "a", "type": "t", "depends_on": ["b"]}, {"key": "b", "type": "t", "depends_on": ["a"]}]});
    let cycle = api.post(FLOWS, cycle).await.error(400, "VALIDATION_ERROR");
    assert_eq!(cycle["details"]["cycle"].as_array().unwrap().len(), 3);
    assert_eq!(
        api.get(&format!("{FLOWS}?status=active")).await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn resources_are_allocated_and_given_back() {
    let api = TestApi::new().await;
    for reserved in ["allocate", "allocations", "..", "."] {
        let body = json!({"resource_id": reserved, "capacity": 1, "unit": "u"});
        assert_eq!(
            api.post(RESOURCES, body)
                .await
                .error(400, "VALIDATION_ERROR")["details"]["field"],
            "resource_id"
        );
    }
    api.post(
        RESOURCES,
        json!({"resource_id": "cpu", "capacity": 8, "unit": "cores", "cost_per_unit": 2}),
    )
    .await
    .expect(201);
    let allocate = format!("{RESOURCES}/allocate");

    let dry = api
        .post(
            &allocate,
            json!({"resources": {"cpu": {"requested": 6}}, "dry_run": true}),
        )
        .await;
    assert_eq!(dry.header("location"), "");
    let dry = dry.expect(200);
    assert_eq!(
        (&dry["allocation_id"], &dry["allocations"][0]["allocated"]),
        (&Value::Null, &json!(6.0))
    );
    assert_eq!(
        api.get(&format!("{RESOURCES}/cpu")).await.expect(200)["orchestration"]["in_use"],
        0.0
    );

    let given = api
        .post(
            &allocate,
            json!({"resources": {"cpu": {"requested": 6}}, "consumer": "me", "ttl_s": 60}),
        )
        .await;
    let location = given.header("location").to_owned();
    let given = given.expect(201);
    assert_eq!(
        location,
        format!("{RESOURCES}/allocations/{}", text(&given, "allocation_id"))
    );
    assert_eq!(
        (text(&given, "status"), &given["analytics"]["cost"]),
        ("granted", &json!(12.0))
    );
    assert_eq!(text(&given["strategy"], "kind"), "resource-allocator");
    let one = api.get(&location).await.expect(200);
    assert_eq!(
        (
            text(&one, "status"),
            text(&one["orchestration"], "consumer")
        ),
        ("active", "me")
    );
    assert_eq!(
        one["orchestration"]["expires_at"],
        "2026-01-01T00:01:00.000Z"
    );

    let body = json!({"requests": [{"resources": {"cpu": {"requested": 1}}}, {"resources": {"cpu": {"requested": 5}}, "consumer": "two"}]});
    let many = api.post(&allocate, body).await;
    assert_eq!(many.header("location"), format!("{RESOURCES}/allocations"));
    let many = many.expect(201);
    assert_eq!(many["allocation_id"], Value::Null);
    assert_eq!(many["orchestration"]["requests"], 2);
    let fared: Vec<&str> = many["allocations_by_request"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| text(g, "status"))
        .collect();
    assert_eq!(fared, ["granted", "partial"]);
    assert_eq!(text(&many, "status"), "partial");
    let cpu = api.get(&format!("{RESOURCES}/cpu")).await.expect(200);
    assert_eq!(
        (text(&cpu, "status"), &cpu["orchestration"]["available"]),
        ("exhausted", &json!(0.0))
    );
    api.post(&allocate, json!({"resources": {"cpu": {"requested": 1}}}))
        .await
        .error(409, "CONFLICT");
    api.call("DELETE", &format!("{RESOURCES}/cpu"), None)
        .await
        .error(409, "CONFLICT");
    api.call("PUT", &format!("{RESOURCES}/cpu"), json!({"capacity": 1}))
        .await
        .error(409, "CONFLICT");

    let active = api
        .get(&format!(
            "{RESOURCES}/allocations?status=active&resource_id=cpu"
        ))
        .await
        .expect(200);
    let active: Vec<String> = active["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| text(a, "allocation_id").to_owned())
        .collect();
    assert_eq!(active.len(), 3);
    for id in &active {
        let released = api
            .call(
                "POST",
                &format!("{RESOURCES}/allocations/{id}/release"),
                None,
            )
            .await
            .expect(200);
        assert_eq!(text(&released, "status"), "released");
    }
    api.call(
        "POST",
        &format!("{RESOURCES}/allocations/{}/release", active[0]),
        None,
    )
    .await
    .error(409, "CONFLICT");
    let gone = api
        .call("DELETE", &format!("{RESOURCES}/cpu"), None)
        .await
        .expect(200);
    assert_eq!(text(&gone, "status"), "deleted");
    api.get(&format!("{RESOURCES}/cpu"))
        .await
        .error(404, "RESOURCE_NOT_FOUND");

    for body in [
        json!({}),
        json!({"resources": {}, "requests": []}),
        json!({"requests": [], "ttl_s": 3}),
        json!({"resources": {"cpu": 3}}),
    ] {
        api.post(&allocate, body)
            .await
            .error(400, "VALIDATION_ERROR");
    }
}
