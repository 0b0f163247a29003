//! The daemon as operators know it: swaps, hostile plugins, crashes, start and end.

mod canary;
mod check;
mod consolidation;
mod crash;
mod fallback;
mod hostile;
mod keys_cli;
mod lifecycle;
mod observability;
mod replay;
mod rollback;
mod signatures;
mod shadow;
mod swap;
mod transport;
