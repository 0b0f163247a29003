//! Simulated annealing over orders and agents of problems with supplies, as long as the work lasts.
//!
//! A change moves a task in the order, or to another agent; each candidate is decoded whole and, if it
//! comes near, improved forward and backward ([`crate::project`]).

use crate::aim::Aim;
use crate::anneal::Effort;
use crate::project::{Project, Saved};
use crate::random::Random;

/// The temperature at the beginning of a round, in parts of the aim.
const HOT: f64 = 0.03;
/// The temperature at its end.
const COLD: f64 = 0.0005;
/// Schedules of the first round, a task; each later one is half as long again.
const ROUND: u64 = 40;
/// Rounds in a row that find nothing better, after which nothing will.
const IDLE_ROUNDS: u32 = 16;
/// Of so many candidates one is improved whatever it is.
const JUSTIFY_ONE_IN: usize = 8;

/// Searches from the solution that `project` holds, which becomes the best one found; gives the
/// changes tried.
pub fn climb(project: &mut Project, aim: &Aim, random: &mut Random, effort: Effort) -> u64 {
    let end = project.work.saturating_add(effort.work);
    project.justify();
    let mut now = value(project, aim);
    let mut best = now;
    let (mut kept, mut best_kept) = (Saved::default(), Saved::default());
    project.save(&mut kept);
    project.save(&mut best_kept);
    let mut tried = 0;
    let mut round = ROUND * project.list.len() as u64;
    let mut idle = 0;
    while idle < IDLE_ROUNDS {
        let (before, mut done) = (best, 0);
        while done < round {
            if project.work >= end || tried >= effort.iterations || best <= aim.least() {
                project.restore(&best_kept);
                return tried;
            }
            let part = done as f64 / round as f64;
            let temperature = best * HOT * (COLD / HOT).powf(part);
            let limit = now - temperature * random.unit().ln();
            change(project, random);
            tried += 1;
            done += 1;
            project.decode();
            let mut then = value(project, aim);
            if then <= limit || random.below(JUSTIFY_ONE_IN) == 0 {
                project.justify();
                then = value(project, aim);
            }
            if then > limit {
                project.restore(&kept);
                continue;
            }
            now = then;
            project.save(&mut kept);
            if now < best {
                best = now;
                project.save(&mut best_kept);
            }
        }
        project.restore(&best_kept);
        project.save(&mut kept);
        now = best;
        round += round / 2;
        idle = if best < before { 0 } else { idle + 1 };
    }
    tried
}

/// One to three small changes.
fn change(project: &mut Project, random: &mut Random) {
    let tasks = project.list.len();
    for _ in 0..1 + random.below(3) {
        let at = random.below(tasks);
        let task = project.list[at] as usize;
        let eligible = project.instance.eligible_of(task);
        if eligible.len() > 1 && random.below(2) == 0 {
            project.agent[task] = eligible[random.below(eligible.len())];
        } else {
            let (low, high) = project.room(at);
            let to = low + random.below(high - low);
            project.shift(at, to);
        }
    }
    project.work += 100;
}

/// What the aim says of the solution.
fn value(project: &Project, aim: &Aim) -> f64 {
    let (makespan_s, cost) = (project.makespan_s(), project.cost());
    let value = aim.value(makespan_s, cost);
    if !aim.is_bounded() {
        return value;
    }
    value + aim.penalty(makespan_s, cost, project.late())
}
