//! List schedules whose order follows from the schedule so far: of all tasks that are ready, which one
//! goes next is decided by when each could end.
//!
//! Min-min, max-min (Ibarra, Kim, "Heuristic algorithms for scheduling independent tasks on
//! nonidentical processors", JACM 24(2), 1977) and sufferage (Maheswaran et al., "Dynamic
//! mapping of a class of independent tasks", JPDC 59(2), 1999), over the ready tasks of a graph.

use nova_sdk::flow::{Model, Schedule, Timeline};

/// Which ready task goes next, to the agent where it ends first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The one that ends first.
    MinMin,
    /// The one that ends last.
    MaxMin,
    /// The one that loses most by going elsewhere.
    Sufferage,
}

/// A ready task and where it ends first.
struct Ready {
    task: usize,
    arrival_s: Vec<f64>,
    agent: usize,
    finish_s: f64,
    second_s: f64,
}

/// Builds the schedule.
pub fn schedule(model: &Model, timelines: &[Timeline], pick: Pick) -> Schedule {
    let mut timelines = timelines.to_vec();
    let mut schedule = Schedule::new(model);
    let open = |task: usize| model.fixed(task).is_none();
    let mut missing: Vec<usize> = (0..model.tasks())
        .map(|task| {
            let links = model.predecessors.of(task).iter();
            links.filter(|link| open(link.task as usize)).count()
        })
        .collect();
    let mut ready: Vec<Ready> = Vec::new();
    for task in (0..model.tasks()).filter(|&task| open(task) && missing[task] == 0) {
        ready.push(look(model, &timelines, &schedule, task));
    }
    while let Some(at) = best(&ready, pick) {
        let next = ready.swap_remove(at);
        let duration_s = model.duration_s(next.task, next.agent);
        let need = model.need(next.task);
        let arrival_s = next.arrival_s[next.agent];
        let start_s = timelines[next.agent].earliest_s(arrival_s, duration_s, need);
        timelines[next.agent].reserve(start_s, start_s + duration_s, need);
        schedule.place(next.task, next.agent, start_s, start_s + duration_s);
        for link in model.successors.of(next.task) {
            let task = link.task as usize;
            if open(task) {
                missing[task] -= 1;
                if missing[task] == 0 {
                    ready.push(look(model, &timelines, &schedule, task));
                }
            }
        }
        // Only that agent has become worse.
        for other in &mut ready {
            if other.agent == next.agent || pick == Pick::Sufferage {
                other.find(model, &timelines);
            }
        }
    }
    schedule
}

fn look(model: &Model, timelines: &[Timeline], schedule: &Schedule, task: usize) -> Ready {
    let mut ready = Ready {
        task,
        arrival_s: vec![0.0; model.agents()],
        agent: 0,
        finish_s: f64::INFINITY,
        second_s: f64::INFINITY,
    };
    model.arrivals_s(task, schedule, &mut ready.arrival_s);
    ready.find(model, timelines);
    ready
}

impl Ready {
    fn find(&mut self, model: &Model, timelines: &[Timeline]) {
        let need = model.need(self.task);
        (self.finish_s, self.second_s) = (f64::INFINITY, f64::INFINITY);
        for (agent, duration_s) in model.eligible(self.task) {
            let arrival_s = self.arrival_s[agent];
            if arrival_s + duration_s >= self.second_s {
                continue;
            }
            let finish_s = timelines[agent].earliest_s(arrival_s, duration_s, need) + duration_s;
            if finish_s < self.finish_s {
                self.second_s = self.finish_s;
                (self.agent, self.finish_s) = (agent, finish_s);
            } else {
                self.second_s = self.second_s.min(finish_s);
            }
        }
    }

    fn key(&self, pick: Pick) -> f64 {
        match pick {
            Pick::MinMin => -self.finish_s,
            Pick::MaxMin => self.finish_s,
            Pick::Sufferage if self.second_s.is_finite() => self.second_s - self.finish_s,
            Pick::Sufferage => f64::MAX,
        }
    }
}

/// Ties go to the lowest task.
fn best(ready: &[Ready], pick: Pick) -> Option<usize> {
    let key = |at: usize| (ready[at].key(pick), ready[at].task);
    (0..ready.len()).reduce(|a, b| {
        let (one, other) = (key(a), key(b));
        let order = other.0.total_cmp(&one.0).then(one.1.cmp(&other.1));
        if order.is_gt() { b } else { a }
    })
}
