//! `plugin.toml`: any text is read or refused in one line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(reason) = nova_runtime::check_manifest(text) {
        assert!(!reason.is_empty() && !reason.contains('\n'), "{reason:?}");
    }
});
