//! Which change to try next, and what it promises.
//!
//! The neighbourhood of Mastrolilli and Gambardella ("Effective neighbourhood functions for the
//! flexible job shop problem", Journal of Scheduling 3, 2000), with transfers: a critical task goes to
//! the place on some slot where the longest way through it is shortest, estimated from the
//! starts and tails of what stands there now, without computing the schedule. A change whose
//! estimate is too long already is not tried. Beside it, two tasks of different slots change
//! places, and several go together ([`super::group`]).

use super::Sequence;
use crate::aim::Aim;
use crate::random::Random;

/// A change of a solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A task goes to a slot, and to a position in the order.
    Shift {
        /// The task.
        task: u32,
        /// Its new slot.
        slot: u32,
        /// Its new position.
        position: u32,
    },
    /// Two tasks change slots and positions.
    Swap {
        /// One.
        first: u32,
        /// The other.
        second: u32,
    },
    /// The tasks that [`Sequence`] holds as a group go to the slots that stand there, and keep their
    /// positions.
    Group,
}

/// Of so many changes one is of several tasks.
const GROUP_ONE_IN: usize = 12;
/// Agents looked at for one change.
const AGENTS: usize = 4;
/// Places on a slot looked at for one change.
const PLACES: usize = 8;
/// How far, in places, a task moves on its own slot or finds one to change with.
const NEAR: usize = 6;

/// Room in the order: after all that a task needs, before all that need it.
#[derive(Clone, Copy)]
struct Room {
    low: u32,
    high: u32,
}

impl Sequence<'_> {
    /// A change that may be accepted: none where the one drawn is too long by its estimate.
    pub fn propose(&mut self, random: &mut Random, aim: &Aim, limit: f64) -> Option<Move> {
        self.work += 12;
        let task = if random.below(8) == 0 {
            random.below(self.instance.tasks) as u32
        } else {
            self.critical_task(random)
        };
        if random.below(GROUP_ONE_IN) == 0 {
            return self.propose_group(task, random);
        }
        match random.below(8) {
            0 | 1 => self.propose_swap(task, random, aim, limit),
            2 => self.propose_near(task, random),
            _ => self.propose_shift(task, random, aim, limit),
        }
    }

    /// A task of a longest way.
    fn critical_task(&mut self, random: &mut Random) -> u32 {
        if self.path.is_empty() {
            self.trace(random);
        }
        self.path[random.below(self.path.len())]
    }

    /// Goes back along a longest way, at random where there are several.
    fn trace(&mut self, random: &mut Random) {
        let makespan_s = self.makespan_s();
        let mut at = self.list[self.list.len() - 1];
        let mut seen = 0;
        for &task in &self.last {
            if self.finish_s[task as usize] >= makespan_s {
                seen += 1;
                if random.below(seen) == 0 {
                    at = task;
                }
            }
        }
        loop {
            self.path.push(at);
            let task = at as usize;
            let (start_s, agent) = (self.start_s[task], self.agent[task]);
            let mut before = None;
            let mut seen = 0;
            let previous = self.previous[task];
            if (previous as usize) < self.instance.tasks
                && self.finish_s[previous as usize] >= start_s
            {
                before = Some(previous);
                seen = 1;
            }
            for edge in self.instance.before_of(task) {
                let from = edge.task as usize;
                let way_s = self.instance.transfer_s(edge, self.agent[from], agent);
                if self.finish_s[from] + way_s >= start_s {
                    seen += 1;
                    if random.below(seen) == 0 {
                        before = Some(edge.task);
                    }
                }
            }
            self.work += 4 + self.instance.before_of(task).len() as u64;
            match before {
                Some(task) => at = task,
                None => break,
            }
        }
        self.work += self.last.len() as u64;
    }

    fn room(&self, task: u32) -> Room {
        let index = task as usize;
        let at = |edge: &crate::instance::Edge| self.position[edge.task as usize];
        let low = self.instance.before_of(index).iter().map(at).max();
        let high = self.instance.after_of(index).iter().map(at).min();
        Room {
            low: low.map_or(0, |low| low + 1),
            high: high.unwrap_or(self.list.len() as u32),
        }
    }

    /// When the data that a task needs are on an agent.
    fn arrival_s(&self, task: usize, agent: u32) -> f64 {
        let mut arrival_s = self.instance.ready_s(task, agent);
        for edge in self.instance.before_of(task) {
            let from = edge.task as usize;
            let way_s = self.instance.transfer_s(edge, self.agent[from], agent);
            arrival_s = arrival_s.max(self.finish_s[from] + way_s);
        }
        arrival_s
    }

    /// The value that a longest way and a change of cost promise.
    #[inline]
    fn promise(&self, aim: &Aim, way_s: f64, task: usize, agent: u32) -> f64 {
        let instance = self.instance;
        let cost = instance.cost(task, agent) - instance.cost(task, self.agent[task]);
        aim.value(way_s, self.cost + cost)
    }

    fn propose_shift(
        &mut self,
        task: u32,
        random: &mut Random,
        aim: &Aim,
        limit: f64,
    ) -> Option<Move> {
        let index = task as usize;
        let eligible = self.instance.eligible_of(index);
        let room = self.room(task);
        let count = eligible.len().min(AGENTS);
        let first = random.below(eligible.len());
        let mut best: Option<(f64, u32, u32)> = None;
        // Neighbours in the list of agents, from a random one on, with a stride that visits all.
        let stride = 1 + random.below(eligible.len());
        for step in 0..count {
            let agent = if eligible.len() <= AGENTS {
                eligible[step]
            } else {
                eligible[(first + step * stride) % eligible.len()]
            };
            let slots = self.instance.slots_of(agent as usize);
            let slot = slots.start + random.below(slots.len());
            if slot as u32 == self.slot[index] {
                continue;
            }
            let (way_s, position) = self.best_place(task, agent, slot, room, random);
            let value = self.promise(aim, way_s, index, agent);
            if best.is_none_or(|(least, _, _)| value < least) {
                best = Some((value, slot as u32, position));
            }
        }
        self.work += 8;
        let (value, slot, position) = best?;
        (value <= limit).then_some(Move::Shift {
            task,
            slot,
            position,
        })
    }

    /// The place on a slot where the longest way through a task is shortest, and its position.
    fn best_place(
        &mut self,
        task: u32,
        agent: u32,
        slot: usize,
        room: Room,
        random: &mut Random,
    ) -> (f64, u32) {
        let index = task as usize;
        let arrival_s = self.arrival_s(index, agent);
        let tail_s = self.tail_by_data_s(index, agent);
        let run_s = self.instance.duration_s(index, agent);
        let edges = self.instance.before_of(index).len() + self.instance.after_of(index).len();
        self.work += 16 + 2 * edges as u64;
        let here = self.position[index];
        if run_s == 0.0 {
            return (arrival_s + tail_s, here);
        }
        let chain = &self.chain[slot];
        let low = chain.partition_point(|&other| self.position[other as usize] < room.low);
        let high =
            low + chain[low..].partition_point(|&other| self.position[other as usize] < room.high);
        let part = &chain[low..high];
        // Up to `early` nothing delays the task; from `late` on it delays nothing.
        let early = low + part.partition_point(|&other| self.finish_s[other as usize] <= arrival_s);
        let late = low
            + part.partition_point(|&other| {
                self.run_s[other as usize] + self.tail_s[other as usize] > tail_s
            });
        let (mut at, mut way_s);
        if late <= early {
            at = late + random.below(early - late + 1);
            way_s = arrival_s + run_s + tail_s;
        } else {
            at = early;
            way_s = f64::INFINITY;
            let from = early + (late - early).saturating_sub(PLACES) * random.below(2);
            for place in from..=late.min(from + PLACES) {
                let ready_s = match place.checked_sub(1) {
                    Some(before) => arrival_s.max(self.finish_s[chain[before] as usize]),
                    None => arrival_s.max(self.instance.free_s[slot]),
                };
                let then_s = match chain.get(place) {
                    Some(&next) => {
                        tail_s.max(self.run_s[next as usize] + self.tail_s[next as usize])
                    }
                    None => tail_s,
                };
                let through_s = ready_s + run_s + then_s;
                if through_s < way_s {
                    (at, way_s) = (place, through_s);
                }
            }
            self.work += 2 * PLACES.min(late - early) as u64;
        }
        // As little as possible moves in the order.
        let before = at
            .checked_sub(1)
            .map(|at| self.position[chain[at] as usize]);
        let after = chain.get(at).map(|&next| self.position[next as usize]);
        let position = match (before, after) {
            (Some(before), _) if before > here => before,
            (_, Some(after)) if after < here => after,
            _ => here,
        };
        (way_s, position)
    }

    /// Another place on the slot where the task is.
    fn propose_near(&mut self, task: u32, random: &mut Random) -> Option<Move> {
        let index = task as usize;
        if self.run_s[index] == 0.0 {
            return None;
        }
        let room = self.room(task);
        let slot = self.slot[index];
        let here = self.position[index];
        let chain = &self.chain[slot as usize];
        let at = chain.partition_point(|&other| self.position[other as usize] < here);
        let steps = 1 + random.below(NEAR).min(random.below(NEAR));
        let position = if random.below(2) == 0 {
            let to = (at + steps).min(chain.len() - 1);
            self.position[chain[to] as usize].min(room.high - 1)
        } else {
            let to = at.saturating_sub(steps);
            self.position[chain[to] as usize].max(room.low)
        };
        self.work += 12;
        (position != here).then_some(Move::Shift {
            task,
            slot,
            position,
        })
    }

    /// Two tasks of about the same time on two slots.
    fn propose_swap(
        &mut self,
        task: u32,
        random: &mut Random,
        aim: &Aim,
        limit: f64,
    ) -> Option<Move> {
        let index = task as usize;
        let slot = random.below(self.chain.len());
        let chain = &self.chain[slot];
        if chain.is_empty() || slot as u32 == self.slot[index] || self.run_s[index] == 0.0 {
            return None;
        }
        let start_s = self.start_s[index];
        let near = chain.partition_point(|&other| self.start_s[other as usize] < start_s);
        let at = (near + random.below(2 * NEAR)).checked_sub(NEAR)?;
        let other = *chain.get(at)?;
        let there = other as usize;
        let agents = (self.agent[index], self.instance.slot_agent[slot]);
        let runs = (
            self.instance.duration_s(index, agents.1),
            self.instance.duration_s(there, agents.0),
        );
        if !runs.0.is_finite() || !runs.1.is_finite() {
            return None;
        }
        let (mine, theirs) = (self.position[index], self.position[there]);
        let fits = |room: Room, position: u32| room.low <= position && position < room.high;
        self.work += 24;
        if !fits(self.room(task), theirs) || !fits(self.room(other), mine) {
            return None;
        }
        let way_s = self.way_in_place_of(task, other, runs.0);
        let cost = self.promise(aim, 0.0, index, agents.1) - aim.value(0.0, self.cost);
        if self.promise(aim, way_s, there, agents.0) + cost > limit {
            return None;
        }
        let way_s = self.way_in_place_of(other, task, runs.1);
        if self.promise(aim, way_s, there, agents.0) + cost > limit {
            return None;
        }
        Some(Move::Swap {
            first: task,
            second: other,
        })
    }

    /// The longest way through a task where `other` is now.
    fn way_in_place_of(&mut self, task: u32, other: u32, run_s: f64) -> f64 {
        let (index, there) = (task as usize, other as usize);
        let agent = self.agent[there];
        let edges = self.instance.before_of(index).len() + self.instance.after_of(index).len();
        self.work += 4 + 2 * edges as u64;
        let before = self.finish_s[self.previous[there] as usize];
        let next = self.next[there] as usize;
        let ready_s = self.arrival_s(index, agent).max(before);
        let tail_s = self.tail_by_data_s(index, agent);
        ready_s + run_s + tail_s.max(self.run_s[next] + self.tail_s[next])
    }
}
