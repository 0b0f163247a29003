//! The contract and the SDK as they were when the binary was built; made by `build.rs`.

include!(concat!(env!("OUT_DIR"), "/vendored.rs"));
