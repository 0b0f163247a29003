//! The OpenAPI document is whole, and the documentation comes from the binary.
#![allow(clippy::unwrap_used)]

use serde_json::Value;

use super::support::{TestApi, request};

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get("$ref") {
                found.push(target);
            }
            map.values().for_each(|v| references(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = serde_json::to_value(crate::openapi()).unwrap();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for target in found {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target} is not there");
    }
}

#[test]
fn every_answer_and_error_is_typed() {
    let document = serde_json::to_value(crate::openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(
        document["components"]["securitySchemes"]["ApiKeyAuth"]["name"],
        "X-API-Key"
    );
    assert_eq!(
        document["components"]["securitySchemes"]["BearerAuth"]["scheme"],
        "bearer"
    );
    let tags: Vec<&Value> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["name"])
        .collect();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                tags.contains(&&operation["tags"][0]),
                "{method} {path}: {}",
                operation["tags"]
            );
            let responses = operation["responses"].as_object().unwrap();
            assert!(
                responses.keys().any(|s| s.starts_with('2') || s == "101"),
                "{method} {path} has no good answer"
            );
            for (status, response) in responses {
                let response = match response["$ref"].as_str() {
                    Some(target) => document.pointer(target.strip_prefix('#').unwrap()).unwrap(),
                    None => response,
                };
                let Some(content) = response["content"].as_object() else {
                    // What is taken without an answer, and what goes on as another protocol.
                    assert!(["101", "202", "204"].contains(&status.as_str()), "{path}");
                    continue;
                };
                assert!(
                    content.values().all(|c| c["schema"].is_object()),
                    "{method} {path} {status} is not typed"
                );
            }
            if status_created(responses) {
                assert!(
                    responses["201"]["headers"]["Location"].is_object(),
                    "{method} {path}"
                );
            }
        }
    }
    for (name, response) in document["components"]["responses"].as_object().unwrap() {
        let body = &response["content"]["application/json"];
        assert_eq!(body["schema"]["$ref"], "#/components/schemas/Error");
        assert_eq!(body["example"]["error"]["code"], name.as_str());
    }
}

fn status_created(responses: &serde_json::Map<String, Value>) -> bool {
    responses.contains_key("201")
}

#[tokio::test]
async fn examples_of_bodies_are_what_the_endpoints_accept() {
    let api = TestApi::new().await;
    let document = serde_json::to_value(crate::openapi()).unwrap();
    let example = |name: &str| document["components"]["schemas"][name]["example"].clone();
    api.post("/api/orchestration/agents", example("NewAgent"))
        .await
        .expect(201);
    for name in ["planner", "builder-2"] {
        api.post(
            "/api/orchestration/agents",
            serde_json::json!({"agent_id": name}),
        )
        .await
        .expect(201);
    }
    let task = api
        .post("/api/orchestration/tasks", example("NewTask"))
        .await
        .expect(201);
    api.post(
        "/api/orchestration/agents/coordinate",
        example("Coordinate"),
    )
    .await
    .expect(201);
    api.post(
        "/api/orchestration/agents/builder-1/assign",
        example("Assign"),
    )
    .await
    .expect(200);
    api.post("/api/orchestration/flows", example("NewFlow"))
        .await
        .expect(201);
    api.post(
        "/api/orchestration/flows/release-0.2/optimize",
        example("Optimize"),
    )
    .await
    .expect(200);
    api.post("/api/orchestration/resources", example("NewResource"))
        .await
        .expect(201);
    api.call(
        "PUT",
        "/api/orchestration/resources/cpu",
        example("ResourceChange"),
    )
    .await
    .expect(200);
    let ram = serde_json::json!({"resource_id": "ram", "capacity": 64, "unit": "GiB"});
    api.post("/api/orchestration/resources", ram)
        .await
        .expect(201);
    api.post("/api/orchestration/resources/allocate", example("Allocate"))
        .await
        .expect(201);
    // The example completes a task that is not in progress: well-formed, but illegal.
    let path = format!(
        "/api/orchestration/tasks/{}",
        task["task_id"].as_str().unwrap()
    );
    api.call("PUT", &path, example("TaskChange"))
        .await
        .error(409, "CONFLICT");

    let made = api.post("/api/keys", example("NewKey")).await.expect(201);
    let path = format!("/api/keys/{}/rotate", made["key_id"].as_str().unwrap());
    api.post(&path, example("RotateKey")).await.expect(200);
    api.call("PUT", "/api/roles/builders", example("NewRole"))
        .await
        .expect(201);
}

#[tokio::test]
async fn documentation_comes_from_the_binary() {
    let api = TestApi::new().await;
    let page = api.send(request("GET", "/docs", None, None)).await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(
        !page.text.contains("http"),
        "something is loaded from elsewhere: {}",
        page.text
    );
    let mut parts = Vec::new();
    for piece in page.text.split(['"']) {
        if let Some(part) = piece.strip_prefix("docs/") {
            parts.push(part);
        }
    }
    assert_eq!(parts.len(), 7, "{parts:?}");
    for part in parts {
        let file = api
            .send(request("GET", &format!("/docs/{part}"), None, None))
            .await;
        assert_eq!(file.status, 200, "{part}");
        assert!(!file.text.is_empty());
    }
    let start = api
        .send(request("GET", "/docs/swagger-initializer.js", None, None))
        .await;
    assert!(start.text.contains("/openapi.json"), "{}", start.text);
    let document = api
        .send(request("GET", "/openapi.json", None, None))
        .await
        .expect(200);
    assert_eq!(document["info"]["title"], "Nova API");
    api.send(request("GET", "/docs/no-such-part", None, None))
        .await
        .error(404, "RESOURCE_NOT_FOUND");
}
