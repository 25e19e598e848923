//! What the command line asks for.

use crate::args::{Program, WORD, Word};

/// What the bench calls itself with, in a process of its own.
pub(crate) const FIRST_RESULT: &str = "--first-result";

pub(crate) const PROGRAM: Program = Program {
    about: "\
Measures how long one waits: for a frame of a stream, and for the first result of a program, with and without a pipeline cache.",
    start: "cargo bench --bench latency --",
    words: &[
        Word { name: "--quick", help: "Fewer rounds; WGPU_GRU_BENCH=quick does the same", ..WORD },
        // What cargo hands to benches.
        Word { name: "--bench", ..WORD },
        // With the file of a pipeline cache, or `-` for none.
        Word { name: FIRST_RESULT, value: "FILE", needs: "a file", ..WORD },
    ],
    notes: "\
Writes target/latency.md. Takes some two minutes on two CPU cores that play a GPU; less on a GPU.
WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter.",
};
