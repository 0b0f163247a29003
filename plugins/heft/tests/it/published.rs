//! Published examples, and some that can be checked by hand.

use crate::{plan, refusal};
use nova_sdk::InfeasibleReason;
use nova_sdk::flow::Problem;
use nova_sdk::flow::testing::{arabnejad, topcuoglu, unrelated};

#[test]
fn topcuoglu_2002_gives_the_published_schedule() {
    let plan = plan(&topcuoglu());
    let published: [(u32, f64, f64); 10] = [
        (2, 0.0, 9.0),
        (0, 27.0, 40.0),
        (2, 9.0, 28.0),
        (1, 18.0, 26.0),
        (2, 28.0, 38.0),
        (1, 26.0, 42.0),
        (2, 38.0, 49.0),
        (0, 57.0, 62.0),
        (1, 56.0, 68.0),
        (1, 73.0, 80.0),
    ];
    let found: Vec<(u32, f64, f64)> = (0..10)
        .map(|task| (plan.agent[task], plan.start_s[task], plan.finish_s[task]))
        .collect();
    assert_eq!(found, published);
    assert_eq!(plan.makespan_s, 80.0);
    // Work ÷ slots: 9+13+11+8+10+9+7+5+12+7 on 3; the path 0, 1, 8, 9: 9+13+12+7.
    assert_eq!(plan.lower_bound_s, 41.0);
    assert_eq!(plan.confidence, 41.0 / 80.0);
    // 9 ends at 80, its data left 7 at 62 for 11 s; 7 waited for 3's data (26 + 27 = 53 … 57
    // is 5's: 42 + 15); 5 waited for agent 1, held by 3, which waited for 0's data (9 + 9).
    assert_eq!(plan.critical_path, [0, 3, 5, 7, 9]);
}

#[test]
fn topcuoglu_2002_ranks() {
    let problem = topcuoglu();
    let model = nova_sdk::flow::Model::new(&problem).expect("sound");
    let mean_s = nova_sdk::flow::rank::mean_durations_s(&model);
    let rank = nova_sdk::flow::rank::upward(&model, &mean_s);
    // Table 2 of the paper.
    let published = [
        108.000, 77.000, 80.000, 80.000, 69.000, 63.333, 42.667, 35.667, 44.333, 14.667,
    ];
    for (task, (found, published)) in rank.iter().zip(published).enumerate() {
        assert!(
            (found - published).abs() < 0.001,
            "task {task}: {found}, published {published}"
        );
    }
}

#[test]
fn arabnejad_2014_gives_the_published_makespan() {
    assert_eq!(plan(&arabnejad()).makespan_s, 133.0);
}

#[test]
fn a_chain_stays_on_the_fastest_agent() {
    let edges = [(0, 1, 5.0), (1, 2, 5.0)];
    let problem = unrelated(&[&[2.0, 4.0], &[3.0, 6.0], &[1.0, 2.0]], &edges, 2);
    let plan = plan(&problem);
    assert_eq!(plan.makespan_s, 6.0);
    assert_eq!((plan.lower_bound_s, plan.confidence), (6.0, 1.0));
    assert_eq!(plan.critical_path, [0, 1, 2]);
}

#[test]
fn independent_tasks_spread() {
    let costs: [&[f64]; 4] = [&[3.0, 3.0], &[3.0, 3.0], &[2.0, 2.0], &[2.0, 2.0]];
    assert_eq!(plan(&unrelated(&costs, &[], 2)).makespan_s, 5.0);
}

#[test]
fn tasks_of_zero_duration_take_no_time() {
    let edges = [(0, 1, 1.0), (1, 2, 1.0)];
    let problem = unrelated(&[&[0.0], &[5.0], &[0.0]], &edges, 1);
    assert_eq!(plan(&problem).makespan_s, 5.0);
}

#[test]
fn no_tasks_take_no_time() {
    let plan = plan(&unrelated(&[], &[], 2));
    assert_eq!((plan.makespan_s, plan.lower_bound_s), (0.0, 0.0));
    assert_eq!((plan.cost, plan.confidence), (0.0, 1.0));
    assert!(plan.task.is_empty() && plan.critical_path.is_empty());
    assert_eq!(crate::plan(&Problem::default()).makespan_s, 0.0);
}

#[test]
fn a_cycle_is_named() {
    let edges = [(2, 1, 0.0), (0, 2, 0.0), (1, 0, 0.0), (1, 3, 0.0)];
    let costs: [&[f64]; 4] = [&[1.0], &[1.0], &[1.0], &[1.0]];
    let refusal = refusal(&unrelated(&costs, &edges, 1));
    assert_eq!(refusal.reason, InfeasibleReason::Cycle);
    assert_eq!(refusal.subject, Some(0));
    assert!(
        (refusal.description).ends_with("{task:0} → {task:2} → {task:1} → {task:0}"),
        "{}",
        refusal.description
    );
}
