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

use wgpu_gru::{Activation, Cell, ExchangeCut, FrameCut, Reset, RowsCut, TileCut, harness};

use args::{Args, ArgsError, Program, WORD, Word};

const KERNEL: &str = "KERNEL";
/// How a kernel whose text is made divides its work.
#[derive(Clone, Copy, PartialEq)]
enum Made {
    Rows,
    Exchange,
    Settlement,
    /// A single step; of a reset gate by itself.
    Step,
    Reset,
    Frame,
}

/// The kernels whose texts are made for their sizes: how, whether they are of a GRU, and whether they run backward.
const MADE: [(&str, Made, bool, bool); 20] = [
    ("gru_step", Made::Step, true, false),
    ("gru_step_backward", Made::Step, true, true),
    ("gru_reset", Made::Reset, true, false),
    ("gru_reset_backward", Made::Reset, true, true),
    ("rnn_step", Made::Step, false, false),
    ("rnn_step_backward", Made::Step, false, true),
    ("gru_frame", Made::Frame, true, false),
    ("rnn_frame", Made::Frame, false, false),
    ("gru_rows", Made::Rows, true, false),
    ("gru_rows_backward", Made::Rows, true, true),
    ("rnn_rows", Made::Rows, false, false),
    ("rnn_rows_backward", Made::Rows, false, true),
    ("gru_exchange", Made::Exchange, true, false),
    ("gru_exchange_backward", Made::Exchange, true, true),
    ("gru_settlement", Made::Settlement, true, false),
    ("gru_settlement_backward", Made::Settlement, true, true),
    ("rnn_exchange", Made::Exchange, false, false),
    ("rnn_exchange_backward", Made::Exchange, false, true),
    ("rnn_settlement", Made::Settlement, false, false),
    ("rnn_settlement_backward", Made::Settlement, false, true),
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
        size("--slices", "N", "invocations of a group", "1", 8),
        size("--units", "N", "units of a group; by rows 1 forward", "1", 4),
        size("--rows", "N", "rows of the batch of a workgroup", "1", 32),
        size(
            "--ahead",
            "N",
            "by rows: steps that loads are ahead; by exchange 1: asks ahead; of a frame vec4s",
            "4",
            64,
        ),
        size("--subgroup", "N", "invocations of a subgroup; 1: slices are added in workgroup memory", "1", 128),
        size("--groups", "N", "by exchange and single steps: groups of a subgroup; of a frame: of a block", "8", 256),
        size("--splits", "N", "by exchange and single steps: subgroups; of a frame: blocks", "4", 64),
        size("--tile", "N", "by exchange: rows that are multiplied at a time", "1", 16),
        Word { name: "--exact-stores", help: "for devices that store single components", ..WORD },
        Word { name: "--software", help: "by rows, single steps, frames: for a software rasteriser", ..WORD },
        Word {
            name: "--vec4",
            help: "single steps and frames: four weights a load, for H that is a multiple of 4",
            ..WORD
        },
        Word { name: "--reset-before", help: "the reset gate acts before the product", ..WORD },
        Word { name: "--f16-weights", help: "two weights in a word", ..WORD },
    ],
    notes: "Writes no file and needs no GPU. Takes no time.",
};

/// The text of a kernel that is made.
fn made(made: Made, is_gru: bool, backward: bool, args: &Args) -> Result<String, ArgsError> {
    let reset_before = args.get("--reset-before")? || made == Made::Reset;
    let reset = if reset_before { Reset::Before } else { Reset::After };
    let (gate, candidate) = (Activation::Sigmoid, Activation::Tanh);
    let cell = if is_gru { Cell::Gru { reset, gate, candidate } } else { Cell::Rnn { nonlinearity: candidate } };
    let (hidden, f16_weights) = (args.get("--hidden")?, args.get("--f16-weights")?);
    let subgroup = Some(args.get("--subgroup")?).filter(|&size| size > 1);
    let (exact_stores, software) = (args.get("--exact-stores")?, args.get("--software")?);
    let (slices, units, rows) = (args.get("--slices")?, args.get("--units")?, args.get("--rows")?);
    let (groups, splits) = (args.get("--groups")?, args.get("--splits")?);
    let tile = |rows, software| TileCut { slices, groups, splits, units, rows, subgroup, exact_stores, software };
    Ok(match made {
        Made::Rows => {
            let (units, ahead) = (if backward { units } else { 1 }, args.get("--ahead")?);
            let cut = RowsCut { slices, units, rows, ahead, subgroup, exact_stores, software };
            harness::rows_text(cell, backward, hidden, cut, f16_weights)
        }
        Made::Exchange | Made::Settlement => {
            let tile = tile(args.get("--tile")?, false);
            let cut = ExchangeCut { tile, rows, ahead: args.get::<u32>("--ahead")? > 1, looks: 0 };
            harness::exchange_text(cell, backward, hidden, cut, f16_weights, made == Made::Settlement)
        }
        Made::Frame => {
            let (ahead, numbers) = (args.get("--ahead")?, 4096);
            let cut = FrameCut {
                slices,
                units: groups,
                blocks: splits,
                rows,
                ahead,
                numbers,
                subgroup,
                exact_stores,
                software,
            };
            harness::frame_text(cell, cut, args.get("--vec4")?, f16_weights)
        }
        Made::Step | Made::Reset => {
            // With reset before the product a step is two kernels.
            let second = is_gru && reset_before && (made == Made::Step) != backward;
            let cut = if software { TileCut { splits: 1, slices: 1, ..tile(rows, true) } } else { tile(rows, false) };
            harness::step_text(cell, backward, second, cut, args.get("--vec4")?, f16_weights)
        }
    })
}

fn text_of(wanted: &str, args: &Args) -> Result<String, ArgsError> {
    if let Some(&(_, how, is_gru, backward)) = MADE.iter().find(|(name, ..)| *name == wanted) {
        return made(how, is_gru, backward, args);
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
    lines.chain(MADE.iter().map(|(name, ..)| made(name))).collect()
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
