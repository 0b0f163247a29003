//! The worker's share of a processor: how long it pauses after what it spent.

use std::time::{Duration, Instant};

/// Spent at once, however small the share.
const BURST: Duration = Duration::from_millis(20);
/// A pause that is not worth a timer.
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// Over any stretch of time, no more than `share` × (the stretch + the burst) is spent, and what the last
/// piece of work exceeded it by.
pub(crate) struct Throttle {
    share: f64,
    /// When what was spent so far is within the share.
    even_at: Instant,
}

impl Throttle {
    pub(crate) fn new(share: f64, now: Instant) -> Self {
        Self {
            share: share.clamp(0.001, 1.0),
            even_at: now,
        }
    }

    /// The pause that is due now, after work that ended now and took `spent` of a processor.
    pub(crate) fn after(&mut self, now: Instant, spent: Duration) -> Duration {
        let unused = now.checked_sub(spent + BURST).unwrap_or(now);
        self.even_at = self.even_at.max(unused) + spent.div_f64(self.share);
        let pause = self.even_at.saturating_duration_since(now);
        if pause < PAUSE_MIN {
            Duration::ZERO
        } else {
            pause
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works in pieces as fast as it may; gives what it spent within `stretch`.
    fn spent(share: f64, piece: Duration, stretch: Duration) -> Duration {
        let began = Instant::now();
        let (mut throttle, mut now, mut sum) = (Throttle::new(share, began), began, Duration::ZERO);
        while now < began + stretch {
            now += piece;
            sum += piece;
            now += throttle.after(now, piece);
        }
        sum
    }

    #[test]
    fn the_share_is_kept_over_small_and_large_pieces() {
        let stretch = Duration::from_secs(20);
        for share in [0.05, 0.25, 1.0] {
            for piece_us in [30, 5_000, 900_000] {
                let piece = Duration::from_micros(piece_us);
                let sum = spent(share, piece, stretch);
                let most = (stretch + BURST).mul_f64(share) + piece;
                assert!(sum <= most, "{share}, {piece:?}: {sum:?} of {most:?}");
                let least = stretch.mul_f64(share * 0.95).saturating_sub(piece);
                assert!(sum >= least, "{share}, {piece:?}: only {sum:?}");
            }
        }
    }

    #[test]
    fn idleness_is_not_saved_up() {
        let began = Instant::now();
        let mut throttle = Throttle::new(0.1, began);
        let later = began + Duration::from_secs(3600);
        let pause = throttle.after(later, Duration::from_millis(100));
        assert!(pause >= Duration::from_millis(800), "{pause:?}");
    }
}
