//! The detector of streams against the Numenta Anomaly Benchmark's files in the reference
//! data, by a scorer that is itself held against published scores.
#![allow(clippy::unwrap_used)]

#[path = "support/nab.rs"]
mod nab;
#[path = "support/reference.rs"]
mod reference;

use pulse::stream::{Detector, SURPRISE};
use reference::{files, numbers};
use serde_json::Value;

/// What the reference's README asks for; published: Numenta 76.0, HTM 68.8, Skyline 64.6.
const NORMALIZED_LEAST: f64 = 65.0;

struct File {
    name: String,
    values: Vec<f64>,
    windows: Vec<(usize, usize)>,
    probation: usize,
}

fn read(files: &[(String, Value)]) -> Vec<File> {
    let labelled = files.iter().filter(|file| file.0.starts_with("nab-"));
    labelled
        .map(|(name, file)| {
            let windows = file["anomaly_windows"].as_array().unwrap().iter();
            let place = |value: &Value| value.as_u64().unwrap() as usize;
            File {
                name: name.clone(),
                values: numbers(&file["values"]),
                windows: windows.map(|w| (place(&w[0]), place(&w[1]))).collect(),
                probation: place(&file["probation"]),
            }
        })
        .collect()
}

/// NAB's own `windowedGaussian` at its published threshold of 1.0: scores are written with
/// twelve digits, so that is a tail probability below 5e-13, 7.14 standard deviations. Its
/// window of 6,400 values moves on by 100.
fn windowed_gaussian(values: &[f64]) -> Vec<usize> {
    let (mut window, mut next) = (Vec::new(), Vec::new());
    let (mut mean, mut deviation) = (0.0, 0.0);
    let mut alarms = Vec::new();
    for (at, &value) in values.iter().enumerate() {
        if !window.is_empty() && f64::abs(value - mean) > 7.14 * deviation {
            alarms.push(at);
        }
        if window.len() < 6400 {
            window.push(value);
        } else {
            next.push(value);
            if next.len() < 100 {
                continue;
            }
            window.drain(..100);
            window.append(&mut next);
        }
        let n = window.len() as f64;
        mean = window.iter().sum::<f64>() / n;
        let squares: f64 = window.iter().map(|x| (x - mean).powi(2)).sum();
        deviation = (squares / n).sqrt();
        if deviation == 0.0 {
            deviation = 1e-6;
        }
    }
    alarms
}

#[test]
fn the_scorer_reproduces_published_scores() {
    let files = files("analytics/anomaly");
    let Some((_, expected)) = files.iter().find(|file| file.0 == "expected") else {
        return;
    };
    for file in read(&files) {
        let published = &expected[&file.name]["published_standard_profile"];
        // The widest window of the benchmark's implementation costs seconds on this file.
        if file.values.len() < 10_000 {
            let found = nab::score(
                &windowed_gaussian(&file.values),
                &file.windows,
                file.probation,
            );
            let of = |what: &str| published["windowedGaussian"][what].as_f64().unwrap();
            assert!(
                (found.score - of("score")).abs() < 1e-6,
                "{}: {found:?}",
                file.name
            );
            assert_eq!(found.inside as f64, of("tp_points"), "{}", file.name);
            assert_eq!(found.outside as f64, of("fp_points"), "{}", file.name);
        }
        let none = nab::score(&[], &file.windows, file.probation);
        assert_eq!(none.score, published["null"]["score"].as_f64().unwrap());
    }
}

#[test]
fn the_detector_scores_as_well_as_the_best_published() {
    let files = read(&files("analytics/anomaly"));
    if files.is_empty() {
        return;
    }
    let (mut sum, mut windows) = (0.0, 0.0);
    for file in &files {
        let mut detector = Detector::default();
        let points = file.values.iter().enumerate();
        let alarms: Vec<usize> = points
            .filter(|(at, value)| detector.see(*at as u64, **value, SURPRISE).is_some())
            .map(|(at, _)| at)
            .collect();
        let scored = nab::score(&alarms, &file.windows, file.probation);
        println!(
            "{}: {scored:?} of {} windows",
            file.name,
            file.windows.len()
        );
        sum += scored.score;
        windows += file.windows.len() as f64;
    }
    let normalized = 100.0 * (sum + windows) / (2.0 * windows);
    println!("normalized {normalized:.1}");
    assert!(normalized >= NORMALIZED_LEAST, "{normalized}");
}
