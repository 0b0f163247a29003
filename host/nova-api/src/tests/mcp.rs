//! The Model Context Protocol, spoken by the SDK's own client over the interface in this process.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Request};
use futures_util::stream::BoxStream;
use nova_core::{DomainSet, Permission};
use rmcp::model::{CallToolRequestParams, ClientJsonRpcMessage};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
    StreamableHttpPostResponse,
};
use rmcp::{RoleClient, ServiceExt as _};
use serde_json::{Value, json};
use sse_stream::{Error as SseError, Sse};

use super::support::TestApi;

/// A way for the SDK's client to the router, without a network.
#[derive(Clone)]
struct Wire {
    app: axum::Router,
    key: String,
}

type Failed = StreamableHttpError<std::io::Error>;

impl StreamableHttpClient for Wire {
    type Error = std::io::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        _: Option<Arc<str>>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let mut request = Request::post(uri.as_ref())
            .header("X-API-Key", &self.key)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let body = serde_json::to_string(&message)?;
        let request = request.body(Body::from(body)).unwrap();
        let response = tower::ServiceExt::oneshot(self.app.clone(), request).await;
        let (parts, body) = response.unwrap().into_parts();
        let bytes = http_body_util::BodyExt::collect(body).await.unwrap();
        let bytes = bytes.to_bytes();
        match parts.status.as_u16() {
            202 => Ok(StreamableHttpPostResponse::Accepted),
            200 => Ok(StreamableHttpPostResponse::Json(
                serde_json::from_slice(&bytes)?,
                None,
            )),
            status => Err(Failed::UnexpectedServerResponse(
                format!("{status}: {}", String::from_utf8_lossy(&bytes)).into(),
            )),
        }
    }

    async fn delete_session(
        &self,
        _: Arc<str>,
        _: Arc<str>,
        _: Option<String>,
        _: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failed> {
        Err(Failed::ServerDoesNotSupportDeleteSession)
    }

    async fn get_stream(
        &self,
        _: Arc<str>,
        _: Option<Arc<str>>,
        _: Option<String>,
        _: Option<String>,
        _: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        Err(Failed::ServerDoesNotSupportSse)
    }
}

type Client = RunningService<RoleClient, ()>;

async fn connect(api: &TestApi, key: &str) -> Client {
    let wire = Wire {
        app: api.app.clone(),
        key: key.to_owned(),
    };
    let config = StreamableHttpClientTransportConfig::with_uri("http://localhost/mcp");
    let transport = StreamableHttpClientTransport::with_client(wire, config);
    ().serve(transport).await.unwrap()
}

/// What a tool answered, and whether that is an error.
async fn call(client: &Client, tool: &'static str, arguments: Value) -> (Value, bool) {
    let arguments = arguments.as_object().cloned().unwrap();
    let request = CallToolRequestParams::new(tool).with_arguments(arguments);
    let result = client.call_tool(request).await.unwrap();
    (
        result.structured_content.unwrap(),
        result.is_error.unwrap_or_default(),
    )
}

#[tokio::test]
async fn a_clients_agent_remembers_and_makes_tasks() {
    let api = TestApi::new().await;
    let client = connect(&api, &api.admin).await;
    let about = client.peer_info().unwrap();
    assert_eq!(about.server_info.as_ref().unwrap().name, "nova");
    let tools = client.list_all_tools().await.unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(
        names,
        [
            "memory_store",
            "memory_search",
            "memory_get",
            "task_create",
            "task_status"
        ]
    );
    let note = json!({"content": "Ann prefers short answers.", "agent_id": "ann", "metadata": {"topic": "style"}});
    let (stored, failed) = call(&client, "memory_store", note).await;
    assert!(!failed, "{stored}");
    let search = json!({"query": "short answers", "filter": {"topic": "style"}});
    let (found, _) = call(&client, "memory_search", search).await;
    assert_eq!(found["matches"][0]["memory_id"], stored["memory_id"]);
    let (got, _) = call(
        &client,
        "memory_get",
        json!({"memory_id": stored["memory_id"]}),
    )
    .await;
    assert_eq!(
        got["orchestration"]["content"],
        "Ann prefers short answers."
    );
    let (made, _) = call(
        &client,
        "task_create",
        json!({"type": "write", "priority": 4}),
    )
    .await;
    let (seen, _) = call(&client, "task_status", json!({"task_id": made["task_id"]})).await;
    assert_eq!(seen["status"], "ready");
    // The same records through the endpoints.
    let path = format!(
        "/api/orchestration/tasks/{}",
        made["task_id"].as_str().unwrap()
    );
    assert_eq!(
        api.get(&path).await.expect(200)["orchestration"]["priority"],
        4
    );
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn what_is_refused_is_a_tools_error() {
    let api = TestApi::new().await;
    let reader = api.key(&[Permission::Read], DomainSet::All).await;
    let client = connect(&api, &reader).await;
    let (refused, failed) = call(&client, "memory_store", json!({"content": "x"})).await;
    assert!(failed);
    assert_eq!(refused["code"], "PERMISSION_DENIED");
    let (found, failed) = call(&client, "memory_search", json!({"query": "x"})).await;
    assert!(!failed, "{found}");
    for (tool, arguments, code, field) in [
        (
            "memory_search",
            json!({"query": ""}),
            "VALIDATION_ERROR",
            "query",
        ),
        (
            "memory_search",
            json!({"qurey": "x"}),
            "VALIDATION_ERROR",
            "qurey",
        ),
        ("memory_get", json!({}), "VALIDATION_ERROR", "memory_id"),
    ] {
        let (refused, failed) = call(&client, tool, arguments).await;
        assert!(failed, "{refused}");
        assert_eq!(
            (&refused["code"], &refused["details"]["field"]),
            (&json!(code), &json!(field))
        );
    }
    let strange = json!({"memory_id": "019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50"});
    let (refused, _) = call(&client, "memory_get", strange).await;
    assert_eq!(refused["code"], "RESOURCE_NOT_FOUND");
    let unknown = client.call_tool(CallToolRequestParams::new("launch")).await;
    assert!(unknown.is_err());
}

#[tokio::test]
async fn the_edge_holds_for_the_protocol_too() {
    let api = TestApi::new().await;
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let anonymous = super::support::request("POST", "/mcp", None, hello.clone());
    api.send(anonymous).await.error(401, "AUTHENTICATION_ERROR");
    // No event streams are accepted: the protocol refuses, in the shape of every error.
    api.post("/mcp", hello).await.error(400, "VALIDATION_ERROR");
    api.get("/mcp").await.error(405, "METHOD_NOT_ALLOWED");
}
