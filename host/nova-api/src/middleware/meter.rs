//! HTTP metrics. Labels are bounded: methods and paths come from the route table, statuses
//! from a fixed list. Handles are made once per route, so that a request costs no lookup.

use std::sync::OnceLock;
use std::time::Duration;

use super::admission::REFUSED_METRIC;
use axum::http::StatusCode;
use metrics::{Counter, Gauge, Histogram};

/// Name of the histogram of answer times.
pub const DURATION_METRIC: &str = "nova_http_request_duration_seconds";
/// Its buckets, in seconds; to be given to the exporter's builder.
pub const DURATION_BUCKETS_S: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

const REQUESTS_METRIC: &str = "nova_http_requests_total";
const IN_FLIGHT_METRIC: &str = "nova_http_requests_in_flight";

/// Statuses that Nova answers, and the last entry for any other.
const STATUSES: [(u16, &str); 18] = [
    (101, "101"),
    (200, "200"),
    (201, "201"),
    (204, "204"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (409, "409"),
    (413, "413"),
    (422, "422"),
    (429, "429"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
    (0, "other"),
];

/// Tells the installed recorder what the HTTP metrics mean.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(
        REQUESTS_METRIC,
        "HTTP requests answered, by method, route and status"
    );
    metrics::describe_histogram!(
        DURATION_METRIC,
        metrics::Unit::Seconds,
        "Time from a request's headers to its answer, by method and route"
    );
    metrics::describe_counter!(
        REFUSED_METRIC,
        "Requests refused for coming too often, by what was over its limit: key or peer"
    );
    metrics::describe_gauge!(IN_FLIGHT_METRIC, "HTTP requests being served now");
    crate::serve::describe_metrics();
}

/// The handles of one route.
pub(crate) struct Meter {
    method: &'static str,
    path: &'static str,
    answered: [OnceLock<Counter>; STATUSES.len()],
    duration: Histogram,
    in_flight: Gauge,
}

impl Meter {
    /// Handles for a route of the table.
    pub(crate) fn new(method: &'static str, path: &'static str) -> Self {
        Self {
            method,
            path,
            answered: Default::default(),
            duration: metrics::histogram!(DURATION_METRIC, "method" => method, "route" => path),
            in_flight: metrics::gauge!(IN_FLIGHT_METRIC),
        }
    }

    /// Counts a request as in flight until the guard is dropped, by an answer or because the
    /// client has gone away.
    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.increment(1.0);
        InFlight(self.in_flight.clone())
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, status: StatusCode, took: Duration) {
        let last = STATUSES.len() - 1;
        let slot = STATUSES
            .iter()
            .position(|(code, _)| *code == status.as_u16())
            .unwrap_or(last);
        self.answered[slot]
            .get_or_init(|| {
                metrics::counter!(REQUESTS_METRIC, "method" => self.method, "route" => self.path, "status" => STATUSES[slot].1)
            })
            .increment(1);
        self.duration.record(took);
    }
}

/// A request in flight.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
