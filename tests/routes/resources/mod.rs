//! Resources: made, changed, removed; who gets them is in [`allocations`].

mod allocations;

use serde_json::{Value, json};

use super::{ALLOCATE, ALLOCATIONS, RESOURCES, column, header, record, refused_field, text};
use crate::support::{Client, Daemon};

fn resource(client: &Client, id: &str, capacity: f64, cost: f64) {
    let body =
        json!({"resource_id": id, "capacity": capacity, "unit": "units", "cost_per_unit": cost});
    client.post(RESOURCES, body).expect(201);
}

#[test]
fn resources_are_made_changed_and_removed() {
    let daemon = Daemon::start();
    let given =
        json!({"resource_id": "cpu", "capacity": 64.0, "unit": "cores", "cost_per_unit": 0.05});
    let answer = daemon.post(RESOURCES, given.clone());
    let tag = header(&answer, "etag").to_owned();
    assert_eq!(header(&answer, "location"), format!("{RESOURCES}/cpu"));
    let made = record(&answer.expect(201), "resource_id", "available");
    let body = daemon.get(&format!("{RESOURCES}/cpu")).expect(200);
    assert_eq!(record(&body, "resource_id", "available"), made);
    for field in ["capacity", "unit", "cost_per_unit"] {
        assert_eq!(made[field], given[field]);
    }
    assert_eq!(
        (&made["in_use"], &made["available"], &made["utilization"]),
        (&json!(0.0), &json!(64.0), &json!(0.0))
    );
    assert_eq!(
        daemon.post(RESOURCES, given).expect_error(409, "CONFLICT")["details"]["resource_id"],
        "cpu"
    );

    let path = format!("{RESOURCES}/cpu");
    let put = |tag: &str, body: Value| {
        daemon.send(
            "PUT",
            &path,
            &[("If-Match", tag)],
            Some(body.to_string().into_bytes()),
        )
    };
    let changed = put(&tag, json!({"capacity": 10, "unit": "threads"})).expect(200);
    assert_eq!(
        (
            &changed["orchestration"]["capacity"],
            &changed["orchestration"]["unit"]
        ),
        (&json!(10.0), &json!("threads"))
    );
    put(&tag, json!({"capacity": 99})).expect_error(409, "CONFLICT");
    put("*", json!({"cost_per_unit": 1})).expect(200);
    resource(&daemon, "disk", 1.0, 0.0);
    assert_eq!(
        column(&daemon.get(RESOURCES).expect(200), "resource_id"),
        ["disk", "cpu"]
    );
    let first = daemon.get(&format!("{RESOURCES}?limit=1")).expect(200);
    let rest = daemon
        .get(&format!(
            "{RESOURCES}?limit=1&cursor={}",
            text(&first, "next_cursor")
        ))
        .expect(200);
    assert_eq!(
        (column(&rest, "resource_id"), &rest["next_cursor"]),
        (vec!["cpu".to_owned()], &Value::Null)
    );

    // While some of it is in use, it neither goes nor shrinks below that.
    let ask = json!({"resources": {"cpu": {"requested": 4}}});
    let allocation = text(&daemon.post(ALLOCATE, ask).expect(201), "allocation_id");
    let refused = daemon
        .put(&path, json!({"capacity": 3}))
        .expect_error(409, "CONFLICT");
    assert_eq!(refused["details"]["in_use"], 4.0);
    daemon.delete(&path).expect_error(409, "CONFLICT");
    let full = daemon.put(&path, json!({"capacity": 4})).expect(200);
    assert_eq!(
        (&full["status"], &full["orchestration"]["utilization"]),
        (&json!("exhausted"), &json!(1.0))
    );
    daemon
        .post(&format!("{ALLOCATIONS}/{allocation}/release"), json!({}))
        .expect(200);
    assert_eq!(daemon.delete(&path).expect(200)["status"], "deleted");
    daemon.get(&path).expect_error(404, "RESOURCE_NOT_FOUND");
    daemon.delete(&path).expect_error(404, "RESOURCE_NOT_FOUND");
    for (body, field) in [
        (json!({"capacity": 1}), "unit"),
        (json!({"unit": "x"}), "capacity"),
        (json!({"capacity": 1, "unit": ""}), "unit"),
        (
            json!({"capacity": 1, "unit": "x", "cost_per_unit": -1}),
            "cost_per_unit",
        ),
        (
            json!({"resource_id": "allocate", "capacity": 1, "unit": "x"}),
            "resource_id",
        ),
        (
            json!({"resource_id": "allocations", "capacity": 1, "unit": "x"}),
            "resource_id",
        ),
    ] {
        assert_eq!(
            refused_field(daemon.post(RESOURCES, body.clone())),
            field,
            "{body}"
        );
    }
}
