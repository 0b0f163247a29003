//! `nova plugin bench`: a component beside others of its kind, on the same problems, in the sandbox.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nova_core::strategy::Kind;
use nova_runtime::{Tool, Workbench};

use super::cases::ask;
use super::problem::{Problem, read};
use super::svg::{self, Measure};
use super::{shared, summary};

/// Calls of each problem; the fastest counts.
const CALLS: usize = 3;
/// With more problems than these each is asked once, and has no line of its own.
const EACH_MAX: usize = 16;

/// How one strategy did on one problem.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) strategy: String,
    pub(crate) problem: String,
    /// None: it refused or failed, in these words.
    pub(crate) result: Result<Score, String>,
}

/// What counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Score {
    pub(crate) quality: f64,
    pub(crate) elapsed: Duration,
    pub(crate) memory_bytes: u64,
}

/// The problems of a comparison: the author's files, else the shared ones of the kind.
///
/// # Errors
/// A file that cannot be read, or holds a problem of another kind; a kind without problems.
pub(crate) fn problems(kind: Kind, files: &[PathBuf]) -> Result<Vec<(String, Problem)>> {
    if files.is_empty() {
        let problems = shared::problems(kind);
        if problems.is_empty() {
            bail!("a {kind} is not asked single problems: compare it by `nova plugin test`");
        }
        return Ok(problems);
    }
    let mut problems = Vec::new();
    for file in files {
        let (problem, _) = read(file)?;
        if problem.kind() != kind {
            bail!("{} is a problem for a {}", file.display(), problem.kind());
        }
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        problems.push((name.into_owned(), problem));
    }
    Ok(problems)
}

/// Every plugin of the kind in a plugin directory, in order of names; those that do not load are told
/// on standard error and left out.
pub(crate) async fn peers(bench: &Workbench, folder: &Path, kind: Kind) -> Result<Vec<Tool>> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| {
            format!(
                "{} (--against names the plugin directory)",
                folder.display()
            )
        })?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    entries.sort();
    let mut tools = Vec::new();
    for entry in entries {
        match bench.open(&entry).await {
            Ok(tool) if tool.kind() == kind => tools.push(tool),
            Ok(_) => {}
            Err(reason) => eprintln!("{}: left out, {reason}", entry.display()),
        }
    }
    Ok(tools)
}

/// Asks everyone everything.
pub(crate) async fn compare(tools: &[Tool], problems: &[(String, Problem)]) -> Vec<Cell> {
    let calls = if problems.len() > EACH_MAX { 1 } else { CALLS };
    let mut cells = Vec::new();
    for (name, problem) in problems {
        for tool in tools {
            cells.push(Cell {
                strategy: tool.name().to_owned(),
                problem: name.clone(),
                result: score(tool, problem, calls).await,
            });
        }
    }
    cells
}

async fn score(tool: &Tool, problem: &Problem, calls: usize) -> Result<Score, String> {
    let mut best: Option<Score> = None;
    for _ in 0..calls {
        let measured = ask(tool, problem).await?;
        let figures = measured.answer.map_err(|refusal| refusal.code.to_owned())?;
        let score = Score {
            quality: figures.quality,
            elapsed: measured.elapsed,
            memory_bytes: measured.memory_bytes,
        };
        if best.is_none_or(|b| score.elapsed < b.elapsed) {
            best = Some(score);
        }
    }
    best.ok_or_else(|| "not asked".to_owned())
}

/// The tables: a line for each problem and strategy where they are few, then one for each strategy.
pub(crate) fn tables(kind: Kind, cells: &[Cell]) -> String {
    let all = summary::table(kind, &summary::lines(kind, cells));
    if are_few(cells) {
        format!("{}\n{all}", table(kind, cells))
    } else {
        all
    }
}

fn are_few(cells: &[Cell]) -> bool {
    let first = cells.first().map(|cell| &cell.strategy);
    let problems = cells.iter().filter(|cell| Some(&cell.strategy) == first);
    problems.count() <= EACH_MAX
}

fn table(kind: Kind, cells: &[Cell]) -> String {
    let mut out = format!(
        "{:<18} {:<18} {:>12} {:>12} {:>12}\n",
        "problem",
        "strategy",
        quality_name(kind),
        "time µs",
        "memory KiB"
    );
    for cell in cells {
        let line = match &cell.result {
            Ok(score) => format!(
                "{:<18} {:<18} {:>12.4} {:>12} {:>12}\n",
                cell.problem,
                cell.strategy,
                score.quality,
                score.elapsed.as_micros(),
                score.memory_bytes / 1024
            ),
            Err(reason) => format!("{:<18} {:<18} {reason}\n", cell.problem, cell.strategy),
        };
        out.push_str(&line);
    }
    out
}

/// What the quality is, by kind; smaller is better. The host measures it itself.
pub(super) fn quality_name(kind: Kind) -> &'static str {
    match kind {
        Kind::FlowOptimizer => "÷ bound",
        _ => "unmet part",
    }
}

/// The same as a plot: a bar for each problem and strategy where they are few, else for each strategy.
pub(crate) fn plot(kind: Kind, cells: &[Cell]) -> String {
    let told = |score: &Score| {
        format!(
            "{:.4}, {} µs, {} KiB",
            score.quality,
            score.elapsed.as_micros(),
            score.memory_bytes / 1024
        )
    };
    let mut bars: Vec<Measure> = Vec::new();
    if are_few(cells) {
        bars.extend(cells.iter().map(|cell| Measure {
            label: format!("{} {}", cell.problem, cell.strategy),
            group: cell.strategy.clone(),
            value: cell.result.as_ref().ok().map(|score| score.quality),
            told: cell.result.as_ref().map_or_else(Clone::clone, told),
        }));
    } else {
        bars.extend(summary::lines(kind, cells).into_iter().map(|line| Measure {
            told: format!(
                "{} of {} answered, best {}, p50 {} µs, p99 {} µs",
                line.answered,
                line.problems,
                line.best,
                line.p50.as_micros(),
                line.p99.as_micros()
            ),
            label: line.strategy.clone(),
            group: line.strategy,
            value: line.quality,
        }));
    }
    svg::bars(&format!("{}, shorter is better", quality_name(kind)), &bars)
}
