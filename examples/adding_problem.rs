//! The adding problem (Hochreiter and Schmidhuber 1997): what a gated unit learns to remember, and a plain one does
//! not.
//!
//! ```sh
//! cargo run --release --example adding_problem
//! cargo run --release --example adding_problem -- --sweep
//! ```
//!
//! A sequence has 50 steps of two numbers: a random value from [0, 1), and a marker, which is 1 at two steps and 0 at
//! all others. One marked step lies in the first half, one in the second. After the last step the sum of the two marked
//! values is asked for. Always answering 1 has a mean squared error of 1/6: that is the variance of the sum. A GRU and
//! a plain RNN of the same number of units learn from the same sequences, with the same optimiser and number of steps,
//! each with the learning rate that suits it best. `--sweep` tries every rate with every seed, for both: that is where
//! the best rates come from.

#[path = "support/args.rs"]
mod args;
#[path = "support/progress.rs"]
mod progress;

use std::error::Error;
use std::process::ExitCode;

use indicatif::ProgressBar;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Adam, AdamOptions, Linear, Loss};
use wgpu_gru::{Cell, Config, Gpu, GruConfig, Recurrent, RnnConfig, Unroll};

use args::{Args, Program, WORD, Word};

const LENGTH: usize = 50;
const BATCH: usize = 64;
const HIDDEN: usize = 32;
/// Sequences that are not trained on.
const HELD_OUT: usize = 1024;
const BASELINE: f32 = 1.0 / 6.0;
const RATES: [f32; 5] = [0.0003, 0.001, 0.003, 0.01, 0.03];
const SEEDS: [u64; 3] = [1, 2, 3];
/// The best rates of the sweep, by the mean over the seeds. For the plain RNN they are all the same.
const GRU_RATE: f32 = 0.03;
const RNN_RATE: f32 = 0.003;

const PROGRAM: Program = Program {
    about: "Trains a GRU and a plain RNN to add two marked numbers among 50: the one learns it, the other does not.",
    start: "cargo run --release --example adding_problem --",
    words: &[
        Word {
            name: "--steps",
            value: "N",
            help: "Training steps of each run",
            default: "600",
            quick: "8",
            range: Some(1..=1_000_000),
            ..WORD
        },
        Word { name: "--sweep", help: "Train with five learning rates and three seeds, and print a table", ..WORD },
        Word { name: "--quick", help: "Few steps, to see that it runs", ..WORD },
    ],
    notes: "\
Writes no file. Takes about a minute on two CPU cores that play a GPU, with --sweep about a quarter of an hour; less on a GPU.
WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter.",
};

/// `count` sequences `[LENGTH, count, 2]` and their sums `[count]`.
fn sequences(uniform: &mut SplitMix64, count: usize) -> (Vec<f32>, Vec<f32>) {
    let mut x = vec![0.0; LENGTH * count * 2];
    let mut sums = vec![0.0; count];
    for row in 0..count {
        for step in 0..LENGTH {
            x[(step * count + row) * 2] = 0.5 + 0.5 * uniform.next_f32();
        }
        let half = LENGTH / 2;
        for begin in [0, half] {
            let marked = ((begin + uniform.next_u64() as usize % half) * count + row) * 2;
            sums[row] += x[marked];
            x[marked + 1] = 1.0;
        }
    }
    (x, sums)
}

fn mean_squared_error(predicted: &[f32], expected: &[f32]) -> f32 {
    predicted.iter().zip(expected).map(|(p, e)| (p - e).powi(2)).sum::<f32>() / expected.len() as f32
}

/// Trains from scratch for some steps, and gives the mean squared error on sequences that were not trained on. `watch`
/// sees after each step its number and its loss.
fn train<C: Copy + Into<Cell>>(
    gpu: &Gpu,
    config: Config<C>,
    steps: usize,
    learning_rate: f32,
    seed: u64,
    mut watch: impl FnMut(usize, f32),
) -> wgpu_gru::Result<f32> {
    let layer = Recurrent::new(gpu, config, seed)?;
    let linear = Linear::new(gpu, HIDDEN, 1, seed + 1000)?;
    let mut net = layer.unroll(Unroll::training(LENGTH, BATCH).input_gradient(false))?;
    // The head looks at the last step alone; before it the gradient of the output stays zero.
    let last = LENGTH - 1..LENGTH;
    let head = linear.unroll(&net.output().outer(last.clone())?, &net.d_output()?.outer(last)?)?;
    let loss = Loss::mean_squared_error(head.output(), head.d_output())?;
    let options = AdamOptions { learning_rate, max_norm: Some(1.0), ..AdamOptions::default() };
    let adam = Adam::new(net.pairs()?.chain(head.pairs()), &options)?;

    let mut uniform = SplitMix64::new(seed + 2000);
    for step in 1..=steps {
        let (x, sums) = sequences(&mut uniform, BATCH);
        net.input().write(&x)?;
        loss.expected().write(&sums)?;
        gpu.submit(|encoder| {
            net.encode_forward(encoder)?;
            head.encode_forward(encoder);
            loss.encode(encoder);
            head.encode_backward(encoder)?;
            net.encode_backward(encoder)?;
            adam.encode(encoder);
            Ok(())
        })?;
        watch(step, loss.loss().read_blocking()?[0]);
    }

    let (x, sums) = sequences(&mut SplitMix64::new(seed + 3000), HELD_OUT);
    let mut net = layer.unroll(Unroll::inference(LENGTH, HELD_OUT))?;
    let head = linear.unroll_inference(net.h_n())?;
    net.input().write(&x)?;
    gpu.submit(|encoder| {
        net.encode_forward(encoder)?;
        head.encode_forward(encoder);
        Ok(())
    })?;
    Ok(mean_squared_error(&head.output().read_blocking()?, &sums))
}

/// One run, with its mean loss eight times as it goes.
#[expect(clippy::print_stdout, reason = "an example reports")]
fn show<C: Copy + Into<Cell>>(
    gpu: &Gpu,
    name: &'static str,
    config: Config<C>,
    steps: usize,
    rate: f32,
) -> wgpu_gru::Result<()> {
    println!("{name}, learning rate {rate}:");
    let bar = progress::bar(name, steps);
    let mut losses: Vec<f32> = Vec::new();
    let held_out = train(gpu, config, steps, rate, SEEDS[0], |step, loss| {
        bar.inc(1);
        losses.push(loss);
        if step % steps.div_ceil(8) == 0 || step == steps {
            let mean = losses.iter().sum::<f32>() / losses.len() as f32;
            losses.clear();
            bar.suspend(|| println!("  step {step:4}  loss {mean:.4}"));
        }
    })?;
    bar.finish_and_clear();
    println!("  on {HELD_OUT} sequences that were not trained on: {held_out:.4}");
    Ok(())
}

/// Every rate with every seed: the median over the seeds, then each of them.
#[expect(clippy::print_stdout, reason = "an example reports")]
fn sweep<C: Copy + Into<Cell>>(
    gpu: &Gpu,
    name: &str,
    config: impl Fn() -> Config<C>,
    steps: usize,
    bar: &ProgressBar,
) -> wgpu_gru::Result<()> {
    for rate in RATES {
        let mut errors = Vec::new();
        for seed in SEEDS {
            errors.push(train(gpu, config(), steps, rate, seed, |_, _| bar.inc(1))?);
        }
        let by_seed: String = errors.iter().map(|error| format!("{error:9.4}")).collect();
        errors.sort_by(f32::total_cmp);
        let median = errors[errors.len() / 2];
        bar.suspend(|| println!("{name:10} learning rate {rate:<7}{median:9.4}  {by_seed}"));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example reports")]
fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let (steps, every_rate): (usize, bool) = (args.get("--steps")?, args.get("--sweep")?);
    let gpu = Gpu::new_blocking()?;
    println!("{}", gpu.describe());
    println!(
        "{LENGTH} steps, {HIDDEN} units, {steps} training steps of {BATCH} sequences, Adam, gradients clipped to norm 1"
    );
    println!("mean squared error of always answering 1: {BASELINE:.4}");
    let (gru, rnn) = (|| GruConfig::new(2, HIDDEN), || RnnConfig::new(2, HIDDEN));
    if every_rate {
        println!(
            "mean squared error on {HELD_OUT} sequences that were not trained on: median, and for the seeds {SEEDS:?}:"
        );
        let bar = progress::bar("Training", 2 * RATES.len() * SEEDS.len() * steps);
        sweep(&gpu, "GRU", gru, steps, &bar)?;
        sweep(&gpu, "plain RNN", rnn, steps, &bar)?;
        bar.finish_and_clear();
    } else {
        show(&gpu, "GRU", gru(), steps, GRU_RATE)?;
        show(&gpu, "plain RNN", rnn(), steps, RNN_RATE)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}
