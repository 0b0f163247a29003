//! Forecasts of two sides against recorded events, on a clock of the test's own.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::{EventKind, NewEvent};

const T0_S: u64 = 1_000_000;
const LOAD: &str = "load";

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_millis(0).plus_s(T0_S as f64 + seconds)
}

fn era(begun_anew: u64) -> Era {
    Era {
        started_at: at(0.0),
        canary: Some(2),
        others: Some(1),
        begun_anew,
    }
}

fn forecast(name: &str, unit: &str, start_s: f64, mean: &[f64]) -> Forecast {
    Forecast {
        name: name.into(),
        unit: unit.into(),
        subject: None,
        start: at(start_s),
        step_ms: 1000,
        mean: mean.to_vec(),
        lower: mean.to_vec(),
        upper: mean.to_vec(),
        level: 0.9,
        method: String::new(),
    }
}

/// A ledger, and the events of one domain: the metric `load`, 0, 1, 0, 1, … a second.
struct Bench {
    ledger: Ledger,
    domain: Domain,
    events: Vec<Event>,
}

impl Bench {
    fn new() -> Self {
        let mut ledger = Ledger::default();
        ledger.begin(&era(0));
        Self {
            ledger,
            domain: Domain::default(),
            events: Vec::new(),
        }
    }

    fn record(&mut self, second: f64, body: NewEvent) {
        self.events.push(Event {
            seq: self.events.len() as u64 + 1,
            at: at(second),
            domain: Some(self.domain.clone()),
            body,
        });
    }

    fn load_until(&mut self, second: u64) {
        let from = self.events.len() as u64;
        for k in from..second {
            let mut body = NewEvent::new(EventKind::UserMetric, (k % 2) as f64);
            body.metric = Some(LOAD.into());
            self.record(k as f64, body);
        }
    }

    fn note(&mut self, side: Side, second: f64, forecasts: Vec<Forecast>) {
        let report = AnalyticsReport {
            forecasts,
            covers_seq: self.events.len() as u64,
            ..AnalyticsReport::default()
        };
        self.ledger.note(&Given {
            side,
            domain: &self.domain,
            scope: Scope::Agents,
            at: at(second),
            until: at(1000.0),
            report: &report,
        });
    }

    fn look(&mut self, second: f64) {
        for gap in self.ledger.gaps() {
            let events: Vec<Event> = self.after(gap.after);
            self.ledger.fill(&gap, &events);
            self.ledger.filled(&gap, at(second));
        }
        for (domain, after) in self.ledger.followed() {
            let events = self.after(after);
            self.ledger.take(&domain, &events, true);
        }
        self.ledger.settle(at(second));
    }

    fn after(&self, seq: u64) -> Vec<Event> {
        self.events
            .iter()
            .filter(|e| e.seq > seq)
            .cloned()
            .collect()
    }

    /// How many reports of each side were scored, and the objectives.
    fn seen(&self) -> ([u64; 2], [f64; 2]) {
        let seen = self.ledger.rate(&era(0), Comparison::default());
        let arms = [seen.canary, seen.others];
        (arms.map(|a| a.rated), arms.map(|a| a.objective))
    }

    fn waiting(&self) -> usize {
        self.ledger.waiting.iter().map(Vec::len).sum()
    }
}

#[test]
fn both_sides_are_scored_when_the_values_are_there() {
    let mut b = Bench::new();
    b.load_until(20);
    b.note(
        Side::Canary,
        20.0,
        vec![forecast(LOAD, "", 20.0, &[3.0, 3.0])],
    );
    b.note(
        Side::Others,
        20.0,
        vec![forecast(LOAD, "", 20.0, &[0.5, 0.5])],
    );
    b.look(20.5);
    b.load_until(22);
    b.look(22.5);
    assert_eq!(
        (b.seen().0, b.waiting()),
        ([0, 0], 2),
        "more may come of the last step"
    );
    b.load_until(23);
    b.look(22.5);
    assert_eq!((b.seen(), b.waiting()), (([1, 1], [2.5, 0.5]), 0));
    // Another era knows nothing of these.
    let none = b.ledger.rate(&era(1), Comparison::default());
    assert_eq!(none, Comparison::default());
    b.ledger.begin(&era(1));
    assert_eq!(b.ledger.rate(&era(1), Comparison::default()), none);
}

#[test]
fn values_that_never_come_are_no_error_and_no_success() {
    let mut b = Bench::new();
    b.load_until(20);
    for side in [Side::Canary, Side::Others] {
        b.note(side, 20.0, vec![forecast(LOAD, "", 20.0, &[0.0, 1.0])]);
    }
    b.look(23.9);
    assert_eq!(b.waiting(), 2, "events may be recorded late");
    b.look(24.1);
    assert_eq!((b.seen(), b.waiting()), (([0, 0], [0.0, 0.0]), 0));
}

#[test]
fn only_what_both_forecast_counts_and_no_further_than_both_do() {
    let mut b = Bench::new();
    let mut other = NewEvent::new(EventKind::UserMetric, 0.0);
    other.metric = Some("other".into());
    b.load_until(20);
    // Perfect for a second, then far off; and a metric that the default does not forecast.
    let far = forecast(LOAD, "", 20.0, &[0.0, 90.0, 90.0]);
    let alone = forecast("other", "", 20.0, &[50.0]);
    b.note(Side::Canary, 20.0, vec![far, alone]);
    b.note(Side::Others, 20.0, vec![forecast(LOAD, "", 20.0, &[1.0])]);
    b.load_until(30);
    b.record(30.0, other);
    b.look(30.5);
    assert_eq!((b.seen(), b.waiting()), (([1, 1], [0.0, 1.0]), 0));
}

#[test]
fn each_metric_has_the_same_weight_on_both_sides() {
    let mut b = Bench::new();
    b.load_until(20);
    let easy = |mean: f64| forecast(LOAD, "", 20.0, &[mean]);
    let mut hard = forecast("user-metric-hard", "", 20.0, &[0.0]);
    for k in 0..20_u64 {
        let mut body = NewEvent::new(EventKind::UserMetric, (k % 2) as f64);
        body.metric = Some("hard".into());
        b.record(k as f64, body);
    }
    b.events.sort_by_key(|e| e.at);
    for (place, event) in b.events.iter_mut().enumerate() {
        event.seq = place as u64 + 1;
    }
    // Three easy ones and a hard one against one of each; by its sort, each side errs alike.
    hard.mean = vec![10.0];
    b.note(Side::Canary, 20.0, vec![easy(0.0), hard.clone()]);
    b.note(Side::Canary, 20.0, vec![easy(0.0)]);
    b.note(Side::Canary, 20.0, vec![easy(0.0)]);
    b.note(Side::Others, 20.0, vec![easy(0.0), hard]);
    for (name, value) in [(LOAD, 0.0), ("hard", 0.0)] {
        let mut body = NewEvent::new(EventKind::UserMetric, value);
        body.metric = Some(name.into());
        b.record(20.0, body);
    }
    b.record(25.0, NewEvent::new(EventKind::QueueDepth, 1.0));
    b.look(25.5);
    assert_eq!(b.seen(), ([3, 1], [5.0, 5.0]));
}

#[test]
fn completed_tasks_a_second_are_counted_for_their_agent_and_the_whole() {
    let mut b = Bench::new();
    let agent = |id: &str| Some(id.parse().unwrap());
    for k in 0..40_u64 {
        let mut body = NewEvent::new(EventKind::TaskCompleted, 1.0);
        // Two of a, none, two of b, none, …
        body.agent_id = agent(if k % 4 < 2 { "a" } else { "b" });
        b.record((k / 2 * 2) as f64 + 0.1 * (k % 2) as f64, body);
    }
    let made = |id: Option<&str>, mean: &[f64]| Forecast {
        subject: id.map(str::to_owned),
        ..forecast("throughput", "1/s", 20.0, mean)
    };
    let report = |whole: &[f64], a: &[f64]| vec![made(None, whole), made(Some("a"), a)];
    let covered = b.events.len();
    b.events.truncate(20);
    b.note(Side::Canary, 20.0, report(&[2.0, 0.0], &[2.0, 0.0]));
    b.note(Side::Others, 20.0, report(&[0.0, 2.0], &[2.0, 0.0]));
    for k in 20..covered as u64 {
        let mut body = NewEvent::new(EventKind::TaskCompleted, 1.0);
        body.agent_id = agent(if k % 4 < 2 { "a" } else { "b" });
        b.record((k / 2 * 2) as f64 + 0.1 * (k % 2) as f64, body);
    }
    b.look(60.0);
    let ([canary, others], [good, bad]) = b.seen();
    assert_eq!((canary, others, good), (1, 1, 0.0));
    assert_eq!(bad, 0.5, "one of two is off by the usual change");
}

#[test]
fn what_cannot_be_told_from_events_is_not_waited_for() {
    let mut b = Bench::new();
    b.load_until(20);
    let of = |name: &str, unit: &str| forecast(name, unit, 20.0, &[1.0]);
    let all = vec![
        of("utilization", "ratio"),
        of("throughput", "1/min"),
        of("no name", ""),
        forecast(LOAD, "", 10.0, &[1.0]),
        forecast(LOAD, "", 2000.0, &[1.0]),
    ];
    b.note(Side::Canary, 20.0, all);
    assert_eq!(b.waiting(), 0);
    // The report's own number of the name, beside the recorded one.
    b.note(
        Side::Canary,
        20.0,
        vec![of("pressure", ""), of("user-metric-pressure", "")],
    );
    let [canary, _] = &b.ledger.waiting;
    assert_eq!(canary[0].forecasts.len(), 1);
    assert_eq!(
        canary[0].forecasts[0].class,
        (Scope::Agents, "pressure".to_owned())
    );
}

#[test]
fn a_metric_that_is_forecast_later_has_its_past_read_once() {
    let mut b = Bench::new();
    b.load_until(20);
    let record_other = |b: &mut Bench, from: u64, to: u64| {
        for k in from..to {
            let mut body = NewEvent::new(EventKind::UserMetric, (k % 2) as f64);
            body.metric = Some("other".into());
            b.record(k as f64, body);
        }
    };
    b.note(Side::Canary, 20.0, vec![forecast(LOAD, "", 20.0, &[1.0])]);
    b.look(20.0);
    record_other(&mut b, 20, 40);
    b.look(40.0);
    for side in [Side::Canary, Side::Others] {
        b.note(side, 40.0, vec![forecast("other", "", 40.0, &[2.0, 3.0])]);
    }
    // A look that broke off begins anew.
    let gap = b.ledger.gaps().remove(0);
    assert_eq!((gap.after, gap.upto), (0, 40));
    b.ledger.fill(&gap, &b.after(0));
    record_other(&mut b, 40, 45);
    b.look(45.0);
    assert_eq!(b.seen(), ([1, 1], [2.0, 2.0]));
    assert!(b.ledger.gaps().is_empty());
}

#[test]
fn everything_is_bounded() {
    let mut b = Bench::new();
    b.load_until(20);
    for _ in 0..WAITING_MAX + 1 {
        b.note(Side::Canary, 20.0, vec![forecast(LOAD, "", 20.0, &[1.0])]);
    }
    assert_eq!(b.waiting(), WAITING_MAX);
    b.note(Side::Others, 20.0, vec![forecast(LOAD, "", 20.0, &[1.0])]);
    assert_eq!(
        b.waiting(),
        WAITING_MAX + 1,
        "each side has room of its own"
    );

    let mut b = Bench::new();
    let name = |k: usize| format!("m{k}");
    let many = (0..CLASSES_MAX + 9).map(|k| forecast(&name(k), "", 20.0, &[1.0]));
    b.note(Side::Canary, 20.0, many.collect());
    assert_eq!(b.ledger.classes.len(), CLASSES_MAX);
    assert_eq!(b.ledger.waiting[0][0].forecasts.len(), CLASSES_MAX);

    let mut b = Bench::new();
    let of = |k: usize| Forecast {
        subject: Some(name(k)),
        ..forecast(LOAD, "", 20.0, &[1.0; 1000])
    };
    let steps = |b: &Bench| b.ledger.waiting[0][0].forecasts[0].expected.mean.len();
    b.note(Side::Canary, 20.0, (0..TRACKS_MAX + 9).map(of).collect());
    assert_eq!(b.ledger.domains[&b.domain].len(), TRACKS_MAX);
    assert_eq!(steps(&b), STEPS_MAX);
    let bytes: usize = b.ledger.waiting[0].iter().map(|w| w.bytes).sum();
    for _ in 0..WAITING_BYTES_MAX / bytes + 1 {
        b.note(Side::Canary, 20.0, (0..TRACKS_MAX + 9).map(of).collect());
    }
    let bytes: usize = b.ledger.waiting[0].iter().map(|w| w.bytes).sum();
    assert!(bytes <= WAITING_BYTES_MAX && b.waiting() > 1, "{bytes}");

    let mut b = Bench::new();
    for k in 0..DOMAINS_MAX + 1 {
        b.domain = format!("d{k}").parse().unwrap();
        b.note(Side::Canary, 20.0, vec![forecast(LOAD, "", 20.0, &[1.0])]);
    }
    assert_eq!(
        (b.ledger.domains.len(), b.waiting()),
        (DOMAINS_MAX, DOMAINS_MAX)
    );
}
