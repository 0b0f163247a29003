//! The daemon as operators know it: swaps, hostile plugins, crashes, start and end.

mod cache;
mod canary;
mod check;
mod consolidation;
mod crash;
mod fallback;
mod forecasts;
mod gate;
mod hostile;
mod keys_cli;
mod lifecycle;
mod observability;
mod replay;
mod rollback;
mod settings;
mod shadow;
mod signatures;
mod summarizer;
mod swap;
mod transport;
