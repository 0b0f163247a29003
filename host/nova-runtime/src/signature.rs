//! Signatures: whether a component is signed by one of the configured keys.
//!
//! The format is minisign's (ed25519 over the component's BLAKE2b hash), detached, in a file beside the
//! component: `<component>.sig`. What is signed is the component; its manifest is the operator's own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use minisign_verify::{PublicKey, Signature};

/// Largest signature that is read, in bytes.
pub(crate) const MAX_BYTES: u64 = 4096;

/// The keys whose signatures count. None at all: signatures are not asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Signers(Vec<PublicKey>);

impl Signers {
    /// Reads public keys, as `nova plugin keygen` or minisign prints them (the line in Base64).
    ///
    /// # Errors
    /// Which one is none, and why.
    pub fn parse(keys: &[String]) -> Result<Self, String> {
        let parsed = keys.iter().map(|text| {
            PublicKey::from_base64(text.trim())
                .map_err(|error| format!("'{text}' is no minisign public key: {}", told(&error)))
        });
        Ok(Self(parsed.collect::<Result<_, _>>()?))
    }

    /// Whether components must be signed.
    pub(crate) fn are_asked_for(&self) -> bool {
        !self.0.is_empty()
    }

    /// Checks a component against the text of its signature.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn check(&self, component: &[u8], signature: &str) -> Result<(), String> {
        let signature = Signature::decode(signature)
            .map_err(|error| format!("its signature cannot be read: {}", told(&error)))?;
        let mut last = String::new();
        for key in &self.0 {
            // Signatures over the bytes themselves are an older format, without the hash.
            match key.verify(component, &signature, false) {
                Ok(()) => return Ok(()),
                // Another key may be the one.
                Err(error) => last = told(&error),
            }
        }
        Err(match self.0.len() {
            1 => format!("the configured key has not signed it: {last}"),
            n => format!("none of the {n} configured keys has signed it: {last}"),
        })
    }
}

/// A library's words as a part of a sentence.
fn told(error: &minisign_verify::Error) -> String {
    let text = error.to_string();
    let mut rest = text.chars();
    rest.next()
        .map(|first| first.to_lowercase().chain(rest).collect())
        .unwrap_or_default()
}

/// Where a component's signature lies.
pub fn beside(component: &Path) -> PathBuf {
    let mut name: OsString = component.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use minisign::KeyPair;

    use super::*;

    fn sign(keys: &KeyPair, bytes: &[u8]) -> String {
        let signed = minisign::sign(None, &keys.sk, bytes, None, None);
        signed.unwrap().into_string()
    }

    #[test]
    fn only_the_configured_keys_count_and_only_for_what_they_signed() {
        let keys = [(); 3].map(|()| KeyPair::generate_unencrypted_keypair().unwrap());
        let public: Vec<String> = keys[..2].iter().map(|k| k.pk.to_base64()).collect();
        let signers = Signers::parse(&public).unwrap();
        assert!(signers.are_asked_for());
        for key in &keys[..2] {
            let signature = sign(key, b"component");
            signers.check(b"component", &signature).unwrap();
            // What a file says beside the signature proper is signed, too.
            let forged = signature.replace("trusted comment: ", "trusted comment: forged ");
            signers.check(b"component", &forged).unwrap_err();
        }
        let cases = [
            (
                sign(&keys[2], b"component"),
                "none of the 2 configured keys",
            ),
            (sign(&keys[0], b"another"), "none of the 2 configured keys"),
            (String::new(), "cannot be read"),
            (
                "untrusted comment: x\nnonsense".to_owned(),
                "cannot be read",
            ),
        ];
        for (signature, part) in cases {
            let error = signers.check(b"component", &signature).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_is_no_key_is_named() {
        for bad in ["", "RW", "not base64!", "AAAA"] {
            let error = Signers::parse(&[bad.to_owned()]).unwrap_err();
            let begin = format!("'{bad}' is no minisign public key");
            assert!(error.starts_with(&begin), "{error}");
        }
        assert!(!Signers::default().are_asked_for());
        assert_eq!(beside(Path::new("a/b.wasm")), Path::new("a/b.wasm.sig"));
    }
}
