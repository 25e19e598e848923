//! Where gradients go: the norm of the gradient of the state over 200 steps back through time, of plain RNNs and of GRUs,
//! and what clipping does for a plain RNN whose gradient explodes.
//!
//! ```sh
//! cargo run --release --example gradient_flow [-- PLOT]
//! cargo run --release --example gradient_flow -- --rates
//! ```
//!
//! A loss at the last step sends a gradient back. Through a plain RNN every step multiplies it by the same recurrent weights:
//! it vanishes where they are small and explodes where they are large (Hochreiter 1991; Bengio, Simard and Frasconi 1994).
//! Through a GRU it can take the path d_h' * z of the update gate, which multiplies it by nearly 1 where the gate is open. The
//! norms are made on the GPU by the backward pass itself ([`Unroll::gradient_norms`](wgpu_gru::Unroll::gradient_norms)).
//!
//! Then a plain RNN with large recurrent weights learns a leaky sum of its input over sequences of 200 steps, by plain
//! gradient descent, with five seeds, once with the gradients as they are and once clipped to a global norm of 1 (Pascanu,
//! Mikolov and Bengio 2013). `--rates` does this with more learning rates and draws nothing: a smaller rate is the other way
//! out. It prints all of it and draws it to an SVG file, at first `target/gradient_flow.svg`.

mod clipping;
mod norms;
mod plot;

use std::error::Error;
use std::process::ExitCode;

use wgpu_gru::Gpu;

use clipping::{MAX_NORM, RATE, RATES, Run, SEEDS};
use norms::Flow;

/// Time steps.
pub(crate) const LENGTH: usize = 200;
/// Units.
pub(crate) const HIDDEN: usize = 32;

/// One run a seed, with its numbers in a line.
#[expect(clippy::print_stdout, reason = "an example reports")]
fn train(gpu: &Gpu, rate: f32, max_norm: Option<f32>) -> wgpu_gru::Result<Vec<Run>> {
    let runs = SEEDS.map(|seed| clipping::train(gpu, seed, rate, max_norm)).collect::<wgpu_gru::Result<Vec<Run>>>()?;
    let diverged = runs.iter().filter(|run| run.has_diverged()).count();
    let last: String = runs
        .iter()
        .map(|run| if run.has_diverged() { format!("{:>9}", "-") } else { format!("{:9.3}", run.last()) })
        .collect();
    let norm = runs.iter().map(|run| run.largest_norm).fold(0.0, f32::max);
    let clip = if max_norm.is_some() { "clipped" } else { "not" };
    println!("{rate:<6}{clip:9}{diverged} of {}{last}   {norm:8.1e}", runs.len());
    Ok(runs)
}

#[expect(clippy::print_stdout, reason = "an example reports")]
fn run() -> Result<(), Box<dyn Error>> {
    let word = std::env::args().nth(1);
    let gpu = Gpu::new_blocking()?;
    println!("{}", gpu.describe());
    let header = || {
        println!(
            "training a plain RNN with large recurrent weights, {} steps, clipped to norm {MAX_NORM}:",
            clipping::STEPS
        );
        println!(
            "{:<6}{:9}{:8}{:^45}   largest norm",
            "rate", "gradient", "diverged", "loss of the last 20 steps, by seed"
        );
    };
    if word.as_deref() == Some("--rates") {
        header();
        for rate in RATES {
            train(&gpu, rate, None)?;
            train(&gpu, rate, Some(MAX_NORM))?;
        }
        return Ok(());
    }

    let path = word.unwrap_or_else(|| "target/gradient_flow.svg".into());
    let flows = norms::flows(&gpu)?;
    println!("norm of the gradient of the state, that at the loss being 1:");
    println!("{:48}{:>10}{:>10}{:>10}{:>10}", "steps back", 10, 50, 100, LENGTH - 1);
    for Flow { name, norms, .. } in &flows {
        let back = |steps: usize| norms[LENGTH - 1 - steps];
        println!("{name:48}{:10.1e}{:10.1e}{:10.1e}{:10.1e}", back(10), back(50), back(100), back(LENGTH - 1));
    }
    header();
    let free = train(&gpu, RATE, None)?;
    let clipped = train(&gpu, RATE, Some(MAX_NORM))?;
    plot::draw(&path, &flows, &free, &clipped)?;
    println!("plot: {path}");
    Ok(())
}

#[expect(clippy::print_stderr, reason = "an example reports")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
