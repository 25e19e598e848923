//! Prints the whole text of a kernel, as it is compiled: what its file imports, then the file.
//!
//! ```sh
//! cargo run --example kernel_text
//! cargo run --example kernel_text -- gru_step
//! ```

#[expect(dead_code, reason = "no word has a number")]
#[path = "support/args.rs"]
mod args;

use std::error::Error;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use wgpu_gru::harness;

use args::{Args, ArgsError, Program, WORD, Word};

const KERNEL: &str = "KERNEL";

const PROGRAM: Program = Program {
    about: "Prints the whole WGSL text of a kernel, as it is compiled.",
    start: "cargo run --example kernel_text --",
    words: &[Word { name: KERNEL, help: "Its name; without one every name, its file and its defines", ..WORD }],
    notes: "Writes no file and needs no GPU. Takes no time.",
};

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let text = match args.given(KERNEL) {
        Some(wanted) => {
            let kernel = harness::kernel_texts().find(|kernel| kernel.name == wanted);
            let needs = "the name of a kernel; without one the names are listed".to_owned();
            let wrong = || ArgsError::Value { name: KERNEL, needs, found: wanted.to_owned() };
            kernel.ok_or_else(wrong)?.text.to_owned()
        }
        None => harness::kernel_texts()
            .map(|kernel| {
                let line = format!("{:30} shaders/{}.wgsl {}", kernel.name, kernel.file, kernel.defines.join(" "));
                line.trim_end().to_owned() + "\n"
            })
            .collect(),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever closes the pipe has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}
