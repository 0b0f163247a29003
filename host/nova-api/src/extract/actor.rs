//! Who asks, and in which domain: put there by the edge after it has admitted the request.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use nova_core::{Caller, Domain, DomainSet, Grant, Permission};

use crate::problem::Problem;

/// An admitted request's key and domain.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// The key.
    pub(crate) caller: Arc<Caller>,
    /// The domain that the request acts in; the key reaches it.
    pub(crate) domain: Domain,
}

impl Actor {
    /// Whether the key has this permission in every domain.
    pub(crate) fn reaches_all(&self, permission: Permission) -> bool {
        let everywhere =
            |g: &Grant| g.domains == DomainSet::All && g.permissions.contains(&permission);
        self.caller.grants.iter().any(everywhere)
    }
}

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Problem::bug("a handler that needs a caller is mounted on an open route")
        })
    }
}
