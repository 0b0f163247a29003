//! What was acknowledged survives `kill -9`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::{Daemon, eventually};

#[test]
fn every_acknowledged_write_is_there_after_kill_9() {
    let daemon = Daemon::start();
    daemon
        .post(
            "/api/orchestration/resources",
            json!({"resource_id": "seats", "capacity": 1e6, "unit": "seats"}),
        )
        .expect(201);
    let acknowledged = Mutex::new(Vec::new());
    let taken = Mutex::new(0.0);
    let stop = AtomicBool::new(false);
    let daemon = std::thread::scope(|scope| {
        for writer in 0..4 {
            let client = (*daemon).clone();
            let (acknowledged, taken, stop) = (&acknowledged, &taken, &stop);
            scope.spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let task = json!({"type": "write", "metadata": {"writer": writer, "n": n}})
                        .to_string();
                    let Ok(answer) =
                        client.try_send("POST", "/api/orchestration/tasks", &[], Some(task.into()))
                    else {
                        break;
                    };
                    if answer.status == 201 {
                        let id = answer.body["task_id"].as_str().unwrap().to_owned();
                        acknowledged.lock().unwrap().push((id, writer, n));
                    }
                    let seat = json!({"resources": {"seats": {"requested": 1}}}).to_string();
                    let path = "/api/orchestration/resources/allocate";
                    let Ok(answer) = client.try_send("POST", path, &[], Some(seat.into())) else {
                        break;
                    };
                    if answer.status == 201 {
                        *taken.lock().unwrap() += 1.0;
                    }
                }
            });
        }
        eventually("200 writes are acknowledged", || {
            (acknowledged.lock().unwrap().len() >= 200).then_some(())
        });
        let again = daemon.kill_and_restart();
        stop.store(true, Ordering::Relaxed);
        again
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() >= 200);
    for (id, writer, n) in &acknowledged {
        let task = daemon
            .get(&format!("/api/orchestration/tasks/{id}"))
            .expect(200);
        assert_eq!(
            task["orchestration"]["metadata"],
            json!({"writer": writer, "n": n})
        );
        assert_eq!(task["status"], "ready");
    }
    let seats = daemon.get("/api/orchestration/resources/seats").expect(200);
    let in_use = seats["orchestration"]["in_use"].as_f64().unwrap();
    let taken = taken.into_inner().unwrap();
    // Each of the four writers may have had one allocation committed and not yet acknowledged.
    assert!(
        (taken..=taken + 4.0).contains(&in_use),
        "{taken} acknowledged, {in_use} in use"
    );
}
