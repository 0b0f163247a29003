//! The id in a path.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use nova_core::strategy::Kind;
use nova_core::{
    AgentId, AllocationId, DecisionId, Error, FlowId, KeyId, MemoryId, ResourceId, RoleName,
    RuleId, TaskId,
};
use serde_json::json;
use uuid::Uuid;

use crate::problem::{Code, Problem};
use crate::wire::page::shown;

/// Ids that occur in paths, and what they name.
pub(crate) trait PathName: FromStr {
    /// The kind of record, as in [`Error::ResourceNotFound`].
    const WHAT: &'static str;
}

/// The id that a text names, where text that cannot be an id is an id that does not exist.
///
/// # Errors
/// [`Error::ResourceNotFound`].
pub(crate) fn find_id<T: PathName>(text: &str) -> Result<T, Error> {
    text.parse()
        .map_err(|_| Error::not_found(T::WHAT, shown(text)))
}

impl PathName for TaskId {
    const WHAT: &'static str = "task";
}
impl PathName for AgentId {
    const WHAT: &'static str = "agent";
}
impl PathName for FlowId {
    const WHAT: &'static str = "flow";
}
impl PathName for ResourceId {
    const WHAT: &'static str = "resource";
}
impl PathName for AllocationId {
    const WHAT: &'static str = "allocation";
}
impl PathName for RuleId {
    const WHAT: &'static str = "rule";
}
impl PathName for DecisionId {
    const WHAT: &'static str = "decision";
}
impl PathName for MemoryId {
    const WHAT: &'static str = "memory";
}

impl PathName for KeyId {
    const WHAT: &'static str = "key";
}
impl PathName for RoleName {
    const WHAT: &'static str = "role";
}

macro_rules! any_text {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        pub(crate) struct $name(pub(crate) String);

        impl FromStr for $name {
            type Err = std::convert::Infallible;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(Self(text.to_owned()))
            }
        }

        impl PathName for $name {
            const WHAT: &'static str = $what;
        }
    };
}

any_text!(
    /// A plugin's name; any text, since only a lookup follows.
    PluginName, "plugin"
);
any_text!(
    /// A role's name where it may be a new one.
    RoleText, "role"
);
any_text!(
    /// A rule's name; any text, since it may be a new one.
    RuleName, "rule"
);
any_text!(
    /// A part of the documentation; any text, since only a lookup follows.
    PartName, "page"
);

/// A kind of strategies.
pub(crate) struct KindInPath(pub(crate) Kind);

impl FromStr for KindInPath {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Kind::parse(text).map(Self).ok_or(())
    }
}

impl PathName for KindInPath {
    const WHAT: &'static str = "kind";
}

/// A replay's id.
pub(crate) struct ReplayId(pub(crate) Uuid);

impl FromStr for ReplayId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl PathName for ReplayId {
    const WHAT: &'static str = "replay";
}

/// The only parameter of the path.
pub(crate) struct PathId<T>(pub(crate) T);

impl<T: PathName, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| {
                let message = format!(
                    "the {} in the path is not valid UTF-8 once decoded",
                    T::WHAT
                );
                Problem::new(
                    Code::ValidationError,
                    message,
                    json!({"field": format!("{}_id", T::WHAT)}),
                )
            })?;
        let Some((_, text)) = params.iter().next() else {
            return Err(Problem::bug(
                "a handler that needs an id is mounted on a path without one",
            ));
        };
        Ok(Self(find_id(text)?))
    }
}
