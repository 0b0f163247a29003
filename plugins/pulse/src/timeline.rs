//! What happened to one subject, in buckets of time.
//!
//! Owns four rings of buckets (seconds, ten seconds, two minutes, hours) and one total since
//! the subject was first seen. An event costs the same whatever happened before; a window is
//! answered from the finest ring that still reaches back so far, so it is exact to that
//! ring's step. Only buckets in which something happened exist. Knows nothing of what the
//! counts and gauges mean to a flow, an agent or a resource.
//!
//! Invariants: times never fall (callers clamp them); in a ring, buckets are in rising order
//! and the last holds the subject's newest event; between two buckets each gauge keeps the
//! value that the earlier one ended with.

use crate::bucket::{Bucket, Count, GAUGES, Gauge, Measure, Span, Step, Steps, ratio};
use crate::sketch::{Observation, Sketch};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// (milliseconds of a bucket, buckets kept) of each ring: 2 minutes, 30 minutes, 6 hours
/// and 14 days back.
const RINGS: [(u64, u64); 4] = [
    (1_000, 120),
    (10_000, 180),
    (120_000, 180),
    (3_600_000, 336),
];

/// The history of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Timeline {
    first_ms: u64,
    last_ms: u64,
    now: [f64; GAUGES],
    total: Bucket,
    rings: [VecDeque<Bucket>; 4],
    bins: usize,
}

impl Timeline {
    /// A timeline that begins now, with every gauge at 0.
    pub(crate) fn new(time_ms: u64) -> Self {
        Self {
            first_ms: time_ms,
            last_ms: time_ms,
            now: [0.0; GAUGES],
            total: Bucket::new(0, time_ms, &[0.0; GAUGES]),
            rings: Default::default(),
            bins: 0,
        }
    }

    /// When it was last seen.
    pub(crate) fn last_ms(&self) -> u64 {
        self.last_ms
    }

    /// A gauge's present value.
    pub(crate) fn now(&self, gauge: Gauge) -> f64 {
        self.now[gauge as usize]
    }

    /// A count since the first sight.
    pub(crate) fn ever(&self, count: Count) -> u64 {
        self.total.counts[count as usize]
    }

    /// Everything measured since the first sight.
    pub(crate) fn ever_measured(&self, measure: Measure) -> &Sketch {
        &self.total.measures[measure as usize]
    }

    /// Bytes that it takes, about.
    pub(crate) fn weight(&self) -> usize {
        let buckets: usize = self.rings.iter().map(VecDeque::len).sum();
        size_of::<Self>() + buckets * size_of::<Bucket>() + self.bins * size_of::<(i32, u32)>()
    }

    /// Counts one more.
    pub(crate) fn count(&mut self, time_ms: u64, count: Count) {
        self.current(time_ms, |bucket| bucket.counts[count as usize] += 1);
    }

    /// Adds a measured value.
    pub(crate) fn measure(&mut self, time_ms: u64, measure: Measure, value: Observation) {
        let mut grown = 0;
        self.current(time_ms, |bucket| {
            let sketch = &mut bucket.measures[measure as usize];
            let before = sketch.bins();
            sketch.add(value);
            grown += sketch.bins() - before;
        });
        self.bins += grown;
    }

    /// Sets a gauge.
    pub(crate) fn set(&mut self, time_ms: u64, gauge: Gauge, value: f64) {
        self.now[gauge as usize] = value;
        let peak = ratio(
            self.now[Gauge::Busy as usize],
            self.now[Gauge::Capacity as usize],
        );
        self.current(time_ms, |bucket| {
            let cell = &mut bucket.gauges[gauge as usize];
            cell.integral += cell.value * time_ms.saturating_sub(cell.since_ms) as f64;
            cell.value = value;
            cell.since_ms = time_ms;
            cell.max = cell.max.max(value);
            bucket.peak = bucket.peak.max(peak);
        });
    }

    /// Everything between two times; `from_ms` is rounded to a bucket's start.
    pub(crate) fn span(&self, from_ms: u64, to_ms: u64) -> Span {
        let to_ms = to_ms.max(self.last_ms);
        if from_ms <= self.first_ms {
            let mut span = Span {
                from_ms: self.first_ms,
                to_ms,
                ..Span::default()
            };
            span.absorb(&self.total);
            for (integral, cell) in span.integrals.iter_mut().zip(&self.total.gauges) {
                *integral = cell.until(to_ms);
            }
            return span;
        }
        let (ring, first) = self.ring_for(from_ms, to_ms);
        let from_ms = (first * RINGS[ring].0).max(self.first_ms);
        let mut span = Span {
            from_ms,
            to_ms,
            integrals: self.integrals(ring, from_ms, to_ms),
            ..Span::default()
        };
        let buckets = &self.rings[ring];
        for bucket in buckets.range(buckets.partition_point(|b| b.index < first)..) {
            span.absorb(bucket);
        }
        span.peak = span.peak.max(self.peak_at(ring, first));
        span
    }

    /// At most `steps_max` equal steps between two times.
    pub(crate) fn steps(&self, from_ms: u64, to_ms: u64, steps_max: u64) -> Steps {
        let to_ms = to_ms.max(self.last_ms);
        let (ring, first) = self.ring_for(from_ms.max(self.first_ms), to_ms);
        let bucket_ms = RINGS[ring].0;
        let count = to_ms / bucket_ms - first + 1;
        let mut step_ms = bucket_ms * count.div_ceil(steps_max.max(1));
        // Rounding the start down to a whole step may add one step too many.
        if to_ms / step_ms - first * bucket_ms / step_ms >= steps_max.max(1) {
            step_ms += bucket_ms;
        }
        let oldest = (to_ms / bucket_ms + 1).saturating_sub(RINGS[ring].1) * bucket_ms;
        let mut start_ms = first * bucket_ms / step_ms * step_ms;
        if start_ms < oldest {
            start_ms += step_ms;
        }
        let mut steps = Vec::new();
        let mut at = start_ms;
        while at <= to_ms {
            steps.push(self.step(ring, at, (at + step_ms).min(to_ms.max(at))));
            at += step_ms;
        }
        Steps {
            start_ms,
            step_ms,
            steps,
        }
    }

    fn step(&self, ring: usize, from_ms: u64, to_ms: u64) -> Step {
        let bucket_ms = RINGS[ring].0;
        let seen_from = from_ms.max(self.first_ms);
        let mut step = Step {
            seen_ms: to_ms.saturating_sub(seen_from),
            ..Step::default()
        };
        if to_ms > seen_from {
            step.integrals = self.integrals(ring, seen_from, to_ms);
        }
        let buckets = &self.rings[ring];
        let first = buckets.partition_point(|b| b.index < from_ms / bucket_ms);
        let (mut sum, mut count) = (0.0, 0);
        for bucket in buckets.range(first..) {
            if bucket.index * bucket_ms >= to_ms.max(from_ms + 1) {
                break;
            }
            for (all, more) in step.counts.iter_mut().zip(bucket.counts) {
                *all += more;
            }
            let latency = &bucket.measures[Measure::Latency as usize];
            sum += latency.sum();
            count += latency.count();
        }
        step.latency = (count > 0).then(|| sum / count as f64);
        step
    }

    /// The finest ring that reaches back to `from_ms`, and its first bucket's index.
    fn ring_for(&self, from_ms: u64, to_ms: u64) -> (usize, u64) {
        for (ring, (bucket_ms, length)) in RINGS.into_iter().enumerate() {
            let (first, last) = (from_ms / bucket_ms, to_ms / bucket_ms);
            if last - first.min(last) < length {
                return (ring, first.min(last));
            }
        }
        let (bucket_ms, length) = RINGS[3];
        (3, (to_ms / bucket_ms + 1).saturating_sub(length))
    }

    /// Value × milliseconds of each gauge; `to_ms` is a bucket's end, or not before the
    /// newest event.
    fn integrals(&self, ring: usize, from_ms: u64, to_ms: u64) -> [f64; GAUGES] {
        let bucket_ms = RINGS[ring].0;
        let buckets = &self.rings[ring];
        let first = buckets.partition_point(|b| b.index < from_ms / bucket_ms);
        let mut sums = [0.0; GAUGES];
        let mut at = from_ms;
        let mut held = self.held_before(ring, first);
        for bucket in buckets.range(first..) {
            let start = (bucket.index * bucket_ms).max(from_ms);
            if start >= to_ms {
                break;
            }
            let end = ((bucket.index + 1) * bucket_ms).min(to_ms);
            for (k, cell) in bucket.gauges.iter().enumerate() {
                sums[k] += held[k] * start.saturating_sub(at) as f64 + cell.until(end);
                held[k] = cell.value;
            }
            at = end;
        }
        for (sum, value) in sums.iter_mut().zip(held) {
            *sum += value * to_ms.saturating_sub(at) as f64;
        }
        sums
    }

    /// What the gauges stood at before the bucket at this place in a ring.
    fn held_before(&self, ring: usize, place: usize) -> [f64; GAUGES] {
        match self.rings[ring].get(place) {
            Some(bucket) => [0, 1, 2].map(|k| bucket.gauges[k].at_start),
            None => self.now,
        }
    }

    fn peak_at(&self, ring: usize, first: u64) -> f64 {
        let place = self.rings[ring].partition_point(|b| b.index < first);
        let held = self.held_before(ring, place);
        ratio(held[Gauge::Busy as usize], held[Gauge::Capacity as usize])
    }

    /// Applies a change to the total and to the present bucket of each ring.
    fn current(&mut self, time_ms: u64, mut change: impl FnMut(&mut Bucket)) {
        self.last_ms = time_ms;
        change(&mut self.total);
        for (ring, (bucket_ms, length)) in RINGS.into_iter().enumerate() {
            let buckets = &mut self.rings[ring];
            let index = time_ms / bucket_ms;
            if buckets.back().is_none_or(|last| last.index < index) {
                // A gauge that is being set has its old value at the bucket's start.
                let held = match buckets.back() {
                    Some(last) => [0, 1, 2].map(|k| last.gauges[k].value),
                    None => [0.0; GAUGES],
                };
                let start = (index * bucket_ms).max(self.first_ms);
                buckets.push_back(Bucket::new(index, start, &held));
                while buckets.front().is_some_and(|b| b.index + length <= index) {
                    if let Some(gone) = buckets.pop_front() {
                        self.bins -= gone.measures.iter().map(Sketch::bins).sum::<usize>();
                    }
                }
            }
            if let Some(bucket) = buckets.back_mut() {
                change(bucket);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const T0: u64 = 1_700_000_000_000;

    /// Busy 2 of 4 from T0, 4 of 4 from 10 s, 0 of 4 from 20 s.
    fn busy() -> Timeline {
        let mut line = Timeline::new(T0);
        line.set(T0, Gauge::Capacity, 4.0);
        line.set(T0, Gauge::Busy, 2.0);
        line.set(T0 + 10_000, Gauge::Busy, 4.0);
        line.set(T0 + 20_000, Gauge::Busy, 0.0);
        line
    }

    #[test]
    fn utilization_is_an_integral_over_time() {
        let line = busy();
        let whole = line.span(0, T0 + 40_000);
        assert_eq!(
            whole.utilization(),
            Some((2.0 * 10.0 + 4.0 * 10.0) / (4.0 * 40.0))
        );
        assert_eq!(whole.peak, 1.0);
        // The last 25 s: 5 s at 2, 10 s at 4, 10 s at 0.
        let late = line.span(T0 + 5_000, T0 + 30_000);
        assert_eq!(late.utilization(), Some((10.0 + 40.0) / 100.0));
        // After everything: nothing is busy, and no bucket exists.
        let after = line.span(T0 + 30_000, T0 + 50_000);
        assert_eq!((after.utilization(), after.peak), (Some(0.0), 0.0));
        // A coarser ring gives the same where its steps allow.
        let coarse = line.span(T0 + 1, T0 + 400_000);
        assert_eq!(coarse.utilization(), Some(60.0 / 1600.0));
    }

    #[test]
    fn steps_carry_gauges_across_gaps() {
        let steps = busy().steps(0, T0 + 25_000, 120);
        assert_eq!(
            (steps.start_ms, steps.step_ms, steps.steps.len()),
            (T0, 1000, 26)
        );
        let values: Vec<f64> = steps.steps[..25]
            .iter()
            .map(|s| s.utilization().unwrap())
            .collect();
        let expected: Vec<f64> = [0.5; 10]
            .into_iter()
            .chain([1.0; 10])
            .chain([0.0; 5])
            .collect();
        assert_eq!(values, expected);
        assert_eq!(steps.steps[25].seen_ms, 0);
        let wide = busy().steps(0, T0 + 25_000, 10);
        assert_eq!((wide.step_ms, wide.steps.len()), (3000, 10));
    }

    #[test]
    fn windows_are_exact_to_the_bucket_and_rings_forget() {
        let mut line = Timeline::new(T0);
        for second in 0..3600 {
            line.count(T0 + second * 1000 + 500, Count::Completed);
            let value = Observation::of(1.0 + (second / 1800) as f64).unwrap();
            line.measure(T0 + second * 1000 + 500, Measure::Latency, value);
        }
        let now = T0 + 3_600_000 - 1;
        assert_eq!(line.span(0, now).count(Count::Completed), 3600);
        let minute = line.span(now - 59_999, now);
        assert_eq!(minute.count(Count::Completed), 60);
        assert_eq!(minute.measure(Measure::Latency).mean(), Some(2.0));
        // 40 minutes are answered from two-minute buckets.
        let forty = line.span(now - 2_399_999, now);
        assert_eq!(forty.from_ms % 120_000, 0);
        assert_eq!(
            forty.count(Count::Completed),
            (now + 1 - forty.from_ms) / 1000
        );
        assert!(line.rings[0].len() <= 120 && line.rings[1].len() <= 180);
        let bins: usize = line
            .rings
            .iter()
            .flatten()
            .map(|b| b.measures[0].bins())
            .sum();
        assert_eq!(line.bins, bins + line.total.measures[0].bins());
    }

    #[test]
    fn steps_sum_to_the_span_at_every_scale() {
        for spacing in [37, 900, 15_000, 700_000] {
            let mut line = Timeline::new(T0 + 123);
            for k in 0..1000_u64 {
                let time = T0 + 123 + k * spacing;
                line.count(time, Count::Events);
                line.set(time, Gauge::Busy, (k % 7) as f64);
            }
            let now = T0 + 123 + 1000 * spacing;
            let steps = line.steps(0, now, 120);
            assert!(
                steps.steps.len() <= 120 && steps.steps.len() >= 30,
                "{}",
                steps.steps.len()
            );
            assert_eq!(
                steps
                    .steps
                    .iter()
                    .map(|s| s.count(Count::Events))
                    .sum::<u64>(),
                1000
            );
            let sum: f64 = steps.steps.iter().map(|s| s.integrals[0]).sum();
            assert!((sum - line.span(0, now).integrals[0]).abs() < 1e-6 * sum);
        }
    }
}
