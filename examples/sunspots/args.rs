//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use crate::data::LAST_YEAR;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Trains a GRU on the monthly sunspot numbers, on the GPU, and forecasts years that it has not seen.

Usage: cargo run --release --example sunspots -- [OPTIONS] [PLOT]

Arguments:
  [PLOT]               Where the plot goes, an SVG file [default: target/sunspots.svg]

Options:
  --steps N            Training steps [default: 300]
  --seed N             Seed of the weights and the batches [default: 1]
  --train-until YEAR   The last year to learn from, 1800 to 2006 [default: 1964]
  --test-until YEAR    The last year to forecast, at most 2008 [default: 2008]
  --help               Print this

The adapter can be chosen with WGPU_ADAPTER_NAME and WGPU_BACKEND.";

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Args {
    pub(crate) plot: PathBuf,
    pub(crate) steps: usize,
    pub(crate) seed: u64,
    pub(crate) train_until: usize,
    pub(crate) test_until: usize,
}

/// What is wrong with the command line.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum ArgsError {
    /// Not an option.
    #[error("unknown option {0}; --help lists them")]
    Unknown(String),
    /// An option's value is missing or wrong.
    #[error("{option} needs {expected}, found {found:?}")]
    Value { option: &'static str, expected: &'static str, found: String },
    /// More than one plot.
    #[error("one plot only, found a second: {0:?}")]
    Extra(String),
}

impl Args {
    /// Reads the command line, without the program's name. `None`: help is wanted.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Option<Self>, ArgsError> {
        let mut plot = None;
        let (mut steps, mut seed, mut train_until, mut test_until) = (300, 1, 1964, LAST_YEAR);
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--steps" => {
                    steps =
                        value("--steps", "a number from 1 to 1000000", words.next(), |n| (1..=1_000_000).contains(n))?;
                }
                "--seed" => seed = value("--seed", "a number", words.next(), |_| true)?,
                "--train-until" => {
                    train_until = value("--train-until", "a year from 1800 to 2006", words.next(), |y| {
                        (1800..=2006).contains(y)
                    })?;
                }
                "--test-until" => {
                    test_until = value("--test-until", "a year from 1801 to 2008", words.next(), |y| {
                        (1801..=LAST_YEAR).contains(y)
                    })?;
                }
                option if option.starts_with('-') => return Err(ArgsError::Unknown(word)),
                _ if plot.is_some() => return Err(ArgsError::Extra(word)),
                _ => plot = Some(PathBuf::from(word)),
            }
        }
        if test_until <= train_until {
            let expected = "a year after that of --train-until";
            return Err(ArgsError::Value { option: "--test-until", expected, found: test_until.to_string() });
        }
        let plot = plot.unwrap_or_else(|| "target/sunspots.svg".into());
        Ok(Some(Self { plot, steps, seed, train_until, test_until }))
    }
}

/// A number that fits.
fn value<T: FromStr>(
    option: &'static str,
    expected: &'static str,
    word: Option<String>,
    fits: impl Fn(&T) -> bool,
) -> Result<T, ArgsError> {
    let found = word.unwrap_or_default();
    found.parse().ok().filter(fits).ok_or(ArgsError::Value { option, expected, found })
}
