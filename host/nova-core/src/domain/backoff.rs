//! How what passes is tried again, wherever a repetition does no harm.

use std::time::Duration;

/// Exponential, with jitter, and with an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// Attempts, the first one included.
    pub attempts_max: usize,
    /// The first pause; each one after it is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// All attempts and pauses together.
    pub total: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            attempts_max: 6,
            first: Duration::from_millis(100),
            longest: Duration::from_secs(10),
            total: Duration::from_secs(60),
        }
    }
}
