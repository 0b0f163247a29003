//! The endpoints at work: what goes in, what comes out.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::support::TestApi;

const TASKS: &str = "/api/orchestration/tasks";
const AGENTS: &str = "/api/orchestration/agents";

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} in {value}"))
}

#[tokio::test]
async fn a_task_is_made_moved_and_cancelled() {
    let api = TestApi::new().await;
    let made = api
        .post(
            TASKS,
            json!({"type": "compile", "priority": 4, "metadata": {"a": [1]}}),
        )
        .await;
    let task = made.expect(201);
    let id = text(&task, "task_id");
    assert_eq!(made.header("location"), format!("{TASKS}/{id}"));
    assert_eq!(
        (text(&task, "status"), &task["confidence"]),
        ("ready", &json!(1.0))
    );
    assert_eq!(task["timestamp"], "2026-01-01T00:00:00.000Z");
    assert_eq!(task["orchestration"]["metadata"], json!({"a": [1]}));

    let path = format!("{TASKS}/{id}");
    let got = api.get(&path).await;
    let tag = got.header("etag").to_owned();
    let got = got.expect(200);
    assert_eq!(tag, format!("\"{}\"", got["orchestration"]["version"]));
    let history: Vec<&str> = got["orchestration"]["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| text(s, "to"))
        .collect();
    assert_eq!(history, ["pending", "ready"]);

    let changed = api
        .call(
            "PUT",
            &path,
            json!({"priority": 2, "deadline": "2027-01-01T00:00:00+01:00"}),
        )
        .await
        .expect(200);
    assert_eq!(
        changed["orchestration"]["deadline"],
        "2026-12-31T23:00:00.000Z"
    );
    let cleared = api
        .call("PUT", &path, json!({"deadline": null}))
        .await
        .expect(200);
    assert_eq!(cleared["orchestration"]["deadline"], Value::Null);
    assert_eq!(cleared["orchestration"]["priority"], 2);
    let illegal = api
        .call("PUT", &path, json!({"status": "completed"}))
        .await
        .error(409, "CONFLICT");
    assert_eq!(illegal["details"]["from"], "ready");

    let cancelled = api.call("DELETE", &path, None).await.expect(200);
    assert_eq!(text(&cancelled, "status"), "cancelled");
    api.call("DELETE", &path, None).await.error(409, "CONFLICT");
}

#[tokio::test]
async fn lists_are_filtered_and_paged_newest_first() {
    let api = TestApi::new().await;
    let mut ids = Vec::new();
    for n in 0..7 {
        let kind = if n % 2 == 0 { "even" } else { "odd" };
        let task = api.post(TASKS, json!({"type": kind})).await.expect(201);
        ids.insert(0, text(&task, "task_id").to_owned());
    }
    let mut seen = Vec::new();
    let mut path = format!("{TASKS}?limit=3");
    loop {
        let page = api.get(&path).await.expect(200);
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|t| text(t, "task_id").to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("{TASKS}?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let count = |body: Value| body["items"].as_array().unwrap().len();
    assert_eq!(
        count(api.get(&format!("{TASKS}?type=even")).await.expect(200)),
        4
    );
    assert_eq!(
        count(
            api.get(&format!("{TASKS}?status=ready&type=odd"))
                .await
                .expect(200)
        ),
        3
    );
    assert_eq!(
        count(api.get(&format!("{TASKS}?status=failed")).await.expect(200)),
        0
    );
    let refused = api
        .get(&format!("{TASKS}?status=done"))
        .await
        .error(400, "VALIDATION_ERROR");
    assert_eq!(refused["details"]["field"], "status");
    let other = api.get(&format!("{TASKS}?domain=other")).await.expect(200);
    assert_eq!(other, json!({"items": [], "next_cursor": null}));
}

#[tokio::test]
async fn analytics_come_with_who_computed_them() {
    let api = TestApi::new().await;
    api.post(AGENTS, json!({"agent_id": "a"})).await.expect(201);
    let all = api
        .get("/api/analytics/agents?window_s=3600")
        .await
        .expect(200);
    let analytics = &all["analytics"];
    assert_eq!(
        (
            text(analytics, "scope"),
            text(analytics, "domain"),
            &analytics["window_s"]
        ),
        ("agents", "general", &json!(3600.0))
    );
    assert_eq!(analytics["totals"]["events"]["value"], 1.0);
    assert_eq!(text(&all["strategy"], "kind"), "analytics-processor");
    assert!(all["insights"].is_array());
    assert!((0.0..=1.0).contains(&all["confidence"].as_f64().unwrap()));
    let one = api
        .get("/api/analytics/agents?agent_id=a")
        .await
        .expect(200);
    assert_eq!(one["analytics"]["subjects"][0]["id"], "a");
    for scope in ["flows", "resources"] {
        assert_eq!(
            text(
                &api.get(&format!("/api/analytics/{scope}"))
                    .await
                    .expect(200)["analytics"],
                "scope"
            ),
            scope
        );
    }
    api.get("/api/analytics/flows?window_s=0")
        .await
        .error(400, "VALIDATION_ERROR");
    api.get("/api/analytics/flows?agent_id=a")
        .await
        .error(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn plugins_and_the_entry_point_show_what_there_is() {
    let api = TestApi::new().await;
    let plugins = api.get("/api/plugins").await.expect(200);
    let names: Vec<&str> = plugins["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| text(p, "name"))
        .collect();
    assert_eq!(names.len(), 3);
    let one = api
        .get(&format!("/api/plugins/{}", names[0]))
        .await
        .expect(200);
    assert_eq!(
        (text(&one, "name"), text(&one, "state")),
        (names[0], "active")
    );
    for field in [
        "kind",
        "version",
        "digest",
        "limits",
        "calls",
        "errors",
        "p50_us",
        "p99_us",
        "revisions",
        "refused",
    ] {
        assert!(one.get(field).is_some(), "{field} in {one}");
    }
    let root = api.get("/").await.expect(200);
    assert_eq!(
        (text(&root, "name"), text(&root, "docs_url")),
        ("Nova API", "/docs")
    );
    let endpoint =
        json!({"method": "POST", "path": "/api/orchestration/tasks", "permission": "write"});
    assert!(root["endpoints"].as_array().unwrap().contains(&endpoint));
    let health = api.get("/health").await.expect(200);
    assert_eq!(health["version"], crate::VERSION);
    assert!(health["uptime_s"].is_f64());
}

#[tokio::test]
async fn a_domain_sees_nothing_of_another() {
    let api = TestApi::new().await;
    let made = api
        .post(&format!("{TASKS}?domain=one"), json!({"type": "t"}))
        .await
        .expect(201);
    let id = text(&made, "task_id");
    assert_eq!(text(&made["orchestration"], "domain"), "one");
    api.get(&format!("{TASKS}/{id}?domain=one"))
        .await
        .expect(200);
    api.get(&format!("{TASKS}/{id}?domain=two"))
        .await
        .error(404, "RESOURCE_NOT_FOUND");
    api.get(&format!("{TASKS}/{id}"))
        .await
        .error(404, "RESOURCE_NOT_FOUND");
}
