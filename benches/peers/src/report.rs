//! The figures: a table for people and a file for programs.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::case::{Pass, Size};
use crate::contestants::Kind;
use crate::reference::Reference;
use crate::row::{FirstResult, Row, Spread, digits};
use crate::summary::{Figure, Mean, figures, means};

/// Everything that was measured.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Machine, adapter, versions.
    pub(crate) about: Vec<(String, String)>,
    pub(crate) rows: Vec<Row>,
    #[serde(default)]
    pub(crate) first_results: Vec<FirstResult>,
    /// What follows from the rows, written out for whoever reads the file.
    #[serde(default, skip_deserializing)]
    pub(crate) figures: Vec<Figure>,
    #[serde(default, skip_deserializing)]
    pub(crate) means: Vec<Mean>,
}

/// The figures of `python.py`, of which those are taken that fit a size and a pass of this run.
#[derive(Debug)]
pub(crate) struct Foreign {
    report: Report,
}

impl Foreign {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(Self { report: serde_json::from_str(&text)? })
    }

    pub(crate) fn about(&self) -> &[(String, String)] {
        &self.report.about
    }

    /// The times to the first result of those who are not measured here.
    pub(crate) fn first_results(&self, here: &[Kind]) -> impl Iterator<Item = FirstResult> {
        let others = |first: &&FirstResult| here.iter().all(|kind| kind.name() != first.contestant);
        self.report.first_results.iter().filter(others).cloned()
    }

    /// The rows of a size and a pass, checked.
    pub(crate) fn rows(&self, size: Size, pass: Pass, reference: &Reference) -> Vec<Row> {
        let fit = self.report.rows.iter().filter(|row| row.size == size.name && row.pass == pass);
        fit.cloned()
            .map(|mut row| {
                row.check(reference);
                row
            })
            .collect()
    }
}

/// One pass over one size: figures in milliseconds, and the median in those of wgpu-gru on the GPU and on the CPU.
pub(crate) fn table(size: Size, pass: Pass, rows: &[Row]) -> String {
    let median = |name: &str| {
        let row = rows.iter().find(|row| row.contestant == name)?;
        Spread::of(&row.rounds_ms).map(|spread| spread.median)
    };
    let (gpu, cpu) = (median("gpu"), median("cpu"));
    let mut text = format!("\n### {} {}\n\n", size.label(), pass.name());
    text += "| | median ms | quartiles | least to most | rounds | times gpu | times cpu | error budget | |\n";
    text += "|---|---|---|---|---|---|---|---|---|\n";
    for row in rows {
        let used = row.budget_used.map_or("-".into(), |used| format!("{:.1} %", 100.0 * used));
        let note = row.note.as_deref().unwrap_or_default();
        let figures = match Spread::of(&row.rounds_ms) {
            Some(spread) => {
                let times = |base: Option<f64>| base.map_or("-".into(), |base| digits(spread.median / base));
                format!(
                    "{} | {} to {} | {} to {} | {} | {} | {}",
                    digits(spread.median),
                    digits(spread.first),
                    digits(spread.third),
                    digits(spread.least),
                    digits(spread.most),
                    row.rounds_ms.len(),
                    times(gpu),
                    times(cpu)
                )
            }
            None => "- | - | - | 0 | - | -".into(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} | {figures} | {used} | {note} |", row.contestant);
    }
    text
}

impl Report {
    /// Medians of all sizes: a row a size, a column a contestant.
    pub(crate) fn overview(&self, sizes: &[Size], pass: Pass) -> String {
        let of_pass: Vec<_> = self.rows.iter().filter(|row| row.pass == pass).collect();
        let mut names: Vec<&str> = Vec::new();
        for row in &of_pass {
            if !names.contains(&row.contestant.as_str()) {
                names.push(&row.contestant);
            }
        }
        let mut text = grid_head(&format!("{}, median ms (T, B, I, H)", pass.name()), &names);
        for size in sizes {
            let cells = names.iter().map(|name| {
                let row = of_pass.iter().find(|row| row.contestant == *name && row.size == size.name);
                row.and_then(|row| Spread::of(&row.rounds_ms)).map_or("-".into(), |spread| digits(spread.median))
            });
            let _ = writeln!(text, "| {} | {} |", size.label(), cells.collect::<Vec<_>>().join(" | "));
        }
        text
    }

    /// The times to the first result of a pass.
    pub(crate) fn first_overview(&self, sizes: &[Size], pass: Pass) -> String {
        let of_pass: Vec<_> = self.first_results.iter().filter(|first| first.pass == pass).collect();
        let mut names: Vec<&str> = Vec::new();
        for first in &of_pass {
            if !names.contains(&first.contestant.as_str()) {
                names.push(&first.contestant);
            }
        }
        let what = format!("time to the first result, {}, median ms (T, B, I, H)", pass.name());
        let mut text = grid_head(&what, &names);
        for size in sizes {
            let cells = names.iter().map(|name| {
                let mut all = of_pass.iter();
                let found = all.find(|first| first.contestant == *name && first.size == size.name);
                found.map_or("-".into(), |first| match (&first.note, Spread::of(&first.ms)) {
                    (None, Some(spread)) => digits(spread.median),
                    (note, _) => note.clone().unwrap_or_default(),
                })
            });
            let _ = writeln!(text, "| {} | {} |", size.label(), cells.collect::<Vec<_>>().join(" | "));
        }
        text
    }

    /// Writes the figures to a file, and the tables beside it.
    pub(crate) fn write(&mut self, path: &Path, tables: &str) -> Result<()> {
        if self.rows.is_empty() && self.first_results.is_empty() {
            bail!("nothing was measured");
        }
        self.figures = figures(&self.rows);
        self.means = means(&self.rows);
        for (path, text) in [
            (path.to_owned(), serde_json::to_string_pretty(self)? + "\n"),
            (path.with_extension("md"), tables.to_owned()),
        ] {
            std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(())
    }
}

fn grid_head(corner: &str, names: &[&str]) -> String {
    format!("\n| {corner} | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()))
}
