//! What the command line asks for.

use std::str::FromStr;

use crate::args::{Args, ArgsError, Program, WORD, Word};

/// The names of the sizes.
pub(crate) const NAMES: [&str; 8] = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"];

pub(crate) const PROGRAM: Program = Program {
    about: "\
Measures a GRU at the sizes that the record compares with other implementations: whole passes under every schedule, the time loop by
itself, the products. GPU time by timestamps, beside the time until a result is on the host. Everything is checked before it is timed.",
    start: "cargo bench --bench sizes --",
    words: &[
        Word {
            name: "--only",
            value: "NAMES",
            help: "Some of the sizes s1 to s8, such as s1,s4",
            default: "s1,s2,s3,s4,s5,s6,s7,s8",
            needs: "names out of s1 to s8, with commas between them",
            ..WORD
        },
        Word { name: "--cuts", help: "The time loop in many cuts, and nothing else", ..WORD },
        Word { name: "--quick", help: "Fewer rounds; WGPU_GRU_BENCH=quick does the same", ..WORD },
        // What cargo hands to benches.
        Word { name: "--bench", ..WORD },
    ],
    notes: "\
Writes target/sizes.md. Takes some two minutes on a GPU; on CPU cores that play one take --only s4,s6 or wait long.
WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter.",
};

struct Names(Vec<String>);

impl FromStr for Names {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        names.iter().all(|name| NAMES.contains(&name.as_str())).then_some(Self(names)).ok_or(())
    }
}

/// The sizes that are wanted.
pub(crate) fn only(args: &Args) -> Result<Vec<String>, ArgsError> {
    Ok(args.get::<Names>("--only")?.0)
}
