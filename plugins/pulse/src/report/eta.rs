//! When a flow will be done.
//!
//! Owns the simulation: open tasks go to as many places as the flow has used at a time on
//! average, each for a duration drawn from those observed (of the flow, or of all flows while
//! it has too few), again with the observed probability of another attempt. Which task waits
//! for which is not among the events; how far that held the flow back so far is in the number
//! of places. Deterministic: the same state gives the same answer.

use super::facts::Facts;
use crate::bucket::{Count, Gauge};
use crate::noise::Noise;
use crate::sketch::Sketch;

/// Simulated endings.
const RUNS: usize = 200;
/// Tasks simulated one by one; the work of more is drawn as a sum (central limit theorem).
const TASKS_MAX: u64 = 100;
/// Points of the table that durations are drawn from.
const TABLE: usize = 64;
/// Completions below which the flow's own durations are too few.
const OWN_LEAST: u64 = 5;
/// Places simulated at most; more are one wide one.
const PLACES_MAX: f64 = 64.0;

/// Seconds until the last open task ends.
pub(crate) struct Eta {
    /// The mean of the simulated endings.
    pub(crate) mean: f64,
    /// Pairs (q, seconds): the ends of a 95 % interval, and the median.
    pub(crate) quantiles: Vec<(f64, f64)>,
    /// Durations that it rests on.
    pub(crate) samples: u64,
}

/// The flow's time left; none where nothing says how long a task takes. `pool` are the
/// durations of all flows, `free` the free slots of all agents.
pub(crate) fn of(flow: &Facts<'_>, pool: Option<&Sketch>, free: f64) -> Option<Eta> {
    if flow.open() == 0 || flow.subject.ended.is_some() {
        return Some(Eta {
            mean: 0.0,
            quantiles: Vec::new(),
            samples: flow.completed(),
        });
    }
    let own = flow.latency();
    let durations = match pool {
        Some(pool) if own.count() < OWN_LEAST && pool.count() > own.count() => pool,
        _ => own,
    };
    let table: Vec<f64> = (0..TABLE)
        .filter_map(|k| durations.quantile((k as f64 + 0.5) / TABLE as f64))
        .map(|seconds| seconds.max(0.0))
        .collect();
    if table.is_empty() {
        return None;
    }
    let again = flow.span.count(Count::Retried) as f64;
    let attempts = again + (flow.completed() + flow.failed()) as f64;
    let again = (again / (attempts + 2.0)).min(0.9);
    let seed = flow.span.from_ms ^ flow.open().rotate_left(32) ^ flow.span.to_ms;
    let mut draw = Draw {
        noise: Noise::new(seed),
        table,
        again,
    };
    let places = places(flow, free);
    let mut ends: Vec<f64> = (0..RUNS).map(|_| run(flow, places, &mut draw)).collect();
    ends.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| ends[((q * RUNS as f64) as usize).min(RUNS - 1)];
    Some(Eta {
        mean: ends.iter().sum::<f64>() / RUNS as f64,
        quantiles: [0.025, 0.5, 0.975].map(|q| (q, at(q))).to_vec(),
        samples: durations.count(),
    })
}

/// Tasks of the flow that run at a time: the mean since its first one started; before that,
/// as many as there are free slots. Never fewer than one or than run now.
fn places(flow: &Facts<'_>, free: f64) -> f64 {
    let mean = flow.subject.started_ms.map(|started_ms| {
        let from_ms = started_ms.max(flow.span.from_ms);
        let seconds = flow.span.to_ms.saturating_sub(from_ms) as f64 / 1000.0;
        let busy = flow.span.integrals[Gauge::Busy as usize] / 1000.0;
        if seconds > 0.0 {
            busy / seconds
        } else {
            flow.busy()
        }
    });
    let places = mean.unwrap_or(free).max(flow.busy()).max(1.0);
    places.min(PLACES_MAX).min(flow.open() as f64)
}

struct Draw {
    noise: Noise,
    table: Vec<f64>,
    again: f64,
}

impl Draw {
    fn one(&mut self) -> f64 {
        let place = (self.noise.unit() * self.table.len() as f64) as usize;
        self.table[place.min(self.table.len() - 1)]
    }

    /// Seconds of a task with all its attempts.
    fn task(&mut self) -> f64 {
        let mut seconds = self.one();
        while self.noise.unit() < self.again {
            seconds += self.one();
        }
        seconds
    }
}

/// One ending: tasks in progress have a part of theirs behind them.
fn run(flow: &Facts<'_>, places: f64, draw: &mut Draw) -> f64 {
    // Between two whole numbers of places, now the one and now the other.
    let whole = places.floor() + f64::from(u8::from(draw.noise.unit() < places.fract()));
    let mut free_at = vec![0.0_f64; whole.max(1.0) as usize];
    let open = flow.open();
    let simulated = open.min(TASKS_MAX);
    for k in 0..simulated {
        let mut seconds = draw.task();
        if (k as f64) < flow.busy() {
            seconds *= draw.noise.unit();
        }
        if let Some(first) = free_at.iter_mut().min_by(|a, b| a.total_cmp(b)) {
            *first += seconds;
        }
    }
    let last = free_at.iter().copied().fold(0.0, f64::max);
    let rest = (open - simulated) as f64;
    if rest == 0.0 {
        return last;
    }
    let n = draw.table.len() as f64;
    let mean = draw.table.iter().sum::<f64>() / n;
    let variance = draw.table.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let tries = 1.0 / (1.0 - draw.again);
    let work = rest * mean * tries + (rest * variance * tries).sqrt() * draw.noise.normal();
    last + work.max(0.0) / free_at.len() as f64
}
