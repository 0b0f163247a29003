//! Secrets: how they are made, recognised by scanners, and hashed.
//!
//! A secret is `nova_`, 43 characters of 256 random bits, and 6 characters of checksum (the CRC-32 of all
//! before it, in base 62), so that a scanner finds one in a text without asking anybody. Since there is
//! nothing to guess, a fast keyed hash (HMAC-SHA-256, RFC 2104) is enough to keep it.

use ctutils::CtEq;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{Error, Result};

/// Shortest secret that an operator may choose, in characters.
pub const SECRET_MIN_CHARS: usize = 16;
/// Longest secret that an operator may choose, in characters.
pub const SECRET_MAX_CHARS: usize = 256;

/// What every generated secret begins with.
pub const SECRET_PREFIX: &str = "nova_";
/// What every ticket begins with.
const TICKET_PREFIX: &str = "novat_";

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;

/// A new key's secret.
pub(super) fn generate() -> Result<String> {
    token(SECRET_PREFIX)
}

/// A new ticket.
pub(super) fn generate_ticket() -> Result<String> {
    token(TICKET_PREFIX)
}

/// Whether a text has the form of a generated secret, its checksum included.
pub fn is_well_formed(text: &str) -> bool {
    let Some(body) = text.strip_prefix(SECRET_PREFIX) else {
        return false;
    };
    body.len() == RANDOM_CHARS + CHECKSUM_CHARS
        && body.bytes().all(|b| ALPHABET.contains(&b))
        && text.ends_with(&checksum(&text[..text.len() - CHECKSUM_CHARS]))
}

/// What a list shows of a generated secret: 4 of its 43 random characters, which leaves 232 bits to guess.
pub(super) fn shown_prefix(secret: &str) -> String {
    secret.chars().take(SECRET_PREFIX.len() + 4).collect()
}

/// Refuses a secret that an operator chose badly.
pub(super) fn check_chosen(secret: &str) -> Result<()> {
    let fits = (SECRET_MIN_CHARS..=SECRET_MAX_CHARS).contains(&secret.len());
    if fits && secret.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::field(
        "secret",
        format!(
            "the secret must be {SECRET_MIN_CHARS} to {SECRET_MAX_CHARS} printable ASCII characters without spaces"
        ),
    ))
}

/// The hash with the pepper already in it, so that authentication does not pay for it again.
#[derive(Clone)]
pub(super) struct Hasher(Hmac<Sha256>);

impl Hasher {
    pub(super) fn new(pepper: &[u8; 32]) -> Self {
        // HMAC takes keys of any length up to its block; 32 bytes are shorter and padded with zeros.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..pepper.len()].copy_from_slice(pepper);
        Self(Hmac::new(&block))
    }

    pub(super) fn hash(&self, secret: &str) -> [u8; 32] {
        let mut hasher = self.0.clone();
        hasher.update(secret.as_bytes());
        hasher.finalize().into_bytes().into()
    }
}

/// Whether two hashes are the same, in a time that does not depend on where they differ.
pub(super) fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.ct_eq(b).to_bool()
}

fn token(prefix: &str) -> Result<String> {
    let mut text = String::with_capacity(prefix.len() + RANDOM_CHARS + CHECKSUM_CHARS);
    text.push_str(prefix);
    let mut bits = [0; 64];
    let whole = prefix.len() + RANDOM_CHARS;
    while text.len() < whole {
        getrandom::fill(&mut bits).map_err(|e| Error::service(format!("no random bits: {e}")))?;
        // Bytes from 248 on are left out, so that every character is as likely: 43 × 5.95 = 256 bits.
        let fair = bits
            .iter()
            .filter(|b| **b < 248)
            .map(|b| usize::from(*b) % 62);
        let wanted = whole - text.len();
        text.extend(fair.take(wanted).map(|i| char::from(ALPHABET[i])));
    }
    let sum = checksum(&text);
    text.push_str(&sum);
    Ok(text)
}

/// The CRC-32 of the text in six digits of base 62.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits.map(char::from).iter().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_scanner_recognises_secrets_and_nothing_else() {
        let secret = generate().unwrap();
        assert_eq!(secret.len(), 54);
        assert!(is_well_formed(&secret), "{secret}");
        assert_ne!(secret, generate().unwrap());
        for at in 0..secret.len() {
            let mut bytes = secret.clone().into_bytes();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            let other = String::from_utf8(bytes).unwrap();
            assert!(!is_well_formed(&other), "{other}");
        }
        for bad in ["", "nova_", "nova_ü", &secret[..53], &format!("{secret}0")] {
            assert!(!is_well_formed(bad), "{bad}");
        }
        assert!(!is_well_formed(&generate_ticket().unwrap()));
    }
}
