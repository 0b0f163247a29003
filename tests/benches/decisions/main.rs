//! What a decision takes: alone, as a kept answer, and with a shadow beside it that is asked every one of them too.
//!
//! `cargo xtask bench decisions`; `NOVA_BENCH_ROUNDS` sets another number of rounds than 20. In each round the same
//! calls are made without and with a shadow, in turns, so that what else the machine does concerns both. The
//! bound is on the medians over the rounds: a shadow, whatever it does, raises the p50 and the p99 of decisions
//! by no more than a quarter, or the p99 by the time of one comparison.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

mod cache;
#[path = "../common/mod.rs"]
mod common;
mod load;
mod shadow;

fn main() {
    let rounds = std::env::var("NOVA_BENCH_ROUNDS").map_or(20, |n| n.parse().unwrap());
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            cache::run().await;
            shadow::run(rounds).await;
        });
}
