//! Capacity is never oversold, whatever runs at the same time.

use serde_json::json;

use crate::support::Daemon;

#[test]
fn eight_clients_that_take_and_give_back_never_oversell() {
    let daemon = Daemon::start();
    daemon
        .post(
            "/api/orchestration/resources",
            json!({"resource_id": "gpu", "capacity": 10, "unit": "cards"}),
        )
        .expect(201);
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let client = (*daemon).clone();
            scope.spawn(move || {
                for round in 0..20 {
                    let ask = json!({"resources": {"gpu": {"requested": 3, "min": 1}}, "consumer": format!("w{worker}")});
                    let answer = client.post("/api/orchestration/resources/allocate", ask);
                    let used = client.get("/api/orchestration/resources/gpu").expect(200);
                    let in_use = used["orchestration"]["in_use"].as_f64().unwrap();
                    assert!((0.0..=10.0).contains(&in_use), "round {round}: {in_use} of 10 in use");
                    match answer.status {
                        201 => {
                            let id = answer.body["allocation_id"].as_str().unwrap();
                            let path = format!("/api/orchestration/resources/allocations/{id}/release");
                            client.post(&path, json!({})).expect(200);
                        }
                        // Nothing was left, or others were faster each time.
                        _ => drop(answer.expect_error(409, "CONFLICT")),
                    }
                }
            });
        }
    });
    let end = daemon.get("/api/orchestration/resources/gpu").expect(200);
    assert_eq!(end["orchestration"]["in_use"], 0.0);
}
