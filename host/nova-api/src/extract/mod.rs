//! What handlers take out of a request: parsed, or refused with the field's name.
//!
//! Every refusal is a [`crate::problem::Problem`]; none of axum's own rejections can reach a
//! client.

mod actor;
pub(crate) mod body;
mod component;
mod if_match;
mod json;
mod path;
mod query;
mod wording;

pub(crate) use actor::Actor;
pub(crate) use component::Component;
pub(crate) use if_match::IfMatch;
pub(crate) use json::{Json, OptionalJson, parse_value};
pub(crate) use path::{
    KindInPath, PartName, PathId, PathName, PluginName, ReplayId, RoleText, RuleName, find_id,
};
pub(crate) use query::{Query, is_set};
