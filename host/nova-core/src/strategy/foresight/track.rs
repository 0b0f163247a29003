//! What a metric turned out to be, and how far a forecast of it was off.
//!
//! The error is the mean absolute scaled error (MASE; Hyndman and Koehler, "Another look at measures of forecast
//! accuracy", International Journal of Forecasting 22 (2006), 679–688): the mean absolute error of the forecast's
//! steps ÷ the mean absolute change from one step to the next before the forecast was made. It has no unit; 1 is
//! what repeating the last value for one step would have cost in the past, 0 is a perfect forecast.

use std::collections::VecDeque;

/// Points kept of one metric, the newest.
pub(super) const POINTS_MAX: usize = 2048;
/// Steps before the forecast that the changes are taken from, at most.
const HISTORY_STEPS: u64 = 120;
/// Of fewer changes no scale is made.
const CHANGES_LEAST: usize = 3;
/// Errors above count as this: a metric that hardly ever moved must not outweigh all others.
const ERROR_MAX: f64 = 100.0;

/// What the value of a step is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Measure {
    /// Points ÷ seconds of the step; 0 where there are none.
    Rate,
    /// The mean of the points; none where there are none.
    Mean,
}

/// A metric of one subject, as it was recorded.
#[derive(Debug)]
pub(super) struct Track {
    measure: Measure,
    /// Milliseconds since 1970, rising or equal, and the value.
    points: VecDeque<(u64, f64)>,
    /// From here on every point is known; none = nothing was looked at yet.
    whole_from_ms: Option<u64>,
}

/// Expected values, in equal steps.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Expected {
    /// Start of the first step; no step begins before the forecast was made.
    pub(super) start_ms: u64,
    pub(super) step_ms: u64,
    pub(super) mean: Vec<f64>,
}

impl Expected {
    /// What can be held against a forecast that was made at `made_ms`: steps that begin later and end by `until_ms`,
    /// at most `steps_max`. None = there are no such steps.
    pub(super) fn of(
        (start_ms, step_ms): (u64, u64),
        mean: &[f64],
        (made_ms, until_ms): (u64, u64),
        steps_max: usize,
    ) -> Option<Self> {
        let step_ms = step_ms.max(1);
        let begun = made_ms.saturating_sub(start_ms).div_ceil(step_ms);
        let start_ms = start_ms.checked_add(begun.checked_mul(step_ms)?)?;
        let in_time = until_ms.saturating_sub(start_ms) / step_ms;
        let mean = mean.get(usize::try_from(begun).ok()?..)?;
        let most = usize::try_from(in_time)
            .unwrap_or(usize::MAX)
            .min(steps_max);
        let mean = mean[..most.min(mean.len())].to_vec();
        (!mean.is_empty()).then_some(Self {
            start_ms,
            step_ms,
            mean,
        })
    }

    /// End of the last step.
    pub(super) fn end_ms(&self) -> u64 {
        self.start_ms + self.mean.len() as u64 * self.step_ms
    }

    /// End of the last step that ends by `until_ms`, of the first at least.
    pub(super) fn end_by(&self, until_ms: u64) -> u64 {
        let steps = until_ms.saturating_sub(self.start_ms) / self.step_ms;
        self.start_ms + steps.clamp(1, self.mean.len() as u64) * self.step_ms
    }
}

impl Track {
    pub(super) fn new(measure: Measure) -> Self {
        Self {
            measure,
            points: VecDeque::new(),
            whole_from_ms: None,
        }
    }

    /// Begins anew.
    pub(super) fn forget(&mut self) {
        self.points.clear();
        self.whole_from_ms = None;
    }

    /// Every point from here on is going to be added, unless that is known of an earlier time.
    pub(super) fn look_from(&mut self, time_ms: u64) {
        self.whole_from_ms.get_or_insert(time_ms);
    }

    /// Adds a point. Clocks may step back; the history must not.
    pub(super) fn add(&mut self, time_ms: u64, value: f64) {
        let newest_ms = self.points.back().map_or(0, |point| point.0);
        self.points.push_back((time_ms.max(newest_ms), value));
        if self.points.len() > POINTS_MAX
            && let Some((gone_ms, _)) = self.points.pop_front()
        {
            self.whole_from_ms = Some(self.whole_from_ms.unwrap_or(0).max(gone_ms + 1));
        }
    }

    /// The value of a step; none where there is none, or not everything is known of it.
    fn value(&self, from_ms: u64, to_ms: u64) -> Option<f64> {
        if self.whole_from_ms.is_none_or(|whole| from_ms < whole) {
            return None;
        }
        let first = self.points.partition_point(|point| point.0 < from_ms);
        let last = self.points.partition_point(|point| point.0 < to_ms);
        let count = last.saturating_sub(first) as f64;
        match self.measure {
            Measure::Rate => Some(count / ((to_ms - from_ms) as f64 / 1000.0)),
            Measure::Mean if count > 0.0 => {
                let sum: f64 = self.points.range(first..last).map(|point| point.1).sum();
                Some(sum / count)
            }
            Measure::Mean => None,
        }
    }

    /// Mean absolute change from each step that has a value to the next, in the steps before `made_ms`, on the
    /// forecast's grid; none of too few, or where nothing ever changed.
    fn scale(&self, of: &Expected, made_ms: u64) -> Option<f64> {
        let (mut sum, mut changes) = (0.0, 0_usize);
        let mut after: Option<f64> = None;
        for back in 1..=HISTORY_STEPS {
            let before = back.checked_mul(of.step_ms);
            let Some(from_ms) = before.and_then(|ms| of.start_ms.checked_sub(ms)) else {
                break;
            };
            let to_ms = from_ms + of.step_ms;
            let value = self.value(from_ms, to_ms).filter(|_| to_ms <= made_ms);
            let Some(value) = value else {
                continue;
            };
            if let Some(after) = after.replace(value) {
                sum += f64::abs(after - value);
                changes += 1;
            }
        }
        let mean = sum / changes as f64;
        (changes >= CHANGES_LEAST && mean > 0.0).then_some(mean)
    }

    /// The error of the steps that end by `until_ms`; none where no value of them came, or the past gives no
    /// scale.
    pub(super) fn error(&self, of: &Expected, made_ms: u64, until_ms: u64) -> Option<f64> {
        let scale = self.scale(of, made_ms)?;
        let (mut sum, mut known) = (0.0, 0_usize);
        let mut from_ms = of.start_ms;
        for mean in &of.mean {
            let to_ms = from_ms + of.step_ms;
            if to_ms > until_ms {
                break;
            }
            if let Some(value) = self.value(from_ms, to_ms) {
                sum += f64::abs(value - mean);
                known += 1;
            }
            from_ms = to_ms;
        }
        (known > 0).then(|| (sum / known as f64 / scale).min(ERROR_MAX))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FOREVER: u64 = u64::MAX;

    /// One point a second from 1000 s on: 0, 1, 0, 1, …
    fn zigzag(seconds: u64, measure: Measure) -> Track {
        let mut track = Track::new(measure);
        track.look_from(1_000_000);
        for k in 0..seconds {
            track.add(1_000_000 + k * 1000, (k % 2) as f64);
        }
        track
    }

    fn expected(start_s: u64, mean: &[f64]) -> Expected {
        let made_ms = start_s * 1000;
        Expected::of((made_ms, 1000), mean, (made_ms, FOREVER), 100).unwrap()
    }

    #[test]
    fn an_error_is_measured_in_changes_of_the_past() {
        let track = zigzag(30, Measure::Mean);
        let error = |mean: &[f64]| track.error(&expected(1020, mean), 1_020_000, FOREVER);
        assert_eq!(error(&[0.0, 1.0, 0.0]), Some(0.0));
        assert_eq!(error(&[1.0, 0.0]), Some(1.0), "as the last value was");
        assert_eq!(error(&[0.5; 4]), Some(0.5));
        assert_eq!(error(&[0.0, 3.0]), Some(1.0));
        assert_eq!(error(&[1e9]), Some(ERROR_MAX));
        // Steps that are not over, or in which nothing was measured, are left out.
        assert_eq!(
            track.error(&expected(1020, &[0.0, 9.0]), 1_020_000, 1_021_000),
            Some(0.0)
        );
        assert_eq!(
            track.error(&expected(1029, &[3.0, 9.0]), 1_029_000, FOREVER),
            Some(2.0)
        );
        assert_eq!(
            track.error(&expected(1030, &[3.0]), 1_030_000, FOREVER),
            None
        );
    }

    #[test]
    fn a_rate_is_zero_where_nothing_happened() {
        let mut track = Track::new(Measure::Rate);
        track.look_from(1_000_000);
        for k in 0..10 {
            // Two in every other second.
            track.add(1_000_000 + k * 2000, 1.0);
            track.add(1_000_500 + k * 2000, 1.0);
        }
        let error = |mean: &[f64]| track.error(&expected(1014, mean), 1_014_000, 1_019_000);
        assert_eq!(error(&[2.0, 0.0, 2.0, 0.0, 2.0]), Some(0.0));
        assert_eq!(error(&[2.0, 2.0, 2.0, 2.0]), Some(0.5));
    }

    #[test]
    fn without_a_past_that_moved_there_is_no_scale() {
        let mut flat = Track::new(Measure::Mean);
        flat.look_from(0);
        for k in 0..30 {
            flat.add(1_000_000 + k * 1000, 5.0);
        }
        assert_eq!(
            flat.error(&expected(1020, &[5.0]), 1_020_000, FOREVER),
            None
        );
        let track = zigzag(30, Measure::Mean);
        let error = |start_s| track.error(&expected(start_s, &[0.0; 4]), start_s * 1000, FOREVER);
        assert_eq!(error(1003), None, "two changes are too few");
        assert!(error(1004).is_some());
        assert_eq!(
            Track::new(Measure::Rate).error(&expected(9, &[1.0]), 9000, FOREVER),
            None
        );
    }

    #[test]
    fn steps_without_a_value_are_passed_over() {
        let mut track = Track::new(Measure::Mean);
        track.look_from(1_000_000);
        for k in 0..15 {
            // Every other second only: 0, 2, 0, 2, …
            track.add(1_000_000 + k * 2000, (k % 2 * 2) as f64);
        }
        let error = track.error(&expected(1020, &[1.0; 5]), 1_020_000, FOREVER);
        assert_eq!(error, Some(0.5));
    }

    #[test]
    fn what_has_been_forgotten_is_no_value() {
        let mut track = Track::new(Measure::Rate);
        track.look_from(0);
        let points = POINTS_MAX as u64 + 50;
        (0..points).for_each(|k| track.add(1_000_000 + k * 1000, 1.0));
        assert_eq!(track.points.len(), POINTS_MAX);
        assert_eq!(track.value(1_049_000, 1_050_000), None);
        assert_eq!(track.value(1_050_000, 1_051_000), Some(1.0));
        track.add(5, 1.0);
        assert!(track.points.iter().is_sorted_by_key(|point| point.0));
    }

    #[test]
    fn what_has_begun_is_no_forecast_and_what_ends_too_late_is_not_waited_for() {
        let of =
            |start, made, until| Expected::of((start, 10), &[1.0, 2.0, 3.0, 4.0], (made, until), 3);
        let all = of(100, 90, 1000).unwrap();
        assert_eq!((all.start_ms, &*all.mean), (100, &[1.0, 2.0, 3.0][..]));
        let later = of(100, 115, 1000).unwrap();
        assert_eq!((later.start_ms, &*later.mean), (120, &[3.0, 4.0][..]));
        assert_eq!(of(100, 100, 129).unwrap().mean, [1.0, 2.0]);
        assert_eq!(of(100, 131, 1000), None);
        assert_eq!(of(100, 90, 109), None);
        assert_eq!(of(u64::MAX - 5, 90, u64::MAX), None);
        let ends = [1000, 129, 109, 0].map(|until| all.end_by(until));
        assert_eq!((all.end_ms(), ends), (130, [130, 120, 110, 110]));
    }
}
