//! Keys: what is made opens what it should, and nothing else.

use super::*;
use crate::domain::{DomainSet, Permission, Timestamp};
use crate::services::{NewKey, ServiceConfig};

fn new_key(domains: DomainSet) -> NewKey {
    NewKey {
        name: "key".into(),
        permissions: [Permission::Read].into(),
        domains,
        default_domain: None,
        expires_at: None,
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
        .create(NewKey {
            expires_at: Some(end),
            ..new_key(only(&["a"]))
        })
        .await
        .unwrap();
    assert!(
        secret.starts_with("nova_") && secret.len() == 48,
        "{secret}"
    );
    let caller = keys.authenticate(&secret).unwrap();
    assert_eq!(
        (caller.key_id, caller.default_domain.as_str()),
        (key.key_id, "a")
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
            keys.create(NewKey {
                expires_at: Some(end),
                ..new_key(DomainSet::All)
            })
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
        .create(new_key(DomainSet::All))
        .await
        .unwrap();
    assert!(!format!("{key:?}").contains(&secret[5..]));
    let again = |pepper| {
        let config = ServiceConfig {
            pepper,
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
    assert_eq!(same.authenticate(&secret).unwrap().key_id, key.key_id);
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
        let made = b.services.keys.create(new.clone()).await.ok();
        assert_eq!(
            made.map(|(k, _)| k.default_domain.to_string()).as_deref(),
            expected,
            "{new:?}"
        );
    }
    let nothing = NewKey {
        permissions: Default::default(),
        ..new_key(DomainSet::All)
    };
    assert_eq!(
        is_invalid(b.services.keys.create(nothing).await)["field"],
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
