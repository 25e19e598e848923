//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::args::{Args, ArgsError, Program, WORD, Word};
use crate::case::{Pass, SIZES, Size};
use crate::contestants::Kind;

/// What `first.rs` calls this program with, in a process of its own.
pub(crate) const FIRST_RESULT: &str = "--first-result";

pub(crate) const PROGRAM: Program = Program {
    about: "wgpu-gru side by side with other GRUs, everybody checked before being timed. README.md tells what exactly is timed.",
    start: "cargo run --release --",
    words: &[
        Word { name: "--sizes", value: "s1,s4", help: "Which sizes [default: all]", needs: SIZES_NEEDED, ..WORD },
        Word {
            name: "--only",
            value: "gpu,cpu",
            help: "Which contestants [default: all that were compiled in]",
            needs: KINDS_NEEDED,
            ..WORD
        },
        Word {
            name: "--passes",
            value: "forward",
            help: "Which of forward and training",
            default: "forward,training",
            needs: "forward, training or both, with a comma between them",
            ..WORD
        },
        number("--rounds", "How often everybody is timed, in turn", "7", 1..=10_000),
        number("--warmup", "Rounds before them that do not count, besides the run that is checked", "1", 0..=10_000),
        number("--min-ms", "A contestant repeats its pass in a round until this time is spent", "20", 0..=600_000),
        number("--skip-over", "Seconds; who takes longer in the last warm-up is not timed further", "60", 0..=86_400),
        number("--first", "How often the time to the first result is taken, in a process of its own; 0: not", "1", 0..=100),
        number("--first-limit", "Seconds after which a process without its first result is ended", "600", 1..=86_400),
        Word { name: "--oracle", help: "Ask the f64 oracle at every size, also where it takes minutes", ..WORD },
        Word {
            name: "--json",
            value: "FILE",
            help: "Where the figures go; the tables go beside it, with the ending md",
            default: "peers.json",
            needs: "a file",
            ..WORD
        },
        Word {
            name: "--merge",
            value: "FILES",
            help: "Figures of python.py for the same table, with commas between the files",
            needs: "a file, or some with commas between them",
            ..WORD
        },
        Word { name: "--list", help: "Name the sizes and the contestants, and end", ..WORD },
        // What cargo hands to benches.
        Word { name: "--bench", ..WORD },
        Word { name: FIRST_RESULT, value: "KIND,SIZE,PASS", needs: "a contestant, a size and a pass", ..WORD },
    ],
    notes: "\
Writes the files of --json, and the tables to stdout. Takes minutes on a GPU, but hours with burn on a software adapter, where it
tunes itself for minutes a size. WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter.",
};

const SIZES_NEEDED: &str = "names of sizes with commas between them, which --list shows";
const KINDS_NEEDED: &str = "names of contestants with commas between them, which --list shows";

const fn number(
    name: &'static str,
    help: &'static str,
    default: &'static str,
    range: std::ops::RangeInclusive<u64>,
) -> Word {
    Word { name, value: "N", help, default, range: Some(range), ..WORD }
}

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) sizes: Vec<Size>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) passes: Vec<Pass>,
    pub(crate) rounds: usize,
    pub(crate) warmup: usize,
    pub(crate) min_time: Duration,
    pub(crate) skip_over: Duration,
    pub(crate) first: usize,
    pub(crate) first_limit: Duration,
    pub(crate) oracle: bool,
    pub(crate) json: PathBuf,
    pub(crate) merge: Vec<PathBuf>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Task {
    Measure(Wanted),
    /// In a process of its own: the time to the first result of this one.
    FirstResult(Kind, Size, Pass),
    List,
}

impl Task {
    /// # Errors
    /// For a value that does not fit, or a name that there is not.
    pub(crate) fn read(args: &Args) -> Result<Self, ArgsError> {
        if args.get("--list")? {
            return Ok(Self::List);
        }
        let first: String = args.get(FIRST_RESULT)?;
        if !first.is_empty() {
            let wrong = || wrong(FIRST_RESULT, "a contestant, a size and a pass", &first);
            let mut names = first.split(',');
            let mut next = || names.next().ok_or_else(wrong);
            let (kind, size, of) = (next()?, next()?, next()?);
            let (kind, size, of) = (Kind::named(kind), Size::named(size), pass(of));
            let (Ok(kind), Ok(size), Some(of)) = (kind, size, of) else { return Err(wrong()) };
            return Ok(Self::FirstResult(kind, size, of));
        }
        let text = |name| args.get::<String>(name);
        let seconds = |name| args.get(name).map(Duration::from_secs);
        Ok(Self::Measure(Wanted {
            sizes: list("--sizes", SIZES_NEEDED, &text("--sizes")?, &SIZES, |name| Size::named(name).ok())?,
            kinds: list("--only", KINDS_NEEDED, &text("--only")?, Kind::ALL, |name| Kind::named(name).ok())?,
            passes: list("--passes", "forward, training or both", &text("--passes")?, &[], pass)?,
            rounds: args.get("--rounds")?,
            warmup: args.get("--warmup")?,
            min_time: Duration::from_millis(args.get("--min-ms")?),
            skip_over: seconds("--skip-over")?,
            first: args.get("--first")?,
            first_limit: seconds("--first-limit")?,
            oracle: args.get("--oracle")?,
            json: args.get("--json")?,
            merge: text("--merge")?.split(',').filter(|file| !file.is_empty()).map(PathBuf::from).collect(),
        }))
    }
}

fn wrong(name: &'static str, needs: &str, found: &str) -> ArgsError {
    ArgsError::Value { name, needs: needs.into(), found: found.into() }
}

/// What a list names; all where it is empty.
fn list<T: Copy>(
    option: &'static str,
    needs: &str,
    value: &str,
    all: &[T],
    one: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, ArgsError> {
    if value.is_empty() {
        return Ok(all.to_vec());
    }
    value.split(',').map(|name| one(name.trim())).collect::<Option<Vec<T>>>().ok_or_else(|| wrong(option, needs, value))
}

fn pass(name: &str) -> Option<Pass> {
    [Pass::Forward, Pass::Training].into_iter().find(|pass| pass.name() == name)
}
