//! How long does one wait? For a frame of a stream, beside a frame of a forward pass over many of them; and for the
//! first result of a program, each in a process of its own without the driver's cache on disk, with and without a
//! pipeline cache of the app.
//!
//! `cargo bench --bench latency`; `WGPU_GRU_BENCH=quick` takes fewer rounds. Writes `target/latency.md` too.

#[path = "../../examples/support/args.rs"]
mod args;
mod command_line;
mod first;
mod stream;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use wgpu_gru::Gpu;

use args::Args;
use command_line::{FIRST_RESULT, PROGRAM};

#[expect(clippy::print_stdout, reason = "a bench reports")]
fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    match args.get::<String>(FIRST_RESULT)?.as_str() {
        "" => {}
        "-" => return Ok(first::child(None)?),
        file => return Ok(first::child(Some(Path::new(file)))?),
    }
    let Some(gpu) = support::gpu(false, Gpu::new_blocking)? else { return Ok(()) };
    let report = format!("- adapter: {}\n{}{}", gpu.describe(), stream::table(&gpu)?, first::table());
    println!("{report}");
    std::fs::create_dir_all("target")?;
    std::fs::write("target/latency.md", report)?;
    Ok(())
}

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}
