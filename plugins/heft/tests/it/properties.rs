//! Properties that hold for every problem.

use nova_sdk::StrategyError;
use nova_sdk::flow::bound::lower_bound;
use nova_sdk::flow::place::{Rule, place};
use nova_sdk::flow::testing::{check, keeps_the_contract, random, unbounded};
use nova_sdk::flow::{Model, Problem, Schedule};
use proptest::prelude::*;

/// A schedule in an order that has nothing to do with the ranks.
fn arbitrary_schedule(model: &Model, seed: u64) -> Schedule {
    let key: Vec<f64> = (0..model.tasks() as u64)
        .map(|task| ((seed ^ task).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as f64)
        .collect();
    let rule = match seed % 3 {
        0 => Rule::Finish,
        1 => Rule::Cost,
        _ => Rule::Weighted {
            seconds_per_cost: 0.5,
        },
    };
    place(model, &model.timelines(), &key, rule)
}

/// Demands that exceed every supply make a problem infeasible; nothing else in them does.
fn sound(problem: &Problem) -> bool {
    Model::new(problem).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_keeps_the_contract(seed: u64, objective in 0u8..3) {
        let problem = unbounded(seed, objective);
        prop_assume!(problem.is_some());
        keeps_the_contract(heft::optimize, &problem.expect("assumed"));
    }

    #[test]
    fn no_schedule_beats_the_bound(seed: u64, order: u64) {
        let problem = random(seed);
        prop_assume!(sound(&problem));
        let model = Model::new(&problem).expect("sound");
        let bound = lower_bound(&model);
        let schedule = arbitrary_schedule(&model, order);
        let room = 1e-9 * schedule.makespan_s().abs().max(1.0);
        prop_assert!(bound.makespan_s <= schedule.makespan_s() + room);
        for task in 0..model.tasks() {
            prop_assert!(bound.finish_s[task] <= schedule.finish_s[task] + room);
        }
    }

    #[test]
    fn no_schedule_is_cheaper_than_the_cheapest(seed: u64, order: u64) {
        let problem = unbounded(seed, 1);
        prop_assume!(problem.is_some());
        let problem = problem.expect("assumed");
        let model = Model::new(&problem).expect("sound");
        let other = arbitrary_schedule(&model, order).cost(&model);
        let plan = heft::optimize(&problem).expect("nothing is bounded");
        prop_assert!(plan.cost <= other + 1e-9 * other.max(1.0));
    }

    /// The bounds are those of a schedule that exists: they are kept, or not found to be,
    /// but never called impossible.
    #[test]
    fn the_possible_is_never_refused_as_impossible(
        seed: u64, order: u64, objective in 0u8..3, deadlines: bool, cap: bool, latency: bool,
    ) {
        let problem = unbounded(seed, objective);
        prop_assume!(problem.is_some());
        let mut problem = problem.expect("assumed");
        let schedule = {
            let model = Model::new(&problem).expect("sound");
            let schedule = arbitrary_schedule(&model, order);
            if cap {
                problem_cost(&schedule, &model)
            } else {
                (f64::INFINITY, schedule)
            }
        };
        let (max_cost, schedule) = schedule;
        problem.constraints.max_cost = max_cost;
        if deadlines {
            problem.tasks.deadline_s = schedule.finish_s.clone();
        }
        if latency {
            problem.constraints.max_latency_s = schedule.makespan_s().max(0.0);
        }
        match heft::optimize(&problem) {
            Ok(plan) => prop_assert_eq!(check(&problem, &plan), Ok(())),
            Err(StrategyError::Infeasible(refusal)) => {
                prop_assert!(refusal.description.contains("which may exist"), "{:?}", refusal);
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }

    /// A cap alone is always kept, for the cheapest agents keep it.
    #[test]
    fn a_possible_cap_is_kept(seed: u64, order: u64) {
        let mut problem = random(seed);
        prop_assume!(sound(&problem));
        problem.constraints.max_cost = {
            let model = Model::new(&problem).expect("sound");
            arbitrary_schedule(&model, order).cost(&model)
        };
        let plan = heft::optimize(&problem).expect("the cap can be kept");
        prop_assert_eq!(check(&problem, &plan), Ok(()));
    }

    #[test]
    fn what_is_claimed_was_gained(seed: u64, order: u64, objective in 0u8..3) {
        let problem = unbounded(seed, objective);
        prop_assume!(problem.is_some());
        let mut problem = problem.expect("assumed");
        let (before_s, before_cost) = {
            let model = Model::new(&problem).expect("sound");
            let schedule = arbitrary_schedule(&model, order);
            let before = (schedule.makespan_s(), schedule.cost(&model));
            let baseline = &mut problem.baseline;
            (baseline.agent, baseline.start_s, baseline.finish_s) =
                (schedule.agent, schedule.start_s, schedule.finish_s);
            before
        };
        let plan = heft::optimize(&problem).expect("nothing is bounded");
        let claimed: f64 = plan.optimizations.iter().map(|o| o.impact).sum();
        let gained = if objective == 1 {
            before_cost - plan.cost
        } else {
            before_s - plan.makespan_s
        };
        prop_assert!((claimed - gained.max(0.0)).abs() <= 1e-6 * before_s.max(1.0),
            "claimed {claimed}, gained {gained}: {:?}", plan.optimizations);
        prop_assert!(plan.optimizations.iter().all(|o| o.impact > 0.0));
    }
}

fn problem_cost(schedule: &Schedule, model: &Model) -> (f64, Schedule) {
    (schedule.cost(model), schedule.clone())
}
