//! A solution as one order of all tasks and a slot for each, and what a change of it does.
//!
//! The order is topological; the tasks of a slot run in it, each as early as it can (a
//! semi-active schedule; some such schedule is optimal). After a change only tasks whose start
//! can have moved are computed again, in the order; a change that is refused is undone
//! by what it overwrote.
//!
//! Invariants: `position` is the inverse of `list`; each chain is sorted by position and holds
//! the tasks of its slot that take time. Indices from `tasks` on are sentinels: one a slot, which ends
//! when the slot is free, and one for tasks that occupy none.

mod group;
mod pass;
mod propose;

pub use propose::Move;

use crate::instance::Instance;
use nova_sdk::flow::Schedule;
use nova_sdk::flow::limits::over;

/// The solution and everything computed from it.
pub struct Sequence<'i> {
    /// The problem.
    pub instance: &'i Instance<'i>,
    /// By task, its agent.
    pub agent: Vec<u32>,
    /// By task, its slot.
    pub slot: Vec<u32>,
    /// The order.
    pub list: Vec<u32>,
    /// By task, where it is in the order.
    position: Vec<u32>,
    /// By slot, its tasks in order.
    chain: Vec<Vec<u32>>,
    /// The task before on the slot, or a sentinel.
    previous: Vec<u32>,
    /// The task after on the slot, or a sentinel.
    next: Vec<u32>,
    /// How long a task runs where it is.
    run_s: Vec<f64>,
    /// When each task starts.
    pub start_s: Vec<f64>,
    /// When each task ends.
    pub finish_s: Vec<f64>,
    /// The longest way from each task's end to the end of all, as the solution is.
    tail_s: Vec<f64>,
    /// Execution cost of the whole.
    pub cost: f64,
    /// Tasks one of which ends last.
    last: Vec<u32>,
    /// What has been spent, in the units of [`crate::budget`].
    pub work: u64,
    /// Bits by position: what is to be computed again.
    dirty: Vec<u64>,
    /// Task, start and finish as they were before the last change.
    overwritten: Vec<(u32, f64, f64)>,
    /// Tasks whose starts the last change touched.
    ahead: Vec<u32>,
    /// Tasks whose tails the last change touched.
    behind: Vec<u32>,
    /// A critical path; empty until it is asked for.
    path: Vec<u32>,
    /// Tasks that change together, and the slots where they go.
    group: Vec<(u32, u32)>,
}

/// A solution that can be come back to.
#[derive(Clone, Default)]
pub struct Saved {
    list: Vec<u32>,
    slot: Vec<u32>,
}

impl<'i> Sequence<'i> {
    /// A solution with the agents and the order of a schedule of the whole problem.
    pub fn new(instance: &'i Instance<'i>, schedule: &Schedule) -> Self {
        let (tasks, slots) = (instance.tasks, instance.free_s.len());
        let nodes = tasks + slots + 1;
        let mut finish_s = vec![0.0; nodes];
        finish_s[tasks..tasks + slots].copy_from_slice(&instance.free_s);
        let last = (0..tasks as u32)
            .filter(|&task| instance.after_of(task as usize).is_empty())
            .collect();
        let mut sequence = Sequence {
            instance,
            agent: vec![0; tasks],
            slot: vec![0; tasks],
            list: Vec::with_capacity(tasks),
            position: vec![0; tasks],
            chain: vec![Vec::new(); slots],
            previous: vec![0; tasks],
            next: vec![0; tasks],
            run_s: vec![0.0; nodes],
            start_s: vec![0.0; tasks],
            finish_s,
            tail_s: vec![0.0; nodes],
            cost: 0.0,
            last,
            work: 0,
            dirty: vec![0; tasks.div_ceil(64)],
            overwritten: Vec::new(),
            ahead: Vec::new(),
            behind: Vec::new(),
            path: Vec::new(),
            group: Vec::new(),
        };
        sequence.load(schedule);
        sequence
    }

    /// Becomes what a schedule says.
    pub fn load(&mut self, schedule: &Schedule) {
        let origin = &self.instance.origin;
        let start_s = |task: u32| schedule.start_s[origin[task as usize] as usize];
        self.list.clear();
        self.list.extend(0..self.instance.tasks as u32);
        // Equal starts stay in topological order, which the tasks' numbers are.
        (self.list).sort_by(|&a, &b| start_s(a).total_cmp(&start_s(b)));
        let mut free_s = self.instance.free_s.clone();
        for at in 0..self.list.len() {
            let task = self.list[at];
            let place = origin[task as usize] as usize;
            let agent = schedule.agent[place] as usize;
            let slots = self.instance.slots_of(agent);
            // The slot that is free last of those that are free in time, else the first free.
            let in_time = |slot: &usize| free_s[*slot] <= schedule.start_s[place];
            let slot = (slots.clone())
                .filter(in_time)
                .max_by(|&a, &b| free_s[a].total_cmp(&free_s[b]))
                .or_else(|| slots.min_by(|&a, &b| free_s[a].total_cmp(&free_s[b])))
                .unwrap_or(0);
            self.slot[task as usize] = slot as u32;
            if schedule.finish_s[place] > schedule.start_s[place] {
                free_s[slot] = schedule.finish_s[place];
            }
        }
        self.rebuild();
    }

    /// Keeps the solution.
    pub fn save(&self, saved: &mut Saved) {
        saved.list.clone_from(&self.list);
        saved.slot.clone_from(&self.slot);
    }

    /// Comes back to a kept solution.
    pub fn restore(&mut self, saved: &Saved) {
        self.list.clone_from(&saved.list);
        self.slot.clone_from(&saved.slot);
        self.rebuild();
    }

    /// When the last task ends.
    pub fn makespan_s(&self) -> f64 {
        let finish_s = |&task: &u32| self.finish_s[task as usize];
        self.last.iter().map(finish_s).fold(0.0, f64::max)
    }

    /// By how much the tasks miss their deadlines, summed.
    pub fn late(&self) -> f64 {
        let late =
            |&(task, deadline_s): &(u32, f64)| over(self.finish_s[task as usize], deadline_s);
        self.instance.due.iter().map(late).sum()
    }

    /// The solution as a schedule of the whole problem.
    pub fn schedule(&self) -> Schedule {
        let model = self.instance.model;
        let mut schedule = Schedule::new(model);
        for (task, &origin) in self.instance.origin.iter().enumerate() {
            let (start_s, finish_s) = (self.start_s[task], self.finish_s[task]);
            schedule.place(
                origin as usize,
                self.agent[task] as usize,
                start_s,
                finish_s,
            );
        }
        schedule
    }

    /// Puts the tasks in the order of their starts, which changes no start: the room that a
    /// task has in the order is then the room that it has in time.
    pub fn sort(&mut self) {
        let start_s = &self.start_s;
        // Nearly sorted: insertion is linear.
        for at in 1..self.list.len() {
            let task = self.list[at];
            let key = start_s[task as usize];
            let mut to = at;
            while to > 0 && start_s[self.list[to - 1] as usize] > key {
                self.list[to] = self.list[to - 1];
                to -= 1;
            }
            self.list[to] = task;
            self.work += (at - to) as u64 / 4;
        }
        for (at, &task) in self.list.iter().enumerate() {
            self.position[task as usize] = at as u32;
        }
        self.work += self.list.len() as u64;
    }

    /// Everything from the order and the slots.
    fn rebuild(&mut self) {
        let instance = self.instance;
        self.chain.iter_mut().for_each(Vec::clear);
        self.cost = 0.0;
        for at in 0..self.list.len() {
            let task = self.list[at] as usize;
            self.position[task] = at as u32;
            let slot = self.slot[task] as usize;
            self.agent[task] = instance.slot_agent[slot];
            self.run_s[task] = instance.duration_s(task, self.agent[task]);
            self.cost += instance.cost(task, self.agent[task]);
            self.link(task as u32);
        }
        for at in 0..self.list.len() {
            let task = self.list[at] as usize;
            self.start_s[task] = self.earliest_s(task);
            self.finish_s[task] = self.start_s[task] + self.run_s[task];
        }
        for at in (0..self.list.len()).rev() {
            let task = self.list[at] as usize;
            self.tail_s[task] = self.longest_tail_s(task);
        }
        self.path.clear();
        self.work += 4 * (self.list.len() + instance.before.len()) as u64;
    }

    #[inline]
    fn sentinel(&self, slot: usize) -> u32 {
        (self.instance.tasks + slot) as u32
    }

    /// Puts a task into the chain of its slot, by its position.
    fn link(&mut self, task: u32) {
        let index = task as usize;
        let slot = self.slot[index] as usize;
        if self.run_s[index] == 0.0 {
            let nothing = self.sentinel(self.instance.free_s.len());
            (self.previous[index], self.next[index]) = (nothing, nothing);
            return;
        }
        let position = self.position[index];
        let chain = &self.chain[slot];
        // Appending is the usual case while everything is built anew.
        let at = match chain.last() {
            Some(&last) if self.position[last as usize] > position => {
                chain.partition_point(|&other| self.position[other as usize] < position)
            }
            _ => chain.len(),
        };
        let sentinel = self.sentinel(slot);
        let before = if at > 0 { chain[at - 1] } else { sentinel };
        let after = chain.get(at).copied().unwrap_or(sentinel);
        self.chain[slot].insert(at, task);
        (self.previous[index], self.next[index]) = (before, after);
        self.join(before, task);
        self.join(task, after);
    }

    fn unlink(&mut self, task: u32) {
        let index = task as usize;
        if self.run_s[index] == 0.0 {
            return;
        }
        let position = self.position[index];
        let chain = &mut self.chain[self.slot[index] as usize];
        let at = chain.partition_point(|&other| self.position[other as usize] < position);
        chain.remove(at);
        self.join(self.previous[index], self.next[index]);
    }

    #[inline]
    fn join(&mut self, before: u32, after: u32) {
        if let Some(next) = self.next.get_mut(before as usize) {
            *next = after;
        }
        if let Some(previous) = self.previous.get_mut(after as usize) {
            *previous = before;
        }
    }
}
