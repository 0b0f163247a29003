//! `nova plugin test`: a component against the probe's problems and the author's own, in the real
//! sandbox, its answers held to the host's rules and to what the author expects.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use nova_core::strategy::{Refusal, fill_placeholders, objective};
use nova_runtime::{Measured, Tool};

use super::problem::{Expect, Problem, read};

/// One case and how it went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    /// None: passed.
    pub(crate) wrong: Option<String>,
    pub(crate) elapsed: Duration,
}

/// What an answer says in numbers, whatever its kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    /// The host's own measure, not the plugin's: of a plan makespan or cost, as is its goal, ÷ a lower
    /// bound; of an allocation the part of the demand not met.
    pub(crate) quality: f64,
    pub(crate) makespan_s: f64,
    pub(crate) cost: f64,
    pub(crate) confidence: f64,
}

/// Runs every case twice: the answer is sound, as expected, and the same again.
///
/// # Errors
/// A problem file that cannot be read.
pub(crate) async fn run(tool: &Tool, files: &[PathBuf]) -> Result<Vec<Outcome>> {
    let mut outcomes: Vec<Outcome> = tool
        .probe
        .iter()
        .map(|time| Outcome {
            name: format!("probe: {}", time.question),
            wrong: None,
            elapsed: Duration::from_micros(time.elapsed_us),
        })
        .collect();
    for file in files {
        let (problem, expect) = read(file)?;
        let name = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        outcomes.push(one(tool, name, &problem, &expect).await);
    }
    Ok(outcomes)
}

async fn one(tool: &Tool, name: String, problem: &Problem, expect: &Expect) -> Outcome {
    let first = ask(tool, problem).await;
    let again = ask(tool, problem).await;
    let elapsed = first.as_ref().map_or(Duration::ZERO, |m| m.elapsed);
    let wrong = match (first, again) {
        (Err(failure), _) | (_, Err(failure)) => Some(failure),
        (Ok(first), Ok(again)) if first.answer != again.answer => {
            Some("the same problem and seed gave another answer the second time".to_owned())
        }
        (Ok(first), Ok(_)) => judge(problem, &first.answer, expect),
    };
    Outcome {
        name,
        wrong,
        elapsed,
    }
}

/// Asks a plugin of either kind.
///
/// # Errors
/// Trap, broken limit or false answer.
pub(crate) async fn ask(tool: &Tool, problem: &Problem) -> Result<Measured<Figures>, String> {
    match problem {
        Problem::Flow { problem, .. } => {
            let measured = tool.optimize(problem).await?;
            Ok(measured.map(|plan| Figures {
                quality: objective::of_plan(problem, &plan).unwrap_or(1.0),
                makespan_s: plan.makespan_s,
                cost: plan.cost,
                confidence: plan.confidence,
            }))
        }
        Problem::Allocation { problem, .. } => {
            let measured = tool.allocate(problem).await?;
            Ok(measured.map(|answer| Figures {
                quality: objective::of_allocation(problem, &answer).map_or(0.0, |all| all - 1.0),
                makespan_s: 0.0,
                cost: answer.cost,
                confidence: answer.confidence,
            }))
        }
    }
}

fn judge(problem: &Problem, answer: &Result<Figures, Refusal>, expect: &Expect) -> Option<String> {
    match (answer, &expect.refused) {
        (Err(refusal), Some(code)) if refusal.code == code => None,
        (Err(refusal), _) => Some(format!(
            "refused ({}): {}",
            refusal.code,
            words(problem, refusal)
        )),
        (Ok(_), Some(code)) => Some(format!("answered, expected is a refusal '{code}'")),
        (Ok(figures), None) => {
            let bounds = [
                ("makespan_s", figures.makespan_s, expect.makespan_s_max),
                ("cost", figures.cost, expect.cost_max),
            ];
            for (what, found, most) in bounds {
                if let Some(most) = most.filter(|most| found > most * (1.0 + 1e-9)) {
                    return Some(format!("{what} is {found}, expected at most {most}"));
                }
            }
            let least = expect.confidence_min?;
            (figures.confidence < least).then(|| {
                format!(
                    "confidence is {}, expected at least {least}",
                    figures.confidence
                )
            })
        }
    }
}

/// A refusal's words, with names in the place of indices.
pub(crate) fn words(problem: &Problem, refusal: &Refusal) -> String {
    fill_placeholders(&refusal.description, |word, n| problem.name(word, n))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::problem::parse;
    use super::*;

    #[test]
    fn answers_are_held_to_what_is_expected() {
        let (problem, _) = parse(include_str!("templates/flow.json")).unwrap();
        let figures = Figures {
            quality: 1.0,
            makespan_s: 12.0,
            cost: 3.0,
            confidence: 0.5,
        };
        let refusal = Refusal {
            code: "infeasible",
            reason: None,
            subject: None,
            description: "{task:1} is late".into(),
        };
        let at = |makespan_s_max, cost_max, confidence_min| Expect {
            refused: None,
            makespan_s_max,
            cost_max,
            confidence_min,
        };
        let judged = |expect: &Expect| judge(&problem, &Ok(figures), expect);
        assert_eq!(judged(&at(Some(12.0), Some(3.0), Some(0.5))), None);
        assert!(judged(&at(Some(11.0), None, None)).unwrap().contains("12"));
        assert!(judged(&at(None, Some(2.0), None)).unwrap().contains("cost"));
        assert!(judged(&at(None, None, Some(0.6))).unwrap().contains("0.6"));
        let told = judge(&problem, &Err(refusal.clone()), &Expect::default()).unwrap();
        assert!(told.contains("compile is late"), "{told}");
        let refused = Expect {
            refused: Some("infeasible".into()),
            ..Expect::default()
        };
        assert_eq!(judge(&problem, &Err(refusal), &refused), None);
        assert!(judged(&refused).is_some());
    }
}
