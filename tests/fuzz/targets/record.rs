//! Records of the decision journal: as they lie in the file, and unpacked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nova_store::check_record;

/// The first byte of a record.
const FORMAT: u8 = 1;

fuzz_target!(|bytes: &[u8]| {
    drop(check_record(bytes));
    // Random bytes seldom unpack: what was unpacked is tried as well.
    if let Ok(packed) = zstd::bulk::compress(bytes, 1) {
        drop(check_record(&[&[FORMAT], packed.as_slice()].concat()));
    }
});
