//! How good an answer is, by the host's own measures. They take no number that a plugin claims of itself.
//!
//! [`score`] is in the answer's own unit: for two answers to the same question. [`of_plan`] and
//! [`of_allocation`] are relative to what no answer can beat, the smaller the better, 1 at best: comparable between
//! problems, so that the answers of two strategies to different requests can be set against each other.

use super::allocation::{AllocationAnswer, AllocationProblem};
use super::decision::{Question, Reply};
use super::flow::{FlowPlan, FlowProblem, Objective};
use crate::domain::graph::Graph;

/// A plan's makespan ÷ a lower bound of it; for the goals `cost` and `balanced` likewise of the cost.
/// None where there is nothing to decide.
pub fn of_plan(problem: &FlowProblem, plan: &FlowPlan) -> Option<f64> {
    let bounds = bounds(problem)?;
    let makespan = ratio(plan.makespan_s, bounds.makespan_s);
    let cost = ratio(plan.cost, bounds.cost);
    match problem.goal.objective {
        Objective::Performance => makespan,
        Objective::Cost => cost,
        Objective::Balanced => {
            let (m, c) = (problem.goal.makespan_weight, problem.goal.cost_weight);
            match (makespan, cost) {
                (Some(makespan), Some(cost)) if m + c > 0.0 => {
                    Some((m * makespan + c * cost) / (m + c))
                }
                (makespan, cost) => makespan.or(cost),
            }
        }
    }
}

/// 1 + the share of the demand that is not met: 1 = all of it is met, 2 = nothing is. None without
/// demand.
pub fn of_allocation(problem: &AllocationProblem, answer: &AllocationAnswer) -> Option<f64> {
    let wanted: Vec<f64> = problem
        .requested
        .iter()
        .zip(&problem.max)
        .map(|(requested, max)| requested.min(*max))
        .collect();
    let each = wanted.iter().zip(&answer.amount).filter(|(w, _)| **w > 0.0);
    let (count, missing) = each.fold((0_u32, 0.0), |(count, missing), (wanted, given)| {
        (count + 1, missing + (1.0 - given / wanted).clamp(0.0, 1.0))
    });
    (count > 0).then(|| 1.0 + missing / f64::from(count))
}

struct Bounds {
    makespan_s: f64,
    cost: f64,
}

fn ratio(value: f64, bound: f64) -> Option<f64> {
    (bound > 0.0 && value.is_finite()).then(|| (value / bound).max(1.0))
}

/// The longest chain of each open task's shortest duration, the work ÷ the slots, and the least cost.
fn bounds(problem: &FlowProblem) -> Option<Bounds> {
    let (tasks, agents) = (problem.task_count(), problem.agent_count());
    let eligible = problem.eligibility();
    let mut shortest_s = vec![0.0; tasks];
    let mut cost = 0.0;
    for (task, shortest_s) in shortest_s.iter_mut().enumerate() {
        if problem.fixed_agent(task).is_some() {
            continue;
        }
        let may = (0..agents).filter(|agent| eligible[task * agents + agent]);
        let times = may.map(|agent| {
            let s = problem.execution_s(task, agent);
            (s, s * problem.agents.cost_per_s[agent])
        });
        let least = times.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)))?;
        *shortest_s = least.0;
        cost += least.1;
    }
    let d = &problem.dependencies;
    let pairs: Vec<(u32, u32)> = d.from.iter().copied().zip(d.to.iter().copied()).collect();
    let (_, longest_s) = Graph::new(tasks, &pairs).critical_path(&shortest_s)?;
    let slots: f64 = problem.agents.slots.iter().map(|s| f64::from(*s)).sum();
    let shared_s = shortest_s.iter().sum::<f64>() / slots.max(1.0);
    Some(Bounds {
        makespan_s: longest_s.max(shared_s),
        cost,
    })
}

/// How good an answer is, by its kind's own measure.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Score {
    /// The measure's name: `makespan_s`, `cost`, `weighted` (makespan and cost by the goal's weights),
    /// `demand_met` (0 to 1).
    pub measure: &'static str,
    /// The number.
    pub value: f64,
    /// Whether more is better.
    pub higher_is_better: bool,
}

/// The largest advantage of one answer over another that counts: all of it once more.
pub const GAIN_MAX: f64 = 1.0;

impl Score {
    /// This answer's advantage over `other`, relative to it: positive is better, 0.1 is ten percent. At most
    /// [`GAIN_MAX`] either way, so that one problem of which `other` made next to nothing does not outweigh all
    /// others in a mean.
    pub fn gain_over(&self, other: &Self) -> f64 {
        let difference = if self.higher_is_better {
            self.value - other.value
        } else {
            other.value - self.value
        };
        if difference == 0.0 {
            return 0.0;
        }
        let gain = difference / other.value.abs().max(f64::MIN_POSITIVE);
        gain.clamp(-GAIN_MAX, GAIN_MAX)
    }
}

/// How good an answer is; none where the kind has no measure, or the reply is not to the question.
pub fn score(question: &Question, reply: &Reply) -> Option<Score> {
    match (question, reply) {
        (Question::Flow(problem), Reply::Plan(plan)) => {
            let goal = &problem.goal;
            let (measure, value) = match goal.objective {
                Objective::Performance => ("makespan_s", plan.makespan_s),
                Objective::Cost => ("cost", plan.cost),
                Objective::Balanced => (
                    "weighted",
                    goal.makespan_weight * plan.makespan_s + goal.cost_weight * plan.cost,
                ),
            };
            Some(Score {
                measure,
                value,
                higher_is_better: false,
            })
        }
        (Question::Allocation(problem), Reply::Allocation(answer)) => Some(Score {
            measure: "demand_met",
            value: demand_met(problem, answer),
            higher_is_better: true,
        }),
        _ => None,
    }
}

/// The part of what was requested that was given, each demand weighted as its claim.
fn demand_met(problem: &AllocationProblem, answer: &AllocationAnswer) -> f64 {
    let (mut met, mut all) = (0.0, 0.0);
    for (d, requested) in problem.requested.iter().enumerate() {
        let claim = problem.demand_claim.get(d).map_or(0, |c| *c as usize);
        let weight = problem.weight.get(claim).copied().unwrap_or(1.0);
        let given = answer.amount.get(d).copied().unwrap_or(0.0);
        all += weight;
        met += weight
            * if *requested > 0.0 {
                (given / requested).min(1.0)
            } else {
                1.0
            };
    }
    if all > 0.0 { met / all } else { 1.0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::strategy::flow::Goal;

    fn plan(makespan_s: f64, cost: f64) -> FlowPlan {
        FlowPlan {
            makespan_s,
            cost,
            ..FlowPlan::default()
        }
    }

    #[test]
    fn a_plan_is_measured_against_what_no_plan_can_beat() {
        let mut problem = FlowProblem::new(vec![4.0, 4.0, 2.0], vec![1.0, 2.0]);
        problem.agents.cost_per_s = vec![1.0, 3.0];
        // Shortest 2, 2 and 1 s: 5 s on two slots. The least cost: 10 s on the cheap agent.
        let of = |problem: &FlowProblem, makespan_s, cost| {
            of_plan(problem, &plan(makespan_s, cost)).unwrap()
        };
        assert_eq!(of(&problem, 5.0, 0.0), 2.0);
        problem.dependencies.from = vec![0, 1];
        problem.dependencies.to = vec![1, 2];
        problem.dependencies.data_bytes = vec![0.0, 0.0];
        assert_eq!(of(&problem, 5.0, 0.0), 1.0, "a chain is as long as it is");
        problem.goal = Goal {
            objective: Objective::Cost,
            ..problem.goal
        };
        assert_eq!(of(&problem, 5.0, 15.0), 1.5);
        problem.goal = Goal {
            objective: Objective::Balanced,
            makespan_weight: 1.0,
            cost_weight: 1.0,
        };
        assert_eq!(of(&problem, 10.0, 15.0), 1.75);
        assert_eq!(
            of_plan(&FlowProblem::new(vec![], vec![1.0]), &plan(0.0, 0.0)),
            None
        );
    }

    #[test]
    fn an_allocation_is_measured_by_the_demand_that_it_meets() {
        let problem = AllocationProblem {
            requested: vec![4.0, 10.0, 0.0],
            max: vec![f64::INFINITY, 5.0, 1.0],
            ..AllocationProblem::default()
        };
        let of = |amount: &[f64]| {
            let answer = AllocationAnswer {
                amount: amount.to_vec(),
                ..AllocationAnswer::default()
            };
            of_allocation(&problem, &answer)
        };
        assert_eq!(of(&[4.0, 5.0, 0.0]), Some(1.0));
        assert_eq!(of(&[0.0, 0.0, 0.0]), Some(2.0));
        assert_eq!(of(&[2.0, 5.0, 0.0]), Some(1.25));
        assert_eq!(
            of_allocation(&AllocationProblem::default(), &AllocationAnswer::default()),
            None
        );
    }

    fn flow(objective: Objective) -> Question {
        let mut problem = FlowProblem::new(vec![1.0], vec![1.0]);
        problem.goal.objective = objective;
        (problem.goal.makespan_weight, problem.goal.cost_weight) = (2.0, 0.5);
        Question::Flow(Arc::new(problem))
    }

    #[test]
    fn each_kind_has_its_measure() {
        let plan = Reply::Plan(FlowPlan {
            makespan_s: 10.0,
            cost: 4.0,
            ..FlowPlan::default()
        });
        let of = |objective| score(&flow(objective), &plan).map(|s| (s.measure, s.value));
        assert_eq!(of(Objective::Performance), Some(("makespan_s", 10.0)));
        assert_eq!(of(Objective::Cost), Some(("cost", 4.0)));
        assert_eq!(of(Objective::Balanced), Some(("weighted", 22.0)));

        let problem = AllocationProblem {
            weight: vec![3.0, 1.0],
            demand_claim: vec![0, 1],
            requested: vec![4.0, 10.0],
            ..AllocationProblem::default()
        };
        let answer = AllocationAnswer {
            amount: vec![4.0, 5.0],
            ..AllocationAnswer::default()
        };
        let question = Question::Allocation(Arc::new(problem));
        let met = score(&question, &Reply::Allocation(answer)).map(|s| s.value);
        assert_eq!(met, Some(0.875));
        assert_eq!(score(&question, &plan), None, "an answer of another kind");
    }

    #[test]
    fn a_gain_is_relative_and_knows_its_direction() {
        let shorter = |value| Score {
            measure: "makespan_s",
            value,
            higher_is_better: false,
        };
        let more = |value| Score {
            measure: "demand_met",
            value,
            higher_is_better: true,
        };
        assert_eq!(shorter(9.0).gain_over(&shorter(10.0)), 0.1);
        assert_eq!(shorter(12.0).gain_over(&shorter(10.0)), -0.2);
        assert_eq!(more(0.75).gain_over(&more(0.5)), 0.5);
        assert_eq!(shorter(0.0).gain_over(&shorter(0.0)), 0.0);
        assert_eq!(more(0.5).gain_over(&more(0.0)), GAIN_MAX);
        assert_eq!(shorter(0.1).gain_over(&shorter(0.0)), -GAIN_MAX);
    }
}
