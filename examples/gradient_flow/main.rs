//! Where gradients go: the norm of the gradient of the state over 200 steps back through time, of plain RNNs and of
//! GRUs, and what clipping does for a plain RNN whose gradient explodes.
//!
//! ```sh
//! cargo run --release --example gradient_flow [-- PLOT]
//! cargo run --release --example gradient_flow -- --rates
//! ```
//!
//! A loss at the last step sends a gradient back. Through a plain RNN every step multiplies it by the same recurrent
//! weights: it vanishes where they are small and explodes where they are large (Hochreiter 1991; Bengio, Simard and
//! Frasconi 1994). Through a GRU it can take the path d_h' * z of the update gate, which multiplies it by nearly 1
//! where the gate is open. The norms are made on the GPU by the backward pass itself
//! ([`Unroll::gradient_norms`](wgpu_gru::Unroll::gradient_norms)).
//!
//! Then a plain RNN with large recurrent weights learns a leaky sum of its input over sequences of 200 steps, by plain
//! gradient descent, with five seeds, once with the gradients as they are and once clipped to a global norm of 1
//! (Pascanu, Mikolov and Bengio 2013). `--rates` does this with more learning rates and draws nothing: a smaller rate
//! is the other way out. It prints all of it and draws it to an SVG file, by default `target/gradient_flow.svg`.
//!
//! Training without clipping is chaotic here: the last bit of a number decides where a run goes, so adapters differ in
//! which seeds diverge, and in the losses. The median over the seeds is the figure to look at.

#[path = "../support/args.rs"]
mod args;
mod clipping;
mod norms;
#[path = "../support/output.rs"]
mod output;
mod plot;
#[path = "../support/progress.rs"]
mod progress;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use indicatif::ProgressBar;
use wgpu_gru::Gpu;

use args::{Args, ArgsError, Program, WORD, Word};
use clipping::{MAX_NORM, RATE, RATES, Run, SEEDS};
use norms::Flow;

/// Time steps.
pub(crate) const LENGTH: usize = 200;
/// Units.
pub(crate) const HIDDEN: usize = 32;

const PROGRAM: Program = Program {
    about: "\
Shows how gradients vanish, explode and survive over 200 steps back in time, in plain RNNs and in GRUs, and what clipping does.",
    start: "cargo run --release --example gradient_flow --",
    words: &[
        Word {
            name: "PLOT",
            help: "Where the plot goes, an SVG file",
            default: "target/gradient_flow.svg",
            needs: "a file",
            ..WORD
        },
        Word {
            name: "--steps",
            value: "N",
            help: "Training steps of each run",
            default: "200",
            quick: "5",
            range: Some(1..=100_000),
            ..WORD
        },
        Word { name: "--rates", help: "Train with four learning rates, print a table, and draw nothing", ..WORD },
        Word { name: "--quick", help: "Few steps, to see that it runs", ..WORD },
    ],
    notes: "\
Writes the plot, and reports to stdout. Takes about 40 s on two CPU cores that play a GPU, with --rates four times as long;
seconds on a GPU. WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter.",
};

/// One run a seed, with its numbers in a line.
#[expect(clippy::print_stdout, reason = "an example reports")]
fn train(gpu: &Gpu, steps: usize, rate: f32, max_norm: Option<f32>, bar: &ProgressBar) -> wgpu_gru::Result<Vec<Run>> {
    let mut runs = Vec::new();
    for seed in SEEDS {
        runs.push(clipping::train(gpu, seed, steps, rate, max_norm)?);
        bar.inc(1);
    }
    let diverged = runs.iter().filter(|run| run.has_diverged()).count();
    let shown = |loss: f32| if loss.is_finite() { format!("{loss:9.3}") } else { format!("{:>9}", "-") };
    let mut last: Vec<f32> = runs.iter().map(Run::outcome).collect();
    let by_seed: String = last.iter().copied().map(shown).collect();
    last.sort_by(f32::total_cmp);
    let median = shown(last[last.len() / 2]);
    let norm = runs.iter().map(|run| run.largest_norm).fold(0.0, f32::max);
    let clip = if max_norm.is_some() { "clipped" } else { "not" };
    bar.suspend(|| println!("{rate:<6}{clip:9}{diverged} of {}{median} {by_seed}   {norm:8.1e}", runs.len()));
    Ok(runs)
}

#[expect(clippy::print_stdout, reason = "an example reports")]
fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let (plot, steps, every_rate): (PathBuf, usize, bool) =
        (args.get("PLOT")?, args.get("--steps")?, args.get("--rates")?);
    if every_rate && args.given("PLOT").is_some() {
        return Err(ArgsError::Extra(plot.display().to_string()).into());
    }
    let gpu = Gpu::new_blocking()?;
    println!("{}", gpu.describe());
    let begin = |rates: usize| {
        println!("training a plain RNN with large recurrent weights, {steps} steps, clipped to norm {MAX_NORM}:");
        println!(
            "{:<6}{:9}{:8}{:>7}  {:^45}   largest norm",
            "rate", "gradient", "diverged", "median", "loss of the last 20 steps, by seed"
        );
        progress::bar("Training", rates * 2 * SEEDS.count())
    };
    if every_rate {
        let bar = begin(RATES.len());
        for rate in RATES {
            train(&gpu, steps, rate, None, &bar)?;
            train(&gpu, steps, rate, Some(MAX_NORM), &bar)?;
        }
        bar.finish_and_clear();
        return Ok(());
    }

    output::prepare(&plot)?;
    let flows = norms::flows(&gpu)?;
    println!("norm of the gradient of the state, that at the loss being 1:");
    println!("{:48}{:>10}{:>10}{:>10}{:>10}", "steps back", 10, 50, 100, LENGTH - 1);
    for Flow { name, norms, .. } in &flows {
        let back = |steps: usize| norms[LENGTH - 1 - steps];
        println!("{name:48}{:10.1e}{:10.1e}{:10.1e}{:10.1e}", back(10), back(50), back(100), back(LENGTH - 1));
    }
    let bar = begin(1);
    let free = train(&gpu, steps, RATE, None, &bar)?;
    let clipped = train(&gpu, steps, RATE, Some(MAX_NORM), &bar)?;
    bar.finish_and_clear();
    plot::draw(&plot, &flows, steps, &free, &clipped)?;
    println!("plot: {}", plot.display());
    Ok(())
}

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}
