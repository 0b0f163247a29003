//! The WebSocket: what happens, as it happens.

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::Response;

use super::ROUTED;
use crate::Shared;
use crate::extract::Actor;
use crate::problem::Problem;
use crate::ws;

/// Events and analytics in real time (WebSocket).
///
/// Text messages, each a JSON object with a `type`; the schemas `ClientMessage` and `ServerMessage` list them.
/// A refused message is answered with `error` and the socket stays open. A reader that is too slow misses
/// messages and is told with `lagged`; whoever connects again subscribes with `since_seq` to get what it missed.
#[utoipa::path(get, path = ROUTED, tag = "analytics", operation_id = "analytics_socket",
    params(("ticket" = Option<String>, Query, description = "A one-time ticket, in place of a key, for browsers, which cannot send one; see `POST /api/auth/tickets`")),
    responses((status = 101, description = "The connection speaks WebSocket from here on; see `x-client-message` and `x-server-message`")),
    extensions(
        ("x-client-message" = json!({"$ref": "#/components/schemas/ClientMessage"})),
        ("x-server-message" = json!({"$ref": "#/components/schemas/ServerMessage"})),
    ),
)]
pub(crate) async fn socket(
    State(state): State<Shared>,
    actor: Actor,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    ws::accept(&state, actor, upgrade)
}
