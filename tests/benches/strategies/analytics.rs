//! Analytics: forecasts, anomalies and quantiles of `pulse`, asked as a client would: the series
//! are recorded as user metrics, one domain each, and a report is asked for.
//!
//! CPU is that of the whole process: reading events from the datastore, crossing the sandbox, and
//! the guest. Beside it stands the same code called natively.

use std::path::Path;
use std::sync::Arc;

use cpu_time::ProcessTime;
use nova_core::Domain;
use nova_core::domain::{EventKind, NewEvent, Timestamp};
use nova_core::ports::runtime::{Call, StrategyRuntime};
use nova_core::ports::{Datastore, DatastoreExt};
use nova_core::strategy::analytics::{AnalyticsQuery, AnalyticsReport, Scope};
use nova_sdk::analytics::{AnalyticsProcessor, EventBatch, EventKind as Seen, NONE, Query};
use pulse::Pulse;
use serde_json::{Map, Value, json};

use crate::nab;

const METRIC: &str = "series";
const START_MS: i64 = 1_700_000_000_000;
const STEP_MS: i64 = 60_000;

/// A processor behind the runtime, and the store that feeds it.
struct Client<'a> {
    runtime: &'a dyn StrategyRuntime,
    store: &'a Arc<dyn Datastore>,
    domains: u32,
}

/// Prints every table.
pub(crate) async fn run(runtime: &dyn StrategyRuntime, store: &Arc<dyn Datastore>, data: &Path) {
    let mut client = Client {
        runtime,
        store,
        domains: 0,
    };
    forecasts(&mut client, &data.join("forecast")).await;
    anomalies(&mut client, &data.join("anomaly")).await;
    quantiles(&mut client, &data.join("quantiles")).await;
    history();
}

impl Client<'_> {
    /// Records a series as a user metric of a domain of its own.
    async fn record(&mut self, values: &[f64]) -> Domain {
        self.domains += 1;
        let domain: Domain = format!("bench-{}", self.domains).parse().unwrap();
        for (part, chunk) in values.chunks(1000).enumerate() {
            let (chunk, of) = (chunk.to_vec(), domain.clone());
            let write = self.store.write(move |tx| {
                for (k, value) in chunk.into_iter().enumerate() {
                    let at = START_MS + (part * 1000 + k) as i64 * STEP_MS;
                    let mut event = NewEvent::new(EventKind::UserMetric, value);
                    event.metric = Some("series".to_owned());
                    tx.append_event(&of, Timestamp::from_millis(at), &event)?;
                }
                Ok(())
            });
            write.await.unwrap();
        }
        domain
    }

    /// Asks for a report on a series of so many values; gives it with its CPU milliseconds.
    async fn report(&self, domain: &Domain, count: usize, ask: Value) -> (AnalyticsReport, f64) {
        let parameters: Map<String, Value> = ask.as_object().cloned().unwrap();
        let query = AnalyticsQuery {
            scope: Scope::Flows,
            subject: None,
            at: Timestamp::from_millis(START_MS + (count as i64 - 1) * STEP_MS),
            window_s: None,
            parameters: parameters.clone(),
        };
        let call = Call {
            domain: domain.clone(),
            strategy: Some("pulse".to_owned()),
            fallback: false,
            subject: None,
            parameters,
            about: Arc::default(),
        };
        let begun = ProcessTime::now();
        let decided = self.runtime.analyze(call, query).await.unwrap();
        (decided.answer, begun.elapsed().as_secs_f64() * 1e3)
    }
}

async fn forecasts(client: &mut Client<'_>, folder: &Path) {
    println!("forecasts (MASE relative to SeasonalNaive, 95 % intervals, CPU ms a series)");
    println!(
        "{:<16} {:>6} {:>8} {:>8} {:>8} {:>8}",
        "series", "values", "relative", "covered", "sandbox", "native"
    );
    let expected = read(&folder.join("expected.json"));
    let (mut logs, mut inside, mut steps, mut times) = (0.0, 0, 0, Vec::new());
    for (name, of) in expected["series"].as_object().unwrap() {
        let file = read(&folder.join(format!("{name}.json")));
        let (train, test) = (numbers(&file["train"]), numbers(&file["test"]));
        let season = file["season_length"].as_u64().unwrap() as usize;
        let domain = client.record(&train).await;
        client
            .report(&domain, train.len(), json!({"horizon": 0}))
            .await;
        let ask = json!({"horizon": test.len(), "season_length": season});
        let (report, sandbox) = client.report(&domain, train.len(), ask).await;
        let begun = ProcessTime::now();
        std::hint::black_box(pulse::forecast::forecast(&train, season, test.len()));
        let native = begun.elapsed().as_secs_f64() * 1e3;
        let ahead = report.forecasts.iter().find(|f| f.name == METRIC).unwrap();
        let off: f64 = ahead
            .mean
            .iter()
            .zip(&test)
            .map(|(f, y)| (f - y).abs())
            .sum();
        let mase = off / test.len() as f64 / of["mase_scale"].as_f64().unwrap();
        let relative = mase / of["reference"]["SeasonalNaive"]["mase"].as_f64().unwrap();
        let bounds = ahead.lower.iter().zip(&ahead.upper);
        let covered = bounds
            .zip(&test)
            .filter(|((l, u), y)| (*l..=*u).contains(y))
            .count();
        println!(
            "{name:<16} {:>6} {relative:>8.3} {:>8.3} {sandbox:>8.1} {native:>8.1}",
            train.len(),
            covered as f64 / test.len() as f64
        );
        logs += relative.ln();
        inside += covered;
        steps += test.len();
        times.push(sandbox);
    }
    let count = times.len() as f64;
    println!(
        "geometric mean {:.3}, covered {:.3} of {steps}, CPU mean {:.1} ms, most {:.1} ms",
        (logs / count).exp(),
        f64::from(inside as u32) / f64::from(steps as u32),
        times.iter().sum::<f64>() / count,
        times.iter().copied().fold(0.0, f64::max)
    );
    for (name, of) in expected["summary"].as_object().unwrap() {
        let figure = of["geomean_mase_vs_seasonal_naive"]
            .as_f64()
            .unwrap_or(f64::NAN);
        println!("  reference {name}: {figure:.3}");
    }
}

async fn anomalies(client: &mut Client<'_>, folder: &Path) {
    println!("\nanomalies (NAB standard profile, CPU µs a point with reading its event)");
    let expected = read(&folder.join("expected.json"));
    let (mut sum, mut windows, mut points, mut sandbox, mut native) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for name in expected.as_object().unwrap().keys() {
        let path = folder.join(format!("{name}.json"));
        if !path.exists() {
            continue;
        }
        let file = read(&path);
        let values = numbers(&file["values"]);
        let labels: Vec<(usize, usize)> = file["anomaly_windows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|w| {
                (
                    w[0].as_u64().unwrap() as usize,
                    w[1].as_u64().unwrap() as usize,
                )
            })
            .collect();
        let domain = client.record(&values).await;
        let (report, ms) = client
            .report(&domain, values.len(), json!({"horizon": 0}))
            .await;
        let begun = ProcessTime::now();
        let mut detector = pulse::stream::Detector::default();
        for (k, value) in values.iter().enumerate() {
            std::hint::black_box(detector.see(k as u64, *value, pulse::stream::SURPRISE));
        }
        native += begun.elapsed().as_secs_f64() * 1e6;
        let found = report.anomalies.iter().filter(|a| a.name == METRIC);
        let alarms: Vec<usize> = found
            .map(|a| ((a.at.millis() - START_MS) / STEP_MS) as usize)
            .collect();
        let probation = file["probation"].as_u64().unwrap() as usize;
        let scored = nab::score(&alarms, &labels, probation);
        println!(
            "{name:<60} score {:>6.2} of {}, windows hit {}, false alarms {}",
            scored.score,
            labels.len(),
            scored.hit,
            scored.outside
        );
        sum += scored.score;
        windows += labels.len() as f64;
        points += values.len() as f64;
        sandbox += ms * 1e3;
    }
    println!(
        "normalized {:.1}; {:.2} µs a point through the runtime, {:.2} the detector natively",
        100.0 * (sum + windows) / (2.0 * windows),
        sandbox / points,
        native / points
    );
    let reference = read(&folder.join("reference_detectors.json"));
    for (name, of) in reference["published_detectors"].as_object().unwrap() {
        println!("  reference {name}: {}", of["normalized"]);
    }
}

async fn quantiles(client: &mut Client<'_>, folder: &Path) {
    println!("\nquantiles (relative error at 0.5, 0.9, 0.95, 0.99)");
    let expected = read(&folder.join("expected.json"));
    for (name, of) in expected.as_object().unwrap() {
        let values = numbers(&read(&folder.join(format!("{name}.json")))["values"]);
        let domain = client.record(&values).await;
        let (report, ms) = client
            .report(&domain, values.len(), json!({"horizon": 0}))
            .await;
        let metric = report.metrics.iter().find(|m| m.name == METRIC).unwrap();
        let errors: Vec<String> = metric
            .quantiles
            .iter()
            .map(|(q, found)| {
                let exact = of["exact"][q.to_string()].as_f64().unwrap();
                format!("{:.5}", (found - exact).abs() / exact)
            })
            .collect();
        let per_point = ms * 1e3 / values.len() as f64;
        println!(
            "{name:<24} {} ({per_point:.2} µs a value)",
            errors.join(" ")
        );
    }
}

/// What an event and a report cost as the history grows: natively, where nothing else counts.
fn history() {
    println!("\nincremental, native: 100 agents, 1,000 flows, tasks from creation to end");
    println!(
        "{:>10} {:>12} {:>12} {:>12}",
        "events", "µs an event", "report ms", "saved KiB"
    );
    let mut pulse = Pulse::new("{}").unwrap();
    let (mut seq, mut spent_us, mut since) = (0_u64, 0.0, 0.0);
    for task in 0..250_000_u32 {
        let batch = life(&mut seq, task);
        let begun = ProcessTime::now();
        pulse.ingest(&batch).unwrap();
        spent_us += begun.elapsed().as_secs_f64() * 1e6;
        since += batch.kind.len() as f64;
        if [2_500, 25_000, 250_000].contains(&(task + 1)) {
            let query = Query {
                scope: nova_sdk::analytics::Scope::Agents,
                subject: None,
                time_ms: START_MS as u64 + u64::from(task) * 200,
                window_s: f64::INFINITY,
                parameters: "{}".to_owned(),
            };
            let begun = ProcessTime::now();
            pulse.report(&query).unwrap();
            let report_ms = begun.elapsed().as_secs_f64() * 1e3;
            println!(
                "{seq:>10} {:>12.2} {report_ms:>12.2} {:>12}",
                spent_us / since,
                pulse.save().len() / 1024
            );
            (spent_us, since) = (0.0, 0.0);
        }
    }
}

/// A task's four events.
fn life(seq: &mut u64, task: u32) -> EventBatch {
    let kinds = [
        Seen::TaskCreated,
        Seen::TaskReady,
        Seen::TaskStarted,
        Seen::TaskCompleted,
    ];
    let mut batch = EventBatch::default();
    for (k, kind) in kinds.into_iter().enumerate() {
        *seq += 1;
        batch.seq.push(*seq);
        let at = u64::from(task) * 200 + k as u64 * 40;
        batch.time_ms.push(START_MS as u64 + at);
        batch.kind.push(kind);
        batch.task.push(task);
        batch.flow.push(task / 250);
        batch.agent.push(task % 100);
        batch.resource.push(NONE);
        batch.metric.push(NONE);
        batch.value.push(1.0 + f64::from(task % 17) / 10.0);
    }
    batch
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(list: &Value) -> Vec<f64> {
    let list = list.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}
