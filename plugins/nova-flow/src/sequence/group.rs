//! A change of several tasks at once.
//!
//! Where transfers are long, tasks that exchange data lie on one agent, and none of them gains by going
//! elsewhere alone. So a task goes with some of those that it is tied to on its agent, to where another
//! task lies that it exchanges data with, or to any agent. The order stays as it is, so that any such change
//! is possible; what it comes to is not estimated, but computed.

use super::{Move, Sequence};
use crate::random::Random;

/// Most tasks that go together.
const GROUP: usize = 8;

impl Sequence<'_> {
    /// A task and some of those around it go to another agent.
    pub(super) fn propose_group(&mut self, task: u32, random: &mut Random) -> Option<Move> {
        let index = task as usize;
        let home = self.agent[index];
        let to = self.destination(index, random)?;
        if to == home || !self.instance.duration_s(index, to).is_finite() {
            return None;
        }
        let slots = self.instance.slots_of(to as usize);
        let slot = (slots.start + random.below(slots.len())) as u32;
        let size = 2 + random.below(GROUP - 1).min(random.below(GROUP - 1));
        self.group.clear();
        self.group.push((task, slot));
        let mut from = 0;
        while from < self.group.len() && self.group.len() < size {
            let around = self.group[from].0 as usize;
            let (before, after) = (
                self.instance.before_of(around),
                self.instance.after_of(around),
            );
            self.work += 4 + before.len() as u64 + after.len() as u64;
            for edge in before.iter().chain(after) {
                let other = edge.task as usize;
                let goes = self.agent[other] == home
                    && self.instance.duration_s(other, to).is_finite()
                    && self.group.iter().all(|&(member, _)| member != edge.task);
                if goes && self.group.len() < size && random.below(4) > 0 {
                    self.group.push((edge.task, slot));
                }
            }
            from += 1;
        }
        Some(Move::Group)
    }

    /// The agent of a task that this one exchanges data with, or any.
    fn destination(&self, task: usize, random: &mut Random) -> Option<u32> {
        let (before, after) = (self.instance.before_of(task), self.instance.after_of(task));
        let count = before.len() + after.len();
        if count > 0 && random.below(4) > 0 {
            let at = random.below(count);
            let edge = before.get(at).or_else(|| after.get(at - before.len()))?;
            return Some(self.agent[edge.task as usize]);
        }
        let eligible = self.instance.eligible_of(task);
        eligible.get(random.below(eligible.len())).copied()
    }
}
