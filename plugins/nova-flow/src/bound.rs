//! A tighter lower bound: what must happen before, work that shares the agents, and what must follow.
//!
//! For every moment `h`, the tasks that cannot start before it; of those, for every length `q`, the ones
//! that at least `q` must follow. All their work lies between `h` and makespan - `q`, so
//! makespan ≥ `h` + work ÷ rate + `q` (the subset bound of Carlier, "The one-machine sequencing problem", EJOR
//! 11, 1982, with all slots together as one machine). Work is taken as occupied slots, as work at the agents'
//! speeds, and as each supplied resource occupied, whichever says most.

use nova_sdk::flow::Model;
use nova_sdk::flow::bound::Bound;

/// Moments looked at.
const HEADS: usize = 32;

/// The larger of a bound and this one.
pub fn tightened(model: &Model, bound: Bound) -> Bound {
    let (head_s, tail_s) = (heads_s(model, &bound), tails_s(model));
    let mut by_tail: Vec<usize> = (0..model.tasks())
        .filter(|&task| model.fixed(task).is_none())
        .collect();
    by_tail.sort_by(|&a, &b| tail_s[b].total_cmp(&tail_s[a]));
    let mut heads: Vec<f64> = by_tail.iter().map(|&task| head_s[task]).collect();
    heads.sort_by(f64::total_cmp);
    heads.dedup();
    let step = heads.len().div_ceil(HEADS).max(1);
    let measures = measures(model);
    let mut most_s = bound.makespan_s;
    for &from_s in heads.iter().step_by(step) {
        for measure in &measures {
            let mut work = 0.0;
            for &task in by_tail.iter().filter(|&&task| head_s[task] >= from_s) {
                work += measure.work[task];
                most_s = most_s.max(from_s + work / measure.rate + tail_s[task]);
            }
        }
    }
    if most_s <= bound.makespan_s {
        return bound;
    }
    Bound {
        makespan_s: most_s,
        task: None,
        ..bound
    }
}

/// Before when no task starts.
fn heads_s(model: &Model, bound: &Bound) -> Vec<f64> {
    (0..model.tasks())
        .map(|task| {
            (model.predecessors.of(task).iter())
                .map(|link| bound.finish_s[link.task as usize])
                .fold(model.release_s(task), f64::max)
        })
        .collect()
}

/// What must follow each task at least: the longest path on the fastest agents, without transfers.
fn tails_s(model: &Model) -> Vec<f64> {
    let mut tail_s = vec![0.0; model.tasks()];
    for &task in model.order.iter().rev() {
        tail_s[task as usize] = (model.successors.of(task as usize).iter())
            .map(|link| link.task as usize)
            .filter(|&next| model.fixed(next).is_none())
            .map(|next| tail_s[next] + model.fastest_s(next))
            .fold(0.0, f64::max);
    }
    tail_s
}

/// Work of each task, and how much of it all agents do in a second.
struct Measure {
    work: Vec<f64>,
    rate: f64,
}

fn measures(model: &Model) -> Vec<Measure> {
    let agents = &model.problem.agents;
    let slots = |agent: usize| f64::from(agents.slots[agent]);
    let every = 0..model.agents();
    let mut measures = vec![Measure {
        work: (0..model.tasks())
            .map(|task| model.fastest_s(task))
            .collect(),
        rate: every.clone().map(slots).sum(),
    }];
    if model.problem.durations.duration_s.is_empty() {
        measures.push(Measure {
            work: model.problem.tasks.work_s.clone(),
            rate: every
                .clone()
                .map(|agent| slots(agent) * agents.speed[agent])
                .sum(),
        });
    }
    let width = every
        .clone()
        .next()
        .map_or(1, |agent| model.capacity(agent).len());
    for resource in 1..width {
        let supply = |agent: usize| model.capacity(agent)[resource];
        let rate: f64 = every.clone().map(supply).filter(|s| s.is_finite()).sum();
        if rate <= 0.0 {
            continue;
        }
        // Only what no unbounded agent can take is sure to need the supply.
        let bound = |task: usize| {
            model
                .eligible(task)
                .all(|(agent, _)| supply(agent).is_finite())
        };
        let work = (0..model.tasks()).map(|task| {
            let need = model.need(task)[resource];
            if need > 0.0 && bound(task) {
                need * model.fastest_s(task)
            } else {
                0.0
            }
        });
        measures.push(Measure {
            work: work.collect(),
            rate,
        });
    }
    measures
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use nova_sdk::flow::Problem;
    use nova_sdk::flow::bound::lower_bound;
    use nova_sdk::flow::testing::related;

    fn bounds_s(problem: &Problem) -> (f64, f64) {
        let model = Model::new(problem).unwrap();
        let bound = lower_bound(&model);
        (
            bound.makespan_s,
            tightened(&model, bound.clone()).makespan_s,
        )
    }

    #[test]
    fn what_comes_before_and_after_adds_to_the_work_between() {
        // 1 s, then eight tasks of 2 s on two agents, then 3 s.
        let mut work = vec![1.0, 3.0];
        work.extend([2.0; 8]);
        let edges: Vec<_> = (2..10)
            .flat_map(|task| [(0, task, 0.0), (task, 1, 0.0)])
            .collect();
        let problem = related(&work, &edges, &[1.0, 1.0]);
        assert_eq!(bounds_s(&problem), (10.0, 12.0));
    }

    #[test]
    fn a_supply_bounds_as_slots_do() {
        let mut problem = related(&[2.0; 4], &[], &[1.0]);
        problem.agents.slots = vec![4];
        problem.agents.supply_agent = vec![0];
        problem.agents.supply_resource = vec![0];
        problem.agents.supply_amount = vec![5.0];
        problem.demands.task = vec![0, 1, 2, 3];
        problem.demands.resource = vec![0; 4];
        problem.demands.amount = vec![5.0; 4];
        assert_eq!(bounds_s(&problem), (2.0, 8.0));
    }
}
