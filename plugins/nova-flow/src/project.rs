//! A solution of a problem whose agents have supplies, or are held later on: an order of all tasks and
//! an agent for each, and the schedule that they mean.
//!
//! Serial schedule generation (Kolisch, Hartmann, "Heuristic algorithms for the
//! resource-constrained project scheduling problem", 1999): tasks in the order, each as early as its agent's
//! profile has room. Then forward-backward improvement (Li, Willis 1992; Valls, Ballestín,
//! Quintanilla, "Justification and RCPSP", EJOR 165, 2005): from the end, tasks go as late as there is room; from
//! the beginning of that, as early again.

use crate::instance::Instance;
use nova_sdk::flow::limits::over;
use nova_sdk::flow::{Schedule, Timeline};

/// The solution and the schedule that it means.
pub struct Project<'i> {
    /// The problem.
    pub instance: &'i Instance<'i>,
    /// By task, its agent.
    pub agent: Vec<u32>,
    /// The order: topological.
    pub list: Vec<u32>,
    /// When each task starts.
    start_s: Vec<f64>,
    /// When each task ends.
    finish_s: Vec<f64>,
    /// From the end backwards, when each task is over.
    back_s: Vec<f64>,
    /// Agents as they are before.
    held: Vec<Timeline>,
    /// Agents with nothing on them.
    free: Vec<Timeline>,
    profiles: Vec<Timeline>,
    /// What has been spent, in the units of [`crate::budget`].
    pub work: u64,
}

/// A solution that can be come back to.
#[derive(Clone, Default)]
pub struct Saved {
    agent: Vec<u32>,
    list: Vec<u32>,
    start_s: Vec<f64>,
    finish_s: Vec<f64>,
}

impl<'i> Project<'i> {
    /// A solution with the agents and the order of a schedule of the whole problem.
    pub fn new(instance: &'i Instance<'i>, schedule: &Schedule) -> Self {
        let tasks = instance.tasks;
        let held = instance.model.timelines();
        let mut project = Project {
            instance,
            agent: vec![0; tasks],
            list: (0..tasks as u32).collect(),
            start_s: vec![0.0; tasks],
            finish_s: vec![0.0; tasks],
            back_s: vec![0.0; tasks],
            free: instance.model.free_timelines(),
            profiles: held.clone(),
            held,
            work: 0,
        };
        for task in 0..tasks {
            let origin = instance.origin[task] as usize;
            project.agent[task] = schedule.agent[origin];
            project.start_s[task] = schedule.start_s[origin];
        }
        project.sort_by_start();
        project.decode();
        project
    }

    /// Keeps the solution.
    pub fn save(&self, saved: &mut Saved) {
        saved.agent.clone_from(&self.agent);
        saved.list.clone_from(&self.list);
        saved.start_s.clone_from(&self.start_s);
        saved.finish_s.clone_from(&self.finish_s);
    }

    /// Comes back to a kept solution.
    pub fn restore(&mut self, saved: &Saved) {
        self.agent.clone_from(&saved.agent);
        self.list.clone_from(&saved.list);
        self.start_s.clone_from(&saved.start_s);
        self.finish_s.clone_from(&saved.finish_s);
        self.work += self.list.len() as u64;
    }

    /// When the last task ends.
    pub fn makespan_s(&self) -> f64 {
        self.finish_s.iter().copied().fold(0.0, f64::max)
    }

    /// Execution cost of the whole.
    pub fn cost(&self) -> f64 {
        let agents = self.agent.iter().enumerate();
        agents
            .map(|(task, &agent)| self.instance.cost(task, agent))
            .sum()
    }

    /// By how much the tasks miss their deadlines, summed.
    pub fn late(&self) -> f64 {
        let late =
            |&(task, deadline_s): &(u32, f64)| over(self.finish_s[task as usize], deadline_s);
        self.instance.due.iter().map(late).sum()
    }

    /// The solution as a schedule of the whole problem.
    pub fn schedule(&self) -> Schedule {
        let mut schedule = Schedule::new(self.instance.model);
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

    /// The first position behind all that a task needs, and the one behind the last before all
    /// that need it.
    pub fn room(&self, at: usize) -> (usize, usize) {
        let task = self.list[at] as usize;
        let (mut low, mut high) = (at, at + 1);
        let needs = |other: u32| {
            let before = self.instance.before_of(task);
            before.iter().any(|edge| edge.task == other)
        };
        let is_needed = |other: u32| {
            let after = self.instance.after_of(task);
            after.iter().any(|edge| edge.task == other)
        };
        while low > 0 && at - low < REACH && !needs(self.list[low - 1]) {
            low -= 1;
        }
        while high < self.list.len() && high - at < REACH && !is_needed(self.list[high]) {
            high += 1;
        }
        (low, high)
    }

    /// Moves the task at one position to another.
    pub fn shift(&mut self, from: usize, to: usize) {
        if from < to {
            self.list[from..=to].rotate_left(1);
        } else {
            self.list[to..=from].rotate_right(1);
        }
    }

    /// Computes the schedule: every task as early as there is room.
    pub fn decode(&mut self) {
        let instance = self.instance;
        for (profile, held) in self.profiles.iter_mut().zip(&self.held) {
            profile.copy_from(held);
        }
        let mut steps = 0;
        for &task in &self.list {
            let index = task as usize;
            let agent = self.agent[index];
            let mut ready_s = instance.ready_s(index, agent);
            for edge in instance.before_of(index) {
                let from = edge.task as usize;
                let way_s = instance.transfer_s(edge, self.agent[from], agent);
                ready_s = ready_s.max(self.finish_s[from] + way_s);
            }
            let profile = &mut self.profiles[agent as usize];
            let need = instance.model.need(instance.origin[index] as usize);
            let run_s = instance.duration_s(index, agent);
            let start_s = profile.earliest_s(ready_s, run_s, need);
            profile.reserve(start_s, start_s + run_s, need);
            self.start_s[index] = start_s;
            self.finish_s[index] = start_s + run_s;
            steps += profile.steps() as u64;
        }
        self.work += 15 * self.list.len() as u64 + (instance.before.len() as u64 + steps) / 2;
    }

    /// Forward-backward improvement, as long as it helps; the order becomes that of the starts.
    pub fn justify(&mut self) {
        let mut makespan_s = self.makespan_s();
        loop {
            self.justify_right();
            self.decode();
            let then_s = self.makespan_s();
            if then_s >= makespan_s {
                break;
            }
            makespan_s = then_s;
        }
    }

    /// Puts the tasks in the order in which they start when, from the last finish on, each goes as
    /// late as there is room. Releases, and what holds the agents now, wait for the way back.
    fn justify_right(&mut self) {
        let instance = self.instance;
        let finish_s = &self.finish_s;
        // Later numbers depend on earlier ones: equal ends stay in an order that can be built.
        self.list.sort_unstable_by(|&a, &b| {
            (finish_s[b as usize].total_cmp(&finish_s[a as usize])).then(b.cmp(&a))
        });
        for (profile, free) in self.profiles.iter_mut().zip(&self.free) {
            profile.copy_from(free);
        }
        let mut steps = 0;
        for &task in &self.list {
            let index = task as usize;
            let agent = self.agent[index];
            let mut ready_s = 0.0f64;
            for edge in instance.after_of(index) {
                let to = edge.task as usize;
                let way_s = instance.transfer_s(edge, agent, self.agent[to]);
                ready_s = ready_s.max(self.back_s[to] + way_s);
            }
            let profile = &mut self.profiles[agent as usize];
            let need = instance.model.need(instance.origin[index] as usize);
            let run_s = instance.duration_s(index, agent);
            let begin_s = profile.earliest_s(ready_s, run_s, need);
            profile.reserve(begin_s, begin_s + run_s, need);
            self.back_s[index] = begin_s + run_s;
            steps += profile.steps() as u64;
        }
        let back_s = &self.back_s;
        self.list.sort_unstable_by(|&a, &b| {
            (back_s[b as usize].total_cmp(&back_s[a as usize])).then(a.cmp(&b))
        });
        self.work += 25 * self.list.len() as u64 + (instance.before.len() as u64 + steps) / 2;
    }

    fn sort_by_start(&mut self) {
        let start_s = &self.start_s;
        self.list.sort_unstable_by(|&a, &b| {
            (start_s[a as usize].total_cmp(&start_s[b as usize])).then(a.cmp(&b))
        });
    }
}

/// How far a task moves in the order at most.
const REACH: usize = 64;
