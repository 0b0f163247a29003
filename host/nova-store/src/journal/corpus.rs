//! What the fuzz target of records began with and found, as an ordinary test. The sound ones were written by
//! earlier builds, and stay readable.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::check_record;

#[test]
fn records_are_read_or_refused() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/record");
    let mut sound = 0;
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let read = check_record(&std::fs::read(&path).unwrap());
        assert_eq!(read.is_ok(), name.starts_with("sound"), "{name}: {read:?}");
        sound += usize::from(read.is_ok());
    }
    assert!(sound >= 3);
}
