//! Metrics of the live side; no label grows with what clients send.

use std::sync::LazyLock;

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

const SOCKETS: &str = "nova_ws_sockets";
const STREAMS: &str = "nova_ws_streams";
const MESSAGES: &str = "nova_ws_messages_total";
const MISSED: &str = "nova_ws_missed_frames_total";
const CLOSED: &str = "nova_ws_closed_total";

/// The handles; made at the first socket, after the recorder is installed.
pub(super) struct Handles {
    pub(super) sockets: Gauge,
    pub(super) streams: Gauge,
    pub(super) received: Counter,
    pub(super) sent: Counter,
    pub(super) missed: Counter,
}

pub(super) static METRICS: LazyLock<Handles> = LazyLock::new(|| Handles {
    sockets: gauge!(SOCKETS),
    streams: gauge!(STREAMS),
    received: counter!(MESSAGES, "direction" => "in"),
    sent: counter!(MESSAGES, "direction" => "out"),
    missed: counter!(MISSED),
});

/// Counts the end of a socket; `why` is one of a fixed list.
pub(super) fn closed(why: &'static str) {
    counter!(CLOSED, "reason" => why).increment(1);
}

/// Tells the installed recorder what these metrics mean.
pub(crate) fn describe_metrics() {
    describe_gauge!(SOCKETS, "WebSockets open now");
    describe_gauge!(STREAMS, "Distinct subscriptions that sockets follow now");
    describe_counter!(MESSAGES, "WebSocket messages, by direction: in, out");
    describe_counter!(MISSED, "Frames that slow WebSocket readers missed");
    describe_counter!(
        CLOSED,
        "WebSockets that ended, by reason: peer, silent, slow, key, draining, too-long, failed"
    );
}
