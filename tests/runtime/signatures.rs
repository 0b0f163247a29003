//! Only signed components load, where the operator says whose signatures count.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::cases::diamond;
use crate::support::{Daemon, Options, another_build, default_plugin, eventually, fixture, nova};

fn cli(args: &[&str], file: &Path) -> Output {
    let mut command = nova();
    command.env_remove("NOVA_SIGNING_PASSWORD");
    command.args(args).arg(file).output().unwrap()
}

fn told(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(text).unwrap()
}

/// A pair of keys, made by the program itself; gives the secret key's file and the public key.
fn keygen(dir: &Path, name: &str) -> (PathBuf, String) {
    let file = dir.join(name);
    let made = cli(&["plugin", "keygen"], &file);
    assert!(made.status.success(), "{}", told(&made));
    let public = std::fs::read_to_string(dir.join(format!("{name}.pub"))).unwrap();
    let key = public.lines().nth(1).unwrap().to_owned();
    assert!(told(&made).contains(&key));
    (file, key)
}

fn sign(key: &Path, component: &Path) {
    let made = cli(
        &["plugin", "sign", "--key", key.to_str().unwrap()],
        component,
    );
    assert!(made.status.success(), "{}", told(&made));
}

/// The signature of a component that lies nowhere yet, as the upload takes it.
fn signature_of(key: &Path, component: &[u8]) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.wasm");
    std::fs::write(&file, component).unwrap();
    sign(key, &file);
    let text = std::fs::read_to_string(dir.path().join("c.wasm.sig")).unwrap();
    (base64(text.as_bytes()), text)
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let part = |part: &[u8]| {
        let bits = (0..3).fold(0, |bits, i| {
            bits << 8 | u32::from(*part.get(i).unwrap_or(&0))
        });
        let letter = |i: usize| match i <= part.len() {
            true => char::from(LETTERS[(bits >> (18 - 6 * i) & 63) as usize]),
            false => '=',
        };
        (0..4).map(letter).collect::<String>()
    };
    bytes.chunks(3).map(part).collect()
}

/// A file of the directory as a whole, as an editor or a deployment puts it there.
fn put(daemon: &Daemon, name: &str, bytes: &[u8]) {
    let part = daemon.plugin_dir().join(format!("{name}.tmp"));
    std::fs::write(&part, bytes).unwrap();
    std::fs::rename(part, daemon.plugin_dir().join(name)).unwrap();
}

fn until_refused(daemon: &Daemon, name: &str, reason: &str) -> Value {
    eventually(reason, || {
        let plugin = daemon.get(&format!("/api/plugins/{name}"));
        let why = plugin.body["refused_reason"].as_str().unwrap_or_default();
        why.contains(reason).then(|| plugin.body.clone())
    })
}

#[test]
fn only_what_a_configured_key_has_signed_serves() {
    let dir = tempfile::tempdir().unwrap();
    let ((ours, public), (theirs, _)) = (keygen(dir.path(), "ours"), keygen(dir.path(), "theirs"));
    let heft = default_plugin("heft");
    let mut files = Vec::new();
    for name in ["heft", "drf", "pulse"] {
        let component = default_plugin(name);
        let signature = signature_of(&ours, &component).1.into_bytes();
        files.push((format!("{name}.wasm.sig"), signature));
        files.push((format!("{name}.wasm"), component));
    }
    files.push(("unsigned.wasm".to_owned(), fixture("good-optimizer")));
    let daemon = Daemon::with(Options {
        plugins: Some(vec![]),
        files,
        env: vec![("NOVA_PLUGINS__SIGNERS".into(), json!([public]).to_string())],
        ..Options::default()
    });
    let flow = diamond(&daemon);
    let path = format!("/api/orchestration/flows/{flow}/optimize");
    let digest = || daemon.post(&path, json!({})).expect(200)["strategy"]["digest"].clone();
    let first = digest();

    // In the directory: unsigned, signed by others, tampered with; then signed.
    let plugin = until_refused(&daemon, "unsigned", "there is no unsigned.wasm.sig");
    assert_eq!(plugin["state"], "quarantined");
    assert_eq!(plugin["refused"][0]["stage"], "signature", "{plugin}");
    sign(&theirs, &daemon.plugin_dir().join("unsigned.wasm"));
    until_refused(&daemon, "unsigned", "the configured key has not signed it");
    put(&daemon, "heft.wasm", &another_build(&heft, 1));
    let plugin = until_refused(&daemon, "heft", "the configured key has not signed it");
    assert_eq!(
        (&plugin["state"], &plugin["revision"]),
        (&json!("active"), &json!(1))
    );
    assert_eq!(digest(), first, "what was signed goes on serving");
    sign(&ours, &daemon.plugin_dir().join("heft.wasm"));
    eventually("the signature takes over", || {
        (digest() != first).then_some(())
    });
    sign(&ours, &daemon.plugin_dir().join("unsigned.wasm"));
    eventually("it is signed now", || {
        let plugin = daemon.get("/api/plugins/unsigned").expect(200);
        (plugin["state"] == "standby").then_some(())
    });

    // An upload brings its signature in a header.
    let upload = |component: Vec<u8>, signature: Option<&str>| {
        let mut headers = vec![("Content-Type", "application/wasm")];
        headers.extend(signature.map(|s| ("X-Component-Signature", s)));
        daemon.send("PUT", "/api/plugins/heft", &headers, Some(component))
    };
    let third = another_build(&heft, 2);
    let signature = signature_of(&ours, &third).0;
    let by_others = signature_of(&theirs, &third).0;
    for wrong in [None, Some(&*by_others)] {
        let error = upload(third.clone(), wrong).expect_error(422, "STRATEGY_REJECTED");
        assert_eq!(error["details"]["stage"], "signature", "{error}");
    }
    let error = upload(third.clone(), Some("!")).expect_error(400, "VALIDATION_ERROR");
    assert_eq!(error["details"]["field"], "X-Component-Signature");
    let plugin = upload(third.clone(), Some(&signature)).expect(200);
    assert_eq!(
        (&plugin["revision"], digest()),
        (&json!(3), plugin["digest"].clone())
    );
    let file = daemon.plugin_dir().join("heft.wasm");
    let verified = cli(&["plugin", "verify", "--key", &public], &file);
    assert!(verified.status.success(), "{}", told(&verified));
    let by = theirs.with_extension("pub");
    let verified = cli(&["plugin", "verify", "--key", by.to_str().unwrap()], &file);
    assert!(!verified.status.success() && told(&verified).contains("has not signed it"));
}

#[test]
fn a_key_that_is_none_is_a_fault_of_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nova.toml");
    let check = |key: &str| {
        std::fs::write(&file, format!("[plugins]\nsigners = ['{key}']\n")).unwrap();
        cli(&["config", "check", "--config"], &file)
    };
    let (_, public) = keygen(dir.path(), "key");
    assert!(check(&public).status.success());
    let output = check("RWnonsense");
    assert!(!output.status.success());
    let text = told(&output);
    assert!(
        text.contains("plugins.signers: 'RWnonsense' is no minisign public key")
            && text.lines().count() == 1,
        "{text}"
    );
    let again = cli(&["plugin", "keygen"], &dir.path().join("key"));
    assert!(
        told(&again).contains("is there already"),
        "{}",
        told(&again)
    );
}
