//! The daemon as operators know it: swaps, hostile plugins, crashes, start and end.

mod crash;
mod hostile;
mod lifecycle;
mod swap;
