//! What the command line asks for.

use crate::args::{Program, WORD, Word};

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
            ..WORD
        },
        Word { name: "--cuts", help: "The time loop by rows in many cuts, and nothing else", ..WORD },
        Word { name: "--quick", help: "Fewer rounds; WGPU_GRU_BENCH=quick does the same", ..WORD },
        // What cargo hands to benches.
        Word { name: "--bench", ..WORD },
    ],
    notes: "\
Writes target/sizes.md. About a minute on a GPU; on CPU cores that play one take --only s1,s4,s6 or wait long.
WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter.",
};
