//! What the command line asks for.

use std::str::FromStr;

use crate::args::{Args, ArgsError, Program, WORD, Word};

/// Up to which T, B and H go, and their product, so that the largest case takes some GiB and not all that there are.
const MOST: usize = 4096;
const MOST_STATES: usize = 1 << 26;

pub(crate) const PROGRAM: Program = Program {
    about: "\
Measures how the time of a GRU grows with the units H, the rows B and the steps T: the GPU beside the CPU layer, forward and
training, on three lines through one middle point. Every size is checked before it is timed.",
    start: "cargo bench --bench scaling --",
    words: &[
        Word {
            name: "--middle",
            value: "T,B,H",
            help: "The middle; I is H",
            // The first size of the bench `gpu_vs_cpu`.
            default: "64,32,128",
            needs: "three whole numbers T,B,H from 1 to 4096 that make at most 67108864 together",
            ..WORD
        },
        Word { name: "--quick", help: "Fewer sizes and rounds; WGPU_GRU_BENCH=quick does the same", ..WORD },
        // What cargo hands to benches.
        Word { name: "--bench", ..WORD },
    ],
    notes: "\
Writes target/scaling.json, target/scaling.md and target/scaling.svg. Takes about a quarter of an hour on two CPU cores that play a
GPU, with --quick about a minute; less on a GPU. WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter; where
there is none the CPU layer is measured alone.",
};

struct Middle([usize; 3]);

impl FromStr for Middle {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers = text.split(',').map(|number| number.trim().parse()).collect::<Result<Vec<usize>, _>>();
        let middle: [usize; 3] = numbers.map_err(|_| ())?.try_into().map_err(|_| ())?;
        let fits = middle.iter().all(|size| (1..=MOST).contains(size));
        if fits && middle.iter().product::<usize>() <= MOST_STATES { Ok(Self(middle)) } else { Err(()) }
    }
}

/// T, B, H.
pub(crate) fn middle(args: &Args) -> Result<[usize; 3], ArgsError> {
    Ok(args.get::<Middle>("--middle")?.0)
}
