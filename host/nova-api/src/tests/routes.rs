//! Walks the route table: no endpoint escapes authorization or the OpenAPI document.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use axum::http::Method;
use nova_core::{DomainSet, Permission};
use serde_json::{Value, json};

use super::support::{Reply, TestApi, request};
use crate::ApiConfig;
use crate::openapi::operation;
use crate::router::{Access, ROUTES, RouteSpec};

const SOME_ID: &str = "019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50";

/// The route's path with an id in it.
fn filled(path: &str) -> String {
    match path.split_once('{') {
        None => path.to_owned(),
        Some((before, rest)) => format!("{before}{SOME_ID}{}", rest.split_once('}').unwrap().1),
    }
}

async fn call(api: &TestApi, spec: &RouteSpec, query: &str, key: Option<&str>) -> Reply {
    let body = (spec.method != Method::GET).then(|| json!({}));
    let path = format!("{}{query}", filled(spec.path));
    api.send(request(spec.method.as_str(), &path, key, body))
        .await
}

#[tokio::test]
async fn every_route_refuses_who_may_not_come_in() {
    let api = TestApi::new().await;
    let only_general = DomainSet::Only(BTreeSet::from(["general".parse().unwrap()]));
    let mut checked = 0;
    for spec in ROUTES {
        let Some(needed) = spec.access.permission() else {
            continue;
        };
        let others: Vec<_> = Permission::ALL
            .into_iter()
            .filter(|p| *p != needed)
            .collect();
        let lacking = api.key(&others, DomainSet::All).await;
        let elsewhere = api.key(&Permission::ALL, only_general.clone()).await;
        let exact = api.key(&[needed], only_general.clone()).await;

        let answer = call(&api, spec, "", None).await;
        answer.error(401, "AUTHENTICATION_ERROR");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        call(&api, spec, "", Some("not-a-key-of-this-daemon"))
            .await
            .error(401, "AUTHENTICATION_ERROR");
        call(&api, spec, "", Some(&lacking))
            .await
            .error(403, "PERMISSION_DENIED");
        call(&api, spec, "?domain=secret", Some(&elsewhere))
            .await
            .error(403, "PERMISSION_DENIED");
        call(&api, spec, "?domian=general", Some(&exact))
            .await
            .error(400, "VALIDATION_ERROR");

        for query in ["", "?domain=general"] {
            let let_in = call(&api, spec, query, Some(&exact)).await;
            assert!(
                !matches!(let_in.status.as_u16(), 401 | 403 | 405 | 500..),
                "{} {}: {} {}",
                spec.method,
                spec.path,
                let_in.status,
                let_in.text
            );
        }
        checked += 1;
    }
    assert_eq!(
        checked,
        ROUTES.iter().filter(|s| s.access != Access::Open).count()
    );
    assert!(checked > 25);
}

#[tokio::test]
async fn open_routes_ask_for_no_key_and_metrics_as_configured() {
    let api = TestApi::with(ApiConfig {
        metrics_open: true,
        ..ApiConfig::default()
    })
    .await;
    for spec in ROUTES
        .iter()
        .filter(|s| !matches!(s.access, Access::Key(_)))
    {
        let answer = call(&api, spec, "?anything=goes", None).await;
        let expected = if spec.path.contains('{') { 404 } else { 200 };
        assert_eq!(answer.status, expected, "{}: {}", spec.path, answer.text);
    }
}

#[test]
fn routes_are_in_the_table_once_and_the_table_in_the_document() {
    let document = crate::openapi();
    let mut seen = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for spec in ROUTES {
        assert!(
            seen.insert((spec.method.to_string(), spec.path)),
            "twice: {} {}",
            spec.method,
            spec.path
        );
        let Some(operation) = operation(&document, &spec.method, spec.path) else {
            panic!("{} {} has no OpenAPI entry", spec.method, spec.path)
        };
        let id = operation.operation_id.clone().unwrap();
        assert!(ids.insert(id.clone()), "operation id {id} twice");
        assert!(
            operation.summary.as_ref().is_some_and(|s| !s.is_empty()),
            "{id} has no summary"
        );
        assert_eq!(
            operation.security.as_ref().unwrap().is_empty(),
            spec.access == Access::Open,
            "{id}"
        );
    }
    let whole: Value = serde_json::to_value(&document).unwrap();
    let operations: usize = whole["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|p| p.as_object().unwrap().len())
        .sum();
    assert_eq!(
        operations,
        ROUTES.len(),
        "the document lists what the table does not"
    );
}
