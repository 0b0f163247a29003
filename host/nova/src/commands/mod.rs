//! One file or folder a subcommand.

pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod flow;
pub(crate) mod keys;
pub(crate) mod plugin;
pub(crate) mod plugin_remote;
pub(crate) mod serve;
