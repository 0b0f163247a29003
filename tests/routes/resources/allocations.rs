//! Allocations: capacity given and given back.

use serde_json::{Value, json};

use super::resource;
use crate::routes::{
    ALLOCATE, ALLOCATIONS, RESOURCES, column, decided_by, header, ms_between, number, record,
    refused_field, text,
};
use crate::support::{Client, Daemon, Options, eventually};

#[track_caller]
fn in_use(client: &Client, id: &str) -> f64 {
    number(&client.get(&format!("{RESOURCES}/{id}")).expect(200)["orchestration"]["in_use"])
}

/// The amounts of an answer, in its order.
fn amounts(list: &Value) -> Vec<f64> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| number(&item["allocated"]))
        .collect()
}

#[test]
fn one_request_is_met_in_full_in_part_or_refused() {
    let daemon = Daemon::start();
    resource(&daemon, "cpu", 10.0, 2.0);
    resource(&daemon, "ram", 100.0, 0.0);
    let ask = json!({"resources": {"cpu": {"requested": 8, "min": 2}, "ram": {"requested": 40}}, "priority": 3, "consumer": "nightly"});
    let mut dry = ask.clone();
    dry["dry_run"] = json!(true);
    let would = daemon.post(ALLOCATE, dry).expect(200);
    assert_eq!(
        (&would["allocation_id"], &would["analytics"]["dry_run"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(amounts(&would["allocations"]), [8.0, 40.0]);
    assert_eq!(
        (
            in_use(&daemon, "cpu"),
            column(&daemon.get(ALLOCATIONS).expect(200), "status")
        ),
        (0.0, vec![])
    );

    let answer = daemon.post(ALLOCATE, ask);
    let location = header(&answer, "location").to_owned();
    let given = answer.expect(201);
    decided_by(&given, "resource-allocator", "drf", "default");
    assert_eq!(
        (&given["status"], &given["confidence"]),
        (&json!("granted"), &json!(1.0))
    );
    let item = json!({"resource_id": "cpu", "allocated": 8.0, "requested": 8.0, "confidence": 1.0});
    assert_eq!(given["allocations"][0], item);
    assert_eq!(
        given["analytics"]["utilization"],
        json!({"cpu": 0.8, "ram": 0.4})
    );
    assert_eq!(given["analytics"]["cost"], 16.0);
    let first = text(&given, "allocation_id");
    assert_eq!(location, format!("{ALLOCATIONS}/{first}"));
    let found = record(
        &daemon.get(&location).expect(200),
        "allocation_id",
        "active",
    );
    assert_eq!(
        (&found["consumer"], &found["priority"]),
        (&json!("nightly"), &json!(3))
    );
    assert_eq!(
        (in_use(&daemon, "cpu"), in_use(&daemon, "ram")),
        (8.0, 40.0)
    );

    // Two of eight are left: a divisible claim gets a quarter of everything.
    let part = daemon
        .post(
            ALLOCATE,
            json!({"resources": {"cpu": {"requested": 8}, "ram": {"requested": 40}}}),
        )
        .expect(201);
    assert_eq!(
        (&part["status"], amounts(&part["allocations"])),
        (&json!("partial"), vec![2.0, 10.0])
    );
    assert_eq!(part["confidence"], 0.25);
    assert_eq!(
        (
            &part["analytics"]["unmet"][0]["missing"],
            &part["analytics"]["unmet"][0]["reason"]
        ),
        (&json!(6.0), &json!("capacity"))
    );
    let none = daemon.post(
        ALLOCATE,
        json!({"resources": {"cpu": {"requested": 3, "min": 1}}}),
    );
    let none = none.expect_error(409, "CONFLICT");
    let unmet = &none["details"]["claims"][0]["unmet"][0];
    assert_eq!(
        (&unmet["resource_id"], &unmet["reason"]),
        (&json!("cpu"), &json!("min")),
        "{none}"
    );

    let second = text(&part, "allocation_id");
    let release = |id: &str| daemon.post(&format!("{ALLOCATIONS}/{id}/release"), json!({}));
    let released = record(&release(&first).expect(200), "allocation_id", "released");
    assert!(released["released_at"].is_string());
    assert_eq!(
        (in_use(&daemon, "cpu"), in_use(&daemon, "ram")),
        (2.0, 10.0)
    );
    assert_eq!(
        release(&first).expect_error(409, "CONFLICT")["details"]["status"],
        "released"
    );
    assert_eq!(in_use(&daemon, "cpu"), 2.0, "nothing was given back twice");
    release("01234567-89ab-7def-8123-456789abcdef").expect_error(404, "RESOURCE_NOT_FOUND");

    let list = |query: &str| {
        column(
            &daemon.get(&format!("{ALLOCATIONS}?{query}")).expect(200),
            "allocation_id",
        )
    };
    assert_eq!(list(""), [second.as_str(), first.as_str()]);
    assert_eq!(list("status=active"), [second.as_str()]);
    assert_eq!(list("consumer=nightly"), [first.as_str()]);
    assert_eq!(list("resource_id=ram&status=released"), [first]);
    assert_eq!(list("resource_id=disk"), [] as [&str; 0]);
    assert_eq!(
        refused_field(daemon.get(&format!("{ALLOCATIONS}?status=gone"))),
        "status"
    );
}

#[test]
fn many_requests_are_decided_together() {
    let daemon = Daemon::start();
    resource(&daemon, "gpu", 10.0, 1.0);
    let free = |answer: Value| {
        let list = daemon
            .get(&format!("{ALLOCATIONS}?status=active&limit=500"))
            .expect(200);
        for id in column(&list, "allocation_id") {
            daemon
                .post(&format!("{ALLOCATIONS}/{id}/release"), json!({}))
                .expect(200);
        }
        answer
    };
    let claim = |n: f64, priority: u32| json!({"resources": {"gpu": {"requested": n}}, "priority": priority});
    let many = |requests: Value| {
        free(
            daemon
                .post(ALLOCATE, json!({"requests": requests}))
                .expect(201),
        )
    };

    let tiers = many(json!([claim(8.0, 1), claim(8.0, 5)]));
    assert_eq!(
        amounts(&tiers["allocations"]),
        [2.0, 8.0],
        "the higher tier first"
    );
    assert_eq!(
        tiers["orchestration"],
        json!({"requests": 2, "granted": 1, "partial": 1, "refused": 0, "dry_run": false})
    );
    let by_request = tiers["allocations_by_request"].as_array().unwrap();
    assert_eq!(
        (&by_request[0]["status"], &by_request[1]["status"]),
        (&json!("partial"), &json!("granted"))
    );
    assert_ne!(
        by_request[0]["allocation_id"],
        by_request[1]["allocation_id"]
    );
    assert_eq!(by_request[0]["unmet"][0]["missing"], 6.0);
    assert_eq!(
        (&tiers["allocation_id"], &tiers["status"]),
        (&Value::Null, &json!("partial"))
    );
    // (1 × 0.25 + 5 × 1) ÷ 6: the documented mean of what was met, weighted by priority.
    assert!((number(&tiers["confidence"]) - 5.25 / 6.0).abs() < 1e-9);

    assert_eq!(
        amounts(&many(json!([claim(8.0, 2), claim(8.0, 2)]))["allocations"]),
        [5.0, 5.0]
    );
    assert_eq!(
        amounts(&many(json!([claim(2.0, 2), claim(9.0, 2)]))["allocations"]),
        [2.0, 8.0]
    );
    let mut heavy = claim(9.0, 2);
    heavy["weight"] = json!(3.0);
    assert_eq!(
        amounts(&many(json!([heavy, claim(9.0, 2)]))["allocations"]),
        [7.5, 2.5]
    );
    let bundle = json!({"resources": {"gpu": {"requested": 12}}, "bundles": 3});
    assert_eq!(
        amounts(&many(json!([bundle]))["allocations"]),
        [8.0],
        "whole fours"
    );
    let capped = json!({"resources": {"gpu": {"requested": 8}}, "constraints": {"max_cost": 3}});
    assert_eq!(
        amounts(&many(json!([capped, claim(4.0, 1)]))["allocations"]),
        [3.0, 4.0]
    );
    let at_most = json!({"resources": {"gpu": {"requested": 8, "max": 6}}});
    assert_eq!(amounts(&many(json!([at_most]))["allocations"]), [6.0]);
    // One that cannot be helped does not stop the other.
    let needy = json!({"resources": {"gpu": {"requested": 11, "min": 11}}, "consumer": "needy"});
    let mixed = many(json!([needy, claim(1.0, 1)]));
    assert_eq!(amounts(&mixed["allocations"]), [0.0, 1.0]);
    assert_eq!(
        mixed["allocations_by_request"][0]["allocation_id"],
        Value::Null
    );
    assert_eq!(in_use(&daemon, "gpu"), 0.0);
}

#[test]
fn an_allocation_ends_with_its_time() {
    let env = vec![(
        "NOVA_ALLOCATION__EXPIRE_INTERVAL_MS".to_owned(),
        "50".to_owned(),
    )];
    let daemon = Daemon::with(Options {
        env,
        ..Options::default()
    });
    resource(&daemon, "cpu", 10.0, 0.0);
    let ask = |ttl: Value| json!({"resources": {"cpu": {"requested": 3}}, "ttl_s": ttl});
    let short = daemon.post(ALLOCATE, ask(json!(0.2))).expect(201);
    let long = daemon.post(ALLOCATE, ask(json!(3600))).expect(201);
    let forever = daemon.post(ALLOCATE, ask(json!(null))).expect(201);
    assert_eq!(forever["orchestration"]["expires_at"], Value::Null);
    let life_ms = ms_between(
        &long["orchestration"]["created_at"],
        &long["orchestration"]["expires_at"],
    );
    assert_eq!(life_ms, 3_600_000);
    let path = format!("{ALLOCATIONS}/{}", text(&short, "allocation_id"));
    let expired = eventually("it has expired", || {
        let now = daemon.get(&path).expect(200);
        (now["status"] == "expired").then_some(now)
    });
    let expired = record(&expired, "allocation_id", "expired");
    assert!(expired["released_at"].as_str() >= expired["expires_at"].as_str());
    assert_eq!(in_use(&daemon, "cpu"), 6.0);
    daemon
        .post(&format!("{path}/release"), json!({}))
        .expect_error(409, "CONFLICT");
}

#[test]
fn a_bad_request_for_resources_takes_nothing() {
    let daemon = Daemon::start();
    resource(&daemon, "cpu", 10.0, 0.0);
    let unknown = json!({"requests": [{"resources": {"cpu": {"requested": 1}}}, {"resources": {"none": {"requested": 1}}}]});
    let error = daemon
        .post(ALLOCATE, unknown)
        .expect_error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(
        error["details"],
        json!({"resource": "resource", "id": "none"})
    );
    let cpu = |ask: Value| json!({"resources": {"cpu": ask}});
    let with = |field: &str, value: Value| {
        let mut body = cpu(json!({"requested": 1}));
        body[field] = value;
        body
    };
    for (body, field) in [
        (json!({}), "resources"),
        (json!({"resources": {}}), "resources"),
        (json!({"requests": []}), "requests"),
        (with("requests", json!([])), "requests"),
        (
            json!({"requests": [cpu(json!({"requested": 1}))], "ttl_s": 1}),
            "ttl_s",
        ),
        (cpu(json!({})), "resources.cpu.requested"),
        (cpu(json!({"requested": -1})), "resources.cpu.requested"),
        (cpu(json!({"requested": 0})), "resources"),
        (cpu(json!({"requested": 1, "min": 2})), "resources.cpu.min"),
        (
            cpu(json!({"requested": 5, "min": 4, "max": 3})),
            "resources.cpu.max",
        ),
        (with("priority", json!(6)), "priority"),
        (with("ttl_s", json!(0)), "ttl_s"),
        (with("weight", json!(0)), "weight"),
        (
            with("constraints", json!({"max_cost": -1})),
            "constraints.max_cost",
        ),
        (with("strategy", json!("heft")), "strategy"),
        (
            json!({"requests": [cpu(json!({"requested": 1})), cpu(json!({"requested": 1, "min": 2}))]}),
            "requests[1].resources.cpu.min",
        ),
    ] {
        assert_eq!(
            refused_field(daemon.post(ALLOCATE, body.clone())),
            field,
            "{body}"
        );
    }
    assert_eq!(in_use(&daemon, "cpu"), 0.0);
    assert_eq!(daemon.get(ALLOCATIONS).expect(200)["items"], json!([]));
}
