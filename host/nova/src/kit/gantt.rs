//! A plan for the terminal: a line for each slot of an agent, time from left to right.

use super::svg::Bar;

/// Characters that the whole makespan takes.
const WIDTH: usize = 72;

/// The chart.
pub(super) fn text(bars: &[Bar], makespan_s: f64) -> String {
    let wide = bars
        .iter()
        .map(|b| b.row.chars().count())
        .max()
        .unwrap_or(0);
    let scale = if makespan_s > 0.0 {
        WIDTH as f64 / makespan_s
    } else {
        0.0
    };
    let mut rows: Vec<(&str, Vec<char>)> = Vec::new();
    for bar in bars {
        let from = ((bar.start_s.max(0.0) * scale).round() as usize).min(WIDTH);
        let to = ((bar.finish_s.max(0.0) * scale).round() as usize).min(WIDTH);
        // A row of the same agent that is free there, or a further one: its next slot.
        let free = |row: &Vec<char>| row[from..to].iter().all(|c| *c == ' ');
        let at = rows
            .iter()
            .position(|(name, row)| *name == bar.row && free(row));
        let at = at.unwrap_or_else(|| {
            rows.push((&bar.row, vec![' '; WIDTH]));
            rows.len() - 1
        });
        let label = bar.label.chars().chain(std::iter::repeat('='));
        let row = &mut rows[at].1;
        for (k, c) in (from..to).zip(label) {
            row[k] = if k + 1 == to { '|' } else { c };
        }
    }
    rows.sort_by(|a, b| a.0.cmp(b.0));
    let mut out = String::new();
    for (name, row) in rows {
        let row: String = row.into_iter().collect();
        out.push_str(&format!("{name:>wide$} |{}\n", row.trim_end()));
    }
    out.push_str(&format!(
        "{:>wide$} 0{:>w$.3} s\n",
        "",
        makespan_s,
        w = WIDTH - 1
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_lie_where_they_begin_and_end() {
        let bar = |row: &str, label: &str, start_s, finish_s| Bar {
            row: row.into(),
            label: label.into(),
            start_s,
            finish_s,
            critical: false,
        };
        let bars = [
            bar("a", "x", 0.0, 18.0),
            bar("bb", "y", 18.0, 72.0),
            bar("a", "z", 9.0, 36.0),
        ];
        let chart = text(&bars, 72.0);
        let lines: Vec<&str> = chart.lines().collect();
        assert_eq!(lines.len(), 4, "{chart}");
        assert_eq!(lines[0], format!(" a |x{}|", "=".repeat(16)));
        assert_eq!(
            lines[1],
            format!(" a |{}z{}|", " ".repeat(9), "=".repeat(25))
        );
        assert!(lines[2].starts_with(&format!("bb |{}y=", " ".repeat(18))));
        assert!(lines[3].ends_with("72.000 s"));
    }
}
