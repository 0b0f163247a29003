//! The OpenAPI 3.1 document: the operations of the handlers, completed from the route table
//! with paths, security, the domain and the errors that any of them may answer.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::json;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem, Paths};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Header, HttpMethod, InfoBuilder, License, OpenApi,
    OpenApiBuilder, Ref, RefOr, Required, SecurityRequirement,
};
use utoipa::{IntoResponses, PartialSchema, ToSchema};
use utoipa_axum::router::UtoipaMethodRouter;

use nova_core::services::IDEMPOTENCY_KEY_MAX_CHARS;

use crate::middleware::applies;
use crate::problem::Code;
use crate::router::{self, Access, RouteSpec};
use crate::wire::error::ErrorAnswer;
use crate::wire::schema::{Name, VersionTag, WindowSeconds};
use crate::ws::{ClientMessage, ServerMessage};
use crate::{Shared, VERSION};

const ABOUT: &str = "\
Runs teams of AI agents whose decisions are made by strategy plugins.

Every answer carries `X-Request-ID` (yours, when it is 1–128 of `[A-Za-z0-9._-]`) and
`X-Response-Time` in seconds, and with a key `RateLimit-Limit`, `RateLimit-Remaining` and
`RateLimit-Reset` (seconds). Unknown fields and query parameters are refused. Lists are newest
first; `next_cursor` leads to the next part.";

const TAGS: [(&str, &str); 11] = [
    ("service", "Health, documentation, metrics"),
    ("tasks", "What is to be done"),
    ("agents", "Who does the work"),
    ("flows", "Graphs of tasks, and their optimization"),
    (
        "resources",
        "What there is a limited amount of, and who has it",
    ),
    (
        "memory",
        "What agents have lived through, and what they know",
    ),
    ("analytics", "What the recorded events show"),
    ("keys", "Who may do what, where, and how often"),
    ("alerts", "Rules over what they show, and who is told"),
    ("plugins", "The strategies that are installed"),
    ("decisions", "What was decided, by whom, on which problem"),
];

/// The OpenAPI 3.1 document of this version.
pub fn openapi() -> OpenApi {
    let mut document = Document {
        paths: Paths::new(),
        schemas: Vec::new(),
    };
    router::document_all(&mut document);
    document.finish()
}

/// Query parameters that an operation of the document lists.
pub(crate) fn query_names(document: &OpenApi, method: &Method, path: &str) -> Vec<String> {
    let Some(operation) = operation(document, method, path) else {
        return Vec::new();
    };
    let parameters = operation.parameters.iter().flatten();
    parameters
        .filter_map(|p| match p {
            RefOr::T(Parameter {
                name,
                parameter_in: ParameterIn::Query,
                ..
            }) => Some(name.clone()),
            _ => None,
        })
        .collect()
}

/// An operation of the document, by a route's method and path.
pub(crate) fn operation<'a>(
    document: &'a OpenApi,
    method: &Method,
    path: &str,
) -> Option<&'a Operation> {
    let item = document.paths.paths.get(&template(path))?;
    match *method {
        Method::GET => item.get.as_ref(),
        Method::POST => item.post.as_ref(),
        Method::PUT => item.put.as_ref(),
        Method::DELETE => item.delete.as_ref(),
        _ => None,
    }
}

/// Answers of an operation that asks a strategy.
pub(crate) struct Decides;

impl IntoResponses for Decides {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let codes = [
            Code::ResourceNotFound,
            Code::StrategyRejected,
            Code::StrategyFailed,
            Code::StrategyTimeout,
        ];
        codes.into_iter().map(reference).collect()
    }
}

/// The answer of an operation that refuses a component.
pub(crate) struct Takes;

impl IntoResponses for Takes {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [reference(Code::StrategyRejected)].into()
    }
}

/// Answers of an operation that reads the decision journal.
pub(crate) struct Journaled;

impl IntoResponses for Journaled {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([reference(Code::Conflict)])
    }
}

/// A document in the making.
pub(crate) struct Document {
    paths: Paths,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Document {
    /// Adds a handler's operation under the route's path.
    pub(crate) fn add(&mut self, spec: &RouteSpec, documented: UtoipaMethodRouter<Shared>) {
        let (schemas, paths, _) = documented;
        self.schemas.extend(schemas);
        let operation = paths.paths.into_values().next().and_then(only_operation);
        let Some((method, mut operation)) =
            operation.filter(|(method, _)| same(method, &spec.method))
        else {
            return; // the walk over the route table fails then
        };
        complete(spec, &mut operation);
        self.paths
            .add_path_operation(template(spec.path), vec![method], operation);
    }

    fn finish(mut self) -> OpenApi {
        self.schemas
            .push(("Error".to_owned(), ErrorAnswer::schema()));
        ErrorAnswer::schemas(&mut self.schemas);
        // No operation has these as a body: they go over the WebSocket.
        let client = (ClientMessage::name().into_owned(), ClientMessage::schema());
        let server = (ServerMessage::name().into_owned(), ServerMessage::schema());
        self.schemas.extend([client, server]);
        ClientMessage::schemas(&mut self.schemas);
        ServerMessage::schemas(&mut self.schemas);
        // What only parameters refer to, which utoipa does not collect.
        self.schemas.extend([
            (Name::name().into_owned(), Name::schema()),
            (VersionTag::name().into_owned(), VersionTag::schema()),
            (WindowSeconds::name().into_owned(), WindowSeconds::schema()),
        ]);
        let mut components = ComponentsBuilder::new()
            .schemas_from_iter(self.schemas)
            .security_scheme(
                "ApiKeyAuth",
                SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key"))),
            )
            .security_scheme(
                "BearerAuth",
                SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
            );
        for code in Code::ALL {
            components = components.response(code.as_str(), error_response(code));
        }
        let info = InfoBuilder::new()
            .title("Nova API")
            .version(VERSION)
            .description(Some(ABOUT))
            .license(Some(License::new("Apache-2.0")))
            .build();
        let tags =
            TAGS.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build());
        OpenApiBuilder::new()
            .info(info)
            .paths(self.paths)
            .components(Some(components.build()))
            .tags(Some(tags))
            .build()
    }
}

fn only_operation(item: PathItem) -> Option<(HttpMethod, Operation)> {
    let PathItem {
        get,
        put,
        post,
        delete,
        ..
    } = item;
    let all = [
        (HttpMethod::Get, get),
        (HttpMethod::Put, put),
        (HttpMethod::Post, post),
        (HttpMethod::Delete, delete),
    ];
    all.into_iter()
        .find_map(|(method, operation)| Some((method, operation?)))
}

fn same(documented: &HttpMethod, routed: &Method) -> bool {
    matches!(
        (documented, routed.as_str()),
        (HttpMethod::Get, "GET")
            | (HttpMethod::Put, "PUT")
            | (HttpMethod::Post, "POST")
            | (HttpMethod::Delete, "DELETE")
    )
}

/// A route's path as OpenAPI writes it.
fn template(path: &str) -> String {
    path.replace("{*", "{")
}

/// Adds what the route table knows of an operation.
fn complete(spec: &RouteSpec, operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    let names = spec
        .path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next());
    let mut has_id = false;
    for name in names {
        has_id = true;
        parameters.push(path_parameter(name.trim_start_matches('*')).into());
    }
    // A stream of lines is imported by their ids, and knows no other name of the request.
    let body = operation.request_body.as_ref();
    let of_lines =
        matches!(body, Some(RefOr::T(b)) if b.content.contains_key("application/x-ndjson"));
    if applies(&spec.method, spec.access) && !of_lines {
        parameters.push(idempotency_parameter().into());
    }
    let mut codes = vec![Code::ServiceError, Code::ServiceUnavailable];
    if spec.access.permission().is_some() {
        let mut security = vec![
            SecurityRequirement::new::<_, [&str; 0], &str>("ApiKeyAuth", []),
            SecurityRequirement::new::<_, [&str; 0], &str>("BearerAuth", []),
        ];
        if spec.access == Access::Metrics {
            security.push(SecurityRequirement::default()); // where the configuration opens it
        } else {
            parameters.push(domain_parameter().into());
        }
        operation.security = Some(security);
        codes.extend([
            Code::ValidationError,
            Code::AuthenticationError,
            Code::PermissionDenied,
            Code::RateLimitExceeded,
        ]);
    } else {
        operation.security = Some(Vec::new());
    }
    if has_id || spec.method != Method::GET {
        codes.push(Code::ResourceNotFound);
    }
    if spec.method != Method::GET {
        codes.push(Code::Conflict);
    }
    if operation.request_body.is_some() {
        codes.push(Code::PayloadTooLarge);
    }
    let responses = &mut operation.responses.responses;
    for (status, response) in codes.into_iter().map(reference) {
        responses.entry(status).or_insert(response);
    }
    if let Some(RefOr::T(created)) = responses.get_mut("201") {
        let header = Header::new(String::schema());
        created.headers.insert("Location".to_owned(), header.into());
    }
}

fn path_parameter(name: &str) -> Parameter {
    let description = match name {
        "file" => "The name of a part.".to_owned(),
        "name" => "The plugin's name.".to_owned(),
        "role" => "The role's name.".to_owned(),
        other => format!("The {}'s id.", other.trim_end_matches("_id")),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(match name {
            "role" => Ref::from_schema_name(Name::name()).into(),
            _ => String::schema(),
        }))
        .build()
}

fn idempotency_parameter() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(format!("^[!-~]{{1,{IDEMPOTENCY_KEY_MAX_CHARS}}}$")));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Your name for this request. Within 24 h the same request under the same name gets the first answer \
             again, another request under it a 409. A request that changed nothing is not remembered.",
        ))
        .schema(Some(schema))
        .build()
}

fn domain_parameter() -> Parameter {
    ParameterBuilder::new()
        .name("domain")
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some("The domain to act in; absent = the key's default."))
        .schema(Some(Ref::from_schema_name(Name::name())))
        .build()
}

fn reference(code: Code) -> (String, RefOr<Response>) {
    (
        code.status().as_str().to_owned(),
        RefOr::Ref(Ref::from_response_name(code.as_str())),
    )
}

fn error_response(code: Code) -> Response {
    let (message, details) = example(code);
    let name = code.as_str();
    let body = json!({
        "error": {"code": name, "message": message, "details": details},
        "detail": {
            "code": name, "message": message, "details": details,
            "timestamp": "2026-01-31T12:00:00.000Z",
            "request_id": "019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50"
        }
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Error")))
        .example(Some(body))
        .build();
    ResponseBuilder::new()
        .description(describe(code))
        .content("application/json", content)
        .build()
}

fn describe(code: Code) -> &'static str {
    match code {
        Code::ValidationError => "The request breaks a rule; `details.field` names the field",
        Code::AuthenticationError => "No key, or one that is not valid",
        Code::PermissionDenied => "The key lacks the permission or the domain",
        Code::ResourceNotFound => "No such record in this domain",
        Code::MethodNotAllowed => "The path exists, but not with this method",
        Code::Conflict => "The state of things forbids this now",
        Code::PayloadTooLarge => "The body is too long",
        Code::StrategyRejected => "The strategy refused the problem; its message is passed on",
        Code::RateLimitExceeded => "The key asks more often than it may",
        Code::ServiceError => "A bug; the log has it under the request id",
        Code::StrategyFailed => "The plugin failed, and no fallback could serve",
        Code::ServiceUnavailable => "Starting, draining, datastore away, or queue full",
        Code::StrategyTimeout => "The plugin ran past its deadline, and no fallback could serve",
    }
}

fn example(code: Code) -> (&'static str, serde_json::Value) {
    match code {
        Code::ValidationError => (
            "priority must be 1 to 5, got 9",
            json!({"field": "priority"}),
        ),
        Code::AuthenticationError => ("the API key is not valid", json!({})),
        Code::PermissionDenied => ("this key lacks the permission 'write'", json!({})),
        Code::ResourceNotFound => (
            "agent 'builder-9' does not exist",
            json!({"resource": "agent", "id": "builder-9"}),
        ),
        Code::MethodNotAllowed => (
            "PATCH is not allowed here; the Allow header says what is",
            json!({"method": "PATCH"}),
        ),
        Code::Conflict => (
            "an agent 'builder-1' exists already",
            json!({"agent_id": "builder-1"}),
        ),
        Code::PayloadTooLarge => (
            "the body may have at most 2097152 bytes",
            json!({"max_body_bytes": 2_097_152}),
        ),
        Code::StrategyRejected => (
            "heft refused the problem: no agent has the capability that task build needs",
            json!({"plugin": "heft", "code": "infeasible", "reason": "no-capable-agent"}),
        ),
        Code::RateLimitExceeded => (
            "rate limit exceeded, retry after 12 s",
            json!({"retry_after_s": 12}),
        ),
        Code::ServiceError => (
            "an internal error occurred; the log has it under this request id",
            json!({}),
        ),
        Code::StrategyFailed => (
            "the strategy 'heft' (revision 3) failed: unreachable executed",
            json!({"plugin": "heft", "revision": 3, "cause": "trap"}),
        ),
        Code::ServiceUnavailable => ("the daemon is draining", json!({"retry_after_s": 1})),
        Code::StrategyTimeout => (
            "the strategy 'heft' (revision 3) ran past its deadline of 1000 ms",
            json!({"plugin": "heft", "revision": 3}),
        ),
    }
}
