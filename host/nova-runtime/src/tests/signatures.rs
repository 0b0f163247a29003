//! Components that must be signed: in the directory, uploaded, kept, and signed later.

use minisign::KeyPair;
use nova_core::error::Error;
use nova_core::ports::runtime::ServingFrom;
use nova_core::ports::{Candidate, Contests as _};

use super::*;
use crate::Signers;

fn keys() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().unwrap()
}

fn sign(keys: &KeyPair, component: &[u8]) -> String {
    let signed = minisign::sign(None, &keys.sk, component, None, None);
    signed.unwrap().into_string()
}

fn config(bench: &Bench, keys: &[&KeyPair]) -> RuntimeConfig {
    let keys: Vec<String> = keys.iter().map(|k| k.pk.to_base64()).collect();
    RuntimeConfig {
        signers: Signers::parse(&keys).unwrap(),
        ..bench.config()
    }
}

async fn until_refused(runtime: &Runtime, reason: &str) -> PluginStatus {
    let refused = |p: &PluginStatus| {
        let quarantine = p.quarantine.as_ref();
        quarantine.is_some_and(|q| q.stage == "signature" && q.reason.contains(reason))
    };
    until(runtime, "guest", reason, refused).await
}

#[tokio::test]
async fn what_is_not_signed_waits_for_its_signature() {
    let (bench, ours, theirs) = (Bench::new(), keys(), keys());
    bench.put("guest.wasm", &allocator("1.0.0"));
    let runtime = bench.start_with(config(&bench, &[&ours]));
    let status = until_refused(&runtime, "there is no guest.wasm.sig").await;
    assert!(status.current.is_none());
    assert!(status.quarantine.unwrap().digest.is_some());
    let by_others = sign(&theirs, &allocator("1.0.0"));
    bench.put("guest.wasm.sig", by_others.as_bytes());
    until_refused(&runtime, "the configured key has not signed it").await;
    bench.put(
        "guest.wasm.sig",
        sign(&ours, &allocator("1.0.0")).as_bytes(),
    );
    let status = until_serves(&runtime, "guest", "1.0.0").await;
    assert!(status.quarantine.is_none());

    // Another component under the signature of the first.
    bench.put("guest.wasm", &allocator("2.0.0"));
    let status = until_refused(&runtime, "has not signed it").await;
    assert_eq!(status.current.unwrap().version, "1.0.0");
    bench.put("guest.wasm.sig", &vec![b'x'; 5000]);
    until_refused(&runtime, "more than 4096 bytes").await;
    bench.put(
        "guest.wasm.sig",
        sign(&ours, &allocator("2.0.0")).as_bytes(),
    );
    until_serves(&runtime, "guest", "2.0.0").await;
}

#[tokio::test]
async fn an_upload_brings_its_signature() {
    let (bench, ours) = (Bench::new(), keys());
    let runtime = bench.start_with(config(&bench, &[&keys(), &ours]));
    let upload = |version: &str, signature: Option<String>| Upload {
        stage: false,
        component: allocator(version),
        signature,
    };
    let install = async |upload| runtime.install("guest", upload, None).await;
    let stage = |error: &Error| match error {
        Error::StrategyRejected { details, .. } => details["stage"].clone(),
        other => panic!("{other}"),
    };
    let error = install(upload("1.0.0", None)).await.unwrap_err();
    assert_eq!(stage(&error), "signature");
    assert!(!bench.plugins().join("guest.wasm").exists());
    let signed = |version: &str| Some(sign(&ours, &allocator(version)));
    install(upload("1.0.0", signed("1.0.0"))).await.unwrap();
    let error = install(upload("2.0.0", signed("1.0.0"))).await.unwrap_err();
    assert_eq!(stage(&error), "signature");
    let second = signed("2.0.0");
    let (_, status) = install(upload("2.0.0", second.clone())).await.unwrap();
    assert_eq!(status.current.unwrap().version, "2.0.0");
    let file = fs::read_to_string(bench.plugins().join("guest.wasm.sig")).unwrap();
    assert_eq!(Some(file), second);
    // What is in memory was signed when it came.
    let status = runtime
        .roll_back("guest", None, "ordered".into(), None)
        .await
        .unwrap();
    assert_eq!(status.current.unwrap().version, "1.0.0");
    until(&runtime, "guest", "left alone", |p| p.quarantine.is_none()).await;
}

#[tokio::test]
async fn a_kept_revision_serves_after_a_restart_only_while_its_signer_counts() {
    let (bench, old, new) = (Bench::new(), keys(), keys());
    bench.put("guest.wasm", &allocator("1.0.0"));
    bench.put("guest.wasm.sig", sign(&old, &allocator("1.0.0")).as_bytes());
    let runtime = bench.start_with(config(&bench, &[&old, &new]));
    until_serves(&runtime, "guest", "1.0.0").await;
    until_kept(&bench, 1).await;
    runtime.shutdown().await;
    bench.put("guest.wasm", b"garbage");

    let runtime = bench.start_with(config(&bench, &[&old]));
    let status = until_serves(&runtime, "guest", "1.0.0").await;
    assert_eq!(status.serving_from, Some(ServingFrom::Kept));
    runtime.shutdown().await;
    let runtime = bench.start_with(config(&bench, &[&new]));
    let status = until_refused(&runtime, "has not signed it").await;
    assert!(status.current.is_none());
    // Signed anew, under both keys: what is kept has the new signature then.
    runtime.shutdown().await;
    let runtime = bench.start_with(config(&bench, &[&old, &new]));
    until_serves(&runtime, "guest", "1.0.0").await;
    bench.put("guest.wasm", &allocator("1.0.0"));
    let anew = sign(&new, &allocator("1.0.0"));
    bench.put("guest.wasm.sig", anew.as_bytes());
    let kept = || {
        let dir = bench.dir.path().join("data/revisions/guest");
        let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
        let mut signatures = files.filter(|p| p.extension().is_some_and(|e| e == "sig"));
        fs::read_to_string(signatures.next().unwrap()).unwrap()
    };
    until(&runtime, "guest", "kept anew", |_| kept() == anew).await;
    runtime.shutdown().await;
    bench.put("guest.wasm", b"garbage");
    let runtime = bench.start_with(config(&bench, &[&new]));
    until_serves(&runtime, "guest", "1.0.0").await;
}

#[tokio::test]
async fn a_component_to_be_replayed_brings_its_signature() {
    let (bench, ours) = (Bench::new(), keys());
    bench.put("guest.wasm", &allocator("1.0.0"));
    let signature = sign(&ours, &allocator("1.0.0"));
    bench.put("guest.wasm.sig", signature.as_bytes());
    let runtime = bench.start_with(config(&bench, &[&ours]));
    until_serves(&runtime, "guest", "1.0.0").await;
    let candidate = async |signature| {
        let bytes = Arc::new(allocator("2.0.0"));
        let component = Candidate::Component { bytes, signature };
        runtime.candidate("guest", component).await
    };
    for wrong in [None, Some(signature), Some("nonsense".to_owned())] {
        match candidate(wrong).await.err() {
            Some(Error::Validation { details, .. }) => assert_eq!(details["stage"], "signature"),
            other => panic!("{other:?}"),
        }
    }
    let signed = candidate(Some(sign(&ours, &allocator("2.0.0")))).await;
    assert_eq!(signed.unwrap().contestant().version, "2.0.0");
}
