//! From the portfolio's best schedule on, as long as the budget lasts.

use crate::aim::Aim;
use crate::anneal::{Effort, anneal};
use crate::climb::climb;
use crate::instance::Instance;
use crate::portfolio::Portfolio;
use crate::project::Project;
use crate::random::Random;
use crate::sequence::Sequence;

/// What part of the work may go into further list schedules: 1 in this many.
const FURTHER_PART: u64 = 10;

/// Offers the portfolio what it finds; gives the changes tried.
pub fn improve(portfolio: &mut Portfolio, effort: Effort, seed: u64) -> u64 {
    let model = portfolio.model();
    let begun = portfolio.work;
    portfolio.build_more(begun + effort.work / FURTHER_PART);
    let effort = Effort {
        work: effort.work.saturating_sub(portfolio.work - begun),
        ..effort
    };
    let instance = Instance::new(model);
    let best = portfolio.best();
    let bound_s = portfolio.bound().makespan_s;
    let aim = Aim::new(model, portfolio.limits(), bound_s, best);
    let mut random = Random::new(seed);
    let (tried, schedule) = if instance.has_profiles {
        let mut project = Project::new(&instance, best);
        let tried = climb(&mut project, &aim, &mut random, effort);
        (tried, project.schedule())
    } else {
        let mut sequence = Sequence::new(&instance, best);
        let tried = anneal(&mut sequence, &aim, &mut random, effort);
        (tried, sequence.schedule())
    };
    portfolio.offer(schedule);
    tried
}
