//! What a change does to starts and tails.

use super::{Move, Sequence};
use crate::aim::Aim;

impl Sequence<'_> {
    /// The earliest start of a task behind those before it.
    #[inline]
    pub(super) fn earliest_s(&self, task: usize) -> f64 {
        let agent = self.agent[task];
        let ready_s = self.instance.ready_s(task, agent);
        let mut start_s = ready_s.max(self.finish_s[self.previous[task] as usize]);
        for edge in self.instance.before_of(task) {
            let from = edge.task as usize;
            let way_s = self.instance.transfer_s(edge, self.agent[from], agent);
            start_s = start_s.max(self.finish_s[from] + way_s);
        }
        start_s
    }

    /// The longest way from a task's end through those after it.
    #[inline]
    pub(super) fn longest_tail_s(&self, task: usize) -> f64 {
        let next = self.next[task] as usize;
        let tail_s = self.run_s[next] + self.tail_s[next];
        tail_s.max(self.tail_by_data_s(task, self.agent[task]))
    }

    /// The longest way from a task's end on `agent` through what needs its data.
    #[inline]
    pub(super) fn tail_by_data_s(&self, task: usize, agent: u32) -> f64 {
        let mut tail_s = 0.0f64;
        for edge in self.instance.after_of(task) {
            let to = edge.task as usize;
            let way_s = self.instance.transfer_s(edge, agent, self.agent[to]);
            tail_s = tail_s.max(way_s + self.run_s[to] + self.tail_s[to]);
        }
        tail_s
    }

    /// Makes a change and computes all starts; false, with nothing changed, where a task ends so
    /// late that `aim` says more than `limit`.
    pub fn try_move(&mut self, change: Move, aim: &Aim, limit: f64) -> bool {
        let undo = self.undo_of(change);
        self.apply(change);
        self.overwritten.clear();
        let kept = self.forward(aim.longest_s(limit, self.cost));
        if !kept {
            self.take_back(undo);
        }
        kept
    }

    /// The change that undoes `change`.
    pub fn undo_of(&self, change: Move) -> Move {
        match change {
            Move::Shift { task, .. } => Move::Shift {
                task,
                slot: self.slot[task as usize],
                position: self.position[task as usize],
            },
            // Whatever changes places changes back.
            Move::Swap { .. } | Move::Group => change,
        }
    }

    /// Undoes the change that [`try_move`](Self::try_move) made last; `undo` is
    /// [`undo_of`](Self::undo_of) from before it.
    pub fn take_back(&mut self, undo: Move) {
        self.apply(undo);
        for at in (0..self.overwritten.len()).rev() {
            let (task, start_s, finish_s) = self.overwritten[at];
            self.start_s[task as usize] = start_s;
            self.finish_s[task as usize] = finish_s;
        }
        self.work += 2 * self.overwritten.len() as u64;
    }

    /// Computes the tails after a change that is kept.
    pub fn settle(&mut self) {
        self.path.clear();
        let mut high = 0;
        for at in 0..self.behind.len() {
            high = high.max(self.mark(self.behind[at]));
        }
        self.backward(high);
    }

    /// Changes the order and the slots, and lists whose starts and tails that touches.
    fn apply(&mut self, change: Move) {
        self.ahead.clear();
        self.behind.clear();
        match change {
            Move::Shift {
                task,
                slot,
                position,
            } => {
                self.leave(task);
                self.shift(task, position);
                self.enter(task, slot);
            }
            Move::Swap { first, second } => {
                let (a, b) = (first as usize, second as usize);
                let slots = (self.slot[a], self.slot[b]);
                self.leave(first);
                self.leave(second);
                (self.list).swap(self.position[a] as usize, self.position[b] as usize);
                self.position.swap(a, b);
                self.enter(first, slots.1);
                self.enter(second, slots.0);
            }
            Move::Group => {
                for at in 0..self.group.len() {
                    let (task, slot) = self.group[at];
                    self.group[at].1 = self.slot[task as usize];
                    self.leave(task);
                    self.enter(task, slot);
                }
            }
        }
    }

    /// Takes a task off its slot.
    fn leave(&mut self, task: u32) {
        let index = task as usize;
        self.unlink(task);
        self.behind.push(self.previous[index]);
        self.ahead.push(self.next[index]);
        self.cost -= self.instance.cost(index, self.agent[index]);
    }

    /// Puts a task on a slot.
    fn enter(&mut self, task: u32, slot: u32) {
        let index = task as usize;
        let agent = self.instance.slot_agent[slot as usize];
        self.slot[index] = slot;
        self.agent[index] = agent;
        self.run_s[index] = self.instance.duration_s(index, agent);
        self.cost += self.instance.cost(index, agent);
        self.link(task);
        let (before, after) = (
            self.instance.before_of(index),
            self.instance.after_of(index),
        );
        self.behind.extend([task, self.previous[index]]);
        self.behind.extend(before.iter().map(|edge| edge.task));
        self.ahead.extend([task, self.next[index]]);
        self.ahead.extend(after.iter().map(|edge| edge.task));
        self.work += 12 + before.len() as u64 + after.len() as u64;
    }

    /// Moves a task within the order.
    fn shift(&mut self, task: u32, to: u32) {
        let from = self.position[task as usize];
        let (low, high) = (from.min(to) as usize, from.max(to) as usize);
        if from < to {
            self.list.copy_within(low + 1..=high, low);
        } else {
            self.list.copy_within(low..high, low + 1);
        }
        self.list[to as usize] = task;
        for at in low..=high {
            self.position[self.list[at] as usize] = at as u32;
        }
        self.work += (high - low) as u64 / 2;
    }

    /// Computes starts in the order, from the tasks that the change touched on.
    fn forward(&mut self, limit_s: f64) -> bool {
        let mut word = usize::MAX;
        for at in 0..self.ahead.len() {
            word = word.min(self.mark(self.ahead[at]));
        }
        let words = self.dirty.len();
        let mut computed = 0;
        while word < words {
            let bits = self.dirty[word];
            if bits == 0 {
                word += 1;
                continue;
            }
            let bit = bits.trailing_zeros() as usize;
            self.dirty[word] = bits & (bits - 1);
            let task = self.list[word * 64 + bit];
            let index = task as usize;
            computed += 4 + self.instance.before_of(index).len() as u64;
            let start_s = self.earliest_s(index);
            let finish_s = start_s + self.run_s[index];
            if finish_s != self.finish_s[index] {
                (self.overwritten).push((task, self.start_s[index], self.finish_s[index]));
                self.start_s[index] = start_s;
                self.finish_s[index] = finish_s;
                if finish_s + self.instance.tail_s[index] > limit_s {
                    self.dirty[word..].fill(0);
                    self.work += computed;
                    return false;
                }
                self.mark(self.next[index]);
                let after = self.instance.after_of(index);
                computed += 4 + after.len() as u64;
                for edge in after {
                    self.mark(edge.task);
                }
            } else if start_s != self.start_s[index] {
                (self.overwritten).push((task, self.start_s[index], self.finish_s[index]));
                self.start_s[index] = start_s;
            }
        }
        self.work += computed + words as u64 / 4;
        true
    }

    /// Computes tails against the order, from the marked tasks on.
    fn backward(&mut self, high: usize) {
        let mut word = high + 1;
        let mut computed = 0;
        while word > 0 {
            let bits = self.dirty[word - 1];
            if bits == 0 {
                word -= 1;
                continue;
            }
            let bit = 63 - bits.leading_zeros() as usize;
            self.dirty[word - 1] = bits & !(1 << bit);
            let task = self.list[(word - 1) * 64 + bit];
            let index = task as usize;
            computed += 4 + self.instance.after_of(index).len() as u64;
            let tail_s = self.longest_tail_s(index);
            if tail_s != self.tail_s[index] {
                self.tail_s[index] = tail_s;
                self.mark(self.previous[index]);
                let before = self.instance.before_of(index);
                computed += 4 + before.len() as u64;
                for edge in before {
                    self.mark(edge.task);
                }
            }
        }
        self.work += computed + high as u64 / 4;
    }

    /// Marks a task, if it is one; the word of its mark, else one that bounds nothing.
    #[inline]
    fn mark(&mut self, task: u32) -> usize {
        match self.position.get(task as usize) {
            Some(&position) => {
                self.dirty[position as usize / 64] |= 1 << (position % 64);
                position as usize / 64
            }
            None => 0,
        }
    }
}
