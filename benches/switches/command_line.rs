//! What the command line asks for.

use crate::args::{Program, WORD, Word};

/// What the bench calls itself with, in a process of its own.
pub(crate) const FIRST_RESULT: &str = "--first-result";

pub(crate) const PROGRAM: Program = Program {
    about: "\
Measures what each choice is worth: the same pass with one thing changed, both in turn; a frame of a stream; and the time to the
first result. Everything is checked before it is timed.",
    start: "cargo bench --bench switches --",
    words: &[
        Word { name: "--quick", help: "Fewer rounds; WGPU_GRU_BENCH=quick does the same", ..WORD },
        // What cargo hands to benches.
        Word { name: "--bench", ..WORD },
        // With the file of a pipeline cache, or `-` for none.
        Word { name: FIRST_RESULT, value: "FILE", needs: "a file", ..WORD },
    ],
    notes: "\
Writes target/switches.md. Takes some ten minutes on two CPU cores that play a GPU; less on a GPU.
WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter.",
};
