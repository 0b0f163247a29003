//! The newest values of a stream as they were measured.
//!
//! Owns a ring of points and how it becomes a series of equal steps. Knows nothing of what
//! is measured.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Points kept.
const POINTS_MAX: usize = 2560;
/// Steps within this part of the usual one count as equal to it.
const EQUAL_WITHIN: f64 = 0.25;
/// Such a part of the steps must be equal, else the points are put on a grid.
const EQUAL_LEAST: f64 = 0.8;

/// The ring.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Samples {
    last_ms: u64,
    /// Milliseconds since the point before, and the value.
    points: VecDeque<(u64, f64)>,
}

/// Values in equal steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Equal {
    /// Time of the first value.
    pub(crate) start_ms: u64,
    pub(crate) step_ms: u64,
    pub(crate) values: Vec<f64>,
}

impl Samples {
    /// Adds a point; times never fall.
    pub(crate) fn add(&mut self, time_ms: u64, value: f64) {
        let since = if self.points.is_empty() {
            0
        } else {
            time_ms.saturating_sub(self.last_ms)
        };
        self.last_ms = time_ms;
        self.points.push_back((since, value));
        if self.points.len() > POINTS_MAX {
            self.points.pop_front();
        }
    }

    /// Bytes that it takes, about; a saved point is larger for its size than anything else, so
    /// it counts double.
    pub(crate) fn weight(&self) -> usize {
        self.points.len() * 2 * size_of::<(u64, f64)>()
    }

    /// The points from `from_ms` on in equal steps: as they are where nearly all of them came at
    /// one distance, else the mean of each step, or the last one where nothing came. None of
    /// fewer than two points, or when all came at once.
    pub(crate) fn equal(&self, from_ms: u64) -> Option<Equal> {
        let mut times = Vec::with_capacity(self.points.len());
        let mut at = self.last_ms;
        for (since, _) in self.points.iter().rev() {
            times.push(at);
            at = at.saturating_sub(*since);
        }
        times.reverse();
        let first = times.partition_point(|&time| time < from_ms);
        let times = &times[first..];
        let values = self.points.iter().skip(first).map(|point| point.1);
        let mut steps: Vec<u64> = times.windows(2).map(|two| two[1] - two[0]).collect();
        if steps.is_empty() {
            return None;
        }
        let all = steps.len();
        let usual = *steps.select_nth_unstable(all / 2).1;
        let near = |step: &&u64| step.abs_diff(usual) as f64 <= EQUAL_WITHIN * usual as f64;
        let equal = steps.iter().filter(near).count();
        let span = times[times.len() - 1] - times[0];
        if usual > 0 && equal as f64 >= EQUAL_LEAST * all as f64 {
            let values: Vec<f64> = values.collect();
            let start_ms = self
                .last_ms
                .saturating_sub(usual * (values.len() as u64 - 1));
            return Some(Equal {
                start_ms,
                step_ms: usual,
                values,
            });
        }
        let step_ms = usual.max(span.div_ceil(POINTS_MAX as u64));
        if step_ms == 0 {
            return None;
        }
        let mut grid: Vec<(f64, u32)> = vec![(0.0, 0); (span / step_ms) as usize + 1];
        for (time, value) in times.iter().zip(values) {
            let cell = &mut grid[((time - times[0]) / step_ms) as usize];
            *cell = (cell.0 + value, cell.1 + 1);
        }
        let mut last = 0.0;
        let means = grid.into_iter().map(|(sum, count)| {
            if count > 0 {
                last = sum / f64::from(count);
            }
            last
        });
        Some(Equal {
            start_ms: times[0],
            step_ms,
            values: means.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn samples(points: &[(u64, f64)]) -> Samples {
        let mut samples = Samples::default();
        points
            .iter()
            .for_each(|(time, value)| samples.add(*time, *value));
        samples
    }

    #[test]
    fn regular_points_stay_as_they_are() {
        let points: Vec<(u64, f64)> = (0..10).map(|k| (1000 + k * 60 + k % 2, k as f64)).collect();
        let equal = samples(&points).equal(0).unwrap();
        assert_eq!((equal.step_ms, equal.values.len()), (61, 10));
        let late = samples(&points).equal(1300).unwrap();
        assert_eq!(late.values, [5.0, 6.0, 7.0, 8.0, 9.0]);
    }

    #[test]
    fn others_are_put_on_a_grid_and_gaps_hold_the_last() {
        let points = [
            (0, 1.0),
            (10, 3.0),
            (20, 5.0),
            (25, 7.0),
            (70, 9.0),
            (71, 11.0),
        ];
        let equal = samples(&points).equal(0).unwrap();
        assert_eq!(
            equal,
            Equal {
                start_ms: 0,
                step_ms: 10,
                values: vec![1.0, 3.0, 6.0, 6.0, 6.0, 6.0, 6.0, 10.0],
            }
        );
        assert_eq!(samples(&points[..1]).equal(0), None);
        assert_eq!(samples(&[(5, 1.0), (5, 2.0), (5, 3.0)]).equal(0), None);
    }

    #[test]
    fn the_ring_is_bounded() {
        let mut samples = Samples::default();
        (0..10_000).for_each(|k| samples.add(k * 7, 0.5));
        assert_eq!(samples.points.len(), POINTS_MAX);
        let equal = samples.equal(0).unwrap();
        assert_eq!(equal.start_ms + 7 * (POINTS_MAX as u64 - 1), 69_993);
    }
}
