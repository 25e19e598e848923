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

use wgpu_gru::harness::{self, Rows};

use args::{Args, ArgsError, Program, WORD, Word};

const KERNEL: &str = "KERNEL";
/// The kernel whose text is made for its sizes.
const GENERATED: &str = "gru_rows";

const PROGRAM: Program = Program {
    about: "Prints the whole WGSL text of a kernel, as it is compiled.",
    start: "cargo run --example kernel_text --",
    words: &[
        Word { name: KERNEL, help: "Its name; without one every name, its file and its defines", ..WORD },
        Word { name: "--hidden", value: "H", help: "gru_rows: units", default: "64", range: Some(1..=1024), ..WORD },
        Word {
            name: "--slices",
            value: "N",
            help: "gru_rows: invocations per unit",
            default: "1",
            range: Some(1..=8),
            ..WORD
        },
        Word { name: "--ahead", value: "N", help: "gru_rows: steps ahead", default: "4", range: Some(1..=64), ..WORD },
        Word { name: "--subgroups", help: "gru_rows: slices are added in subgroups", ..WORD },
        Word { name: "--exact-stores", help: "gru_rows: for devices that store single components", ..WORD },
    ],
    notes: "Writes no file and needs no GPU. Takes no time.",
};

fn text_of(wanted: &str, args: &Args) -> Result<String, ArgsError> {
    if wanted == GENERATED {
        let rows = Rows {
            slices: args.get("--slices")?,
            ahead: args.get("--ahead")?,
            in_subgroups: args.get("--subgroups")?,
            has_exact_stores: args.get("--exact-stores")?,
        };
        return Ok(rows.text(args.get("--hidden")?));
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
    let generated = format!("{GENERATED:30} src/kernels/generated/gru_rows.rs, for the sizes of the options\n");
    lines.chain([generated]).collect()
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
