//! The figures: tables for people and a file for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::case::Size;
use crate::measure::{Figure, Spread};
use crate::memory::Memory;
use crate::sweep::Sweep;

/// The passes, by their names in reports.
pub(crate) const PASSES: [&str; 2] = ["forward", "training"];

/// What the columns mean.
const LEGEND: &str = "
Milliseconds, medians with quartiles. `GPU` is from the call until the GPU is done, `with h_n` until h_n is on the host,
`stamps` between two timestamps of the GPU around the pass. `times CPU` is the CPU's median over that of the GPU, with h_n for
forward: over 1 the GPU is faster. `budget`: the largest share of its error budget that any number uses, and who was asked.
";

const MEMORY_LEGEND: &str = "
### memory of a training unroll

`planned` is `Plan::bytes`; `counted` is what wgpu's counter of buffer memory rose by, `reported` the same by its allocator.
Over the plan are alignment and the uniforms, which the plan leaves out.

| T | B | H | planned bytes | counted | reported | counted over planned |
|---|---|---|---|---|---|---|
";

/// By how much memory may be over the plan without a word.
const MEMORY_ALLOWANCE: f64 = 0.05;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) about: Vec<(&'static str, String)>,
    pub(crate) sweeps: [Sweep; 3],
    pub(crate) figures: Vec<Figure>,
    pub(crate) memory: Vec<Memory>,
}

/// Where along a line the GPU overtakes the CPU, or falls behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crossover {
    pub(crate) at: f64,
    gpu_wins_after: bool,
}

impl Report {
    /// The figures of a pass along a line, with the number that grows.
    pub(crate) fn line<'a>(&'a self, sweep: &'a Sweep, pass: &'a str) -> impl Iterator<Item = (usize, &'a Figure)> {
        let find = move |size: &Size| {
            let figure = self.figures.iter().find(|figure| figure.size == *size && figure.pass() == pass)?;
            Some((sweep.axis.of(*size), figure))
        };
        sweep.sizes.iter().filter_map(find)
    }

    /// Where the medians of CPU and GPU cross, taken as straight between two sizes in a plot of logarithms.
    pub(crate) fn crossovers(&self, sweep: &Sweep, pass: &str) -> Vec<Crossover> {
        let ratios: Vec<(f64, f64)> = self
            .line(sweep, pass)
            .filter_map(|(value, figure)| Some(((value as f64).ln(), figure.speedup()?.ln())))
            .collect();
        let cross = |pair: &[(f64, f64)]| {
            let &[(x0, y0), (x1, y1)] = pair else { return None };
            let at = (x0 + (x1 - x0) * y0 / (y0 - y1)).exp();
            ((y0 < 0.0) != (y1 < 0.0)).then_some(Crossover { at, gpu_wins_after: y1 >= 0.0 })
        };
        ratios.windows(2).filter_map(cross).collect()
    }

    /// The crossovers in words.
    pub(crate) fn crossover_words(&self, sweep: &Sweep, pass: &str) -> String {
        let name = sweep.axis.name();
        let crossovers = self.crossovers(sweep, pass);
        if !crossovers.is_empty() {
            let words = crossovers.iter().map(|Crossover { at, gpu_wins_after }| {
                let who = if *gpu_wins_after { "GPU" } else { "CPU" };
                format!("{who} faster from {name} = {at:.0} on")
            });
            return words.collect::<Vec<_>>().join(", ");
        }
        match self.line(sweep, pass).find_map(|(_, figure)| figure.speedup()) {
            None => "nothing to compare".into(),
            Some(speedup) if speedup >= 1.0 => "no crossover: the GPU is faster at all sizes".into(),
            Some(_) => "no crossover: the CPU is faster at all sizes".into(),
        }
    }

    /// All tables.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.about {
            text += &format!("- {name}: {value}\n");
        }
        text += LEGEND;
        for sweep in &self.sweeps {
            for pass in PASSES {
                self.table(&mut text, sweep, pass);
            }
        }
        if !self.memory.is_empty() {
            self.memory_table(&mut text);
        }
        text
    }

    fn table(&self, text: &mut String, sweep: &Sweep, pass: &str) {
        let words = sweep.axis.words();
        *text += &format!("\n### {words}, {pass}\n\n");
        *text += "| T | B | H | CPU | GPU | with h_n | stamps | µs a step: CPU | GPU | stamps | GFLOP/s: CPU | GPU | times CPU ";
        *text += "| budget | plan |\n";
        *text += &format!("|{}\n", "---|".repeat(15));
        for (_, figure) in self.line(sweep, pass) {
            let Figure { size, cpu, gpu, gpu_read, gpu_stamps, checked, .. } = figure;
            let a_step = |spread: &Option<Spread>| median(spread).map(|ms| 1e3 * ms / size.seq_len as f64);
            let rate = |spread: &Option<Spread>| median(spread).map(|ms| figure.flops as f64 / ms / 1e6);
            let cells = [
                size.seq_len.to_string(),
                size.batch.to_string(),
                size.hidden.to_string(),
                with_quartiles(cpu),
                with_quartiles(gpu),
                with_quartiles(gpu_read),
                with_quartiles(gpu_stamps),
                digits(a_step(cpu)),
                digits(a_step(gpu)),
                digits(a_step(gpu_stamps)),
                digits(rate(cpu)),
                digits(rate(gpu)),
                digits(figure.speedup()),
                format!("{:.1} %, {}", 100.0 * checked.share, checked.by),
                figure
                    .plan
                    .as_ref()
                    .map_or("-".into(), |(plan, dispatches)| format!("{plan}, {dispatches} dispatches")),
            ];
            *text += &format!("| {} |\n", cells.join(" | "));
        }
        *text += &format!("\n{}: {}.\n", sweep.axis.name(), self.crossover_words(sweep, pass));
    }

    fn memory_table(&self, text: &mut String) {
        *text += MEMORY_LEGEND;
        for memory in &self.memory {
            let Memory { size: Size { seq_len, batch, hidden, .. }, planned, counted, reported } = memory;
            let reported = reported.map_or("-".into(), |bytes| bytes.to_string());
            let over = memory.over_plan().map_or("not counted".into(), |over| format!("{:+.2} %", 100.0 * over));
            // Writing to a String cannot fail.
            let _ = writeln!(text, "| {seq_len} | {batch} | {hidden} | {planned} | {counted} | {reported} | {over} |");
        }
        let over = |memory: &&Memory| memory.over_plan().is_some_and(|over| over.abs() > MEMORY_ALLOWANCE);
        let (off, all) = (self.memory.iter().filter(over).count(), self.memory.len());
        let allowance = 100.0 * MEMORY_ALLOWANCE;
        let _ = writeln!(text, "\n{} of {all} within {allowance:.0} % of the plan.", all - off);
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let size = |size: &Size| json!({"T": size.seq_len, "B": size.batch, "I": size.input, "H": size.hidden});
        let figures = self.figures.iter().map(|figure| {
            json!({
                "size": size(&figure.size),
                "pass": figure.pass(),
                "flops": figure.flops,
                "checked_by": figure.checked.by,
                "budget_used": figure.checked.share,
                "cpu_ms": figure.cpu,
                "gpu_ms": figure.gpu,
                "gpu_with_h_n_ms": figure.gpu_read,
                "gpu_stamps_ms": figure.gpu_stamps,
                "times_cpu": figure.speedup(),
                "schedule": figure.plan.as_ref().map(|(schedule, _)| schedule),
                "dispatches": figure.plan.as_ref().map(|(_, dispatches)| dispatches),
            })
        });
        let lines = self.sweeps.iter().flat_map(|sweep| PASSES.map(|pass| (sweep, pass)));
        let crossovers = lines.map(|(sweep, pass)| {
            json!({
                "axis": sweep.axis.name(),
                "pass": pass,
                "at": self.crossovers(sweep, pass).iter().map(|crossover| crossover.at).collect::<Vec<_>>(),
                "words": self.crossover_words(sweep, pass),
            })
        });
        let memory = self.memory.iter().map(|memory| json!({"size": size(&memory.size), "training": memory}));
        json!({
            "about": self.about,
            "figures": figures.collect::<Vec<_>>(),
            "crossovers": crossovers.collect::<Vec<_>>(),
            "memory": memory.collect::<Vec<_>>(),
        })
    }
}

fn median(spread: &Option<Spread>) -> Option<f64> {
    spread.map(|spread| spread.median)
}

/// The median, and the quartiles in brackets.
fn with_quartiles(spread: &Option<Spread>) -> String {
    let Some(Spread { median, first_quartile, third_quartile, .. }) = *spread else { return "-".into() };
    let [median, first, third] = [median, first_quartile, third_quartile].map(|value| digits(Some(value)));
    format!("{median} ({first}, {third})")
}

/// Three digits.
fn digits(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) if value >= 1.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.3}"),
    }
}
