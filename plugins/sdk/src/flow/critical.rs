//! The critical path of a graph, before any schedule, and the agent that suits it best.
//!
//! Source: Topcuoglu, Hariri, Wu 2002, section 4.2 (CPOP).

use super::Model;

/// Lengths closer than this, relative to the longest, are the same.
const SAME_LENGTH: f64 = 1e-9;

/// The tasks of a longest way, first to last; `through` is the length of the longest way
/// through each task ([`rank::through`](super::rank::through)). Ties go to the lowest task.
pub fn path(model: &Model, through: &[f64]) -> Vec<u32> {
    let longest = through.iter().copied().fold(0.0, f64::max);
    let near = longest - SAME_LENGTH * longest;
    let mut path = Vec::new();
    let mut next = (0..model.tasks())
        .filter(|&task| model.predecessors.of(task).is_empty())
        .find(|&task| through[task] >= near);
    while let Some(task) = next {
        path.push(task as u32);
        next = (model.successors.of(task).iter())
            .map(|link| link.task as usize)
            .filter(|&task| through[task] >= near)
            .min();
    }
    path
}

/// By task, the agent of the critical path for its tasks that are eligible there and not
/// fixed. That agent can run most of them and, of those that can, runs them fastest.
pub fn pinned(model: &Model, through: &[f64]) -> Vec<Option<u32>> {
    let mut path = path(model, through);
    path.retain(|&task| model.fixed(task as usize).is_none());
    let load = |agent: usize| {
        let (mut lacking, mut sum_s) = (0, 0.0);
        for &task in &path {
            let duration_s = model.duration_s(task as usize, agent);
            if duration_s.is_finite() {
                sum_s += duration_s;
            } else {
                lacking += 1;
            }
        }
        (lacking, sum_s)
    };
    let agent = (0..model.agents())
        .map(|agent| (load(agent), agent))
        .reduce(|a, b| if b.0 < a.0 { b } else { a });
    let mut pinned = vec![None; model.tasks()];
    if let Some((_, agent)) = agent {
        for &task in &path {
            if model.duration_s(task as usize, agent).is_finite() {
                pinned[task as usize] = Some(agent as u32);
            }
        }
    }
    pinned
}
