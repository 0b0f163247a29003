//! Real workflows and generated graphs of the reference data, where the folder is at hand.

use crate::plan;
use nova_sdk::flow::testing::{Case, Reference};

/// Compares with a reference implementation of HEFT; ties may fall otherwise. Gives how many
/// are the same, and the worst ratio.
fn compare(cases: &[Case]) -> (usize, f64) {
    let (mut equal, mut worst) = (0, 0.0f64);
    for case in cases {
        let id = &case.id;
        let reference_s = case.heft_s.expect("a reference makespan");
        let plan = plan(&case.problem);
        let (makespan_s, bound_s) = (plan.makespan_s, plan.lower_bound_s);
        // The bound exceeds no schedule known, and is at least the longest path.
        assert!(bound_s <= case.best_s * (1.0 + 1e-6), "{id}: {bound_s}");
        assert!(bound_s >= case.path_s * (1.0 - 1e-6), "{id}: {bound_s}");
        let ratio = makespan_s / reference_s;
        if (ratio - 1.0).abs() <= 1e-6 {
            equal += 1;
        } else {
            println!("{id}: {makespan_s}, reference {reference_s}, ratio {ratio:.5}");
        }
        worst = worst.max(ratio);
    }
    println!(
        "{equal} of {} as the reference, the worst {worst:.5} times it",
        cases.len()
    );
    (equal, worst)
}

#[test]
fn workflows_are_scheduled_as_the_reference_does() {
    let Some(reference) = Reference::find() else {
        return;
    };
    let cases = reference.workflows();
    let (equal, worst) = compare(&cases);
    assert!(!cases.is_empty() && worst <= 1.02);
    assert!(equal * 10 >= cases.len() * 9);
}

#[test]
fn generated_graphs_are_scheduled_as_the_reference_does() {
    let Some(reference) = Reference::find() else {
        return;
    };
    let cases = reference.unrelated();
    let (equal, _) = compare(&cases);
    assert!(!cases.is_empty() && equal * 10 >= cases.len() * 9);
}
