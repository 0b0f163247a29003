//! Keys: what is made opens what it should, and nothing else.

use super::*;
use crate::domain::{DomainSet, Permission, Timestamp};
use crate::services::{NewKey, ServiceConfig};

fn new_key(domains: DomainSet) -> NewKey {
    NewKey {
        name: "key".into(),
        permissions: [Permission::Read].into(),
        domains,
        ..NewKey::default()
    }
}

fn only(names: &[&str]) -> DomainSet {
    DomainSet::Only(names.iter().map(|n| n.parse().unwrap()).collect())
}

#[tokio::test]
async fn a_key_opens_until_it_ends() {
    let b = Bench::default();
    let keys = &b.services.keys;
    assert!(keys.is_empty());
    let end = Timestamp::from_millis(1_767_225_600_000).plus_s(10.0);
    let (key, secret) = keys
        .create(
            None,
            NewKey {
                expires_at: Some(end),
                ..new_key(only(&["a"]))
            },
        )
        .await
        .unwrap();
    assert!(crate::services::is_well_formed(&secret), "{secret}");
    let caller = keys.authenticate(&secret).unwrap();
    assert_eq!(
        (caller.key_id, caller.default_domain.as_str()),
        (key.key.key_id, "a")
    );
    assert!(
        caller.require(Permission::Write).is_err()
            && caller.enter(Some(Domain::default())).is_err()
    );
    let refused = |secret: &str| match keys.authenticate(secret) {
        Err(Error::Authentication(text)) => text,
        other => panic!("{other:?}"),
    };
    let unknown = refused("nova_unknown");
    b.clock.advance_s(10.0);
    assert_eq!(
        refused(&secret),
        unknown,
        "an expired key looks like an unknown one"
    );
    assert_eq!(
        is_invalid(
            keys.create(
                None,
                NewKey {
                    expires_at: Some(end),
                    ..new_key(DomainSet::All)
                }
            )
            .await
        )["field"],
        "expires_at"
    );
}

#[tokio::test]
async fn keys_are_found_again_by_their_hash_under_the_same_pepper_only() {
    let b = Bench::default();
    let (key, secret) = b
        .services
        .keys
        .create(None, new_key(DomainSet::All))
        .await
        .unwrap();
    assert!(!format!("{key:?}").contains(&secret[5..]));
    let again = |pepper| {
        let config = ServiceConfig {
            keys: crate::services::KeyConfig {
                pepper,
                ..Default::default()
            },
            ..ServiceConfig::default()
        };
        crate::services::Services::new(b.store.clone(), b.runtime.clone(), b.clock.clone(), config)
            .keys
    };
    let same = again([0; 32]);
    assert!(
        same.authenticate(&secret).is_err(),
        "nothing is known before load"
    );
    same.load().await.unwrap();
    assert_eq!(same.authenticate(&secret).unwrap().key_id, key.key.key_id);
    let other = again([1; 32]);
    other.load().await.unwrap();
    assert!(!other.is_empty() && other.authenticate(&secret).is_err());
}

#[tokio::test]
async fn default_domains_lie_within_reach() {
    let b = Bench::default();
    let cases = [
        (DomainSet::All, None, Some("general")),
        (only(&["b", "a"]), None, Some("a")),
        (only(&["a", "general"]), None, Some("general")),
        (only(&["a"]), Some("a"), Some("a")),
        (only(&["a"]), Some("b"), None),
        (only(&[]), None, None),
    ];
    for (domains, asked, expected) in cases {
        let new = NewKey {
            default_domain: asked.map(|d| d.parse().unwrap()),
            ..new_key(domains)
        };
        let made = b.services.keys.create(None, new.clone()).await.ok();
        assert_eq!(
            made.map(|(k, _)| k.key.default_domain.to_string())
                .as_deref(),
            expected,
            "{new:?}"
        );
    }
    let nothing = NewKey {
        permissions: Default::default(),
        ..new_key(DomainSet::All)
    };
    assert_eq!(
        is_invalid(b.services.keys.create(None, nothing).await)["field"],
        "permissions"
    );
}

#[tokio::test]
async fn the_bootstrap_key_exists_once_and_opens_everything() {
    let b = Bench::default();
    let keys = &b.services.keys;
    let secret = "a-secret-of-16-ch";
    let first = keys.ensure(secret, "bootstrap").await.unwrap();
    let second = keys.ensure(secret, "other name").await.unwrap();
    assert_eq!(first, second);
    let caller = keys.authenticate(secret).unwrap();
    assert!(Permission::ALL.iter().all(|p| caller.require(*p).is_ok()));
    assert!(caller.enter(Some("anywhere".parse().unwrap())).is_ok());
    for bad in ["fifteen-chars-x", "with a space in it", &"x".repeat(257)] {
        is_invalid(keys.ensure(bad, "bootstrap").await);
    }
    assert!(keys.ensure("sixteen-chars-xx", "bootstrap").await.is_ok());
}

fn everywhere() -> crate::domain::Caller {
    crate::domain::Caller {
        key_id: crate::domain::KeyId::generate(),
        grants: vec![crate::domain::Grant {
            permissions: Permission::ALL.into(),
            domains: DomainSet::All,
        }],
        default_domain: Domain::default(),
    }
}

#[tokio::test]
async fn a_rotation_serves_both_secrets_during_its_grace_and_a_revocation_ends_both() {
    let b = Bench::default();
    let keys = &b.services.keys;
    let (made, first) = keys.create(None, new_key(DomainSet::All)).await.unwrap();
    let id = made.key.key_id;
    let (_, second) = keys.rotate(None, id, Some(10.0)).await.unwrap();
    assert!(keys.authenticate(&first).is_ok() && keys.authenticate(&second).is_ok());
    b.clock.advance_s(10.0);
    assert!(keys.authenticate(&first).is_err(), "the grace is over");
    let (_, third) = keys.rotate(None, id, None).await.unwrap();
    assert!(keys.authenticate(&second).is_ok() && keys.authenticate(&third).is_ok());
    assert_eq!(
        is_invalid(keys.rotate(None, id, Some(-1.0)).await)["field"],
        "grace_s"
    );

    let (ticket, _) = keys.issue_ticket(&keys.current(id).unwrap()).unwrap();
    let mut changes = keys.changes();
    changes.mark_unchanged();
    let revoked = keys.revoke(None, id).await.unwrap();
    assert!(!revoked.active && changes.has_changed().unwrap());
    for secret in [&second, &third] {
        assert!(keys.authenticate(secret).is_err());
    }
    assert!(keys.current(id).is_err() && keys.take(id).is_err() && keys.redeem(&ticket).is_err());
    assert!(matches!(
        keys.rotate(None, id, None).await,
        Err(Error::Conflict { .. })
    ));
    let again = keys.revoke(None, id).await.unwrap();
    assert_eq!(again.key.revoked_at, revoked.key.revoked_at);
    let events = b.services.events.after(None, 0, 10).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|e| {
            let detail = e.body.detail.as_ref().unwrap();
            assert!(e.domain.is_none() && e.body.kind == EventKind::KeyChanged);
            assert_eq!(detail["key_id"], id.to_string());
            detail["change"].as_str().unwrap()
        })
        .collect();
    assert_eq!(told, ["created", "rotated", "rotated", "revoked"]);
}

#[tokio::test]
async fn what_was_changed_is_known_after_a_restart() {
    let b = Bench::default();
    let keys = &b.services.keys;
    let (made, first) = keys.create(None, new_key(DomainSet::All)).await.unwrap();
    let (_, second) = keys
        .rotate(None, made.key.key_id, Some(10.0))
        .await
        .unwrap();
    b.clock.advance_s(1.0);
    keys.authenticate(&second).unwrap();
    keys.write_uses().await.unwrap();
    let again = crate::services::Services::new(
        b.store.clone(),
        b.runtime.clone(),
        b.clock.clone(),
        ServiceConfig::default(),
    )
    .keys;
    again.load().await.unwrap();
    let first_page = crate::ports::PageRequest {
        limit: 50,
        before: None,
    };
    assert_eq!(again.list(None, first_page), keys.list(None, first_page));
    assert!(
        again.list(None, first_page).items[0]
            .key
            .last_used_at
            .is_some()
    );
    assert!(again.authenticate(&first).is_ok() && again.authenticate(&second).is_ok());
}

#[tokio::test]
async fn roles_act_at_once_and_within_the_key_s_own_domains() {
    let b = Bench::default();
    let (keys, admin) = (&b.services.keys, everywhere());
    let name: crate::domain::RoleName = "builders".parse().unwrap();
    let role = crate::services::NewRole {
        name: name.clone(),
        permissions: [Permission::Read].into(),
        domains: only(&["a", "b"]),
    };
    let put = async |role, expected| keys.put_role(&admin, role, expected).await;
    let stale = put(role.clone(), Some(1)).await;
    assert!(matches!(stale, Err(Error::Conflict { .. })), "{stale:?}");
    assert!(put(role.clone(), None).await.unwrap().1, "it is new");
    let new = NewKey {
        roles: [name.clone()].into(),
        domains: only(&["b", "c"]),
        ..NewKey::default()
    };
    let (made, secret) = keys.create(None, new.clone()).await.unwrap();
    let may = |permission, domain: &str| {
        let caller = keys.authenticate(&secret).unwrap();
        caller
            .allow(permission, Some(domain.parse().unwrap()))
            .is_ok()
    };
    assert!(may(Permission::Read, "b"));
    assert!(!may(Permission::Read, "a"), "the key does not reach there");
    assert!(!may(Permission::Read, "c"), "the role does not reach there");
    assert!(!may(Permission::Write, "b"));
    let changed = crate::services::NewRole {
        permissions: [Permission::Write].into(),
        ..role
    };
    let (role, is_new) = put(changed.clone(), Some(1)).await.unwrap();
    assert_eq!((role.version, is_new), (2, false));
    assert!(may(Permission::Write, "b") && !may(Permission::Read, "b"));
    let stale = put(changed, Some(1)).await;
    assert!(matches!(stale, Err(Error::Conflict { .. })), "{stale:?}");

    assert!(matches!(
        keys.delete_role(&admin, &name).await,
        Err(Error::Conflict { .. })
    ));
    keys.revoke(None, made.key.key_id).await.unwrap();
    keys.delete_role(&admin, &name).await.unwrap();
    assert_eq!(is_invalid(keys.create(None, new).await)["field"], "roles");
    let viewer = "viewer".parse().unwrap();
    let built_in = keys.delete_role(&admin, &viewer).await;
    assert!(matches!(built_in, Err(Error::Conflict { .. })));
}

#[tokio::test]
async fn nobody_gives_or_touches_more_than_they_have() {
    let b = Bench::default();
    let keys = &b.services.keys;
    let of_a = NewKey {
        permissions: Permission::ALL.into(),
        ..new_key(only(&["a"]))
    };
    let (_, secret) = keys.create(None, of_a.clone()).await.unwrap();
    let by = keys.authenticate(&secret).unwrap();
    let (elsewhere, _) = keys.create(None, new_key(only(&["b"]))).await.unwrap();
    for wide in [
        new_key(DomainSet::All),
        new_key(only(&["a", "b"])),
        NewKey {
            roles: ["admin".parse().unwrap()].into(),
            ..new_key(DomainSet::All)
        },
    ] {
        let refused = keys.create(Some(&by), wide).await;
        assert!(
            matches!(refused, Err(Error::Authorization(_))),
            "{refused:?}"
        );
    }
    keys.create(Some(&by), of_a).await.unwrap();
    let id = elsewhere.key.key_id;
    let rotated = keys.rotate(Some(&by), id, None).await;
    assert!(matches!(rotated, Err(Error::ResourceNotFound { .. })));
    let revoked = keys.revoke(Some(&by), id).await;
    assert!(matches!(revoked, Err(Error::ResourceNotFound { .. })));
    let first = crate::ports::PageRequest {
        limit: 1,
        before: None,
    };
    let page = keys.list(Some(&by), first);
    let second = keys.list(
        Some(&by),
        crate::ports::PageRequest {
            before: page.next,
            ..first
        },
    );
    assert_eq!(
        (page.items.len(), second.items.len(), second.next),
        (1, 1, None)
    );
}

#[tokio::test]
async fn a_key_s_budget_is_one_whoever_takes_from_it() {
    let b = Bench::default();
    let keys = &b.services.keys;
    let limit = crate::domain::RateLimit {
        requests: 3,
        window_ms: 86_400_000,
    };
    let new = NewKey {
        rate_limit: Some(limit),
        ..new_key(DomainSet::All)
    };
    let (made, secret) = keys.create(None, new).await.unwrap();
    let (_, first) = keys.admit(&secret).unwrap();
    assert_eq!((first.limit, first.remaining, first.refused), (3, 2, false));
    assert_eq!(keys.take(made.key.key_id).unwrap().remaining, 1);
    // A rotation does not give a fresh budget.
    let (_, other) = keys
        .rotate(None, made.key.key_id, Some(60.0))
        .await
        .unwrap();
    assert_eq!(keys.admit(&other).unwrap().1.remaining, 0);
    assert!(keys.admit(&secret).unwrap().1.refused);
    assert!(matches!(
        keys.take(made.key.key_id),
        Err(Error::RateLimit { .. })
    ));
    for (requests, window_ms, field) in [
        (0, 1, "rate_limit.requests"),
        (1_000_001, 1, "rate_limit.requests"),
        (1, 0, "rate_limit.window_s"),
        (1, 86_400_001, "rate_limit.window_s"),
    ] {
        let rate_limit = Some(crate::domain::RateLimit {
            requests,
            window_ms,
        });
        let refused = keys
            .create(
                None,
                NewKey {
                    rate_limit,
                    ..new_key(DomainSet::All)
                },
            )
            .await;
        assert_eq!(is_invalid(refused)["field"], field);
    }
}
