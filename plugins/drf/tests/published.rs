//! Examples that papers and textbooks publish with their answers.
#![allow(clippy::unwrap_used)]

use drf::allocate;
use nova_sdk::allocation::testing::{Ask, ask, assert_close, resources, with};
use nova_sdk::allocation::{Allocation, Problem};

/// Ghodsi et al. 2011, section 4.1 and figure 3: 9 CPU and 18 GB; A runs tasks of
/// <1 CPU, 4 GB>, B of <3 CPU, 1 GB>.
#[test]
fn the_paper_gives_three_and_two_tasks() {
    let cluster = resources(&[9.0, 18.0]);
    let amounts = [3.0, 12.0, 6.0, 2.0];
    for bundles in [0, 100] {
        let tasks = |cpu: f64, gb: f64| ask(&[100.0 * cpu, 100.0 * gb]).bundles(bundles);
        let problem = with(cluster.clone(), &[tasks(1.0, 4.0), tasks(3.0, 1.0)]);
        let allocation = check(&problem, &amounts);
        assert_close(&allocation.dominant_share, &[2.0 / 3.0, 2.0 / 3.0]);
        assert_close(&allocation.utilization, &[1.0, 14.0 / 18.0]);
    }
}

/// Keshav, An Engineering Approach to Computer Networking, 1997, pages 215–217.
#[test]
fn keshav_max_min_and_weighted() {
    let asks = [2.0, 2.6, 4.0, 5.0].map(|demand| ask(&[demand]));
    check(&with(resources(&[10.0]), &asks), &[2.0, 2.6, 2.7, 2.7]);

    let asks = [(4.0, 2.5), (2.0, 4.0), (10.0, 0.5), (4.0, 1.0)]
        .map(|(demand, weight)| ask(&[demand]).weight(weight));
    check(&with(resources(&[16.0]), &asks), &[4.0, 2.0, 6.0, 4.0]);
}

/// The cases of Hadoop YARN's `TestComputeFairShares`: equal, capped, with minima, weighted.
#[test]
fn yarn_fair_shares() {
    let all = 1e9;
    let forty = |asks: &[Ask], shares: &[f64]| {
        check(&with(resources(&[40.0]), asks), shares);
    };
    forty(&[0; 4].map(|_| ask(&[all])), &[10.0; 4]);
    forty(
        &[100.0, 50.0, 11.0, 3.0].map(|demand| ask(&[demand])),
        &[13.0, 13.0, 11.0, 3.0],
    );
    forty(
        &[20.0, 18.0, 0.0, 2.0].map(|min| ask(&[all]).min(0, min)),
        &[20.0, 18.0, 0.0, 2.0],
    );

    let weights = [2.0, 1.0, 1.0, 0.5];
    let weighted = |k: usize| ask(&[all]).weight(weights[k]);
    let forty_five = |asks: &[Ask], shares: &[f64]| {
        check(&with(resources(&[45.0]), asks), shares);
    };
    forty_five(&[0, 1, 2, 3].map(weighted), &[20.0, 10.0, 10.0, 5.0]);
    let maxima = [10.0, 11.0, 30.0, 20.0];
    forty_five(
        &[0, 1, 2, 3].map(|k| weighted(k).max(0, maxima[k])),
        &[10.0, 11.0, 16.0, 8.0],
    );
    let minima = [20.0, 0.0, 5.0, 15.0];
    forty_five(
        &[0, 1, 2, 3].map(|k| weighted(k).min(0, minima[k])),
        &[20.0, 5.0, 5.0, 15.0],
    );
}

/// Allocates and compares the amounts.
#[track_caller]
fn check(problem: &Problem, amounts: &[f64]) -> Allocation {
    let allocation = allocate(problem).unwrap();
    assert_close(&allocation.amount, amounts);
    allocation
}
