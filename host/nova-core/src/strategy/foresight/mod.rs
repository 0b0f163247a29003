//! How good forecasts were: the objective of analytics processors on trial.
//!
//! What both sides of a canary forecast is kept until it can be held against the recorded events; the mean of the
//! errors ([`track`]) is the side's objective. Only what both sides forecast counts, no further ahead than either
//! does in the mean, and each metric with the same weight on both sides: the one that forecasts easier metrics, or
//! less far, is not the better one for that. A forecast whose values never come is dropped.
//!
//! Scored is what the host can tell from the events of a step: user metrics (the mean of what was measured) and the
//! `throughput` of flows and agents (completed tasks a second). Pure: who reads the events, and who asks, is elsewhere.
//! Everything is bounded; what comes above a bound is not scored.

mod followed;
mod track;

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::analytics::{AnalyticsReport, Forecast, Scope};
use super::canary::{Arm, Comparison};
use crate::domain::{Domain, Event, MetricName, Timestamp, USER_METRIC_PREFIX};
use followed::Followed;
pub use followed::Gap;
use track::Expected;

/// Reports of one side that wait for what they forecast.
pub const WAITING_MAX: usize = 4096;
/// Bytes of one side's forecasts that wait, about.
pub const WAITING_BYTES_MAX: usize = 2 << 20;
/// Metrics of single subjects that are followed.
pub const TRACKS_MAX: usize = 256;
/// Domains that are followed.
pub const DOMAINS_MAX: usize = 64;
/// Metrics whose forecasts are told apart, over all subjects and domains.
pub const CLASSES_MAX: usize = 128;
/// Events of any domain that the past of a metric is looked for in: the newest before its first forecast.
pub const LOOK_BACK_EVENTS: u64 = 10_000;

/// Steps of one forecast that are kept.
const STEPS_MAX: usize = 240;
/// Events are recorded so long after their time at most.
const LATE_S: f64 = 2.0;

/// One of the two sides of a canary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// What is on trial.
    Canary,
    /// The default.
    Others,
}

/// Whose forecasts are compared: another canary, or another revision on either side, begins anew.
#[derive(Clone, PartialEq, Debug)]
pub struct Era {
    /// When the canary began.
    pub started_at: Timestamp,
    /// The revision on trial.
    pub canary: Option<u64>,
    /// The default's.
    pub others: Option<u64>,
    /// As in [`Comparison::begun_anew`].
    pub begun_anew: u64,
}

impl Era {
    /// The present one.
    pub fn of(started_at: Timestamp, seen: &Comparison) -> Self {
        Self {
            started_at,
            canary: seen.canary.revision,
            others: seen.others.revision,
            begun_anew: seen.begun_anew,
        }
    }

    /// The revision of a side.
    pub fn revision(&self, side: Side) -> Option<u64> {
        match side {
            Side::Canary => self.canary,
            Side::Others => self.others,
        }
    }
}

/// A report that was given, and by which side.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// By which side.
    pub side: Side,
    /// On which domain's events.
    pub domain: &'a Domain,
    /// About what.
    pub scope: Scope,
    /// When it was asked for.
    pub at: Timestamp,
    /// Nothing is waited for beyond: the canary's end.
    pub until: Timestamp,
    /// The report.
    pub report: &'a AnalyticsReport,
}

/// A metric in a scope, whoever's.
type Class = (Scope, String);

/// The forecasts that wait, the events that they wait for, and what came of those before.
#[derive(Default, Debug)]
pub struct Ledger {
    era: Option<Era>,
    domains: BTreeMap<Domain, Followed>,
    waiting: [Vec<Waiting>; 2],
    classes: BTreeMap<Class, [Sum; 2]>,
    /// Reports with a forecast that was scored.
    rated: [u64; 2],
}

/// What is known of one side's forecasts of a metric.
#[derive(Clone, Copy, Default, Debug)]
struct Sum {
    /// How many there were, and how far ahead they looked together.
    noted: u64,
    ahead_ms: u64,
    scored: u64,
    error_sum: f64,
}

/// A report that waits.
#[derive(Debug)]
struct Waiting {
    domain: Domain,
    made_ms: u64,
    /// One of its forecasts was scored.
    is_rated: bool,
    bytes: usize,
    forecasts: Vec<Foretold>,
}

#[derive(Debug)]
struct Foretold {
    class: Class,
    subject: Option<String>,
    expected: Expected,
}

impl Sum {
    fn mean(&self) -> f64 {
        self.error_sum / self.scored as f64
    }

    fn mean_ahead_ms(&self) -> Option<u64> {
        self.ahead_ms.checked_div(self.noted)
    }
}

impl Ledger {
    /// Begins anew where `era` is another one than before.
    pub fn begin(&mut self, era: &Era) {
        if self.era.as_ref() != Some(era) {
            *self = Self {
                era: Some(era.clone()),
                ..Self::default()
            };
        }
    }

    /// Forgets everything: no canary runs.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Keeps what a report forecasts, as far as it can be scored and there is room.
    pub fn note(&mut self, given: &Given<'_>) {
        let made_ms = ms(given.at);
        let side = given.side as usize;
        let own: Vec<&str> = own_names(given.report).collect();
        let mut forecasts = Vec::new();
        for forecast in &given.report.forecasts {
            let Some(name) = measured(given.scope, forecast, &own) else {
                continue;
            };
            let grid = (ms(forecast.start), forecast.step_ms);
            let times = (made_ms, ms(given.until));
            let Some(expected) = Expected::of(grid, &forecast.mean, times, STEPS_MAX) else {
                continue;
            };
            forecasts.push(Foretold {
                class: (given.scope, name.to_owned()),
                subject: forecast.subject.clone(),
                expected,
            });
        }
        let mut fresh = BTreeSet::new();
        forecasts.retain(|f| {
            let is_known = self.classes.contains_key(&f.class) || fresh.contains(&f.class);
            let has_room = self.classes.len() + fresh.len() < CLASSES_MAX;
            is_known || (has_room && fresh.insert(f.class.clone()))
        });
        let bytes = forecasts.iter().map(Foretold::size_bytes).sum();
        let waiting = &self.waiting[side];
        let waiting_bytes: usize = waiting.iter().map(|w| w.bytes).sum();
        let is_full = waiting.len() >= WAITING_MAX || waiting_bytes + bytes > WAITING_BYTES_MAX;
        if forecasts.is_empty() || is_full || !self.follow(given, &forecasts) {
            return;
        }
        for f in &forecasts {
            let sums = self.classes.entry(f.class.clone()).or_default();
            sums[side].noted += 1;
            sums[side].ahead_ms += f.expected.end_ms().saturating_sub(made_ms);
        }
        self.waiting[side].push(Waiting {
            domain: given.domain.clone(),
            made_ms,
            is_rated: false,
            bytes,
            forecasts,
        });
    }

    /// Follows what is forecast. Whether any of it is.
    fn follow(&mut self, given: &Given<'_>, forecasts: &[Foretold]) -> bool {
        let mut tracks: usize = self.domains.values().map(Followed::len).sum();
        if !self.domains.contains_key(given.domain) && self.domains.len() >= DOMAINS_MAX {
            return false;
        }
        let covers_seq = given.report.covers_seq;
        let followed = self.domains.entry(given.domain.clone());
        let followed = followed.or_insert_with(|| Followed::new(covers_seq));
        let mut any = false;
        for f in forecasts {
            let is_known = followed.knows(&f.class, f.subject.as_ref());
            if !is_known && tracks >= TRACKS_MAX {
                continue;
            }
            if !is_known {
                followed.add(&f.class, f.subject.clone(), covers_seq);
                tracks += 1;
            }
            any = true;
        }
        any
    }

    /// What of the past is to be read; [`Ledger::fill`] takes it, [`Ledger::filled`] ends it.
    pub fn gaps(&mut self) -> Vec<Gap> {
        let all = self.domains.iter_mut();
        all.filter_map(|(domain, followed)| followed.gap(domain))
            .collect()
    }

    /// Takes in some of the events of a gap, in order.
    pub fn fill(&mut self, gap: &Gap, events: &[Event]) {
        if let Some(followed) = self.domains.get_mut(&gap.domain) {
            followed.fill(gap, events);
        }
    }

    /// All events of a gap were taken in.
    pub fn filled(&mut self, gap: &Gap, now: Timestamp) {
        if let Some(followed) = self.domains.get_mut(&gap.domain) {
            followed.filled(gap, ms(now));
        }
    }

    /// The domains whose new events are to be read, and the `seq` after which.
    pub fn followed(&self) -> Vec<(Domain, u64)> {
        let all = self.domains.iter();
        all.map(|(domain, followed)| (domain.clone(), followed.seen_seq()))
            .collect()
    }

    /// Takes in events that follow those of the last time; `is_all` says that nothing more was recorded.
    pub fn take(&mut self, domain: &Domain, events: &[Event], is_all: bool) {
        if let Some(followed) = self.domains.get_mut(domain) {
            followed.take(events, is_all);
        }
    }

    /// Scores the forecasts whose time has passed; `now` is a time before the events were read.
    pub fn settle(&mut self, now: Timestamp) {
        for side in [Side::Canary, Side::Others] {
            let mut waiting = mem::take(&mut self.waiting[side as usize]);
            for report in &mut waiting {
                let forecasts = mem::take(&mut report.forecasts);
                for forecast in forecasts {
                    let until = self.due(side, report, &forecast);
                    let end_ms = until.unwrap_or_else(|| forecast.expected.end_ms());
                    if !self.is_over(&report.domain, end_ms, ms(now)) {
                        report.forecasts.push(forecast);
                        continue;
                    }
                    report.bytes -= forecast.size_bytes();
                    if let Some(error) = until.and_then(|_| self.error(report, &forecast, end_ms)) {
                        let is_first = !mem::replace(&mut report.is_rated, true);
                        self.rated[side as usize] += u64::from(is_first);
                        let sums = self.classes.entry(forecast.class).or_default();
                        sums[side as usize].scored += 1;
                        sums[side as usize].error_sum += error;
                    }
                }
            }
            waiting.retain(|report| !report.forecasts.is_empty());
            self.waiting[side as usize] = waiting;
        }
    }

    fn error(&self, report: &Waiting, of: &Foretold, until_ms: u64) -> Option<f64> {
        let followed = self.domains.get(&report.domain)?;
        let track = followed.track(&of.class, of.subject.as_ref())?;
        track.error(&of.expected, report.made_ms, until_ms)
    }

    /// Up to when a forecast is held against what came: no further ahead than either side looks in the mean, but
    /// its first step at least. None = the other side does not forecast the metric.
    fn due(&self, side: Side, report: &Waiting, f: &Foretold) -> Option<u64> {
        let sums = self.classes.get(&f.class)?;
        let other = sums[1 - side as usize].mean_ahead_ms()?;
        let ahead_ms = sums[side as usize].mean_ahead_ms()?.min(other);
        Some(f.expected.end_by(report.made_ms + ahead_ms))
    }

    fn is_over(&self, domain: &Domain, end_ms: u64, now_ms: u64) -> bool {
        let late_ms = (LATE_S * 1000.0) as u64;
        let followed = self.domains.get(domain);
        followed.is_none_or(|f| f.is_past(end_ms, now_ms.saturating_sub(late_ms)))
    }

    /// The comparison with each side's mean error as its objective, where `era` is that of the forecasts.
    pub fn rate(&self, era: &Era, mut seen: Comparison) -> Comparison {
        if self.era.as_ref() != Some(era) {
            return seen;
        }
        let (mut weights, mut sums) = (0.0, [0.0; 2]);
        for of in self.classes.values() {
            // The same weight on both sides, and no more than the scarcer one bears out.
            let weight = of[0].scored.min(of[1].scored) as f64;
            if weight > 0.0 {
                weights += weight;
                sums = [0, 1].map(|side| sums[side] + weight * of[side].mean());
            }
        }
        if weights > 0.0 {
            let set = |arm: &mut Arm, side: Side| {
                arm.rated = self.rated[side as usize];
                arm.objective = sums[side as usize] / weights;
            };
            set(&mut seen.canary, Side::Canary);
            set(&mut seen.others, Side::Others);
        }
        seen
    }
}

impl Foretold {
    fn size_bytes(&self) -> usize {
        let subject = self.subject.as_ref().map_or(0, String::len);
        8 * self.expected.mean.len() + self.class.1.len() + subject + 128
    }
}

fn ms(at: Timestamp) -> u64 {
    u64::try_from(at.millis()).unwrap_or(0)
}

/// Names that the report uses for numbers of its own: recorded ones of the same name have a prefix there.
fn own_names(report: &AnalyticsReport) -> impl Iterator<Item = &str> {
    let metrics = report.metrics.iter().map(|m| m.name.as_str());
    let series = report.series.iter().map(|s| s.name.as_str());
    let forecasts = report.forecasts.iter().map(|f| f.name.as_str());
    let all = metrics.chain(series).chain(forecasts);
    all.filter_map(|name| name.strip_prefix(USER_METRIC_PREFIX))
}

/// The recorded name of what is forecast; none where its values are not ours to tell.
fn measured<'a>(scope: Scope, forecast: &'a Forecast, own: &[&str]) -> Option<&'a str> {
    let name = forecast.name.as_str();
    if name == followed::THROUGHPUT {
        return (scope != Scope::Resources && forecast.unit == "1/s").then_some(name);
    }
    let recorded = name.strip_prefix(USER_METRIC_PREFIX).unwrap_or(name);
    let is_own = recorded == name && own.contains(&name);
    (!is_own && recorded.parse::<MetricName>().is_ok()).then_some(recorded)
}

#[cfg(test)]
mod tests;
