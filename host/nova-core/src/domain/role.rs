//! Roles: named permissions in named domains, which keys refer to.

use std::collections::BTreeSet;

use super::id::RoleName;
use super::key::{DomainSet, Permission};
use super::time::Timestamp;

/// A role. Changing it acts at once on the keys that refer to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Role {
    /// Unique; not one of the built-in ones.
    pub name: RoleName,
    /// What its keys may do.
    pub permissions: BTreeSet<Permission>,
    /// Where, as far as the key reaches there.
    pub domains: DomainSet,
    /// Rises by one with every change; 1 for the built-in ones.
    pub version: u64,
    /// When it was made; none = built in.
    pub created_at: Option<Timestamp>,
    /// When it was last changed; none = built in.
    pub updated_at: Option<Timestamp>,
}

/// The roles that are always there and cannot be changed: name and permissions, in all domains.
const BUILT_IN: [(&str, &[Permission]); 4] = [
    ("viewer", &[Permission::Read]),
    ("operator", &[Permission::Read, Permission::Write]),
    ("agent", &[Permission::Read, Permission::Write]),
    (
        "admin",
        &[Permission::Read, Permission::Write, Permission::Admin],
    ),
];

impl Role {
    /// `viewer` (read), `operator` and `agent` (read and write, for people and for workers), `admin`
    /// (everything).
    pub fn built_in() -> Vec<Self> {
        let make = |(name, permissions): (&str, &[Permission])| {
            // The names above are names.
            let name = name.parse().ok()?;
            Some(Self {
                name,
                permissions: permissions.iter().copied().collect(),
                domains: DomainSet::All,
                version: 1,
                created_at: None,
                updated_at: None,
            })
        };
        BUILT_IN.into_iter().filter_map(make).collect()
    }

    /// Whether the name belongs to a built-in role.
    pub fn is_built_in(name: &RoleName) -> bool {
        BUILT_IN
            .iter()
            .any(|(built_in, _)| *built_in == name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_role_has_its_name() {
        let roles = Role::built_in();
        assert_eq!(roles.len(), BUILT_IN.len());
        assert!(roles.iter().all(|r| Role::is_built_in(&r.name)));
    }
}
