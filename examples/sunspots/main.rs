//! Learns the solar cycle on the GPU and forecasts years that it has not seen.
//!
//! ```text
//! cargo run --release --example sunspots
//! ```
//!
//! A GRU with a linear head is trained on the monthly sunspot numbers of 1749 to 1964. From a window of 160 months it
//! forecasts the next 24 months at once. The example
//!
//! 1. says which adapter it uses, and what the layer will do on it (`explain()`);
//! 2. holds the GRU against the CPU in f64 on a real training batch, forward and all gradients, before and after
//!    training, and ends with exit code 1 if a number is over its error budget;
//! 3. trains wholly on the GPU: one submission a step, no allocation, nothing read back but a loss now and then;
//! 4. forecasts 1965 to 2008 and prints the errors beside persistence, the last cycle and autoregressions;
//! 5. times a training step on the GPU and on the CPU;
//! 6. draws `target/sunspots.svg`.
//!
//! Nothing of a forecast month or of any later one reaches its forecast: scale and weights come from the training part,
//! the trailing means look back, and a window ends where the forecast begins.
//!
//! Expect an error 12 months ahead that is about a third below that of persistence. On lavapipe, which plays a GPU on
//! two CPU cores, all takes less than a minute.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

#[path = "../support/args.rs"]
mod args;
mod baseline;
mod check;
mod command_line;
mod data;
mod features;
mod model;
#[path = "../support/output.rs"]
mod output;
mod plot;
#[path = "../support/progress.rs"]
mod progress;
mod score;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use wgpu_gru::Gpu;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::verify::Report;

use args::Args;
use command_line::{Options, PROGRAM};
use data::{Month, Series};
use features::{Features, HORIZONS};
use model::{BATCH, Trainer, learning_rate};
use plot::Picture;
use score::{Forecasts, HeldOut};

/// The loss is read back after this many steps.
const REPORT_EVERY: usize = 25;

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let options = Options::read(args)?;
    let begin = Instant::now();
    let gpu = Gpu::new_blocking()?;
    output::prepare(&options.plot)?;
    let series = Series::load()?;
    let training = series.index(Month::january(options.train_until + 1))?;
    let held_out = HeldOut { months: training..series.index(Month::january(options.test_until + 1))? };
    let features = Features::new(&series.values, training);
    println!(
        "Data      {} months to learn from, {} to {}; {} held out, {} to {}",
        training,
        series.first,
        series.month(training - 1),
        held_out.months.len(),
        series.month(training),
        series.month(held_out.months.end - 1)
    );

    println!("Adapter   {}", gpu.describe());
    let mut trainer = Trainer::new(&gpu, options.seed)?;
    println!("\n{}\n", trainer.explain());

    // The same seed gives the same batches on every machine.
    let mut random = SplitMix64::new(options.seed.wrapping_add(1000));
    let (mut x, mut y) = (Vec::new(), Vec::new());
    features.batch(training, BATCH, &mut random, &mut x, &mut y);
    report("Before training", &trainer.verify(&x, &y)?);
    let bar = progress::bar("Training", options.steps);
    for step in 0..options.steps {
        features.batch(training, BATCH, &mut random, &mut x, &mut y);
        trainer.step(&x, &y, learning_rate(step, options.steps))?;
        let done = step + 1;
        bar.set_position(done as u64);
        if done % REPORT_EVERY == 0 || done == options.steps {
            let loss = pollster::block_on(trainer.loss())?;
            bar.set_message(format!("loss {loss:.4},"));
            if bar.is_hidden() {
                println!("step {done:4} of {}, loss {loss:.4}", options.steps);
            }
        }
    }
    bar.finish();
    println!("\nTrained in {:.1} s.\n", bar.elapsed().as_secs_f64());
    report("After training", &trainer.verify(&x, &y)?);

    let origins = held_out.training_origins(500);
    let forecast = |origins: &[usize]| pollster::block_on(trainer.forecaster(&features, origins)?.run());
    let (fit, roots) = (forecast(&origins)?, forecast(&held_out.origins())?);
    let gru = Forecasts::of_roots("GRU", &features, &held_out, &roots, (&origins, &fit));
    let baselines = score::baselines(&series, &features, &held_out);
    print_errors(&series, &held_out, &baselines, &gru);
    print_times(&gpu, &mut trainer, &x, &y)?;

    let [persistence, .., autoregression] = baselines.as_slice() else { return Err("too few baselines".into()) };
    Picture { series: &series, held_out: &held_out, gru: &gru, persistence, autoregression }.draw(&options.plot)?;
    println!("\nPlot      {}", options.plot.display());
    println!("Total     {:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}

fn report(when: &str, report: &Report) {
    println!("{when}, on a real batch, against the CPU in f64: every number within its error budget.\n{report}\n");
}

fn print_errors(series: &Series, held_out: &HeldOut, baselines: &[Forecasts], gru: &Forecasts) {
    let months = [6, plot::AHEAD, 18, HORIZONS];
    println!("Errors on the held-out months, root mean square (mean absolute):");
    println!("months ahead {}", months.map(|ahead| format!("{ahead:>16}")).concat());
    for method in baselines.iter().chain([gru]) {
        let cells = months.map(|ahead| {
            let errors = method.errors(series, held_out, ahead);
            format!("{:>8.1} ({:>5.1})", errors.rmse, errors.mae)
        });
        println!("{:<13}{}", method.name, cells.concat());
    }
    let [mine, others @ ..] = [gru, &baselines[0], &baselines[baselines.len() - 1]]
        .map(|method| method.errors(series, held_out, plot::AHEAD).rmse);
    println!(
        "{} months ahead the GRU's error is {:.0} % of persistence's and {:.0} % of that of {}.\n",
        plot::AHEAD,
        100.0 * mine / others[0],
        100.0 * mine / others[1],
        baselines[baselines.len() - 1].name
    );
}

fn print_times(gpu: &Gpu, trainer: &mut Trainer, x: &[f32], y: &[f32]) -> wgpu_gru::Result<()> {
    let times = trainer.times(x, y)?;
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    println!("Time of a training step, median:            GPU          CPU");
    println!("  GRU forward and backward            {:>9.2} ms {:>9.2} ms", ms(times.gpu_passes), ms(times.cpu_passes));
    println!("  with head, loss, clipping and Adam  {:>9.2} ms         -", ms(times.gpu_step));
    if gpu.is_software() {
        println!("  The adapter is software: this compares a CPU with itself, and says nothing about GPUs.");
    }
    Ok(())
}
