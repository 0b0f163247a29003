//! What an agent still has free, over time.
//!
//! A step function: how many slots, and how much of each supplied resource, are occupied
//! from one breakpoint to the next. Counting slots instead of giving each its own list
//! finds every start that some assignment of tasks to slots allows (intervals of which no
//! more than `n` overlap can always be coloured with `n` colours), so an agent with many
//! slots loses nothing.
//!
//! Invariants: breakpoints rise strictly, the first is 0, neighbouring steps differ, and
//! nothing is occupied after the last breakpoint. An agent with nothing on it has no
//! breakpoint, and so no allocation: most agents of most problems begin like that, and a
//! small problem is answered in less time than its allocations would take.

/// Room for sums of amounts that should meet a supply exactly; slots are counted exactly.
const SUPPLY_TOLERANCE: f64 = 1e-9;

/// The occupation of one agent. Column 0 of every row counts slots; the others are the
/// resources that the [`Model`](super::Model) numbers.
#[derive(Clone, Debug)]
pub struct Timeline {
    slots: f64,
    supplies: Vec<f64>,
    at_s: Vec<f64>,
    /// Row-major: `used[step * width + column]`.
    used: Vec<f64>,
}

impl Timeline {
    /// An agent with nothing on it, that has these slots and supplies.
    pub fn new(capacity: &[f64]) -> Self {
        let supplies = capacity[1..].iter();
        Timeline {
            slots: capacity[0],
            supplies: supplies.map(|x| x + x * SUPPLY_TOLERANCE).collect(),
            at_s: Vec::new(),
            used: Vec::new(),
        }
    }

    /// Becomes `other`, in the memory that it has.
    pub fn copy_from(&mut self, other: &Timeline) {
        self.slots = other.slots;
        self.supplies.clone_from(&other.supplies);
        self.at_s.clone_from(&other.at_s);
        self.used.clone_from(&other.used);
    }

    /// How many steps the occupation has: what a search in it may cost.
    pub fn steps(&self) -> usize {
        self.at_s.len()
    }

    /// Whether nothing occupies the agent at any time.
    pub fn is_free(&self) -> bool {
        self.at_s.is_empty()
    }

    /// Whether `need` fits an agent with nothing on it.
    pub fn can_hold(&self, need: &[f64]) -> bool {
        need[0] <= self.slots
            && (need[1..].iter().zip(&self.supplies)).all(|(need, limit)| need <= limit)
    }

    /// The earliest start, not before `ready_s` nor before 0, from which `need` fits for
    /// `duration_s` without a break. `inf` if it exceeds what the agent has at all.
    /// What takes no time occupies nothing.
    #[inline]
    pub fn earliest_s(&self, ready_s: f64, duration_s: f64, need: &[f64]) -> f64 {
        let mut start_s = ready_s.max(0.0);
        if duration_s == 0.0 {
            return start_s;
        }
        if self.is_free() {
            let holds = self.can_hold(need);
            return if holds { start_s } else { f64::INFINITY };
        }
        let steps = self.at_s.len();
        let mut step = self.at_s.partition_point(|&at| at <= start_s) - 1;
        loop {
            if !self.fits(step, need) {
                step += 1;
                if step == steps {
                    return f64::INFINITY;
                }
                start_s = self.at_s[step];
            } else if step + 1 == steps || self.at_s[step + 1] >= start_s + duration_s {
                return start_s;
            } else {
                step += 1;
            }
        }
    }

    /// Occupies `need` from `start_s` to `finish_s`, even beyond what the agent has: what
    /// runs already is a fact. The part before 0 is past and does not count.
    pub fn reserve(&mut self, start_s: f64, finish_s: f64, need: &[f64]) {
        let start_s = start_s.max(0.0);
        if finish_s <= start_s {
            return;
        }
        let width = self.width();
        if self.is_free() {
            self.at_s.push(0.0);
            self.used.resize(width, 0.0);
        }
        let first = self.split(start_s);
        let end = self.split(finish_s);
        for row in self.used[first * width..end * width].chunks_exact_mut(width) {
            for (used, need) in row.iter_mut().zip(need) {
                *used += need;
            }
        }
        self.merge(end);
        self.merge(first);
    }

    #[inline]
    fn width(&self) -> usize {
        1 + self.supplies.len()
    }

    #[inline]
    fn fits(&self, step: usize, need: &[f64]) -> bool {
        let row = &self.used[step * self.width()..];
        row[0] + need[0] <= self.slots
            && (self.supplies.iter().zip(&row[1..]).zip(&need[1..]))
                .all(|((limit, used), need)| used + need <= *limit)
    }

    /// The step that begins at `at_s`, made if there is none.
    fn split(&mut self, at_s: f64) -> usize {
        let step = self.at_s.partition_point(|&at| at < at_s);
        if self.at_s.get(step) == Some(&at_s) {
            return step;
        }
        let width = self.width();
        self.at_s.insert(step, at_s);
        let before = (step - 1) * width;
        if width == 1 {
            self.used.insert(step, self.used[before]);
        } else {
            let end = self.used.len();
            self.used.resize(end + width, 0.0);
            self.used.copy_within(before..end, before + width);
        }
        step
    }

    /// Removes a breakpoint where nothing changes.
    fn merge(&mut self, step: usize) {
        let width = self.width();
        let row = step * width;
        if step > 0 && self.used[row - width..row] == self.used[row..row + width] {
            self.at_s.remove(step);
            self.used.drain(row..row + width);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_takes_the_first_gap_that_is_long_enough() {
        let mut agent = Timeline::new(&[1.0]);
        agent.reserve(2.0, 4.0, &[1.0]);
        agent.reserve(7.0, 9.0, &[1.0]);
        assert_eq!(agent.earliest_s(0.0, 2.0, &[1.0]), 0.0);
        assert_eq!(agent.earliest_s(0.0, 3.0, &[1.0]), 4.0);
        assert_eq!(agent.earliest_s(5.0, 2.0, &[1.0]), 5.0);
        assert_eq!(agent.earliest_s(5.0, 3.0, &[1.0]), 9.0);
        assert_eq!(agent.earliest_s(-3.0, 1.0, &[1.0]), 0.0);
    }

    #[test]
    fn what_takes_no_time_occupies_nothing() {
        let mut agent = Timeline::new(&[1.0]);
        agent.reserve(0.0, 5.0, &[1.0]);
        assert_eq!(agent.earliest_s(3.0, 0.0, &[1.0]), 3.0);
        agent.reserve(3.0, 3.0, &[1.0]);
        assert_eq!(agent.earliest_s(0.0, 1.0, &[1.0]), 5.0);
    }

    #[test]
    fn slots_are_counted_not_named() {
        // One slot free until 5, another from 5: together one slot is free throughout.
        let mut agent = Timeline::new(&[2.0]);
        agent.reserve(0.0, 5.0, &[1.0]);
        agent.reserve(5.0, 10.0, &[1.0]);
        assert_eq!(agent.earliest_s(0.0, 10.0, &[1.0]), 0.0);
        agent.reserve(0.0, 10.0, &[1.0]);
        assert_eq!(agent.earliest_s(0.0, 1.0, &[1.0]), 10.0);
    }

    #[test]
    fn resources_bound_as_slots_do() {
        let mut agent = Timeline::new(&[8.0, 0.3]);
        agent.reserve(0.0, 4.0, &[1.0, 0.1]);
        agent.reserve(0.0, 6.0, &[1.0, 0.1]);
        // 0.1 + 0.1 + 0.1 is above 0.3 in binary, and is meant to fit.
        assert_eq!(agent.earliest_s(0.0, 9.0, &[1.0, 0.1]), 0.0);
        assert_eq!(agent.earliest_s(0.0, 9.0, &[1.0, 0.2]), 4.0);
        assert_eq!(agent.earliest_s(0.0, 9.0, &[1.0, 0.25]), 6.0);
        assert_eq!(agent.earliest_s(0.0, 9.0, &[1.0, 0.4]), f64::INFINITY);
    }

    #[test]
    fn the_past_does_not_count_and_a_fact_may_exceed_the_capacity() {
        let mut agent = Timeline::new(&[1.0]);
        agent.reserve(-5.0, -1.0, &[1.0]);
        assert!(agent.is_free());
        agent.reserve(-5.0, 2.0, &[1.0]);
        agent.reserve(0.0, 3.0, &[1.0]);
        assert_eq!(agent.earliest_s(0.0, 1.0, &[1.0]), 3.0);
    }

    #[test]
    fn neighbouring_steps_that_are_alike_become_one() {
        let mut agent = Timeline::new(&[1.0]);
        for second in 0..100 {
            agent.reserve(f64::from(second), f64::from(second + 1), &[1.0]);
        }
        assert_eq!(agent.at_s, [0.0, 100.0]);
    }
}
