//! The packings of the reference data (`NOVA_SHARED_DATA`, else `../shared/data` beside the
//! repository), against first-fit decreasing and the best known.
//!
//! `NOVA_BINPACK_STEPS` sets the effort; the default keeps the suite quick, and is enough for
//! what is asserted.
#![allow(clippy::unwrap_used)]

use binpack::allocate;
use nova_sdk::allocation::testing::{check, nodes, used_nodes};
use serde_json::Value;
use std::path::PathBuf;

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn never_more_than_first_fit_decreasing() {
    let folder = std::env::var_os("NOVA_SHARED_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let folder = folder.join("allocation/binpacking");
    if !folder.exists() {
        println!("SKIPPED: no reference data at {}", folder.display());
        return;
    }
    let steps = std::env::var("NOVA_BINPACK_STEPS").unwrap_or_else(|_| "30000".to_owned());
    for file in ["orlib.json", "vector.json"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let data: Value = serde_json::from_str(&text).unwrap();
        let (mut count, mut best) = (0, 0);
        for case in data["cases"].as_array().unwrap() {
            let one = case["capacity"].is_number();
            let capacity = if one {
                vec![case["capacity"].as_f64().unwrap()]
            } else {
                numbers(&case["capacity"])
            };
            let items: Vec<Vec<f64>> = case["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|i| {
                    if one {
                        vec![i.as_f64().unwrap()]
                    } else {
                        numbers(i)
                    }
                })
                .collect();
            let (key, reference) = if one {
                ("optimal_bins", &case["reference"]["ffd"]["bins"])
            } else {
                ("best_known_bins", &case["reference"]["ffd_max_ratio_bins"])
            };
            let known = case["expected"][key].as_u64().unwrap() as usize;
            let first_fit = reference.as_u64().unwrap() as usize;
            let mut problem = nodes(&capacity, first_fit, &items);
            problem.parameters =
                format!("{{\"dimensions\": {}, \"steps\": {steps}}}", capacity.len());
            let begun = std::time::Instant::now();
            let allocation = allocate(&problem).unwrap();
            let taken = begun.elapsed();
            check(&problem, &allocation).unwrap();
            assert!(
                allocation.unmet.is_empty(),
                "{}: {:?}",
                case["id"],
                allocation.unmet
            );
            let used = used_nodes(&problem, &allocation.amount, capacity.len());
            println!(
                "{}: {used}, best known {known}, first fit {first_fit}, {taken:?}",
                case["id"]
            );
            count += 1;
            best += usize::from(used <= known);
        }
        println!("{file}: {best} of {count} as good as the best known");
        assert!(best * 2 > count, "{best} of {count}");
    }
}
