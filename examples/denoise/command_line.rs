//! What the command line asks for.

use std::error::Error;
use std::path::PathBuf;

use crate::args::{Args, ArgsError, Program, WORD, Word};

/// The most channels at once.
const MOST: usize = 1024;

pub(crate) const PROGRAM: Program = Program {
    about: "\
Takes the noise out of speech with RNNoise's network, of many channels at once: of a WAV file, or of something like a
voice with noise that it makes.",
    start: "cargo run --release --example denoise --",
    words: &[
        Word { name: "INPUT", help: "A WAV file of 48,000 samples a second", needs: "a file", ..WORD },
        Word {
            name: "--channels",
            value: "N",
            help: "Channels at once; of a file, those it has, unless this is given",
            default: "32",
            quick: "4",
            range: Some(1..=MOST as u64),
            ..WORD
        },
        Word {
            name: "--block",
            value: "N",
            help: "Frames of 10 ms at a time: with fewer, sound comes sooner",
            default: "50",
            range: Some(1..=100),
            ..WORD
        },
        Word {
            name: "--seconds",
            value: "N",
            help: "How long a sound to make",
            default: "12",
            quick: "3",
            range: Some(1..=600),
            ..WORD
        },
        Word {
            name: "--seed",
            value: "N",
            help: "Seed of the sound that is made",
            default: "1",
            needs: "a whole number from 0 to 2^64 - 1",
            ..WORD
        },
        Word {
            name: "--out",
            value: "DIR",
            help: "Where the files go",
            default: "target/denoise",
            needs: "a folder",
            ..WORD
        },
        Word { name: "--quick", help: "A short sound, to see that it runs", ..WORD },
    ],
    notes: "\
Writes DIR/denoised.wav, DIR/spectrogram.png (before, denoised, and the voice alone where that is known), and
DIR/noisy.wav if it made the sound. Takes some seconds, also on two CPU cores that play a GPU.
WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter.",
};

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub(crate) input: Option<PathBuf>,
    pub(crate) block: usize,
    pub(crate) seconds: f32,
    pub(crate) seed: u64,
    pub(crate) out: PathBuf,
    channels: usize,
    has_channels: bool,
}

impl Options {
    pub(crate) fn read(args: &Args) -> Result<Self, ArgsError> {
        Ok(Self {
            input: args.given("INPUT").map(PathBuf::from),
            block: args.get("--block")?,
            seconds: f32::from(args.get::<u16>("--seconds")?),
            seed: args.get("--seed")?,
            out: args.get("--out")?,
            channels: args.get("--channels")?,
            has_channels: args.given("--channels").is_some(),
        })
    }

    /// How many channels a sound of so many channels is to have: no fewer.
    pub(crate) fn channels(&self, own: usize) -> Result<usize, Box<dyn Error>> {
        if own > MOST {
            return Err(format!("the file has {own} channels, over the {MOST} of this example").into());
        }
        Ok(if self.input.is_none() || self.has_channels { self.channels.max(own) } else { own })
    }
}
