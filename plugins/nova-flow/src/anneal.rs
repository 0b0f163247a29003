//! Simulated annealing over sequences (Kirkpatrick, Gelatt, Vecchi, "Optimization by simulated
//! annealing", Science 220, 1983), as long as the work lasts.
//!
//! The threshold of acceptance is drawn before the change: what an estimate, or the part of a schedule
//! computed so far, shows to be above it is dropped early. Rounds of cooling begin
//! from the best solution; short work is one round, long work is many.

use crate::aim::Aim;
use crate::random::Random;
use crate::sequence::{Saved, Sequence};

/// Work of the first round, a task and a dependency; each later one is half as long again.
const ROUND: f64 = 4000.0;
/// The temperature at the beginning of a round, in mean durations and transfers, before [`HEATS`].
const HOT: f64 = 0.1;
/// The temperature at its end.
const COLD: f64 = 0.001;
/// How much hotter rounds begin, one after another: the hot ones leave the best solution's
/// surroundings, the others search them.
const HEATS: [f64; 4] = [1.0, 4.0, 0.5, 10.0];
/// Rounds in a row that find nothing better, after which nothing will.
const IDLE_ROUNDS: u32 = 24;
/// Changes accepted before the order is sorted again.
const SORT_AFTER: u32 = 32;
/// Changes tried at one temperature.
const STEPS: u64 = 32;

/// What a search may spend, and what ends it early.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Units of work, counted by [`Sequence::work`].
    pub work: u64,
    /// Changes tried.
    pub iterations: u64,
}

/// Searches from the solution that `sequence` holds, which becomes the best one found; gives the
/// changes tried.
pub fn anneal(sequence: &mut Sequence, aim: &Aim, random: &mut Random, effort: Effort) -> u64 {
    let instance = sequence.instance;
    let size = (instance.tasks + instance.before.len()) as f64;
    let end = sequence.work.saturating_add(effort.work);
    let unit = aim.per_second() * (instance.mean_run_s() + instance.mean_transfer_s());
    let mut search = Search {
        now: value(sequence, aim),
        best: value(sequence, aim),
        saved: Saved::default(),
        tried: 0,
        since_sorted: 0,
    };
    sequence.save(&mut search.saved);
    let is_open = |sequence: &Sequence, search: &Search| {
        sequence.work < end && search.tried < effort.iterations && search.best > aim.least()
    };
    let (mut round, mut rounds, mut idle) = (ROUND * size, 0, 0);
    while is_open(sequence, &search) && idle < IDLE_ROUNDS {
        let begin = sequence.work;
        let left = (end - begin) as f64;
        // What would be left over is not worth a round of its own.
        let length = if left < 2.0 * round { left } else { round };
        let hot = HOT * HEATS[rounds % HEATS.len()];
        let before = search.best;
        let mut temperature = 0.0;
        while is_open(sequence, &search) && ((sequence.work - begin) as f64) < length {
            if search.tried.is_multiple_of(STEPS) || temperature == 0.0 {
                let done = (sequence.work - begin) as f64 / length;
                temperature = unit * hot * (COLD / hot).powf(done);
            }
            search.step(sequence, aim, random, temperature);
        }
        sequence.restore(&search.saved);
        search.now = value(sequence, aim);
        round *= 1.5;
        rounds += 1;
        idle = if search.best < before { 0 } else { idle + 1 };
    }
    search.tried
}

struct Search {
    now: f64,
    best: f64,
    saved: Saved,
    tried: u64,
    since_sorted: u32,
}

impl Search {
    /// Tries one change.
    fn step(&mut self, sequence: &mut Sequence, aim: &Aim, random: &mut Random, temperature: f64) {
        self.tried += 1;
        let limit = self.now - temperature * random.unit().ln();
        let Some(change) = sequence.propose(random, aim, limit) else {
            return;
        };
        let undo = sequence.undo_of(change);
        if !sequence.try_move(change, aim, limit) {
            return;
        }
        let then = value(sequence, aim);
        if then > limit {
            sequence.take_back(undo);
            return;
        }
        sequence.settle();
        self.now = then;
        self.since_sorted += 1;
        if self.since_sorted >= SORT_AFTER {
            self.since_sorted = 0;
            sequence.sort();
        }
        if self.now < self.best {
            self.best = self.now;
            sequence.save(&mut self.saved);
            sequence.work += sequence.instance.tasks as u64 / 8;
        }
    }
}

/// What the aim says of the solution.
fn value(sequence: &Sequence, aim: &Aim) -> f64 {
    let makespan_s = sequence.makespan_s();
    let value = aim.value(makespan_s, sequence.cost);
    if !aim.is_bounded() {
        return value;
    }
    let late = if aim.has_deadlines() {
        sequence.late()
    } else {
        0.0
    };
    value + aim.penalty(makespan_s, sequence.cost, late)
}
