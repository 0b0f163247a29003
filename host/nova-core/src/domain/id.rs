//! Ids as types: parsed once at the edge, then taken on trust.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::error::Error;

/// Longest name that a client may choose, in bytes.
pub const NAME_MAX_BYTES: usize = 128;

pub(super) fn check_name(what: &str, text: &str) -> Result<(), Error> {
    let fits = (1..=NAME_MAX_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits {
        return Ok(());
    }
    let shown: String = text.chars().take(40).collect();
    Err(Error::field(
        what,
        format!("{what} must be 1 to {NAME_MAX_BYTES} characters of [A-Za-z0-9._-], got '{shown}'"),
    ))
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A fresh id made by the daemon (UUIDv7, so that ids sort by age).
            pub fn generate() -> Self {
                Self(Uuid::now_v7().to_string().into())
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                check_name($what, text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self, Error> {
                text.parse()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh id (UUIDv7; ids made later sort later).
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                Uuid::parse_str(text).map(Self).map_err(|_| {
                    let shown: String = text.chars().take(40).collect();
                    Error::field($what, format!("{} must be a UUID, got '{shown}'", $what))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

name_id!(
    /// A role, named by the operator.
    RoleName, "name"
);
name_id!(
    /// The border of visibility: a record belongs to one domain and is found only from it.
    Domain, "domain"
);
name_id!(
    /// An agent, unique in its domain.
    AgentId, "agent_id"
);
name_id!(
    /// A flow, unique in its domain.
    FlowId, "flow_id"
);
name_id!(
    /// A resource, unique in its domain.
    ResourceId, "resource_id"
);
name_id!(
    /// An alert rule, unique in its domain.
    RuleId, "rule_id"
);
uuid_id!(
    /// A task, unique everywhere.
    TaskId, "task_id"
);
uuid_id!(
    /// An allocation, unique everywhere.
    AllocationId, "allocation_id"
);
uuid_id!(
    /// A lease, unique everywhere.
    LeaseId, "lease_id"
);
uuid_id!(
    /// A decision, unique everywhere.
    DecisionId, "decision_id"
);
uuid_id!(
    /// A memory, unique everywhere.
    MemoryId, "memory_id"
);
uuid_id!(
    /// An alert, unique everywhere.
    AlertId, "alert_id"
);
uuid_id!(
    /// A notice to a webhook.
    DeliveryId, "delivery_id"
);
uuid_id!(
    /// An API key's public id (never its secret).
    KeyId, "key_id"
);

impl Default for Domain {
    fn default() -> Self {
        Self("general".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_and_past_their_limits() {
        let cases = [
            ("a", true),
            ("team-1.alpha_B", true),
            (&"x".repeat(NAME_MAX_BYTES) as &str, true),
            (&"x".repeat(NAME_MAX_BYTES + 1), false),
            ("", false),
            ("with space", false),
            ("ümlaut", false),
            ("a/b", false),
        ];
        for (text, good) in cases {
            assert_eq!(text.parse::<AgentId>().is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn generated_ids_sort_by_age() {
        let ids: Vec<TaskId> = (0..1000).map(|_| TaskId::generate()).collect();
        assert!(ids.is_sorted());
    }
}
