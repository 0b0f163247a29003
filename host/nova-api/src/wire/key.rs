//! API keys and tickets: bodies, record, answers. A secret stands in an answer only once, when it is made.

use std::collections::BTreeSet;

use nova_core::services::{KeyView, NewKey};
use nova_core::{Domain, Error, KeyId, Permission, RoleName, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::FACT;
use super::grant::{GrantRecord, RateLimitBody, domain_names, parse_domains};
use super::object::only_object;
use super::schema::{DomainName, Id, Label, Name, PermissionName, Time};

/// A key to be made: with permissions of its own, with roles, or with both.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = NewKey, example = json!({
    "name": "dashboard", "roles": ["viewer"], "domains": ["general"],
    "rate_limit": {"requests": 600, "window_s": 60.0}
}))]
pub(crate) struct NewKeyBody {
    /// For people.
    #[schema(value_type = Label)]
    name: String,
    /// What it may do in all of its domains.
    #[serde(default)]
    #[schema(value_type = Vec<PermissionName>)]
    permissions: BTreeSet<Permission>,
    /// Roles that it has, in those of its domains that are also the role's.
    #[serde(default)]
    #[schema(value_type = Vec<Name>)]
    roles: BTreeSet<RoleName>,
    /// Where it may act; `["*"]` = everywhere.
    #[serde(default = "everywhere")]
    #[schema(value_type = Vec<DomainName>, min_items = 1, default = json!(["*"]))]
    domains: Vec<String>,
    /// The domain of requests that name none; absent = `general`, or the first that it reaches.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    default_domain: Option<Domain>,
    /// How often it may ask; absent = as configured.
    #[serde(default)]
    #[schema(value_type = Option<RateLimitBody>)]
    rate_limit: Option<RateLimitBody>,
    /// When it ends; absent = never.
    #[serde(default)]
    #[schema(value_type = Option<Time>)]
    expires_at: Option<Timestamp>,
}

only_object!(NewKeyBody);

fn everywhere() -> Vec<String> {
    vec!["*".to_owned()]
}

impl TryFrom<NewKeyBody> for NewKey {
    type Error = Error;

    fn try_from(body: NewKeyBody) -> Result<Self, Error> {
        Ok(Self {
            name: body.name,
            permissions: body.permissions,
            roles: body.roles,
            domains: parse_domains(body.domains)?,
            default_domain: body.default_domain,
            rate_limit: body.rate_limit.map(TryInto::try_into).transpose()?,
            expires_at: body.expires_at,
        })
    }
}

/// How a key gets its new secret.
#[derive(Deserialize, ToSchema, Default)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = RotateKey, example = json!({"grace_s": 600.0}))]
pub(crate) struct RotateBody {
    /// How long the present secret serves on, in seconds; absent = as configured, 0 = it ends now.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2_592_000.0)]
    pub(crate) grace_s: Option<f64>,
}

only_object!(RotateBody);

/// A key, whole but for its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyRecord {
    #[schema(value_type = Id)]
    key_id: KeyId,
    /// For people.
    name: String,
    /// `active`, `expired` or `revoked`.
    #[schema(example = "active")]
    status: &'static str,
    /// What its secret begins with; null for one that an operator chose.
    #[schema(example = "nova_x7Qd")]
    prefix: Option<String>,
    /// What it may do in all of its domains.
    #[schema(value_type = Vec<PermissionName>)]
    permissions: BTreeSet<Permission>,
    /// The roles that it has.
    #[schema(value_type = Vec<Name>)]
    roles: BTreeSet<RoleName>,
    /// Where it may act at most; `["*"]` = everywhere.
    domains: Vec<String>,
    /// What follows from all these: what it may do, and where.
    grants: Vec<GrantRecord>,
    /// The domain of requests that name none.
    #[schema(value_type = Name)]
    default_domain: Domain,
    /// How often it may ask.
    rate_limit: RateLimitBody,
    #[schema(value_type = Time)]
    created_at: Timestamp,
    /// When it ends.
    #[schema(value_type = Option<Time>)]
    expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[schema(value_type = Option<Time>)]
    revoked_at: Option<Timestamp>,
    /// Until when the secret before the last rotation serves too.
    #[schema(value_type = Option<Time>)]
    former_secret_until: Option<Timestamp>,
    /// When it was last used.
    #[schema(value_type = Option<Time>)]
    last_used_at: Option<Timestamp>,
}

impl From<KeyView> for KeyRecord {
    fn from(view: KeyView) -> Self {
        let KeyView {
            key,
            grants,
            rate_limit,
            active,
        } = view;
        Self {
            key_id: key.key_id,
            name: key.name,
            status: match (active, key.revoked_at) {
                (true, _) => "active",
                (false, None) => "expired",
                (false, Some(_)) => "revoked",
            },
            prefix: key.secret_prefix,
            permissions: key.permissions,
            roles: key.roles,
            domains: domain_names(&key.domains),
            grants: grants.into_iter().map(Into::into).collect(),
            default_domain: key.default_domain,
            rate_limit: rate_limit.into(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            former_secret_until: key.former.map(|f| f.until),
            last_used_at: key.last_used_at,
        }
    }
}

/// A key in its envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyAnswer {
    #[schema(value_type = Id)]
    key_id: KeyId,
    /// As the key's.
    #[schema(example = "active")]
    status: &'static str,
    /// The key.
    orchestration: KeyRecord,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl KeyAnswer {
    /// The envelope.
    pub(crate) fn new(view: KeyView, timestamp: Timestamp) -> Self {
        let record = KeyRecord::from(view);
        Self {
            key_id: record.key_id,
            status: record.status,
            orchestration: record,
            confidence: FACT,
            timestamp,
        }
    }
}

/// A key with its new secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecretAnswer {
    /// Shown this once: only a hash of it is kept.
    #[schema(example = "nova_…")]
    secret: String,
    #[serde(flatten)]
    key: KeyAnswer,
}

impl SecretAnswer {
    /// The envelope.
    pub(crate) fn new(view: KeyView, secret: String, timestamp: Timestamp) -> Self {
        Self {
            secret,
            key: KeyAnswer::new(view, timestamp),
        }
    }

    /// The key's id.
    pub(crate) fn key_id(&self) -> KeyId {
        self.key.key_id
    }
}

/// A ticket.
#[derive(Serialize, ToSchema)]
pub(crate) struct TicketAnswer {
    /// Opens one WebSocket, once: `/api/analytics/ws?ticket=…`.
    #[schema(example = "novat_…")]
    pub(crate) ticket: String,
    /// When it ends, used or not.
    #[schema(value_type = Time)]
    pub(crate) expires_at: Timestamp,
    /// `issued`.
    #[schema(example = "issued")]
    pub(crate) status: &'static str,
    #[schema(value_type = Time)]
    pub(crate) timestamp: Timestamp,
}
