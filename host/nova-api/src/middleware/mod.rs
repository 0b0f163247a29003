//! What happens to every request, whatever its handler: one wrapper instead of a tower of
//! layers, since each layer costs an allocation and a clone on every request.
//!
//! In order: request id and span, admission (key, budget, permission, query
//! names, domain), a repeated request's first answer, the
//! handler with panics caught, the rendering of problems, headers, metrics, the access line.

mod access;
mod admission;
mod guard;
mod meter;
mod moved;
mod repeat;
mod request_id;
mod traced;

pub use access::AccessSample;
pub(crate) use guard::{Guarded, Route};
pub(crate) use meter::Meter;
pub(crate) use meter::describe_metrics;
pub use meter::{DURATION_BUCKETS_S, DURATION_METRIC};
pub(crate) use repeat::applies;
pub use traced::Tracer;
