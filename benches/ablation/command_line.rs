//! What the command line asks for.

use crate::args::{Program, WORD, Word};

pub(crate) const PROGRAM: Program = Program {
    about: "\
Measures what each choice is worth: the same pass with one thing changed, both in turn. Everything is checked before it is timed.",
    start: "cargo bench --bench ablation --",
    words: &[
        Word { name: "--quick", help: "Fewer rounds; WGPU_GRU_BENCH=quick does the same", ..WORD },
        // What cargo hands to benches.
        Word { name: "--bench", ..WORD },
    ],
    notes: "\
Writes target/ablation.md. Takes some ten minutes on two CPU cores that play a GPU; less on a GPU.
WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter.",
};
