//! Signatures and public keys: any text is read or refused, and none but the one that was made counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nova_runtime::Signers;

/// The key behind `corpus/signature/sound`, which signs `nova`.
const KEY: &str = "RWSuldJlb+r/dIt2IoCIgQW669+rdPATdNuWJbARukxmboye6aN0VQgD";
const SOUND: &str = include_str!("../corpus/signature/sound");

fuzz_target!(|text: &str| {
    drop(Signers::parse(&[text.to_owned()]));
    let signers = Signers::parse(&[KEY.to_owned()]).expect("it is a key");
    if signers.check(b"nova", text).is_ok() {
        // Line ends, the comment that is not signed, and what follows may differ.
        let signed = |text: &str| text.lines().nth(1).map(|line| line.trim().to_owned());
        assert_eq!(signed(text), signed(SOUND), "a forged signature counts");
    }
});
