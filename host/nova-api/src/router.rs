//! The route table: every path, its method and the permission it needs. No other file lists
//! paths; the OpenAPI document takes them from here.

use std::fmt::Display;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use nova_core::{Error, Permission};
use serde_json::json;

use crate::middleware::{Guarded, Meter, Route};
use crate::openapi::{self, Document};
use crate::problem::{Code, Problem};
use crate::wire::page::shown;
use crate::{ApiState, Shared, handlers};

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Anybody.
    Open,
    /// A key with this permission.
    Key(Permission),
    /// Anybody where [`crate::ApiConfig::metrics_open`] says so, else a key that may read.
    Metrics,
}

impl Access {
    /// The permission that a key needs; none where no key is needed.
    pub fn permission(self) -> Option<Permission> {
        match self {
            Self::Open => None,
            Self::Key(permission) => Some(permission),
            Self::Metrics => Some(Permission::Read),
        }
    }
}

/// A route.
#[derive(Clone, Debug)]
pub struct RouteSpec {
    /// Its method.
    pub method: Method,
    /// Its path, with parameters in braces.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
}

const READ: Access = Access::Key(Permission::Read);
const WRITE: Access = Access::Key(Permission::Write);
const ADMIN: Access = Access::Key(Permission::Admin);

/// Where one task is found.
pub(crate) const TASK: &str = "/api/orchestration/tasks/{task_id}";
/// Where one agent is found.
pub(crate) const AGENT: &str = "/api/orchestration/agents/{agent_id}";
/// Where one flow is found.
pub(crate) const FLOW: &str = "/api/orchestration/flows/{flow_id}";
/// Where one resource is found.
pub(crate) const RESOURCE: &str = "/api/orchestration/resources/{resource_id}";
/// Where one memory is found.
pub(crate) const MEMORY: &str = "/api/orchestration/memory/{memory_id}";
/// Where one API key is found.
pub(crate) const KEY: &str = "/api/keys/{key_id}";
/// Where one role is found.
pub(crate) const ROLE: &str = "/api/roles/{role}";
/// Where one alert rule is found.
pub(crate) const ALERT_RULE: &str = "/api/alerts/rules/{rule_id}";
/// Where memories are imported, as a stream.
pub(crate) const MEMORY_IMPORT: &str = "/api/orchestration/memory/import";
/// Where allocations are listed.
pub(crate) const ALLOCATIONS: &str = "/api/orchestration/resources/allocations";
/// Where one allocation is found.
pub(crate) const ALLOCATION: &str = "/api/orchestration/resources/allocations/{allocation_id}";
/// Where one plugin is found.
pub(crate) const PLUGIN: &str = "/api/plugins/{name}";
/// Where one replay is found.
pub(crate) const REPLAY: &str = "/api/replays/{replay_id}";
/// The interactive documentation.
pub(crate) const DOCS: &str = "/docs";
/// The OpenAPI document.
pub(crate) const OPENAPI: &str = "/openapi.json";

/// Where a GET takes microseconds, however much is stored: one row of bounded length, or nothing of the datastore.
const LOOK_UPS: [&str; 9] = [
    "/",
    "/health",
    "/health/live",
    "/health/ready",
    TASK,
    AGENT,
    RESOURCE,
    ALLOCATION,
    ALERT_RULE,
];

macro_rules! route_table {
    ($($method:ident $path:expr, $access:expr => $($handler:ident)::+;)+) => {
        /// Every route.
        pub static ROUTES: &[RouteSpec] = &[
            $(RouteSpec { method: Method::$method, path: $path, access: $access }),+
        ];

        fn mount_all(mounting: &mut Mounting) {
            $(mounting.mount(Method::$method, $path, $access, MethodFilter::$method, handlers::$($handler)::+);)+
        }

        /// Puts every operation into the document.
        pub(crate) fn document_all(document: &mut Document) {
            $(document.add(
                &RouteSpec { method: Method::$method, path: $path, access: $access },
                utoipa_axum::routes!(handlers::$($handler)::+),
            );)+
        }
    };
}

route_table! {
    GET "/", Access::Open => service::root;
    GET "/health", Access::Open => service::health;
    GET "/health/live", Access::Open => service::live;
    GET "/health/ready", Access::Open => service::ready;
    GET "/metrics", Access::Metrics => service::metrics;
    GET OPENAPI, Access::Open => docs::openapi_json;
    GET DOCS, Access::Open => docs::page;
    GET "/docs/{*file}", Access::Open => docs::part;

    GET "/api/analytics/flows", READ => analytics::flows;
    GET "/api/analytics/agents", READ => analytics::agents;
    GET "/api/analytics/resources", READ => analytics::resources;
    POST "/api/analytics/metrics", WRITE => analytics::record;
    GET "/api/analytics/ws", READ => live::socket;

    GET "/api/alerts", READ => alerts::list;
    GET "/api/alerts/rules", READ => alerts::rules;
    GET ALERT_RULE, READ => alerts::rule;
    PUT ALERT_RULE, WRITE => alerts::put_rule;
    DELETE ALERT_RULE, WRITE => alerts::delete_rule;

    POST "/api/orchestration/tasks", WRITE => tasks::create;
    GET "/api/orchestration/tasks", READ => tasks::list;
    GET TASK, READ => tasks::get;
    PUT TASK, WRITE => tasks::update;
    DELETE TASK, WRITE => tasks::cancel;

    POST "/api/orchestration/agents", WRITE => agents::register;
    GET "/api/orchestration/agents", READ => agents::list;
    GET AGENT, READ => agents::get;
    POST "/api/orchestration/agents/coordinate", WRITE => agents::coordinate;
    POST "/api/orchestration/agents/import", WRITE => specs::import;
    GET "/api/orchestration/agents/{agent_id}/export", READ => specs::export;
    POST "/api/orchestration/agents/{agent_id}/assign", WRITE => agents::assign;
    POST "/api/orchestration/agents/{agent_id}/lease", WRITE => leases::lease;
    POST "/api/orchestration/tasks/{task_id}/heartbeat", WRITE => leases::heartbeat;
    POST "/api/orchestration/tasks/{task_id}/complete", WRITE => leases::complete;
    POST "/api/orchestration/tasks/{task_id}/fail", WRITE => leases::fail;

    POST "/api/orchestration/flows", WRITE => flows::create;
    GET "/api/orchestration/flows", READ => flows::list;
    GET FLOW, READ => flows::get;
    POST "/api/orchestration/flows/{flow_id}/optimize", WRITE => flows::optimize;

    POST "/api/orchestration/resources", WRITE => resources::create;
    GET "/api/orchestration/resources", READ => resources::list;
    GET RESOURCE, READ => resources::get;
    PUT RESOURCE, WRITE => resources::update;
    DELETE RESOURCE, WRITE => resources::delete;
    POST "/api/orchestration/resources/allocate", WRITE => allocations::allocate;
    GET ALLOCATIONS, READ => allocations::list;
    GET ALLOCATION, READ => allocations::get;
    POST "/api/orchestration/resources/allocations/{allocation_id}/release", WRITE => allocations::release;

    GET "/api/orchestration/memory", READ => memory::list;
    POST "/api/orchestration/memory/store", WRITE => memory::store;
    POST "/api/orchestration/memory/search", READ => memory::search;
    POST "/api/orchestration/memory/consolidate", WRITE => memory::consolidate;
    POST "/api/orchestration/memory/forget", WRITE => memory::forget;
    GET "/api/orchestration/memory/usage", READ => memory::usage;
    GET "/api/orchestration/memory/export", READ => memory_lines::export;
    POST MEMORY_IMPORT, WRITE => memory_lines::import;
    GET MEMORY, READ => memory::get;
    DELETE MEMORY, WRITE => memory::delete;

    POST "/api/keys", ADMIN => keys::create;
    GET "/api/keys", ADMIN => keys::list;
    GET KEY, ADMIN => keys::get;
    DELETE KEY, ADMIN => keys::revoke;
    POST "/api/keys/{key_id}/rotate", ADMIN => keys::rotate;
    GET "/api/roles", ADMIN => roles::list;
    GET ROLE, ADMIN => roles::get;
    PUT ROLE, ADMIN => roles::put;
    DELETE ROLE, ADMIN => roles::delete;
    POST "/api/auth/tickets", READ => keys::ticket;

    POST "/v1/embeddings", READ => embeddings::create;
    GET "/v1/models", READ => embeddings::models;
    POST "/mcp", READ => mcp::post;

    GET "/api/decisions", READ => decisions::list;
    GET "/api/decisions/{decision_id}", READ => decisions::get;

    GET "/api/plugins", READ => plugins::list;
    GET PLUGIN, READ => plugins::get;
    PUT PLUGIN, ADMIN => plugins::install;
    DELETE PLUGIN, ADMIN => plugins::remove;
    POST "/api/plugins/{name}/rollback", ADMIN => plugins::roll_back;
    GET "/api/strategies", READ => strategies::list;
    PUT "/api/strategies", ADMIN => strategies::change;
    GET "/api/strategies/{kind}/shadow", READ => strategies::shadow;
    POST "/api/plugins/{name}/replay", ADMIN => replays::begin;
    GET REPLAY, READ => replays::get;
    DELETE REPLAY, ADMIN => replays::cancel;
}

/// The whole interface over these services. To be called once the metrics recorder is
/// installed; see [`ApiState::metrics`].
pub fn router(state: ApiState) -> Router {
    let mut mounting = Mounting {
        router: Router::new(),
        document: openapi::openapi(),
    };
    mount_all(&mut mounting);
    let miss = |label| {
        Arc::new(Route {
            path: label,
            access: Access::Open,
            query_names: Vec::new(),
            takes_component: false,
            meter: Meter::new("any", label),
            streams: false,
            at_once: true,
        })
    };
    mounting
        .router
        .fallback(Guarded::new(no_such_path, miss("unknown")))
        .method_not_allowed_fallback(Guarded::new(no_such_method, miss("method")))
        .with_state(Arc::new(state))
}

/// A path of the table with its one parameter filled in, for `Location`.
pub(crate) fn location(template: &str, id: impl Display) -> String {
    match (template.find('{'), template.find('}')) {
        (Some(open), Some(close)) => format!("{}{id}{}", &template[..open], &template[close + 1..]),
        _ => template.to_owned(),
    }
}

struct Mounting {
    router: Router<Shared>,
    document: utoipa::openapi::OpenApi,
}

impl Mounting {
    fn mount<H, T>(
        &mut self,
        method: Method,
        path: &'static str,
        access: Access,
        filter: MethodFilter,
        handler: H,
    ) where
        H: Handler<T, Shared> + Sync,
        T: 'static,
    {
        let query_names = openapi::query_names(&self.document, &method, path);
        let meter = Meter::new(method_label(&method), path);
        let route = Arc::new(Route {
            path,
            access,
            query_names,
            takes_component: method == Method::PUT && path == PLUGIN,
            meter,
            streams: path == MEMORY_IMPORT,
            at_once: method == Method::GET && LOOK_UPS.contains(&path),
        });
        let router = std::mem::take(&mut self.router);
        self.router = router.route(path, on(filter, Guarded::new(handler, route)));
    }
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "any",
    }
}

async fn no_such_path(request: Request) -> Problem {
    Error::not_found("path", shown(request.uri().path())).into()
}

async fn no_such_method(request: Request) -> Problem {
    let method = shown(request.method().as_str());
    let message = format!("{method} is not allowed here; the Allow header says what is");
    Problem::new(Code::MethodNotAllowed, message, json!({"method": method}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_fill_the_parameter() {
        assert_eq!(location(AGENT, "a-1"), "/api/orchestration/agents/a-1");
        assert_eq!(location("/a/{x}/b", 3), "/a/3/b");
        assert_eq!(location(ALLOCATIONS, 3), ALLOCATIONS);
    }
}
