//! Learns to write like "Alice's Adventures in Wonderland", a character at a time.
//!
//! ```sh
//! cargo run --release --example char_model
//! cargo run --release --example char_model -- --steps 3000 --resume
//! ```
//!
//! An embedding, a GRU and a linear head guess the next character from all that came before; 16 places of the text are
//! read at a time, 64 characters a step, and the state of each goes on from one step to the next (truncated
//! back-propagation through time). Everything is trained on the GPU. The example
//!
//! 1. counts n-grams, the measure to beat, and says how many bits they need for a character of a part that nobody learns
//!    from;
//! 2. trains, with a checkpoint at the end, which `--resume` goes on from;
//! 3. says the same of the model;
//! 4. writes text at three temperatures.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

#[path = "../support/args.rs"]
mod args;
mod model;
mod ngram;
#[path = "../support/output.rs"]
mod output;
#[path = "../support/progress.rs"]
mod progress;
mod text;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use wgpu_gru::Gpu;

use args::{Args, Program, WORD, Word};
use model::{BATCH, Model, SEQ_LEN, Training};
use ngram::Ngrams;
use text::Text;

/// The loss is read back after this many steps.
const REPORT_EVERY: usize = 20;
/// With what the model begins to write.
const BEGIN: &str = "  Alice ";

const PROGRAM: Program = Program {
    about: "Trains a GRU on \"Alice's Adventures in Wonderland\", a character at a time, and lets it write.",
    start: "cargo run --release --example char_model --",
    words: &[
        Word {
            name: "--steps",
            value: "N",
            help: "Training steps, those of a resumed run among them",
            default: "1200",
            quick: "4",
            range: Some(1..=1_000_000),
            ..WORD
        },
        Word {
            name: "--checkpoint",
            value: "FILE",
            help: "Where the checkpoint goes, a file of safetensors",
            default: "target/char_model.safetensors",
            needs: "a file",
            ..WORD
        },
        Word { name: "--resume", help: "Go on from the checkpoint", ..WORD },
        Word {
            name: "--length",
            value: "N",
            help: "Characters to write at each temperature",
            default: "300",
            quick: "20",
            range: Some(1..=100_000),
            ..WORD
        },
        Word {
            name: "--seed",
            value: "N",
            help: "Seed of the weights and of what is written",
            default: "1",
            needs: "a whole number from 0 to 2^64 - 1",
            ..WORD
        },
        Word { name: "--quick", help: "Few steps, to see that it runs", ..WORD },
    ],
    notes: "\
Writes the checkpoint, and reports to stdout. Takes a minute or two on two CPU cores that play a GPU, seconds on a GPU.
WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter.",
};

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let (steps, length, seed): (usize, usize, u64) = (args.get("--steps")?, args.get("--length")?, args.get("--seed")?);
    let (checkpoint, resume): (PathBuf, bool) = (args.get("--checkpoint")?, args.get("--resume")?);
    let gpu = Gpu::new_blocking()?;
    let text = Text::load();
    let alphabet = text.alphabet.len();
    println!("{}", gpu.describe());
    println!(
        "{} characters to learn from, {} held out, of {alphabet} different ones",
        text.training.len(),
        text.held_out.len()
    );
    println!("\nBits a character of what is held out:");
    for order in 1..=5 {
        let bits = Ngrams::new(&text.training, alphabet, order).bits(&text.held_out);
        println!("  {bits:.3}  by counting what came after {order} characters");
    }

    let model = Model::new(&gpu, alphabet, seed)?;
    println!("  {:.3}  the model, untrained", model.bits(&text.held_out)?);
    let mut training = Training::new(&model, &text.training, steps)?;
    if resume {
        training.resume(&checkpoint)?;
        println!(
            "  {:.3}  the model after {} steps, from {}",
            model.bits(&text.held_out)?,
            training.step,
            checkpoint.display()
        );
    } else {
        output::prepare(&checkpoint)?;
    }
    let bar = progress::bar("Training", steps);
    while training.step < steps {
        training.step()?;
        bar.set_position(training.step as u64);
        if training.step.is_multiple_of(REPORT_EVERY) || training.step == steps {
            let loss = training.loss()?;
            bar.set_message(format!("{loss:.3} bits,"));
            if bar.is_hidden() && (training.step.is_multiple_of(10 * REPORT_EVERY) || training.step == steps) {
                println!("  step {} of {steps}, {loss:.3} in training", training.step);
            }
        }
    }
    bar.finish_and_clear();
    training.save(&checkpoint)?;
    println!(
        "  {:.3}  the model after {steps} steps of {BATCH} times {SEQ_LEN} characters",
        model.bits(&text.held_out)?
    );
    println!("\nCheckpoint  {}", checkpoint.display());
    for temperature in [0.4, 0.7, 1.0] {
        let written = model.write(&text.numbers(BEGIN), length, temperature, seed)?;
        println!("\nTemperature {temperature}:\n{BEGIN}{}", text.characters(&written));
    }
    Ok(())
}

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}
