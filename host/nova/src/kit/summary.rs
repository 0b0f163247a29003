//! What a comparison comes to, a line for each strategy.

use std::collections::BTreeMap;
use std::time::Duration;

use nova_core::strategy::Kind;

use super::bench::{Cell, Score};

/// Qualities this near to each other are the same.
const SAME: f64 = 1e-9;

/// One strategy over all problems.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Line {
    pub(crate) strategy: String,
    pub(crate) problems: usize,
    pub(crate) answered: usize,
    /// Problems that nobody answered better.
    pub(crate) best: usize,
    /// Over the problems that all answered: the geometric mean of what is a ratio, else the mean; none
    /// where there is no such problem.
    pub(crate) quality: Option<f64>,
    pub(crate) worst: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) memory_bytes: u64,
}

/// The strategies in the order in which they were asked.
pub(crate) fn lines(kind: Kind, cells: &[Cell]) -> Vec<Line> {
    let mut problems: BTreeMap<&str, Vec<&Cell>> = BTreeMap::new();
    let mut strategies: Vec<&str> = Vec::new();
    for cell in cells {
        problems.entry(&cell.problem).or_default().push(cell);
        if !strategies.contains(&cell.strategy.as_str()) {
            strategies.push(&cell.strategy);
        }
    }
    // A mean over different problems would compare nothing.
    let common = |cell: &&Cell| {
        let all = problems.get(cell.problem.as_str());
        all.is_some_and(|all| all.iter().all(|cell| cell.result.is_ok()))
    };
    let least = |problem: &str| {
        let all = problems.get(problem).into_iter().flatten();
        let qualities = all.filter_map(|cell| Some(cell.result.as_ref().ok()?.quality));
        qualities.fold(f64::INFINITY, f64::min)
    };
    let line = |strategy: &&str| {
        let own = cells.iter().filter(|cell| cell.strategy == **strategy);
        let own: Vec<&Cell> = own.collect();
        let scores = |cell: &&Cell| cell.result.as_ref().ok().copied();
        let answered: Vec<Score> = own.iter().filter_map(scores).collect();
        let shared: Vec<f64> = (own.iter().filter(|cell| common(cell)))
            .filter_map(|cell| Some(scores(cell)?.quality))
            .collect();
        let is_best = |cell: &&&Cell| {
            scores(cell).is_some_and(|score| score.quality <= least(&cell.problem) + SAME)
        };
        let mut times: Vec<Duration> = answered.iter().map(|score| score.elapsed).collect();
        times.sort_unstable();
        Line {
            strategy: (*strategy).to_owned(),
            problems: own.len(),
            answered: answered.len(),
            best: own.iter().filter(is_best).count(),
            quality: mean(kind, &shared),
            worst: answered.iter().map(|s| s.quality).fold(0.0, f64::max),
            p50: quantile(&times, 0.5),
            p99: quantile(&times, 0.99),
            memory_bytes: answered.iter().map(|s| s.memory_bytes).max().unwrap_or(0),
        }
    };
    strategies.iter().map(line).collect()
}

fn mean(kind: Kind, qualities: &[f64]) -> Option<f64> {
    let count = qualities.len() as f64;
    (count > 0.0).then(|| match kind {
        Kind::FlowOptimizer => (qualities.iter().map(|q| q.ln()).sum::<f64>() / count).exp(),
        _ => qualities.iter().sum::<f64>() / count,
    })
}

/// Nearest rank.
fn quantile(sorted: &[Duration], q: f64) -> Duration {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
}

/// The table.
pub(crate) fn table(kind: Kind, lines: &[Line]) -> String {
    let mut out = format!(
        "{:<18} {:>9} {:>6} {:>12} {:>10} {:>10} {:>10} {:>11}\n",
        "strategy",
        "answered",
        "best",
        super::bench::quality_name(kind),
        "worst",
        "p50 µs",
        "p99 µs",
        "memory KiB"
    );
    for line in lines {
        let quality = line.quality.map_or("-".to_owned(), |q| format!("{q:.4}"));
        out.push_str(&format!(
            "{:<18} {:>9} {:>6} {:>12} {:>10.4} {:>10} {:>10} {:>11}\n",
            line.strategy,
            format!("{}/{}", line.answered, line.problems),
            line.best,
            quality,
            line.worst,
            line.p50.as_micros(),
            line.p99.as_micros(),
            line.memory_bytes / 1024
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cell(strategy: &str, problem: &str, quality: f64, micros: u64) -> Cell {
        Cell {
            strategy: strategy.into(),
            problem: problem.into(),
            result: if quality > 0.0 {
                Ok(Score {
                    quality,
                    elapsed: Duration::from_micros(micros),
                    memory_bytes: 1024 * micros,
                })
            } else {
                Err("unsupported".into())
            },
        }
    }

    #[test]
    fn strategies_are_compared_where_all_answered() {
        let cells = [
            cell("mine", "a", 2.0, 10),
            cell("heft", "a", 1.0, 20),
            cell("mine", "b", 8.0, 30),
            cell("heft", "b", 4.0, 40),
            cell("mine", "c", 0.0, 0),
            cell("heft", "c", 1.5, 5),
        ];
        let lines = lines(Kind::FlowOptimizer, &cells);
        let [mine, heft] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert_eq!((mine.answered, mine.problems, mine.best), (2, 3, 0));
        assert_eq!((heft.answered, heft.problems, heft.best), (3, 3, 3));
        assert!((mine.quality.unwrap() - 4.0).abs() < 1e-12);
        assert!((heft.quality.unwrap() - 2.0).abs() < 1e-12);
        assert_eq!((heft.p50.as_micros(), heft.p99.as_micros()), (20, 40));
        assert_eq!((heft.worst, heft.memory_bytes), (4.0, 40 * 1024));
        let shares = super::lines(Kind::ResourceAllocator, &cells);
        assert!((shares[0].quality.unwrap() - 5.0).abs() < 1e-12);
        let table = table(Kind::FlowOptimizer, &lines);
        assert!(table.contains("2/3") && table.contains("4.0000"), "{table}");
    }
}
