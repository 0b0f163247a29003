//! The reference data: `NOVA_SHARED_DATA`, else `../shared/data` beside the repository.

use serde_json::Value;
use std::path::PathBuf;

/// The JSON files of a folder of the reference data, by name; none where it is absent.
pub(crate) fn files(folder: &str) -> Vec<(String, Value)> {
    let base = std::env::var_os("NOVA_SHARED_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let folder = base.join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("SKIPPED: no reference data at {}", folder.display());
        return Vec::new();
    };
    let mut files: Vec<(String, Value)> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!files.is_empty());
    files
}

/// A JSON list of numbers.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}
