//! What the command line asks for.

use std::path::PathBuf;

use crate::args::{Args, ArgsError, Program, WORD, Word};
use crate::size::{SIZE_NEEDS, Size};

pub(crate) const PROGRAM: Program = Program {
    about: "\
Thousands of agents follow a light that each sees only for a moment now and then. A GRU, a row of it for each agent, remembers.
It is trained first, on the same GPU; then the app runs, frame after frame, and draws pictures.",
    start: "cargo run --release --example flock --",
    words: &[
        Word {
            name: "--agents",
            value: "N",
            help: "How many agents",
            default: "4096",
            quick: "256",
            range: Some(1..=1_000_000),
            ..WORD
        },
        Word {
            name: "--frames",
            value: "N",
            help: "Frames to draw, 30 a second",
            default: "480",
            quick: "40",
            range: Some(1..=1_000_000),
            ..WORD
        },
        Word {
            name: "--every",
            value: "N",
            help: "A picture every so many frames",
            default: "8",
            quick: "20",
            range: Some(1..=1_000_000),
            ..WORD
        },
        Word {
            name: "--steps",
            value: "N",
            help: "Training steps",
            default: "500",
            quick: "20",
            range: Some(1..=1_000_000),
            ..WORD
        },
        Word {
            name: "--size",
            value: "WxH",
            help: "Size of the pictures",
            default: "1280x640",
            quick: "320x160",
            needs: SIZE_NEEDS,
            ..WORD
        },
        Word {
            name: "--out",
            value: "DIR",
            help: "Where the pictures go",
            default: "target/flock",
            needs: "a folder",
            ..WORD
        },
        Word { name: "--quick", help: "Small numbers, to see that it runs", ..WORD },
    ],
    notes: "\
Writes DIR/0000.png and so on. Takes one to two minutes on two CPU cores that play a GPU, half a minute on a GPU, most of it for
compressing pictures. WGPU_ADAPTER_NAME and WGPU_BACKEND choose the adapter.",
};

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub(crate) agents: usize,
    pub(crate) frames: usize,
    pub(crate) every: usize,
    pub(crate) steps: usize,
    pub(crate) size: [u32; 2],
    pub(crate) out: PathBuf,
}

impl Options {
    pub(crate) fn read(args: &Args) -> Result<Self, ArgsError> {
        Ok(Self {
            agents: args.get("--agents")?,
            frames: args.get("--frames")?,
            every: args.get("--every")?,
            steps: args.get("--steps")?,
            size: args.get::<Size>("--size")?.0,
            out: args.get("--out")?,
        })
    }
}
