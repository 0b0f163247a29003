//! What a budget of milliseconds means where no clock runs.
//!
//! The sandbox's clock stands still, and the same problem must give the same answer on
//! every machine: the search counts its work, and milliseconds are work at a fixed rate. On a machine twice
//! as fast as that on which the rate was measured, the same answer takes half the time.

/// Units of work a millisecond.
pub const UNITS_PER_MS: u64 = 180_000;
