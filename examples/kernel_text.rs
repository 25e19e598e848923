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

use wgpu_gru::{Activation, Cell, ExchangeCut, Reset, RowsCut, harness};

use args::{Args, ArgsError, Program, WORD, Word};

const KERNEL: &str = "KERNEL";
/// The kernels whose texts are made for their sizes: whether they are of a GRU, and whether they run backward.
const GENERATED: [(&str, bool, bool); 4] = [
    ("gru_rows", true, false),
    ("gru_rows_backward", true, true),
    ("rnn_rows", false, false),
    ("rnn_rows_backward", false, true),
];
/// The same by exchange: and whether they settle.
const EXCHANGE: [(&str, bool, bool, bool); 8] = [
    ("gru_exchange", true, false, false),
    ("gru_exchange_backward", true, true, false),
    ("gru_settlement", true, false, true),
    ("gru_settlement_backward", true, true, true),
    ("rnn_exchange", false, false, false),
    ("rnn_exchange_backward", false, true, false),
    ("rnn_settlement", false, false, true),
    ("rnn_settlement_backward", false, true, true),
];

const fn size(name: &'static str, value: &'static str, help: &'static str, default: &'static str, most: u64) -> Word {
    Word { name, value, help, default, range: Some(1..=most), ..WORD }
}

const PROGRAM: Program = Program {
    about: "Prints the whole WGSL text of a kernel, as it is compiled.",
    start: "cargo run --example kernel_text --",
    words: &[
        Word { name: KERNEL, help: "Its name; without one every name, its file and its defines", ..WORD },
        size("--hidden", "H", "units of the layer", "64", 1024),
        size("--slices", "N", "invocations of a group", "2", 8),
        size("--units", "N", "units of a group; by rows 1 forward", "1", 2),
        size("--rows", "N", "rows of the batch of a workgroup", "1", 4),
        size("--ahead", "N", "by rows: steps that loads are ahead; by exchange 1: asks ahead", "4", 64),
        size("--subgroup", "N", "invocations of a subgroup; 1: slices are added in workgroup memory", "1", 128),
        size("--groups", "N", "by exchange: groups of a subgroup", "8", 64),
        size("--splits", "N", "by exchange: subgroups", "4", 64),
        size("--tile", "N", "by exchange: rows that are multiplied at a time", "1", 16),
        Word { name: "--exact-stores", help: "for devices that store single components", ..WORD },
        Word { name: "--software", help: "by rows: for the compiler of a software rasteriser", ..WORD },
        Word { name: "--reset-before", help: "the reset gate acts before the product", ..WORD },
        Word { name: "--f16-weights", help: "two weights in a word", ..WORD },
    ],
    notes: "Writes no file and needs no GPU. Takes no time.",
};

/// The cell of a kernel whose text is made.
fn cell(is_gru: bool, args: &Args) -> Result<Cell, ArgsError> {
    let reset = if args.get("--reset-before")? { Reset::Before } else { Reset::After };
    let (gate, candidate) = (Activation::Sigmoid, Activation::Tanh);
    Ok(if is_gru { Cell::Gru { reset, gate, candidate } } else { Cell::Rnn { nonlinearity: candidate } })
}

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
        let (cell, hidden) = (cell(is_gru, args)?, args.get("--hidden")?);
        return Ok(harness::rows_text(cell, backward, hidden, cut, args.get("--f16-weights")?));
    }
    if let Some(&(_, is_gru, backward, settles)) = EXCHANGE.iter().find(|(name, ..)| *name == wanted) {
        let cut = ExchangeCut {
            slices: args.get("--slices")?,
            groups: args.get("--groups")?,
            splits: args.get("--splits")?,
            units: args.get("--units")?,
            rows: args.get("--rows")?,
            tile: args.get("--tile")?,
            ahead: args.get::<u32>("--ahead")? > 0,
            subgroup: Some(args.get("--subgroup")?).filter(|&size| size > 1),
            exact_stores: args.get("--exact-stores")?,
            looks: 0,
        };
        let (cell, hidden) = (cell(is_gru, args)?, args.get("--hidden")?);
        return Ok(harness::exchange_text(cell, backward, hidden, cut, args.get("--f16-weights")?, settles));
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
    let made = |name: &str| format!("{name:30} src/kernels/generated, for the sizes of the options\n");
    let rows = GENERATED.iter().map(|(name, ..)| made(name));
    lines.chain(rows).chain(EXCHANGE.iter().map(|(name, ..)| made(name))).collect()
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
