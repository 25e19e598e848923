//! Prints the whole text of a kernel, as it is compiled: what its file imports, then the file.
//!
//! ```sh
//! cargo run --example kernel_text
//! cargo run --example kernel_text -- gru_step
//! cargo run --example kernel_text -- gru_rows --hidden 96 --slices 2
//! ```

#[path = "support/args.rs"]
mod args;

use std::error::Error;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use wgpu_gru::{Activation, Cell, Reset, RowsCut, harness};

use args::{Args, ArgsError, Program, WORD, Word};

const KERNEL: &str = "KERNEL";
/// The kernels whose texts are made for their sizes: whether they are of a GRU, and whether they run backward.
const GENERATED: [(&str, bool, bool); 4] = [
    ("gru_rows", true, false),
    ("gru_rows_backward", true, true),
    ("rnn_rows", false, false),
    ("rnn_rows_backward", false, true),
];

const fn size(name: &'static str, value: &'static str, help: &'static str, default: &'static str, most: u64) -> Word {
    Word { name, value, help, default, range: Some(1..=most), ..WORD }
}

const PROGRAM: Program = Program {
    about: "Prints the whole WGSL text of a kernel, as it is compiled.",
    start: "cargo run --example kernel_text --",
    words: &[
        Word { name: KERNEL, help: "Its name; without one every name, its file and its defines", ..WORD },
        size("--hidden", "H", "by rows: units of the layer", "64", 1024),
        size("--slices", "N", "by rows: invocations of a group", "2", 8),
        size("--units", "N", "by rows: units of a group; 1 forward", "1", 2),
        size("--rows", "N", "by rows: rows of the batch of a workgroup", "1", 4),
        size("--ahead", "N", "by rows: steps that loads are ahead", "4", 64),
        size(
            "--subgroup",
            "N",
            "by rows: invocations of a subgroup; 1: slices are added in workgroup memory",
            "1",
            128,
        ),
        Word { name: "--exact-stores", help: "by rows: for devices that store single components", ..WORD },
        Word { name: "--software", help: "by rows: for the compiler of a software rasteriser", ..WORD },
        Word { name: "--reset-before", help: "by rows: the reset gate acts before the product", ..WORD },
        Word { name: "--f16-weights", help: "by rows: two weights in a word", ..WORD },
    ],
    notes: "Writes no file and needs no GPU. Takes no time.",
};

fn text_of(wanted: &str, args: &Args) -> Result<String, ArgsError> {
    if let Some(&(_, is_gru, backward)) = GENERATED.iter().find(|(name, ..)| *name == wanted) {
        let cut = RowsCut {
            slices: args.get("--slices")?,
            units: if backward { args.get("--units")? } else { 1 },
            rows: args.get("--rows")?,
            ahead: args.get("--ahead")?,
            subgroup: Some(args.get("--subgroup")?).filter(|&size| size > 1),
            exact_stores: args.get("--exact-stores")?,
            software: args.get("--software")?,
        };
        let reset = if args.get("--reset-before")? { Reset::Before } else { Reset::After };
        let (gate, candidate) = (Activation::Sigmoid, Activation::Tanh);
        let cell = if is_gru { Cell::Gru { reset, gate, candidate } } else { Cell::Rnn { nonlinearity: candidate } };
        return Ok(harness::rows_text(cell, backward, args.get("--hidden")?, cut, args.get("--f16-weights")?));
    }
    let kernel = harness::kernel_texts().find(|kernel| kernel.name == wanted);
    let needs = "the name of a kernel; without one the names are listed".to_owned();
    let wrong = || ArgsError::Value { name: KERNEL, needs, found: wanted.to_owned() };
    Ok(kernel.ok_or_else(wrong)?.text.to_owned())
}

fn list() -> String {
    let lines = harness::kernel_texts().map(|kernel| {
        let line = format!("{:30} shaders/{}.wgsl {}", kernel.name, kernel.file, kernel.defines.join(" "));
        line.trim_end().to_owned() + "\n"
    });
    let generated = GENERATED
        .iter()
        .map(|(name, ..)| format!("{name:30} src/kernels/generated/rows.rs, for the sizes of the options\n"));
    lines.chain(generated).collect()
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let text = args.given(KERNEL).map_or_else(|| Ok(list()), |wanted| text_of(wanted, args))?;
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever closes the pipe has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}
