//! Allocation: fairness and provisioning against exact answers, bin packing against the best known,
//! each asked of the shipped allocators as the daemon would ask.
//!
//! CPU is that of the whole process: crossing the sandbox, the guest, and the host's check.

use std::path::Path;

use cpu_time::ProcessTime;
use nova_core::ports::StrategyRuntime;
use nova_core::strategy::CallError;
use nova_core::strategy::allocation::{AllocationAnswer, AllocationProblem};
use nova_sdk::allocation::Problem;
use nova_sdk::allocation::testing::{Ask, ask, catalog, nodes, resources, used_nodes, with};
use serde_json::Value;

use crate::common;

/// Search steps that take about a second in the sandbox on the machine this was measured on.
const STEPS_OF_A_SECOND: u64 = 25_000_000;

/// Prints every table.
pub(crate) async fn run(runtime: &dyn StrategyRuntime, data: &Path) {
    fairness(runtime, &data.join("fairness.json")).await;
    provisioning(runtime, &data.join("provisioning.json")).await;
    packing(runtime, &data.join("binpacking/orlib.json")).await;
    packing(runtime, &data.join("binpacking/vector.json")).await;
}

async fn fairness(runtime: &dyn StrategyRuntime, file: &Path) {
    println!("\nfairness (exact rational arithmetic; CPU ms over all cases)");
    let data = read(file);
    for (strategy, kinds) in [
        (
            "maxmin",
            &["weighted-max-min", "strict-priority-tiers+min/max"][..],
        ),
        (
            "drf",
            &["weighted-max-min", "strict-priority-tiers+min/max", "drf"][..],
        ),
    ] {
        let (mut exact, mut count, mut worst, mut spent) = (0, 0, 0.0_f64, 0.0);
        for case in data["cases"].as_array().unwrap() {
            if !kinds.contains(&case["kind"].as_str().unwrap()) {
                continue;
            }
            let (problem, expected) = fair_case(case);
            let (answer, ms) = call(runtime, strategy, &problem).await;
            let answer = answer.unwrap();
            let off = answer
                .amount
                .iter()
                .zip(&expected)
                .map(|(a, e)| (a - e).abs() / e.abs().max(1.0))
                .fold(0.0, f64::max);
            worst = worst.max(off);
            exact += usize::from(off <= 1e-9);
            count += 1;
            spent += ms;
        }
        println!(
            "{strategy:<10} exact {exact} of {count}, largest relative error {worst:.1e}, {spent:.1} ms"
        );
    }
}

/// The problem of a case, and the amounts that are right.
fn fair_case(case: &Value) -> (Problem, Vec<f64>) {
    if let Some(tenants) = case["tenants"].as_array() {
        let claims: Vec<Ask> = tenants
            .iter()
            .map(|tenant| {
                let number = |key: &str| tenant[key].as_f64().unwrap();
                ask(&[number("max")])
                    .weight(number("weight"))
                    .min(0, number("min"))
                    .priority(5 - tenant["tier"].as_u64().unwrap_or(0) as u8)
            })
            .collect();
        let capacity = case["capacity"].as_f64().unwrap();
        let expected = numbers(&case["expected"]["allocation"]);
        return (with(resources(&[capacity]), &claims), expected);
    }
    let capacity = numbers(&case["capacity"]);
    let tasks = numbers(&case["expected"]["tasks_divisible"]);
    let mut expected = Vec::new();
    let claims: Vec<Ask> = case["users"]
        .as_array()
        .unwrap()
        .iter()
        .zip(&tasks)
        .map(|(user, tasks)| {
            let demand = numbers(&user["demand"]);
            let alone = demand.iter().zip(&capacity).filter(|(d, _)| **d > 0.0);
            let alone = alone.map(|(d, c)| c / d).fold(f64::INFINITY, f64::min);
            let most = user["max_tasks"].as_f64().unwrap_or(alone.ceil());
            expected.extend(demand.iter().map(|d| d * tasks));
            let total: Vec<f64> = demand.iter().map(|d| d * most).collect();
            ask(&total).weight(user["weight"].as_f64().unwrap())
        })
        .collect();
    (with(resources(&capacity), &claims), expected)
}

async fn provisioning(runtime: &dyn StrategyRuntime, file: &Path) {
    println!("\nprovisioning (optimum by CP-SAT; CPU ms over all cases)");
    let data = read(file);
    let (mut right, mut count, mut spent) = (0, 0, 0.0);
    for case in data["cases"].as_array().unwrap() {
        let kinds: Vec<(Vec<f64>, f64, u32)> = case["catalog"]
            .as_array()
            .unwrap()
            .iter()
            .map(|kind| {
                let price = kind["price_milli_per_hour"].as_f64().unwrap();
                let most = kind["max_count"].as_u64().unwrap() as u32;
                (numbers(&kind["capacity"]), price, most)
            })
            .collect();
        let problem = catalog(&kinds, &numbers(&case["need"]));
        let (answer, ms) = call(runtime, "provision", &problem).await;
        let least = case["expected"]["min_cost_milli_per_hour"].as_f64();
        let as_it_should = match (answer, least) {
            (Ok(answer), Some(least)) => (answer.cost - least).abs() < 1e-6,
            (Err(CallError::Refused { .. }), None) => true,
            _ => false,
        };
        right += usize::from(as_it_should);
        count += 1;
        spent += ms;
    }
    println!("provision  right {right} of {count}, {spent:.1} ms");
}

async fn packing(runtime: &dyn StrategyRuntime, file: &Path) {
    let kind = file.file_stem().unwrap().to_string_lossy();
    println!(
        "\nbin packing, {kind} (bins; first fit decreasing and the best known beside; CPU ms)"
    );
    println!(
        "{:<32} {:>6} {:>6} {:>6} {:>8}",
        "case", "bins", "ffd", "best", "ms"
    );
    let data = read(file);
    let (mut count, mut best, mut above, mut better) = (0, 0, 0, 0);
    for case in data["cases"].as_array().unwrap() {
        let one = case["capacity"].is_number();
        let list = |value: &Value| {
            if one {
                vec![value.as_f64().unwrap()]
            } else {
                numbers(value)
            }
        };
        let capacity = list(&case["capacity"]);
        let items: Vec<Vec<f64>> = case["items"].as_array().unwrap().iter().map(list).collect();
        let (known, ffd) = if one {
            (
                &case["expected"]["optimal_bins"],
                &case["reference"]["ffd"]["bins"],
            )
        } else {
            (
                &case["expected"]["best_known_bins"],
                &case["reference"]["ffd_max_ratio_bins"],
            )
        };
        let (known, ffd) = (
            known.as_u64().unwrap() as usize,
            ffd.as_u64().unwrap() as usize,
        );
        let mut problem = nodes(&capacity, ffd, &items);
        problem.parameters = format!(
            "{{\"dimensions\": {}, \"steps\": {STEPS_OF_A_SECOND}}}",
            capacity.len()
        );
        let (answer, ms) = call(runtime, "binpack", &problem).await;
        let answer = answer.unwrap();
        let bins = if answer.unmet.is_empty() {
            used_nodes(&problem, &answer.amount, capacity.len())
        } else {
            usize::MAX
        };
        println!(
            "{:<32} {bins:>6} {ffd:>6} {known:>6} {ms:>8.0}",
            case["id"].as_str().unwrap()
        );
        count += 1;
        best += usize::from(bins <= known);
        better += usize::from(bins < known);
        above += usize::from(bins > ffd);
    }
    println!(
        "at most the best known in {best} of {count} ({better} better), more than first fit decreasing in {above}"
    );
}

/// The answer, which passed the host's check, and its CPU milliseconds.
async fn call(
    runtime: &dyn StrategyRuntime,
    strategy: &str,
    problem: &Problem,
) -> (Result<AllocationAnswer, CallError>, f64) {
    let parameters: Value = serde_json::from_str(&problem.parameters).unwrap();
    let parameters = parameters.as_object().cloned().unwrap();
    let asked = AllocationProblem {
        capacity: problem.resources.capacity.clone(),
        in_use: problem.resources.in_use.clone(),
        cost_per_unit: problem.resources.cost_per_unit.clone(),
        weight: problem.claims.weight.clone(),
        priority: problem.claims.priority.clone(),
        bundles: problem.claims.bundles.clone(),
        claim_max_cost: problem.claims.max_cost.clone(),
        demand_claim: problem.demands.claim.clone(),
        demand_resource: problem.demands.resource.clone(),
        requested: problem.demands.requested.clone(),
        min: problem.demands.min.clone(),
        max: problem.demands.max.clone(),
        max_cost: problem.max_cost,
        seed: problem.seed,
        parameters: parameters.clone(),
    };
    let call = common::call(Some(strategy), parameters);
    let begun = ProcessTime::now();
    let decided = runtime.allocate(call, asked.into()).await;
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    (decided.map(|d| d.answer), ms)
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(list: &Value) -> Vec<f64> {
    let list = list.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}
