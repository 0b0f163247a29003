//! The published formulas against the reference data (`NOVA_SHARED_DATA`, else
//! `../shared/data` beside the repository).
#![allow(clippy::unwrap_used)]

#[path = "support/reference.rs"]
mod reference;

use pulse::forecast::forecast;
use pulse::sketch::{Observation, RELATIVE_ERROR, Sketch};
use reference::{files, numbers};

#[test]
fn quantiles_keep_their_bound() {
    let files = files("analytics/quantiles");
    let Some((_, expected)) = files.iter().find(|file| file.0 == "expected") else {
        return;
    };
    for (name, stream) in files.iter().filter(|file| file.0 != "expected") {
        let mut sketch = Sketch::default();
        for value in numbers(&stream["values"]) {
            sketch.add(Observation::of(value).unwrap());
        }
        let expected = &expected[name];
        let mut worst: f64 = 0.0;
        for (q, exact) in expected["exact"].as_object().unwrap() {
            let exact = exact.as_f64().unwrap();
            let found = sketch.quantile(q.parse().unwrap()).unwrap();
            worst = worst.max((found - exact).abs() / exact);
        }
        println!(
            "{name}: worst relative error {worst:.5} in {} bins",
            sketch.bins()
        );
        assert!(worst <= RELATIVE_ERROR + 1e-9, "{name}: {worst}");
        let mean = expected["mean"].as_f64().unwrap();
        assert!((sketch.mean().unwrap() - mean).abs() <= 1e-4 * mean);
    }
}

/// Coverage that intervals of 95 % must have over the reference series.
const COVERAGE: std::ops::RangeInclusive<f64> = 0.90..=0.98;
/// The aim: the best published combination of five models has 0.780 on these series.
const RELATIVE_MASE_MOST: f64 = 0.78;

#[test]
fn forecasts_beat_the_reference_combination_and_keep_their_coverage() {
    let files = files("analytics/forecast");
    let Some((_, expected)) = files.iter().find(|file| file.0 == "expected") else {
        return;
    };
    // Once told the season's length, once left to find it.
    for told in [true, false] {
        let (mut logs, mut count, mut inside, mut steps) = (0.0, 0.0, 0, 0);
        for (name, series) in files.iter().filter(|file| file.0 != "expected") {
            let (train, test) = (numbers(&series["train"]), numbers(&series["test"]));
            let season = series["season_length"].as_u64().unwrap() as usize;
            let ahead = forecast(&train, if told { season } else { 0 }, test.len()).unwrap();
            let reference = &expected["series"][name];
            let scale = reference["mase_scale"].as_f64().unwrap();
            let errors = ahead.mean.iter().zip(&test).map(|(f, y)| (y - f).abs());
            let mase = errors.sum::<f64>() / test.len() as f64 / scale;
            let seasonal = reference["reference"]["SeasonalNaive"]["mase"]
                .as_f64()
                .unwrap();
            println!(
                "{name}: MASE {mase:.3} (seasonal naive {seasonal:.3}): {}",
                ahead.method
            );
            logs += (mase / seasonal).ln();
            count += 1.0;
            for (h, y) in test.iter().enumerate() {
                let (low, mean, high) = (ahead.lower[h], ahead.mean[h], ahead.upper[h]);
                assert!(low <= mean && mean <= high, "{name}");
                inside += u32::from((low..=high).contains(y));
                steps += 1;
            }
        }
        let relative = f64::exp(logs / count);
        let coverage = f64::from(inside) / f64::from(steps);
        println!(
            "told the season: {told}: geometric mean of MASE relative to seasonal naive {relative:.3}; {coverage:.3} of {steps} values within the 95 % intervals"
        );
        assert!(relative <= RELATIVE_MASE_MOST, "{relative}");
        assert!(COVERAGE.contains(&coverage), "{coverage}");
    }
}
