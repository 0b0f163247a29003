//! Charts as SVG: a plan's Gantt chart, and bars of a comparison.

use std::fmt::Write as _;

/// Colours that can be told apart without colour vision (Okabe, Ito 2008).
const COLOURS: [&str; 7] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999",
];
const ROW: f64 = 26.0;
const LEFT: f64 = 170.0;
const WIDTH: f64 = 760.0;

/// A task on its agent.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) row: String,
    pub(super) label: String,
    pub(super) start_s: f64,
    pub(super) finish_s: f64,
    pub(super) critical: bool,
}

/// A bar of a comparison.
#[derive(Clone, Debug)]
pub(super) struct Measure {
    pub(super) label: String,
    /// Bars of one group have one colour.
    pub(super) group: String,
    /// None: there is no bar.
    pub(super) value: Option<f64>,
    /// What is written beside it.
    pub(super) told: String,
}

/// A plan: a row for each agent, critical tasks outlined.
pub(super) fn gantt(bars: &[Bar], makespan_s: f64) -> String {
    let mut rows: Vec<&str> = bars.iter().map(|b| b.row.as_str()).collect();
    rows.sort_unstable();
    rows.dedup();
    let scale = if makespan_s > 0.0 {
        WIDTH / makespan_s
    } else {
        0.0
    };
    let mut out = open(rows.len() as f64 * ROW + 40.0);
    for (k, row) in rows.iter().enumerate() {
        label(&mut out, LEFT - 8.0, (k as f64 + 0.65) * ROW, "end", row);
    }
    for (k, bar) in bars.iter().enumerate() {
        let row = rows.binary_search(&bar.row.as_str()).unwrap_or(0);
        let (x, y) = (LEFT + bar.start_s.max(0.0) * scale, row as f64 * ROW + 3.0);
        let width = ((bar.finish_s - bar.start_s.max(0.0)) * scale).max(1.0);
        let edge = if bar.critical { "#000" } else { "none" };
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"20\" fill=\"{}\" stroke=\"{edge}\" stroke-width=\"2\"><title>{}: {:.3} s to {:.3} s</title></rect>",
            COLOURS[k % COLOURS.len()],
            escape(&bar.label),
            bar.start_s,
            bar.finish_s
        );
        // Only what has room is written.
        if width > 7.0 * bar.label.chars().count() as f64 {
            label(&mut out, x + 4.0, y + 14.0, "start", &bar.label);
        }
    }
    let end = rows.len() as f64 * ROW + 20.0;
    label(&mut out, LEFT, end, "start", "0 s");
    label(
        &mut out,
        LEFT + WIDTH,
        end,
        "end",
        &format!("{makespan_s:.3} s"),
    );
    out.push_str("</svg>\n");
    out
}

/// A comparison: bars of lengths that can be compared, and what is to be said of each.
pub(super) fn bars(title: &str, bars: &[Measure]) -> String {
    let mut groups: Vec<&str> = bars.iter().map(|bar| bar.group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    let values = bars.iter().filter_map(|bar| bar.value);
    let most = values.fold(0.0, f64::max).max(1e-9);
    let mut out = open((bars.len() as f64 + 1.0) * ROW + 20.0);
    label(&mut out, LEFT, 17.0, "start", title);
    for (k, bar) in bars.iter().enumerate() {
        let y = (k as f64 + 1.0) * ROW + 3.0;
        label(&mut out, LEFT - 8.0, y + 14.0, "end", &bar.label);
        if let Some(value) = bar.value {
            let width = (0.55 * WIDTH * value / most).max(1.0);
            let colour = groups.binary_search(&bar.group.as_str()).unwrap_or(0);
            let _ = writeln!(
                out,
                "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"18\" fill=\"{}\"/>",
                COLOURS[colour % COLOURS.len()]
            );
        }
        label(&mut out, LEFT + 0.57 * WIDTH, y + 14.0, "start", &bar.told);
    }
    out.push_str("</svg>\n");
    out
}

fn open(height: f64) -> String {
    let width = LEFT + WIDTH + 20.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    )
}

fn label(out: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
        escape(text)
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
