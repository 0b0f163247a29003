//! What an uploaded file is: any bytes are told, none break the host.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let seen = nova_runtime::inspect(bytes);
    assert_eq!(seen.size_bytes, bytes.len() as u64);
    assert!(seen.refused.is_some() || seen.kind.is_some());
});
