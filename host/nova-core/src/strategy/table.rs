//! A comparison of two revisions, for people.

use super::compare::{Comparison, Contestant, Part, Side, Spread};

/// Lines of text that say all of it: who, how they ended, what they took, how good their answers are.
pub fn table(serving: &Contestant, candidate: &Contestant, seen: &Comparison) -> String {
    let name = |c: &Contestant| {
        let digest = c.digest.get(..19).unwrap_or(&c.digest);
        format!("{} {} ({digest}…)", c.plugin, c.version)
    };
    let mut out = String::new();
    let mut line = |text: String| {
        out += text.trim_end();
        out.push('\n');
    };
    line(format!("serving     {}", name(serving)));
    line(format!("candidate   {}", name(candidate)));
    line(format!(
        "{} recorded {} problems; the two differ on {}",
        seen.decisions, serving.kind, seen.differ
    ));
    line(format!(
        "{} of {} decisions that the serving revision made itself came out again bit for bit",
        seen.reproduced, seen.own
    ));
    line(String::new());
    for text in rows(&seen.serving, &seen.candidate) {
        line(text);
    }
    line(String::new());
    for text in objective(seen) {
        line(text);
    }
    line(format!(
        "failures    {} of the candidate alone",
        seen.new_failures
    ));
    for failure in &seen.failures {
        line(format!(
            "  {}  decision {}: {}",
            failure.outcome, failure.decision_id, failure.reason
        ));
    }
    out
}

/// Endings, time and memory, side by side.
fn rows(serving: &Side, candidate: &Side) -> Vec<String> {
    let row = |what: &str, serving: String, candidate: String| {
        format!("{what:<24}{serving:>14}{candidate:>14}")
    };
    let mut rows = vec![row("", "serving".into(), "candidate".into())];
    type Count = fn(&Side) -> u64;
    let counts: [(&str, Count); 4] = [
        ("answered", |s| s.answered),
        ("refused", |s| s.refused),
        ("failed", |s| s.failed),
        ("past the deadline", |s| s.timeout),
    ];
    for (what, of) in counts {
        rows.push(row(
            what,
            of(serving).to_string(),
            of(candidate).to_string(),
        ));
    }
    type Number = fn(&Spread) -> f64;
    let spreads: [(&str, Number); 4] = [
        ("mean", |s| s.mean),
        ("p50", |s| s.p50),
        ("p99", |s| s.p99),
        ("max", |s| s.max),
    ];
    for (what, of) in spreads {
        let text = |spread: &Spread| format!("{:.0}", of(spread));
        let what = format!("time {what}, µs");
        rows.push(row(&what, text(&serving.cpu_us), text(&candidate.cpu_us)));
    }
    for (what, of) in [spreads[0], spreads[3]] {
        let text = |side: &Side| format!("{:.0}", of(&side.memory_bytes) / 1024.0);
        let what = format!("memory {what}, KiB");
        rows.push(row(&what, text(serving), text(candidate)));
    }
    rows
}

fn objective(seen: &Comparison) -> Vec<String> {
    let objective = &seen.objective;
    if objective.compared == 0 {
        return vec![
            "objective   not compared: no problem has a measure that both answered".into(),
        ];
    }
    let part = |what: &str, part: &Part| {
        format!(
            "  {what:<10}{:>8}   mean {:.3} %, at most {:.3} %",
            part.decisions,
            100.0 * part.mean,
            100.0 * part.most
        )
    };
    let mut lines = vec![
        format!(
            "objective   of {} compared, mean gain {:+.3} %",
            objective.compared,
            100.0 * objective.mean_gain
        ),
        part("better", &objective.better),
        format!("  {:<10}{:>8}", "same", objective.same),
        part("worse", &objective.worse),
    ];
    lines.extend(seen.worst.iter().map(|case| {
        format!(
            "  {:+.3} %  {} {} → {}  decision {}",
            100.0 * case.gain,
            case.measure,
            case.serving,
            case.candidate,
            case.decision_id
        )
    }));
    lines
}
