//! One file or folder a subcommand.

pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod flow;
mod given;
pub(crate) mod keys;
pub(crate) mod kit;
pub(crate) mod plugin;
pub(crate) mod plugin_remote;
mod replay;
pub(crate) mod serve;
pub(crate) mod sign;
