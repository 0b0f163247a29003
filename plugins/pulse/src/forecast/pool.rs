//! A few forecasters, weighted by what they would have got right.
//!
//! Owns the members and their combination: each is fitted on the head of the series, looks
//! ahead from several origins in the held-out rest (Tashman, "Out-of-sample tests of
//! forecasting accuracy", 2000), and counts by the inverse of its errors there (Bates, Granger,
//! "The combination of forecasts", 1969). The combination's own errors at the origins are kept:
//! the interval rests on them. Knows nothing of transformations and names.

use super::decompose::Decomposed;
use super::ets::Ets;
use super::regress::Regression;

/// Origins to look ahead from, at most.
const ORIGINS_MAX: usize = 12;
/// Weight ∝ error to this power, negative.
const POWER: f64 = 1.5;
/// Values that a search for smoothing parameters looks at, or four of the longest season.
const SEARCHED: usize = 600;
/// Up to this length even the form is chosen anew on the whole series.
const ANEW: usize = 400;

/// One way to look ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// As a season ago.
    Repeated,
    /// Exponential smoothing with its own seasons and carried errors.
    Smoothed,
    /// Exponential smoothing of what is left without the seasons.
    Adjusted,
    /// Autoregression on differences of one step.
    Regressed,
    /// Autoregression on differences of the longest season.
    RegressedBySeason,
}

#[derive(Clone, Debug)]
enum Member {
    Repeated(usize),
    Smoothed(Ets),
    Adjusted(Ets),
    Regressed(Regression),
}

/// What was fitted, and how well it would have done.
pub(super) struct Pool<'a> {
    series: &'a [f64],
    seasons: &'a [usize],
    /// Each with its weight.
    members: Vec<(Kind, Member, f64)>,
    /// Errors of the combination: for each origin, each step ahead.
    pub(super) errors: Vec<Vec<f64>>,
}

/// Where the head ends and from where is looked ahead.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Holdout {
    pub(super) head: usize,
    pub(super) origins: Vec<usize>,
    /// Steps ahead that are compared.
    pub(super) reach: usize,
}

impl Holdout {
    /// Holds out up to a third of `n` values for a horizon; none where too little is left.
    pub(super) fn plan(n: usize, horizon: usize, longest: usize) -> Option<Self> {
        let head_least = 20.max(2 * longest + 2);
        let reach = horizon.clamp(1, (n / 6).max(1));
        let spare = n.checked_sub(head_least)?;
        let held = (4 * reach).max(12).min(n / 3).min(spare);
        if held < reach + 3 {
            return None;
        }
        let head = n - held;
        let places = held - reach + 1;
        let every = places.div_ceil(ORIGINS_MAX);
        let origins = (head..=n - reach).rev().step_by(every).collect();
        Some(Self {
            head,
            origins,
            reach,
        })
    }
}

impl<'a> Pool<'a> {
    /// Fits and weighs the members that a series allows.
    pub(super) fn fit(series: &'a [f64], seasons: &'a [usize], holdout: &Holdout) -> Self {
        let kinds: &[Kind] = if seasons.is_empty() {
            &[Kind::Smoothed, Kind::Regressed]
        } else {
            &[
                Kind::Repeated,
                Kind::Smoothed,
                Kind::Adjusted,
                Kind::Regressed,
                Kind::RegressedBySeason,
            ]
        };
        let mut pool = Self {
            series,
            seasons,
            members: Vec::new(),
            errors: Vec::new(),
        };
        let head = &series[..holdout.head];
        let (low, high) = bounds(series);
        let mut all = Vec::new();
        for &kind in kinds {
            let Some(member) = Member::fit(kind, head, seasons) else {
                continue;
            };
            let look = |&origin: &usize| {
                let ahead = member.ahead(&series[..origin], seasons, holdout.reach);
                let inside = ahead.iter().all(|value| (low..=high).contains(value));
                inside.then_some(ahead)
            };
            let looks: Option<Vec<Vec<f64>>> = holdout.origins.iter().map(look).collect();
            let Some(looks) = looks else { continue };
            let mut sum = 0.0;
            for (ahead, &origin) in looks.iter().zip(&holdout.origins) {
                let off = ahead
                    .iter()
                    .zip(&series[origin..])
                    .map(|(a, y)| (a - y).abs());
                sum += off.sum::<f64>();
            }
            let mean = sum / (looks.len() * holdout.reach) as f64;
            // Full marks within a part of the range that nothing depends on.
            let error = mean + 1e-9 * (high - low) + f64::MIN_POSITIVE;
            pool.members.push((kind, member, error));
            all.push(looks);
        }
        pool.weigh();
        for (place, &origin) in holdout.origins.iter().enumerate() {
            let mut errors: Vec<f64> = series[origin..origin + holdout.reach].to_vec();
            for ((_, _, weight), looks) in pool.members.iter().zip(&all) {
                for (error, ahead) in errors.iter_mut().zip(&looks[place]) {
                    *error -= weight * ahead;
                }
            }
            pool.errors.push(errors);
        }
        pool
    }

    /// Fits the members anew on the whole series and combines what they expect.
    pub(super) fn ahead(&mut self, horizon: usize) -> Option<Vec<f64>> {
        let (low, high) = bounds(self.series);
        let mut looks = Vec::new();
        for (kind, member, weight) in &mut self.members {
            member.refit(*kind, self.series, self.seasons);
            let ahead = member.ahead(self.series, self.seasons, horizon);
            if ahead.iter().all(|value| (low..=high).contains(value)) {
                looks.push(ahead);
            } else {
                *weight = 0.0;
            }
        }
        self.members.retain(|member| member.2 > 0.0);
        self.normalise();
        let weights = self.members.iter().map(|member| member.2);
        let mut mean = vec![0.0; horizon];
        for (weight, look) in weights.zip(&looks) {
            for (mean, value) in mean.iter_mut().zip(look) {
                *mean += weight * value;
            }
        }
        (!looks.is_empty()).then_some(mean)
    }

    /// The members and their weights.
    pub(super) fn weights(&self) -> impl Iterator<Item = (Kind, f64)> {
        self.members
            .iter()
            .map(|(kind, _, weight)| (*kind, *weight))
    }

    /// Turns the members' errors into weights. Relative to the least of them, since the power of an
    /// error of nothing is infinite.
    fn weigh(&mut self) {
        let errors = self.members.iter().map(|member| member.2);
        let least = errors.fold(f64::INFINITY, f64::min);
        for member in &mut self.members {
            member.2 = (member.2 / least).powf(-POWER);
        }
        self.normalise();
    }

    fn normalise(&mut self) {
        let sum: f64 = self.members.iter().map(|member| member.2).sum();
        for member in &mut self.members {
            member.2 /= sum;
        }
    }
}

impl Member {
    fn fit(kind: Kind, series: &[f64], seasons: &[usize]) -> Option<Self> {
        let longest = seasons.last().copied().unwrap_or(1);
        Some(match kind {
            Kind::Repeated => Self::Repeated(longest),
            Kind::Smoothed => {
                Self::Smoothed(Ets::choose(newest(series, longest), seasons, true, false))
            }
            Kind::Adjusted => {
                let rest = Decomposed::new(series, seasons).adjusted;
                Self::Adjusted(Ets::choose(newest(&rest, longest), &[], true, false))
            }
            Kind::Regressed => Self::Regressed(Regression::fit(series, seasons, 1, 1e-4)?),
            Kind::RegressedBySeason => {
                Self::Regressed(Regression::fit(series, seasons, longest, 1e-2)?)
            }
        })
    }

    fn refit(&mut self, kind: Kind, series: &[f64], seasons: &[usize]) {
        let longest = seasons.last().copied().unwrap_or(1);
        match self {
            Self::Repeated(_) => {}
            Self::Smoothed(_) | Self::Adjusted(_) if series.len() <= ANEW => {
                if let Some(fitted) = Self::fit(kind, series, seasons) {
                    *self = fitted;
                }
            }
            Self::Smoothed(ets) => *ets = ets.refit(newest(series, longest)),
            Self::Adjusted(ets) => {
                let rest = Decomposed::new(series, seasons).adjusted;
                *ets = ets.refit(newest(&rest, longest));
            }
            Self::Regressed(_) => {
                if let Some(fitted) = Self::fit(kind, series, seasons) {
                    *self = fitted;
                }
            }
        }
    }

    fn ahead(&self, past: &[f64], seasons: &[usize], horizon: usize) -> Vec<f64> {
        let longest = seasons.last().copied().unwrap_or(1);
        match self {
            Self::Repeated(season) => {
                let last = &past[past.len() - season..];
                (0..horizon).map(|h| last[h % season]).collect()
            }
            Self::Smoothed(ets) => ets.ahead(newest(past, longest), horizon),
            Self::Adjusted(ets) => {
                let parts = Decomposed::new(past, seasons);
                let ahead = ets.ahead(newest(&parts.adjusted, longest), horizon);
                ahead
                    .iter()
                    .enumerate()
                    .map(|(h, value)| value + parts.season_at(h))
                    .collect()
            }
            Self::Regressed(regression) => regression.ahead(past, horizon),
        }
    }
}

/// The end of a series, as much as smoothing parameters are searched on.
fn newest(series: &[f64], longest: usize) -> &[f64] {
    &series[series.len().saturating_sub(SEARCHED.max(4 * longest))..]
}

/// How far a forecast may leave what was seen: three times its range either way.
fn bounds(series: &[f64]) -> (f64, f64) {
    let low = series.iter().copied().fold(f64::INFINITY, f64::min);
    let high = series.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let room = 3.0 * (high - low) + 1e-9 * high.abs().max(low.abs());
    (low - room, high + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holdout_leaves_a_head_and_looks_ahead_within_the_rest() {
        for n in 0..400 {
            for horizon in [1, 12, 48, 240] {
                for longest in [1, 12, 168] {
                    let Some(plan) = Holdout::plan(n, horizon, longest) else {
                        continue;
                    };
                    assert!(plan.head > 2 * longest && plan.head >= 20);
                    assert!((1..=ORIGINS_MAX).contains(&plan.origins.len()));
                    assert!(
                        plan.origins
                            .iter()
                            .all(|&o| o >= plan.head && o + plan.reach <= n)
                    );
                }
            }
        }
        assert_eq!(Holdout::plan(30, 4, 12), None);
    }
}
