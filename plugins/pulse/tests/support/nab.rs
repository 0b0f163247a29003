//! The scorer of the Numenta Anomaly Benchmark, standard profile.
//!
//! Lavin and Ahmad, "Evaluating real-time anomaly detection algorithms – the Numenta Anomaly
//! Benchmark", 2015: the first alarm within a labelled window earns up to 1 by how early it
//! is, a window without any costs 1, an alarm outside costs up to 0.11 by how far behind the
//! last window it is; alarms within the probation are not looked at.

/// What false alarms weigh in the standard profile.
const FALSE_POSITIVE: f64 = 0.11;

/// A file's score and counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Scored {
    /// Between −windows − false alarms × 0.11 and windows.
    pub(crate) score: f64,
    /// Alarms inside windows.
    pub(crate) inside: usize,
    /// Alarms outside.
    pub(crate) outside: usize,
    /// Windows with an alarm.
    pub(crate) hit: usize,
}

/// Scores alarms (rising places) against windows (inclusive).
pub(crate) fn score(alarms: &[usize], windows: &[(usize, usize)], probation: usize) -> Scored {
    let sigmoid = |x: f64| {
        if x > 3.0 {
            -1.0
        } else {
            2.0 / (1.0 + (5.0 * x).exp()) - 1.0
        }
    };
    let mut scored = Scored::default();
    let mut best: Vec<Option<f64>> = vec![None; windows.len()];
    for &at in alarms.iter().filter(|&&at| at >= probation) {
        if let Some(k) = windows
            .iter()
            .position(|&(left, right)| (left..=right).contains(&at))
        {
            let (left, right) = windows[k];
            let position = -((right - at + 1) as f64) / (right - left + 1) as f64;
            let earned = sigmoid(position) / sigmoid(-1.0);
            best[k] = Some(best[k].map_or(earned, |known: f64| known.max(earned)));
            scored.inside += 1;
        } else {
            let before = windows.iter().rfind(|window| window.1 < at);
            let lost = before.map_or(-1.0, |&(left, right)| {
                sigmoid((at - right) as f64 / (right - left) as f64)
            });
            scored.score += FALSE_POSITIVE * lost;
            scored.outside += 1;
        }
    }
    for earned in best {
        scored.hit += usize::from(earned.is_some());
        scored.score += earned.unwrap_or(-1.0);
    }
    scored
}
