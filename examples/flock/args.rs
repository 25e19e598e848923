//! The command line.

use std::path::PathBuf;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Thousands of agents follow a light that each sees only for a moment now and then. A GRU, a row of it for each agent, remembers.
It is trained first, on the same GPU; then the app runs, frame after frame, and draws pictures.

Usage: cargo run --release --example flock -- [OPTIONS]

Options:
  --agents N     How many agents, 1 to 1000000 [default: 4096]
  --frames N     Frames to draw, 30 a second [default: 480]
  --every N      A picture every so many frames [default: 8]
  --steps N      Training steps [default: 500]
  --size WxH     Of the pictures [default: 1280x640]
  --out DIR      Where the pictures go [default: target/flock]
  --quick        Small numbers, to see that it runs
  --help         Print this

The adapter can be chosen with WGPU_ADAPTER_NAME and WGPU_BACKEND.";

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Args {
    pub(crate) agents: usize,
    pub(crate) frames: usize,
    pub(crate) every: usize,
    pub(crate) steps: usize,
    pub(crate) size: [u32; 2],
    pub(crate) out: PathBuf,
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
}

impl Args {
    /// Reads the command line, without the program's name. `None`: help is wanted.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Option<Self>, ArgsError> {
        let out = "target/flock".into();
        let mut args = Self { agents: 4096, frames: 480, every: 8, steps: 500, size: [1280, 640], out };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--quick" => {
                    args = Self { agents: 256, frames: 40, every: 20, steps: 20, size: [320, 160], ..args };
                }
                "--agents" => args.agents = number("--agents", words.next())?,
                "--frames" => args.frames = number("--frames", words.next())?,
                "--every" => args.every = number("--every", words.next())?,
                "--steps" => args.steps = number("--steps", words.next())?,
                "--size" => args.size = size(words.next())?,
                "--out" => {
                    let found = words.next().unwrap_or_default();
                    if found.is_empty() {
                        return Err(ArgsError::Value { option: "--out", expected: "a folder", found });
                    }
                    args.out = found.into();
                }
                _ => return Err(ArgsError::Unknown(word)),
            }
        }
        Ok(Some(args))
    }
}

fn number(option: &'static str, word: Option<String>) -> Result<usize, ArgsError> {
    let found = word.unwrap_or_default();
    let fits = |n: &usize| (1..=1_000_000).contains(n);
    let expected = "a number from 1 to 1000000";
    found.parse().ok().filter(fits).ok_or(ArgsError::Value { option, expected, found })
}

fn size(word: Option<String>) -> Result<[u32; 2], ArgsError> {
    let found = word.unwrap_or_default();
    let sides = found.split_once('x').and_then(|(width, height)| Some([width.parse().ok()?, height.parse().ok()?]));
    let fits = |sides: &[u32; 2]| sides.iter().all(|side| (16..=8192).contains(side));
    let expected = "two numbers from 16 to 8192, such as 1280x640";
    sides.filter(fits).ok_or(ArgsError::Value { option: "--size", expected, found })
}
