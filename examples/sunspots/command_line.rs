//! What the command line asks for.

use std::path::PathBuf;

use crate::args::{Args, ArgsError, Program, WORD, Word};
use crate::data::LAST_YEAR;

pub(crate) const PROGRAM: Program = Program {
    about: "Trains a GRU on the monthly sunspot numbers, on the GPU, and forecasts years that it has not seen.",
    start: "cargo run --release --example sunspots --",
    words: &[
        Word {
            name: "PLOT",
            help: "Where the plot goes, an SVG file",
            default: "target/sunspots.svg",
            needs: "a file",
            ..WORD
        },
        Word {
            name: "--steps",
            value: "N",
            help: "Training steps",
            default: "300",
            quick: "20",
            range: Some(1..=1_000_000),
            ..WORD
        },
        Word {
            name: "--seed",
            value: "N",
            help: "Seed of the weights and the batches",
            default: "1",
            needs: "a whole number from 0 to 2^64 - 1",
            ..WORD
        },
        Word {
            name: "--train-until",
            value: "YEAR",
            help: "The last year to learn from",
            default: "1964",
            range: Some(1800..=LAST_YEAR as u64 - 2),
            ..WORD
        },
        Word {
            name: "--test-until",
            value: "YEAR",
            help: "The last year to forecast",
            default: "2008",
            range: Some(1801..=LAST_YEAR as u64),
            ..WORD
        },
        Word { name: "--quick", help: "Few steps, to see that it runs", ..WORD },
    ],
    notes: "\
Writes the plot, and reports to stdout. Takes about half a minute on two CPU cores that play a GPU, seconds on a GPU.
WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter.",
};

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub(crate) plot: PathBuf,
    pub(crate) steps: usize,
    pub(crate) seed: u64,
    pub(crate) train_until: usize,
    pub(crate) test_until: usize,
}

impl Options {
    pub(crate) fn read(args: &Args) -> Result<Self, ArgsError> {
        let options = Self {
            plot: args.get("PLOT")?,
            steps: args.get("--steps")?,
            seed: args.get("--seed")?,
            train_until: args.get("--train-until")?,
            test_until: args.get("--test-until")?,
        };
        if options.test_until <= options.train_until {
            let needs = format!("a year after that of --train-until, {}", options.train_until);
            return Err(ArgsError::Value { name: "--test-until", needs, found: options.test_until.to_string() });
        }
        Ok(options)
    }
}
