//! The breaker of a revision: closed while it answers, open once it has failed too often, half-open while
//! single calls try whether it has recovered.
//!
//! A state machine over moments that it is given; it measures no time of its own. It decides
//! which revision is asked first, never whether a request is answered: where nothing else could
//! answer, an open one is asked all the same.

use std::time::{Duration, Instant};

use nova_core::ports::runtime::BreakerState;
use parking_lot::Mutex;

/// When breakers open and close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerConfig {
    /// The last calls that are looked at, 1 to 64.
    pub window: u32,
    /// So many of them failed: it opens. 1 to `window`.
    pub failures: u32,
    /// How long it stays open.
    pub open_ms: u64,
    /// So many calls in a row, one at a time, must then succeed before it closes.
    pub trials: u32,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: 20,
            failures: 5,
            open_ms: 5000,
            trials: 3,
        }
    }
}

/// One revision's breaker.
pub(crate) struct Breaker {
    config: BreakerConfig,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// The last calls, newest in the lowest bit; a set bit failed.
    recent: u64,
    /// Counts openings and closings: what a call finds out counts only in the phase it began in.
    era: u64,
    /// The newest failure's words.
    last: String,
}

#[derive(Clone, Copy)]
enum Phase {
    Closed,
    Open { since: Instant },
    HalfOpen { succeeded: u32, trying: bool },
}

/// Leave to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pass {
    era: u64,
    trial: bool,
}

impl Breaker {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: Mutex::new(State {
                phase: Phase::Closed,
                recent: 0,
                era: 0,
                last: String::new(),
            }),
        }
    }

    /// Leave for a call that begins now; else why not, in words.
    pub(crate) fn ask(&self, now: Instant) -> Result<Pass, String> {
        let mut state = self.state.lock();
        if let Phase::Open { since } = state.phase
            && now.saturating_duration_since(since) >= Duration::from_millis(self.config.open_ms)
        {
            state.turn(Phase::HalfOpen {
                succeeded: 0,
                trying: false,
            });
        }
        let era = state.era;
        match &mut state.phase {
            Phase::Closed => Ok(Pass { era, trial: false }),
            Phase::HalfOpen { trying, .. } if !*trying => {
                *trying = true;
                Ok(Pass { era, trial: true })
            }
            _ => Err(state.last.clone()),
        }
    }

    /// The call did its duty.
    pub(crate) fn succeeded(&self, pass: Pass) {
        let mut state = self.state.lock();
        if state.era != pass.era {
            return;
        }
        match state.phase {
            Phase::Closed => state.push(false),
            Phase::HalfOpen { succeeded, .. } if succeeded + 1 >= self.config.trials => {
                state.recent = 0;
                state.turn(Phase::Closed);
            }
            Phase::HalfOpen { succeeded, .. } => {
                state.phase = Phase::HalfOpen {
                    succeeded: succeeded + 1,
                    trying: false,
                };
            }
            Phase::Open { .. } => {}
        }
    }

    /// The call failed; whether the breaker opened because of it.
    pub(crate) fn failed(&self, pass: Pass, now: Instant, words: &str) -> bool {
        let mut state = self.state.lock();
        if state.era != pass.era {
            return false;
        }
        words.clone_into(&mut state.last);
        let opens = match state.phase {
            Phase::Closed => {
                state.push(true);
                state.failures(self.config.window) >= self.config.failures
            }
            Phase::HalfOpen { .. } => true,
            Phase::Open { .. } => false,
        };
        if opens {
            state.turn(Phase::Open { since: now });
        }
        opens
    }

    /// The call came to no end of the revision's doing.
    pub(crate) fn abandoned(&self, pass: Pass) {
        let mut state = self.state.lock();
        if let (true, true, Phase::HalfOpen { trying, .. }) =
            (pass.trial, state.era == pass.era, &mut state.phase)
        {
            *trying = false;
        }
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> BreakerState {
        match self.state.lock().phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

impl State {
    fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.era += 1;
    }

    fn push(&mut self, failed: bool) {
        self.recent = (self.recent << 1) | u64::from(failed);
    }

    fn failures(&self, window: u32) -> u32 {
        let mask = u64::MAX >> (64 - window.clamp(1, 64));
        (self.recent & mask).count_ones()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CONFIG: BreakerConfig = BreakerConfig {
        window: 4,
        failures: 2,
        open_ms: 100,
        trials: 2,
    };

    /// A breaker with a clock that is turned by hand.
    struct Bench {
        breaker: Breaker,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                breaker: Breaker::new(CONFIG),
                now: Instant::now(),
            }
        }

        fn after(&mut self, ms: u64) -> &mut Self {
            self.now += Duration::from_millis(ms);
            self
        }

        /// Calls one after the other: `+` succeeds, `-` fails, `x` is not let in, `o` fails and opens.
        fn calls(&mut self, outcomes: &str) -> &mut Self {
            for (n, outcome) in outcomes.chars().enumerate() {
                let asked = self.breaker.ask(self.now);
                let seen = match (outcome, asked) {
                    (_, Err(words)) => {
                        assert_eq!(words, "why");
                        'x'
                    }
                    ('+', Ok(pass)) => {
                        self.breaker.succeeded(pass);
                        '+'
                    }
                    (_, Ok(pass)) if self.breaker.failed(pass, self.now, "why") => 'o',
                    _ => '-',
                };
                assert_eq!(seen, outcome, "call {n} of {outcomes}");
            }
            self
        }

        fn is(&mut self, state: BreakerState) -> &mut Self {
            assert_eq!(self.breaker.state(), state);
            self
        }
    }

    #[test]
    fn it_opens_after_so_many_failures_of_the_last_calls() {
        Bench::new()
            .calls("-+++-+++-+++")
            .is(BreakerState::Closed)
            .calls("-o")
            .is(BreakerState::Open);
        Bench::new().calls("+-+o").is(BreakerState::Open);
        Bench::new().calls("-++o").is(BreakerState::Open);
    }

    #[test]
    fn it_lets_trials_in_after_its_time_and_closes_when_they_succeed() {
        let mut bench = Bench::new();
        bench.calls("-oxx").after(99).calls("x").after(1).calls("+");
        bench.is(BreakerState::HalfOpen).calls("+");
        // What failed before does not count any more.
        bench.is(BreakerState::Closed).calls("-+++-");
        bench.is(BreakerState::Closed);
    }

    #[test]
    fn a_failed_trial_opens_it_for_as_long_again() {
        let mut bench = Bench::new();
        bench.calls("-o").after(100).calls("+o");
        bench.is(BreakerState::Open).after(99).calls("x");
        bench.after(1).calls("++").is(BreakerState::Closed);
    }

    #[test]
    fn trials_are_one_at_a_time_and_an_abandoned_one_makes_room() {
        let mut bench = Bench::new();
        bench.calls("-o").after(100);
        let trial = bench.breaker.ask(bench.now).unwrap();
        bench.calls("x");
        bench.breaker.abandoned(trial);
        bench.is(BreakerState::HalfOpen).calls("++");
        bench.is(BreakerState::Closed);
    }

    #[test]
    fn what_began_in_an_earlier_phase_says_nothing_about_this_one() {
        let mut bench = Bench::new();
        let early = [(); 4].map(|()| bench.breaker.ask(bench.now).unwrap());
        bench.calls("-o").after(100);
        let trial = bench.breaker.ask(bench.now).unwrap();
        bench.breaker.succeeded(early[0]);
        assert!(!bench.breaker.failed(early[1], bench.now, "late"));
        bench.breaker.abandoned(early[2]);
        bench.is(BreakerState::HalfOpen).calls("x");
        bench.breaker.succeeded(trial);
        bench.calls("+").is(BreakerState::Closed);
        assert!(!bench.breaker.failed(early[3], bench.now, "late"));
        bench.calls("-").is(BreakerState::Closed);
    }
}
