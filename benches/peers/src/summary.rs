//! What follows from the rows: each median in units of wgpu-gru's, and their geometric means.

use std::fmt::Write;

use serde::Serialize;

use crate::case::Pass;
use crate::row::{Row, Spread, digits};

/// A row in short.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    contestant: String,
    size: String,
    pass: Pass,
    validated: bool,
    median_ms: f64,
    quartiles_ms: [f64; 2],
    rounds: usize,
    /// The median in units of wgpu-gru's on the GPU, and on the CPU.
    times_gpu: Option<f64>,
    times_cpu: Option<f64>,
}

/// The geometric mean of somebody's ratios to wgpu-gru.
#[derive(Debug, Serialize)]
pub(crate) struct Mean {
    contestant: String,
    /// `gpu` or `cpu`.
    against: &'static str,
    /// How many sizes and passes both have a figure of.
    figures: usize,
    geometric_mean: f64,
    least: f64,
    most: f64,
}

/// All rows that have a median.
pub(crate) fn figures(rows: &[Row]) -> Vec<Figure> {
    let figure = |row: &Row| {
        let spread = Spread::of(&row.rounds_ms)?;
        Some(Figure {
            contestant: row.contestant.clone(),
            size: row.size.clone(),
            pass: row.pass,
            // Who is over the budget is not timed.
            validated: row.budget_used.is_some(),
            median_ms: spread.median,
            quartiles_ms: [spread.first, spread.third],
            rounds: row.rounds_ms.len(),
            times_gpu: ratio(rows, row, "gpu"),
            times_cpu: ratio(rows, row, "cpu"),
        })
    };
    rows.iter().filter_map(figure).collect()
}

/// The means over all sizes and passes, contestant by contestant.
pub(crate) fn means(rows: &[Row]) -> Vec<Mean> {
    let mut names: Vec<&str> = Vec::new();
    for row in rows {
        if !names.contains(&row.contestant.as_str()) {
            names.push(&row.contestant);
        }
    }
    let mut list = Vec::new();
    for name in names {
        for against in ["gpu", "cpu"] {
            let of_name = rows.iter().filter(|row| row.contestant == name && name != against);
            let ratios: Vec<f64> = of_name.filter_map(|row| ratio(rows, row, against)).collect();
            if ratios.is_empty() {
                continue;
            }
            let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
            list.push(Mean {
                contestant: name.into(),
                against,
                figures: ratios.len(),
                geometric_mean: (sum / ratios.len() as f64).exp(),
                least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
                most: ratios.iter().copied().fold(0.0, f64::max),
            });
        }
    }
    list
}

/// A row's median in units of that of another contestant at the same size and pass.
fn ratio(rows: &[Row], row: &Row, against: &str) -> Option<f64> {
    let mut same = rows.iter().filter(|other| other.size == row.size && other.pass == row.pass);
    let base = same.find(|other| other.contestant == against)?;
    Some(Spread::of(&row.rounds_ms)?.median / Spread::of(&base.rounds_ms)?.median)
}

/// The means as a table; `all`: how many figures there can be.
pub(crate) fn table(rows: &[Row], all: usize) -> String {
    let mut text =
        String::from("\n| time in units of wgpu-gru's | of its | geometric mean | least to most | figures |\n");
    text += "|---|---|---|---|---|\n";
    for Mean { contestant, against, figures, geometric_mean, least, most } in means(rows) {
        let [mean, least, most] = [geometric_mean, least, most].map(digits);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {contestant} | {against} | {mean} | {least} to {most} | {figures} of {all} |");
    }
    text
}
