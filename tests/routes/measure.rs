//! User metrics: recorded, and found in the reports under their names.

use serde_json::{Value, json};

use super::{AGENTS, FLOWS, number};
use crate::support::Daemon;

const METRICS: &str = "/api/analytics/metrics";

#[test]
fn metrics_appear_in_reports_under_their_names() {
    let daemon = Daemon::start();
    let agent = json!({"agent_id": "worker", "name": "Worker"});
    daemon.post(AGENTS, agent).expect(201);
    let flow = json!({"flow_id": "build", "tasks": [{"key": "a", "type": "t"}]});
    let flow = daemon.post(FLOWS, flow).expect(201);
    let task = &flow["orchestration"]["tasks"][0]["task_id"];
    assert!(task.is_string(), "{flow}");
    let batch = json!({"metrics": [
        {"name": "temperature", "value": -3.5},
        {"name": "tokens", "value": 100, "agent_id": "worker"},
        {"name": "tokens", "value": 200, "agent_id": "worker"},
        {"name": "rows", "value": 7, "task_id": task},
    ]});
    let answer = daemon.post(METRICS, batch).expect(200);
    assert_eq!(
        (&answer["status"], &answer["recorded"]),
        (&json!("recorded"), &json!(4))
    );
    let metric = |path: &str, subject: &str, name: &str| -> Value {
        let report = daemon.get(path).expect(200)["analytics"].clone();
        assert!(report["covers_seq"].as_u64() >= answer["seq"].as_u64());
        assert!(!report.to_string().contains("user-metric-"), "{report}");
        if subject.is_empty() {
            return report["totals"][name].clone();
        }
        let subjects = report["subjects"].as_array().unwrap();
        let found = subjects.iter().find(|s| s["id"] == subject);
        found.unwrap_or_else(|| panic!("{subject} in {report}"))["metrics"][name].clone()
    };
    let tokens = metric("/api/analytics/agents?agent_id=worker", "worker", "tokens");
    assert_eq!(
        (number(&tokens["value"]), &tokens["samples"]),
        (150.0, &json!(2))
    );
    let rows = metric("/api/analytics/flows?flow_id=build", "build", "rows");
    assert_eq!(number(&rows["value"]), 7.0, "of the task's flow");
    for scope in ["flows", "agents", "resources"] {
        let temperature = metric(&format!("/api/analytics/{scope}"), "", "temperature");
        assert_eq!(number(&temperature["value"]), -3.5, "{scope}");
    }
}

#[test]
fn what_cannot_be_recorded_is_refused_as_a_whole() {
    let daemon = Daemon::start();
    let one = |m: Value| json!({"metrics": [{"name": "good", "value": 1}, m]});
    let cases = [
        (json!({}), "metrics"),
        (json!({"metrics": []}), "metrics"),
        (
            json!({"metrics": vec![json!({"name": "n", "value": 1}); 1001]}),
            "metrics",
        ),
        (one(json!({"name": "n"})), "metrics[1].value"),
        (one(json!({"name": "n", "value": "1"})), "metrics[1].value"),
        (
            one(json!({"name": "two words", "value": 1})),
            "metrics[1].name",
        ),
        (
            one(json!({"name": "latency", "value": 1})),
            "metrics[1].name",
        ),
        (
            one(json!({"name": "n", "value": 1, "unit": "s"})),
            "metrics[1].unit",
        ),
        (
            one(json!({"name": "n", "value": 1, "task_id": "x"})),
            "metrics[1].task_id",
        ),
    ];
    for (body, field) in cases {
        let error = daemon
            .post(METRICS, body)
            .expect_error(400, "VALIDATION_ERROR");
        assert_eq!(error["details"]["field"], field, "{error}");
    }
    let stranger = one(json!({"name": "n", "value": 1, "agent_id": "nobody"}));
    daemon
        .post(METRICS, stranger)
        .expect_error(404, "RESOURCE_NOT_FOUND");
    let report = daemon.get("/api/analytics/agents").expect(200);
    assert!(report["analytics"]["totals"]["good"].is_null(), "{report}");
}
