//! The OpenAPI document, taken at its word by programs that know nothing else of the daemon.

mod client;
mod schemathesis;
