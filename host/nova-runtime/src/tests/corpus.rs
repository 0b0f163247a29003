//! What the fuzz targets began with and found, as ordinary tests: the host says of each what it is.

use super::*;
use crate::{Signers, check_manifest, inspect};

/// The files of a target's corpus, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus");
    let files = fs::read_dir(dir.join(target)).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let read = files.map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap())
    });
    let read: Vec<_> = read.collect();
    assert!(read.len() >= 3, "{target}");
    read
}

#[test]
fn components_are_told_apart() {
    for (name, bytes) in corpus("component") {
        let seen = inspect(&bytes);
        let is_sound = seen.refused.is_none() && seen.kind.is_some();
        assert_eq!(is_sound, name.starts_with("sound"), "{name}: {seen:?}");
    }
}

#[test]
fn manifests_are_read_or_refused_in_one_line() {
    for (name, bytes) in corpus("manifest") {
        match check_manifest(&String::from_utf8_lossy(&bytes)) {
            Ok(()) => assert!(name.starts_with("sound"), "{name}"),
            Err(reason) => {
                assert!(!name.starts_with("sound"), "{name}: {reason}");
                assert!(
                    !reason.is_empty() && !reason.contains('\n'),
                    "{name}: {reason}"
                );
            }
        }
    }
}

#[test]
fn signatures_are_read_or_refused() {
    let files = corpus("signature");
    let text = |wanted: &str| {
        let file = files.iter().find(|(name, _)| name == wanted).unwrap();
        String::from_utf8_lossy(&file.1).into_owned()
    };
    let signers = Signers::parse(&[text("key")]).unwrap();
    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let counts = signers.check(b"nova", &text).is_ok();
        assert_eq!(counts, name.starts_with("sound"), "{name}");
        signers.check(b"another", &text).unwrap_err();
        assert_eq!(Signers::parse(&[text]).is_ok(), name == "key", "{name}");
    }
}
