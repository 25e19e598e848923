//! `flock` in a window: drag the light, switch the memory off, and watch the agents learn while they fly.
//!
//! `cargo run --release -p window`, in `examples/engines`

#[path = "../../../flock/app.rs"]
mod app;
#[path = "../../../support/args.rs"]
mod args;
#[path = "../../../flock/device.rs"]
mod device;
#[path = "../../../guide/live.rs"]
mod live;
#[path = "../../../flock/mind.rs"]
mod mind;
#[path = "../../../support/output.rs"]
mod output;
#[path = "../../../flock/picture.rs"]
mod picture;
#[path = "../../../flock/print.rs"]
mod print;
mod scene;
#[path = "../../../flock/school.rs"]
mod school;
mod screen;
mod show;
#[path = "../../../flock/size.rs"]
mod size;
#[path = "../../../flock/world.rs"]
mod world;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use winit::event_loop::EventLoop;

use args::{Args, ArgsError, Program, WORD, Word};
use show::Show;
use size::{SIZE_NEEDS, Size};

const PROGRAM: Program = Program {
    about: "\
Thousands of agents follow a light that each sees only for a moment now and then. A GRU, a row of it for each agent, remembers.
They know nothing at first and learn while they fly, on the same GPU, from a teacher who always sees the light.",
    start: "cargo run --release -p window --",
    words: &[
        Word {
            name: "--agents",
            value: "N",
            help: "How many agents",
            default: "4096",
            range: Some(1..=1_000_000),
            ..WORD
        },
        Word {
            name: "--every",
            value: "N",
            help: "A lesson every so many frames",
            default: "2",
            range: Some(1..=1_000_000),
            ..WORD
        },
        Word { name: "--size", value: "WxH", help: "Size of the window", default: "1280x640", needs: SIZE_NEEDS, ..WORD },
        Word {
            name: "--frames",
            value: "N",
            help: "End after so many frames",
            range: Some(1..=1_000_000_000),
            ..WORD
        },
        Word {
            name: "--screenshot",
            value: "FILE",
            help: "With --frames: the last frame as a PNG",
            needs: "a file",
            ..WORD
        },
    ],
    notes: show::KEYS,
};

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
struct Options {
    agents: usize,
    every: u64,
    size: [u32; 2],
    frames: Option<u64>,
    screenshot: Option<PathBuf>,
}

impl Options {
    fn read(args: &Args) -> Result<Self, ArgsError> {
        Ok(Self {
            agents: args.get("--agents")?,
            every: args.get("--every")?,
            size: args.get::<Size>("--size")?.0,
            frames: args.given("--frames").map(|_| args.get("--frames")).transpose()?,
            screenshot: args.given("--screenshot").map(PathBuf::from),
        })
    }
}

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let options = Options::read(args)?;
    if let Some(path) = &options.screenshot {
        if options.frames.is_none() {
            return Err("--screenshot needs --frames: it shows the last of them".into());
        }
        output::prepare(path)?;
    }
    let event_loop = EventLoop::new().map_err(|_| "there is no display to open a window on (DISPLAY names one)")?;
    let mut show = Show::new(options);
    event_loop.run_app(&mut show)?;
    show.end()
}
