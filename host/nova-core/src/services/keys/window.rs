//! A sliding window: how many requests a key had in the span that ends now. Pure, given the time.

use std::collections::VecDeque;

use crate::domain::RateLimit;

/// Up to this many requests a window keeps each one's own microsecond and is exact.
const EXACT_REQUESTS: u32 = 1024;
/// Larger ones are kept in buckets, this many to a window.
const BUCKETS: u64 = 1024;

/// What a key may still ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Requests in a window.
    pub limit: u32,
    /// How many more are allowed now.
    pub remaining: u32,
    /// Whole seconds until the oldest counted request leaves the window.
    pub reset_s: u64,
    /// Whether this request was refused; it is not counted then.
    pub refused: bool,
}

/// Counts admitted requests; refused ones cost nothing.
///
/// Never more than the limit is admitted in any half-open span of the window's length. A request is
/// refused only when the limit was admitted in the window before it, to the microsecond for limits up to
/// 1024, else in the window and one bucket (1/1024 of it) more. At most 1025 entries are kept, whatever
/// the limit.
#[derive(Debug)]
pub(super) struct SlidingWindow {
    limit: u32,
    window_us: u64,
    bucket_us: u64,
    /// Admitted requests by bucket, oldest first.
    admitted: VecDeque<(u64, u32)>,
    count: u32,
}

impl SlidingWindow {
    pub(super) fn new(limit: RateLimit) -> Self {
        let window_us = limit.window_ms.saturating_mul(1000).max(1);
        let bucket_us = if limit.requests <= EXACT_REQUESTS {
            1
        } else {
            window_us.div_ceil(BUCKETS)
        };
        Self {
            limit: limit.requests,
            window_us,
            bucket_us,
            admitted: VecDeque::new(),
            count: 0,
        }
    }

    /// Asks for one request at `now_us`, microseconds on a clock that never goes back.
    pub(super) fn take(&mut self, now_us: u64) -> Budget {
        self.forget(now_us);
        let refused = self.count >= self.limit;
        if !refused {
            self.count += 1;
            let bucket = now_us / self.bucket_us;
            match self.admitted.back_mut() {
                Some((last, count)) if *last >= bucket => *count += 1,
                _ => self.admitted.push_back((bucket, 1)),
            }
        }
        let oldest = self
            .admitted
            .front()
            .map(|(bucket, _)| self.end_us(*bucket));
        let wait_us = oldest.map_or(0, |end| end.saturating_sub(now_us));
        Budget {
            limit: self.limit,
            remaining: self.limit - self.count,
            reset_s: wait_us.div_ceil(1_000_000).max(1),
            refused,
        }
    }

    /// When the last request that may lie in this bucket leaves the window.
    fn end_us(&self, bucket: u64) -> u64 {
        let last = bucket * self.bucket_us + (self.bucket_us - 1);
        last.saturating_add(self.window_us)
    }

    fn forget(&mut self, now_us: u64) {
        while let Some(&(bucket, count)) = self.admitted.front() {
            if self.end_us(bucket) > now_us {
                break;
            }
            self.admitted.pop_front();
            self.count -= count;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(requests: u32, window_ms: u64) -> RateLimit {
        RateLimit {
            requests,
            window_ms,
        }
    }

    proptest! {
        /// Over ten windows at random arrivals: never more than the limit in any window, and never
        /// refused below it (for large limits: in the window and a bucket).
        #[test]
        fn never_above_the_limit_and_never_refused_below_it(
            requests in prop_oneof![1_u32..40, 1025_u32..1100],
            window_ms in 1_u64..200,
            gaps in prop::collection::vec((0_u64..2000, 0_u64..3), 1500),
        ) {
            let mut window = SlidingWindow::new(limit(requests, window_ms));
            let window_us = window_ms * 1000;
            let slack_us = window.bucket_us - 1;
            // Scaled so that the arrivals spread over about ten windows, in bursts and lulls.
            let total: u64 = gaps.iter().map(|(gap, calm)| gap * calm).sum::<u64>().max(1);
            let mut at = 0;
            let mut admitted: Vec<u64> = Vec::new();
            for (gap, calm) in gaps {
                at += gap * calm * window_us * 10 / total;
                let budget = window.take(at);
                let inside = |span: u64| admitted.iter().rev().take_while(|t| **t + span > at).count() as u64;
                if budget.refused {
                    prop_assert!(inside(window_us + slack_us) >= u64::from(requests), "refused below the limit at {at}");
                    prop_assert_eq!(budget.remaining, 0);
                } else {
                    admitted.push(at);
                    prop_assert!(
                        admitted.iter().rev().take_while(|t| **t + window_us > at).count() as u64 <= u64::from(requests),
                        "above the limit at {}", at
                    );
                    prop_assert!(window.admitted.len() <= 1025);
                }
            }
        }
    }

    #[test]
    fn a_request_comes_back_when_the_oldest_leaves() {
        let mut window = SlidingWindow::new(limit(2, 1000));
        let shown = |b: Budget| (b.remaining, b.reset_s, b.refused);
        assert_eq!(shown(window.take(0)), (1, 1, false));
        assert_eq!(shown(window.take(400_000)), (0, 1, false));
        assert_eq!(shown(window.take(999_999)), (0, 1, true));
        assert_eq!(shown(window.take(1_000_000)), (0, 1, false));
        assert_eq!(shown(window.take(1_399_999)), (0, 1, true));
        assert_eq!(shown(window.take(1_400_000)), (0, 1, false));
        assert_eq!(shown(window.take(60_000_000)), (1, 1, false));
    }
}
