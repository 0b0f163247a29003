//! The Model Context Protocol (streamable HTTP, without sessions): memory and tasks as tools of any client's agent.
//!
//! A tool is the endpoint of the same name: the same body, the same answer, the same key, domain and limits.
//! What is refused is a tool's error, with the message that the endpoint would give.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use nova_core::{MemoryId, Permission, TaskId};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, Implementation,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, ServerHandler};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ROUTED;
use crate::extract::{Actor, find_id, parse_value};
use crate::problem::{Code, Problem};
use crate::wire::mcp::{Call, IdArgument, TOOLS, ToolSpec};
use crate::wire::memory::{MemoryAnswer, MemorySearchAnswer};
use crate::wire::memory_body::{NewMemoryBody, SearchBody};
use crate::wire::schema::OpenObject;
use crate::wire::task::TaskAnswer;
use crate::wire::task_body::NewTaskBody;
use crate::{Shared, VERSION};

const ABOUT: &str = "Nova keeps memories (what was lived through, and what is known) and tasks of AI agents. Search memory \
    before you answer from what you may have learnt earlier; store what should be known later.";

/// The tools for one request's key and domain.
#[derive(Clone)]
struct Tools {
    state: Shared,
    actor: Actor,
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("nova", VERSION))
            .with_instructions(ABOUT)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(
            TOOLS.iter().map(described).collect(),
        ))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        TOOLS.iter().find(|tool| tool.name == name).map(described)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = TOOLS.iter().find(|tool| tool.name == request.name) else {
            let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
            let message = format!("there is no such tool; there are: {}", names.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        };
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let result = match self.call(tool, arguments).await {
            Ok(answer) => CallToolResult::structured(answer),
            Err(problem) => {
                problem.log();
                CallToolResult::structured_error(problem.summary())
            }
        };
        Ok(result.into())
    }
}

impl Tools {
    async fn call(&self, tool: &ToolSpec, arguments: Value) -> Result<Value, Problem> {
        if !tool.reads {
            self.actor.caller.require(Permission::Write)?;
        }
        let (services, domain) = (&self.state.services, &self.actor.domain);
        let now = || self.state.clock.now();
        match tool.call {
            Call::MemoryStore => {
                let body: NewMemoryBody = parse_value("", arguments)?;
                let stored = services.memories.store(domain, body.into()).await?;
                answer(MemoryAnswer::stored(stored, now()))
            }
            Call::MemorySearch => {
                let body: SearchBody = parse_value("", arguments)?;
                let found = services.memories.search(domain, body.try_into()?).await?;
                answer(MemorySearchAnswer::new(found, now()))
            }
            Call::MemoryGet => {
                let id: MemoryId = find_id(&argument(arguments)?.memory_id()?)?;
                let memory = services.memories.get(domain, id).await?;
                answer(MemoryAnswer::new(memory, now()))
            }
            Call::TaskCreate => {
                let body: NewTaskBody = parse_value("", arguments)?;
                let task = services.tasks.create(domain, body.into()).await?;
                answer(TaskAnswer::new(task, now()))
            }
            Call::TaskStatus => {
                let id: TaskId = find_id(&argument(arguments)?.task_id()?)?;
                let view = services.tasks.get(domain, id).await?;
                answer(TaskAnswer::new(view, now()))
            }
        }
    }
}

fn argument(arguments: Value) -> Result<IdArgument, Problem> {
    parse_value("", arguments)
}

fn answer(value: impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(Problem::bug)
}

fn described(tool: &ToolSpec) -> Tool {
    let schema = match (tool.input)() {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    Tool::new(tool.name, tool.about, Arc::new(schema))
        .with_annotations(ToolAnnotations::new().read_only(tool.reads))
}

/// Speak the Model Context Protocol (streamable HTTP): tools for memory and tasks.
///
/// A message of JSON-RPC in, one out; there are no sessions. Tools that write need the permission `write`.
#[utoipa::path(post, path = ROUTED, tag = "service", operation_id = "mcp", request_body = OpenObject, responses(
    (status = 200, description = "The answer, as JSON or as an event stream", body = OpenObject),
    (status = 202, description = "A notification was taken"),
))]
pub(crate) async fn post(State(state): State<Shared>, actor: Actor, request: Request) -> Response {
    let mut config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(state.config.max_body_bytes)
        // Hosts need not be told apart where every request carries a key.
        .disable_allowed_hosts();
    config.sse_retry = None;
    let tools = Tools { state, actor };
    let sessions = Arc::new(NeverSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(tools.clone()), sessions, config);
    let response = service.handle(request).await;
    let status = response.status();
    if status.is_success() {
        return response.map(Body::new);
    }
    refusal(status, response.map(Body::new)).await
}

/// What the protocol refused, in the one shape of errors; its own answers pass as they are.
async fn refusal(status: StatusCode, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let bytes = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Problem::bug(error).into_response(),
    };
    let spoken = serde_json::from_slice::<Value>(&bytes);
    if spoken.is_ok_and(|value| value.get("jsonrpc").is_some()) {
        return Response::from_parts(parts, Body::from(bytes));
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => Code::PayloadTooLarge,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::NOT_FOUND => Code::ResourceNotFound,
        status if status.is_server_error() => return Problem::bug(text).into_response(),
        _ => Code::ValidationError,
    };
    Problem::new(code, text, json!({"protocol": "mcp"})).into_response()
}
