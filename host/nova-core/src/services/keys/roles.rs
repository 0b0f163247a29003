//! Roles of the operator's own. Only a caller who may do everything everywhere changes them, since a
//! role's keys may be anybody's.

use std::collections::BTreeSet;

use serde_json::json;

use super::KeyService;
use crate::domain::{Caller, DomainSet, EventKind, Grant, NewEvent, Permission, Role, RoleName};
use crate::error::{Error, Result, object};
use crate::ports::WriteTx;
use crate::services::check_version;

/// Roles that may exist, the built-in ones included.
pub const ROLES_MAX: usize = 1000;

/// A role as an administrator asks for it.
#[derive(Clone, PartialEq, Debug)]
pub struct NewRole {
    /// Unique.
    pub name: RoleName,
    /// At least one.
    pub permissions: BTreeSet<Permission>,
    /// At least one.
    pub domains: DomainSet,
}

impl KeyService {
    /// Every role, by name, the built-in ones included.
    pub fn roles(&self) -> Vec<Role> {
        self.known.read().roles.values().cloned().collect()
    }

    /// One role.
    pub fn role(&self, name: &RoleName) -> Result<Role> {
        let known = self.known.read();
        let role = known.roles.get(name).cloned();
        role.ok_or_else(|| Error::not_found("role", name))
    }

    /// Makes a role, or changes the one of that name, and at once what its keys may do. Whether it was made.
    ///
    /// # Errors
    /// [`Error::Validation`] for no permission or no domain; [`Error::Conflict`] for a built-in role, a
    /// version that is not the present one, or when there are [`ROLES_MAX`].
    pub async fn put_role(
        &self,
        by: &Caller,
        new: NewRole,
        expected_version: Option<u64>,
    ) -> Result<(Role, bool)> {
        check_everything(by)?;
        check(&new.permissions, &new.domains)?;
        let _turn = self.changing.lock().await;
        let present = self.present(&new.name)?;
        check_version(
            "role",
            expected_version,
            present.as_ref().map_or(0, |r| r.version),
        )?;
        let now = self.ports.clock.now();
        let role = Role {
            name: new.name,
            permissions: new.permissions,
            domains: new.domains,
            version: present.as_ref().map_or(1, |r| r.version + 1),
            created_at: present.as_ref().map_or(Some(now), |r| r.created_at),
            updated_at: Some(now),
        };
        let (stored, made) = (role.clone(), present.is_none());
        let change = if made { "role_created" } else { "role_changed" };
        self.write_role(change, by, &role.name, move |tx| match made {
            true => tx.insert_role(&stored),
            false => tx.update_role(&stored),
        })
        .await?;
        self.take_over(role.clone());
        Ok((role, made))
    }

    /// Removes a role that no serving key refers to.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`]; [`Error::Conflict`] for a built-in role or one in use.
    pub async fn delete_role(&self, by: &Caller, name: &RoleName) -> Result<()> {
        let _turn = self.changing.lock().await;
        if self.present(name)?.is_none() {
            return Err(Error::not_found("role", name));
        }
        check_everything(by)?;
        let now = self.ports.clock.now();
        let users: Vec<String> = {
            let known = self.known.read();
            let uses = known.keys.iter();
            uses.filter(|l| l.key.serves_at(now) && l.key.roles.contains(name))
                .map(|l| l.key.key_id.to_string())
                .take(20)
                .collect()
        };
        if !users.is_empty() {
            return Err(Error::conflict(
                format!("the role '{name}' is in use; revoke its keys first"),
                json!({"key_ids": users}),
            ));
        }
        let gone = name.clone();
        self.write_role("role_deleted", by, name, move |tx| tx.delete_role(&gone))
            .await?;
        self.known.write().roles.remove(name);
        self.changed();
        Ok(())
    }

    /// The role of this name that may be changed; none where there is room for it.
    fn present(&self, name: &RoleName) -> Result<Option<Role>> {
        if Role::is_built_in(name) {
            return Err(Error::conflict(
                format!("the role '{name}' is built in and cannot be changed; make another"),
                json!({"name": name.as_str()}),
            ));
        }
        let known = self.known.read();
        let present = known.roles.get(name).cloned();
        if present.is_none() && known.roles.len() >= ROLES_MAX {
            return Err(Error::conflict(
                format!("there are {ROLES_MAX} roles already; delete some first"),
                json!({"roles_max": ROLES_MAX}),
            ));
        }
        Ok(present)
    }

    fn take_over(&self, role: Role) {
        let mut known = self.known.write();
        let name = role.name.clone();
        known.roles.insert(name.clone(), role);
        known.refresh(&name);
        drop(known);
        self.changed();
    }

    async fn write_role(
        &self,
        change: &'static str,
        by: &Caller,
        name: &RoleName,
        write: impl FnOnce(&mut dyn WriteTx) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let detail = json!({"change": change, "role": name.as_str(), "by": by.key_id.to_string()});
        let event = NewEvent::new(EventKind::KeyChanged, 1.0).with_detail(object(detail));
        self.ports
            .write(move |tx, now| {
                write(tx)?;
                tx.append_daemon_event(now, &event).map(|_| ())
            })
            .await?;
        tracing::info!(change, role = %name, by = %by.key_id, "role changed");
        Ok(())
    }
}

fn check_everything(by: &Caller) -> Result<()> {
    let everything = Grant {
        permissions: Permission::ALL.into(),
        domains: DomainSet::All,
    };
    if by.covers(&[everything]) {
        return Ok(());
    }
    Err(Error::Authorization(
        "roles are changed only by a key with every permission in every domain".into(),
    ))
}

fn check(permissions: &BTreeSet<Permission>, domains: &DomainSet) -> Result<()> {
    if permissions.is_empty() {
        return Err(Error::field(
            "permissions",
            "permissions must name at least one of read, write, admin",
        ));
    }
    match domains {
        DomainSet::Only(set) if set.is_empty() => Err(Error::field(
            "domains",
            "domains must name at least one domain, or '*'",
        )),
        _ => Ok(()),
    }
}
