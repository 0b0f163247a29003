//! From a request to a socket.

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde_json::json;

use super::metrics;
use super::session::Session;
use crate::Shared;
use crate::extract::Actor;
use crate::problem::{Code, Problem};

/// Read buffer of a socket, in bytes, which it holds from the beginning; what clients say is short. The library's default is
/// 128 KiB.
const READ_BYTES: usize = 1024;
/// How much is gathered before it is written, in bytes; the library's default is 128 KiB. Measured, this is as fast.
const WRITE_BYTES: usize = 4096;

/// Upgrades the connection of an admitted request.
///
/// # Errors
/// A request that asks for no upgrade, and [`Code::ServiceUnavailable`] while draining or when too many
/// sockets are open.
pub(crate) fn accept(
    state: &Shared,
    actor: Actor,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|rejection| {
        let text = format!("this path speaks WebSocket only: {rejection}");
        Problem::new(Code::ValidationError, text, json!({}))
    })?;
    let sockets = &state.sockets;
    let (place, closing) = sockets.registry.enter(actor.caller.clone())?;
    let hard_max = 2 * sockets.config.message_max_bytes;
    let state = Shared::clone(state);
    Ok(upgrade
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(WRITE_BYTES)
        .max_message_size(hard_max)
        .max_frame_size(hard_max)
        // The peer has gone away before the upgrade; its place is dropped with the other closure.
        .on_failed_upgrade(|_| metrics::closed("failed"))
        .on_upgrade(move |socket: WebSocket| {
            Session::new(socket, state, actor, place, closing).run()
        }))
}
