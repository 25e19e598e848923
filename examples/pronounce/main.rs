//! Pronounces English words: the model of g2p_en, whole on the GPU, a batch of words at a time.
//!
//! ```sh
//! cargo run --release --example pronounce
//! cargo run --release --example pronounce -- hello recurrent neural
//! ```
//!
//! A GRU reads a word letter by letter, another one says it phoneme by phoneme, and reads what it has just said: the
//! common way of sequence to sequence, and what people do with weights from elsewhere. `weights.rs` brings them from
//! NumPy's file, `model.rs` puts the crate's layers together, and `argmax.wgsl`, a shader of the example's own between two
//! steps of a `Stream`, picks each phoneme without the CPU. All words and all steps are one submission.
//! `tests/gpu/pronounce.rs` holds it to another program on the CPU.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

mod argmax;
#[path = "../support/args.rs"]
mod args;
mod model;
mod symbols;
mod weights;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

use wgpu_gru::Gpu;

use args::{Args, Program, WORD, Word};
use model::Model;
use symbols::PHONEMES;

const PROGRAM: Program = Program {
    about: "Pronounces English words with the model of g2p_en: two GRUs, whole on the GPU, a batch of words at a time.",
    start: "cargo run --release --example pronounce --",
    words: &[
        Word {
            name: "WORD",
            help: "Words to pronounce",
            default: "hello recurrent neural network rhythm wabe borogoves mimsy",
            quick: "hello world",
            needs: "words of the letters a to z, with apostrophes if need be",
            many: true,
            ..WORD
        },
        Word {
            name: "--steps",
            value: "N",
            help: "Phonemes of a word at most",
            default: "20",
            range: Some(1..=1000),
            ..WORD
        },
        Word {
            name: "--model",
            value: "FILE",
            help: "The weights, as g2p_en has them",
            default: "examples/data/g2p/checkpoint20.npz",
            needs: "a file",
            ..WORD
        },
        Word { name: "--quick", help: "Few words, to see that it runs", ..WORD },
    ],
    notes: "\
Writes no file, and prints ARPAbet: vowels end in their stress, 0 none, 1 primary, 2 secondary. Takes a few seconds.
WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter.",
};

/// What is to be pronounced, in small letters.
struct Words(Vec<String>);

impl FromStr for Words {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let is_letter = |letter: char| letter.is_ascii_alphabetic() || letter == '\'';
        let words: Vec<String> = line.split(' ').map(str::to_ascii_lowercase).collect();
        let right = words.iter().all(|word| !word.is_empty() && word.chars().all(is_letter));
        if right { Ok(Self(words)) } else { Err(()) }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let (Words(words), steps): (Words, usize) = (args.get("WORD")?, args.get("--steps")?);
    // A path that is given counts from where the user is; the default lies in the repository.
    let folder = if args.given("--model").is_some() { "" } else { env!("CARGO_MANIFEST_DIR") };
    let path = Path::new(folder).join(args.get::<String>("--model")?);

    let gpu = Gpu::new_blocking()?;
    println!("{}\n", gpu.describe());
    let model = Model::new(&gpu, &weights::read(&path)?)?;
    let begin = Instant::now();
    let pronounced = model.pronounce(&words, steps)?;
    let time = begin.elapsed();
    let width = words.iter().map(String::len).max().unwrap_or(0);
    for (word, phonemes) in words.iter().zip(&pronounced) {
        // A model of somebody's own may have more of them.
        let name = |&number: &usize| PHONEMES.get(number).copied().unwrap_or("<unk>");
        let phonemes: Vec<&str> = phonemes.iter().map(name).collect();
        println!("{word:width$}  {}", phonemes.join(" "));
    }
    println!("\n{} in {time:.0?}, the making of buffers and pipelines among it", counted(words.len()));
    Ok(())
}

fn counted(words: usize) -> String {
    if words == 1 { "One word".to_owned() } else { format!("{words} words") }
}

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}
