//! Roles: body, record, answers.

use std::collections::BTreeSet;

use nova_core::services::NewRole;
use nova_core::{Error, Permission, Role, RoleName, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::FACT;
use super::grant::{domain_names, parse_domains};
use super::object::only_object;
use super::schema::{DomainName, Name, PermissionName, Time};

/// What a role permits, all of it.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = NewRole, example = json!({"permissions": ["read", "write"], "domains": ["build", "test"]}))]
pub(crate) struct RoleBody {
    /// What may be done.
    #[schema(value_type = Vec<PermissionName>, min_items = 1)]
    permissions: BTreeSet<Permission>,
    /// Where; `["*"]` = everywhere.
    #[schema(value_type = Vec<DomainName>, min_items = 1)]
    domains: Vec<String>,
}

only_object!(RoleBody);

impl RoleBody {
    /// The role of this name.
    ///
    /// # Errors
    /// A domain's name that is none.
    pub(crate) fn named(self, name: RoleName) -> Result<NewRole, Error> {
        Ok(NewRole {
            name,
            permissions: self.permissions,
            domains: parse_domains(self.domains)?,
        })
    }
}

/// A role, whole.
#[derive(Serialize, ToSchema)]
#[schema(as = Role)]
pub(crate) struct RoleRecord {
    #[schema(value_type = Name)]
    name: RoleName,
    #[schema(value_type = Vec<PermissionName>)]
    permissions: BTreeSet<Permission>,
    /// Where they hold; `["*"]` = everywhere.
    domains: Vec<String>,
    /// Whether it is always there and cannot be changed.
    built_in: bool,
    /// Rises by one with every change.
    version: u64,
    #[schema(value_type = Option<Time>)]
    created_at: Option<Timestamp>,
    #[schema(value_type = Option<Time>)]
    updated_at: Option<Timestamp>,
}

impl From<Role> for RoleRecord {
    fn from(role: Role) -> Self {
        Self {
            built_in: Role::is_built_in(&role.name),
            domains: domain_names(&role.domains),
            name: role.name,
            permissions: role.permissions,
            version: role.version,
            created_at: role.created_at,
            updated_at: role.updated_at,
        }
    }
}

/// A role in its envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct RoleAnswer {
    #[schema(value_type = Name)]
    name: RoleName,
    /// `active` or `deleted`.
    #[schema(example = "active")]
    status: &'static str,
    /// The role; null once it is gone.
    orchestration: Option<RoleRecord>,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl RoleAnswer {
    /// A role that is there.
    pub(crate) fn new(role: Role, timestamp: Timestamp) -> Self {
        Self {
            name: role.name.clone(),
            status: "active",
            orchestration: Some(role.into()),
            confidence: FACT,
            timestamp,
        }
    }

    /// A role that is gone.
    pub(crate) fn deleted(name: RoleName, timestamp: Timestamp) -> Self {
        Self {
            name,
            status: "deleted",
            orchestration: None,
            confidence: FACT,
            timestamp,
        }
    }
}
