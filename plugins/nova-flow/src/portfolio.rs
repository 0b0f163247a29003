//! Schedules built at once, of which the best is the answer when there is no time to search, and
//! the beginning of the search when there is.
//!
//! HEFT, PEFT and CPOP as their plugins answer; HEFT from the end; minimum completion time in the order in which
//! tasks become ready; min-min, max-min and sufferage; then list schedules by ranks that weigh durations and
//! transfers otherwise.

use crate::dynamic::{self, Pick};
use crate::mirror::mirror;
use nova_sdk::StrategyError;
use nova_sdk::flow::bound::Bound;
use nova_sdk::flow::limits::Limits;
use nova_sdk::flow::place::{Rule, place};
use nova_sdk::flow::{Model, Schedule, Timeline, critical, list, rank};

/// What a rank takes for a task's duration.
#[derive(Clone, Copy)]
enum Run {
    Mean,
    Fastest,
    Slowest,
    /// Halfway between fastest and mean.
    Quick,
}

/// The schedules built so far, of which only the best is kept.
pub struct Portfolio<'m> {
    model: &'m Model<'m>,
    bound: &'m Bound,
    limits: Limits,
    timelines: Vec<Timeline>,
    /// The best schedule and its score.
    best: Option<([f64; 3], Schedule)>,
    /// Schedules built.
    pub tried: usize,
    /// Units of work spent.
    pub work: u64,
}

impl<'m> Portfolio<'m> {
    /// Nothing built yet.
    pub fn new(model: &'m Model<'m>, bound: &'m Bound, limits: Limits) -> Self {
        Portfolio {
            model,
            bound,
            limits,
            timelines: model.timelines(),
            best: None,
            tried: 0,
            work: 0,
        }
    }

    /// Considers a schedule.
    pub fn offer(&mut self, schedule: Schedule) {
        let score = self.limits.score(self.model, &schedule);
        self.tried += 1;
        if self.best.as_ref().is_none_or(|(best, _)| score < *best) {
            self.best = Some((score, schedule));
        }
    }

    /// The best schedule so far.
    pub fn best(&self) -> &Schedule {
        &self.best.as_ref().expect("a schedule was offered").1
    }

    /// The best schedule, for good.
    pub fn into_best(self) -> Schedule {
        self.best.expect("a schedule was offered").1
    }

    /// What the schedules are of.
    pub fn model(&self) -> &'m Model<'m> {
        self.model
    }

    /// What they should keep.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What no schedule beats.
    pub fn bound(&self) -> &'m Bound {
        self.bound
    }

    /// Why the best schedule is no answer.
    pub fn refusal(&self) -> StrategyError {
        (self.limits).missed(self.model, self.bound, self.best(), self.tried)
    }

    /// Whether the best schedule breaks a limit.
    pub fn is_missed(&self) -> bool {
        self.best.as_ref().is_none_or(|(score, _)| score[0] > 0.0)
    }

    /// Builds what the plugins `heft`, `peft` and `cpop` build, HEFT from the end, and minimum
    /// completion time.
    pub fn build_first(&mut self) {
        let model = self.model;
        let mean_s = rank::mean_durations_s(model);
        let upward = rank::upward(model, &mean_s);
        self.choose(&mean_s, &upward, Rule::Finish);
        let table = rank::optimistic_costs_s(model);
        let optimistic = rank::optimistic(model, &table);
        self.choose(&mean_s, &optimistic, Rule::LookAhead(&table));
        let through = rank::through(model, &mean_s);
        let pinned = critical::pinned(model, &through);
        self.choose(&mean_s, &through, Rule::Pinned(&pinned));
        self.build_backwards();
        let mut became_ready = vec![0.0; model.tasks()];
        for (at, &task) in model.order.iter().enumerate() {
            became_ready[task as usize] = -(at as f64);
        }
        self.build(&became_ready, Rule::Finish);
    }

    /// Builds more, while the work spent is below `limit`.
    pub fn build_more(&mut self, limit: u64) {
        let model = self.model;
        let table = rank::optimistic_costs_s(model);
        for run in [Run::Mean, Run::Fastest, Run::Slowest, Run::Quick] {
            let run_s = durations_s(model, run);
            for transfers in [1.0, 0.0, 0.5, 2.0] {
                let key = upward(model, &run_s, transfers);
                for rule in [Rule::Finish, Rule::LookAhead(&table)] {
                    if self.work >= limit {
                        return;
                    }
                    self.build(&key, rule);
                }
            }
        }
        for pick in [Pick::MinMin, Pick::MaxMin, Pick::Sufferage] {
            // Each placement looks at all ready tasks.
            if self.work >= limit || model.tasks() > DYNAMIC_TASKS {
                return;
            }
            self.work += 4 * self.size();
            let schedule = dynamic::schedule(model, &self.timelines, pick);
            self.offer(schedule);
        }
    }

    fn size(&self) -> u64 {
        let model = self.model;
        let edges = model.problem.dependencies.from.len();
        (PLACE_WORK * (model.agents() * model.tasks() + edges)) as u64
    }

    fn build(&mut self, key: &[f64], rule: Rule<'_>) {
        self.work += self.size();
        let schedule = place(self.model, &self.timelines, key, rule);
        self.offer(schedule);
    }

    /// The schedule that a plugin would choose; where it refuses, the one that it would
    /// have begun with.
    fn choose(&mut self, mean_s: &[f64], key: &[f64], rule: Rule<'_>) {
        match list::choose(self.model, self.bound, mean_s, key, rule) {
            Ok(schedule) => {
                self.work += self.size();
                self.offer(schedule);
            }
            Err(_) => self.build(key, rule),
        }
    }

    fn build_backwards(&mut self) {
        let (problem, origin) = mirror(self.model);
        // What fits this problem's agents fits the same agents there.
        let Ok(mirrored) = Model::new(&problem) else {
            return;
        };
        let mean_s = rank::mean_durations_s(&mirrored);
        let key = rank::upward(&mirrored, &mean_s);
        let timelines = mirrored.timelines();
        let backwards = place(&mirrored, &timelines, &key, Rule::Finish);
        let mut key = vec![0.0; self.model.tasks()];
        let mut agents = vec![None; self.model.tasks()];
        for (index, &task) in origin.iter().enumerate() {
            key[task as usize] = backwards.finish_s[index];
            agents[task as usize] = Some(backwards.agent[index]);
        }
        self.work += self.size();
        self.build(&key, Rule::Pinned(&agents));
    }
}

/// Units of work to look at an agent for a task, and at a dependency.
const PLACE_WORK: usize = 20;

/// Most tasks for which each placement may look at all that are ready.
const DYNAMIC_TASKS: usize = 1000;

fn durations_s(model: &Model, run: Run) -> Vec<f64> {
    let mut mean_s = rank::mean_durations_s(model);
    for (task, mean_s) in mean_s.iter_mut().enumerate() {
        if model.fixed(task).is_some() {
            continue;
        }
        let longest = |a: f64, (_, s): (usize, f64)| f64::max(a, s);
        *mean_s = match run {
            Run::Mean => *mean_s,
            Run::Fastest => model.fastest_s(task),
            Run::Slowest => model.eligible(task).fold(0.0, longest),
            Run::Quick => 0.5 * (*mean_s + model.fastest_s(task)),
        };
    }
    mean_s
}

/// The upward rank with transfers weighed by a factor.
fn upward(model: &Model, run_s: &[f64], transfers: f64) -> Vec<f64> {
    let mut rank = vec![0.0; model.tasks()];
    for &task in model.order.iter().rev() {
        let task = task as usize;
        let below = (model.successors.of(task).iter())
            .map(|link| {
                let way_s = model.mean_transfer_s(link.edge as usize);
                transfers * way_s + rank[link.task as usize]
            })
            .fold(0.0, f64::max);
        rank[task] = run_s[task] + below;
    }
    rank
}
