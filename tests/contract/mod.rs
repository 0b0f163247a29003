//! What the daemon promises in general terms (an OpenAPI document, a protocol), taken at its word by programs that know
//! nothing else of it.

mod client;
mod mcp;
mod schemathesis;
