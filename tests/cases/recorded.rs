//! The project's own workflow: its cold build, recorded, as the README's tour uses it.

use serde_json::json;

use crate::support::{Daemon, nova, root};

#[test]
fn the_recorded_build_is_imported_optimized_applied_and_seen_in_analytics() {
    let daemon = Daemon::start();
    for (i, speed) in [1.0, 1.0, 1.5, 2.0].iter().enumerate() {
        let agent = json!({"agent_id": format!("builder-{i}"), "name": "builder", "speed": speed});
        daemon.post("/api/orchestration/agents", agent).expect(201);
    }
    let import = nova()
        .args([
            "flow",
            "import",
            "--flow-id",
            "nova-build",
            "--url",
            &daemon.url,
            "--key",
            crate::support::ADMIN_KEY,
        ])
        .arg(root().join("tests/data/nova-build.json"))
        .output()
        .unwrap();
    assert!(
        import.status.success(),
        "{}",
        String::from_utf8_lossy(&import.stderr)
    );

    let optimize = "/api/orchestration/flows/nova-build/optimize";
    let answer = daemon.post(optimize, json!({"apply": true})).expect(200);
    let plan = &answer["plan"];
    let (makespan, baseline) = (
        plan["makespan_s"].as_f64().unwrap(),
        plan["baseline_makespan_s"].as_f64().unwrap(),
    );
    assert!(
        makespan <= baseline * 1.001,
        "{makespan} s against first come first served {baseline} s"
    );
    assert!(plan["lower_bound_s"].as_f64().unwrap() <= makespan * 1.000_001);

    let flow = daemon
        .get("/api/orchestration/flows/nova-build")
        .expect(200);
    let tasks = flow["orchestration"]["tasks"].as_array().unwrap();
    assert!(
        tasks.len() > 300,
        "a cold build has hundreds of units, got {}",
        tasks.len()
    );
    assert!(
        tasks.iter().all(|t| t["agent_id"].is_string()),
        "every task has its agent"
    );

    let report = daemon
        .get("/api/analytics/flows?flow_id=nova-build")
        .expect(200);
    assert_eq!(report["strategy"]["plugin"], "pulse");
    let metrics = &report["analytics"]["subjects"][0]["metrics"];
    assert_eq!(
        metrics["tasks-total"]["value"].as_f64(),
        Some(tasks.len() as f64),
        "{report}"
    );
}
