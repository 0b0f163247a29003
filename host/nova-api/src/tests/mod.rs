//! Tests through the whole edge: requests in, answers out, over in-memory ports.

mod decisions;
mod documents;
mod edge;
mod errors;
mod hostile;
mod mcp;
mod orchestration;
mod routes;
mod serving;
mod support;
