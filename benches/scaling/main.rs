//! How does the time grow with the units H, the rows B and the steps T, and where does the GPU overtake the CPU? A GRU
//! on the GPU beside the crate's CPU layer, forward and training, around one middle point. `cargo bench --bench
//! scaling`; `-- --quick` is over in less than a minute on two CPU cores; `-- --middle 64,32,128` names another middle
//! (T, B, H). I is H, as of a layer within a stack.
//!
//! Every size is checked before it is timed. Everybody is timed in turn, round by round; the figures are medians with
//! quartiles. Writes `target/scaling.json`, `target/scaling.md` and `target/scaling.svg`. Without a GPU it measures the
//! CPU layer alone.

#[path = "../../examples/support/args.rs"]
mod args;
#[path = "../support/case.rs"]
mod case;
mod command_line;
#[path = "../support/device.rs"]
mod device;
mod measure;
mod memory;
mod plot;
mod report;
#[path = "../support/mod.rs"]
mod support;
mod sweep;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use wgpu_gru::{Gpu, Unroll};

use args::Args;
use case::{Size, size};
use command_line::PROGRAM;
use measure::{Effort, Figure, measure};
use report::Report;
use sweep::sweeps;

/// The folder of everything that is written.
const FOLDER: &str = "target";

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench reports")]
fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let [t, b, h] = command_line::middle(args)?;
    let quick = support::is_quick();
    let gpu = support::gpu(true, device::open)?;
    std::fs::create_dir_all(FOLDER)?;
    let effort = if quick { Effort::QUICK } else { Effort::FULL };
    let sweeps = sweeps(size(t, b, h, h), quick);
    let mut figures: Vec<Figure> = Vec::new();
    let mut memory = Vec::new();
    for &size in sweeps.iter().flat_map(|sweep| &sweep.sizes) {
        // The middle lies on each line.
        if figures.iter().any(|figure| figure.size == size) {
            continue;
        }
        let Size { seq_len, batch, .. } = size;
        if let Some(gpu) = &gpu {
            memory.push(memory::measure(gpu, size)?);
        }
        for unroll in [Unroll::inference(seq_len, batch), Unroll::training(seq_len, batch)] {
            let figure = measure(gpu.as_ref(), size, unroll, &effort)?;
            eprintln!("{}", figure.line());
            figures.push(figure);
        }
    }
    let report = Report { about: about(gpu.as_ref(), &effort), sweeps, figures, memory };
    let text = report.markdown();
    println!("{text}");
    std::fs::write(format!("{FOLDER}/scaling.md"), text)?;
    std::fs::write(format!("{FOLDER}/scaling.json"), serde_json::to_string_pretty(&report.json())? + "\n")?;
    plot::draw(&format!("{FOLDER}/scaling.svg"), &report)?;
    println!("{FOLDER}/scaling.json, {FOLDER}/scaling.md, {FOLDER}/scaling.svg");
    Ok(())
}

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}

/// What was measured on, and how.
fn about(gpu: Option<&Gpu>, effort: &Effort) -> Vec<(&'static str, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu_info = read("/proc/cpuinfo");
    let cpu = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpu = cpu.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let clock = read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let clock = if clock.is_empty() { "the system's clock" } else { clock.trim() };
    let Effort { rounds, at_least, .. } = *effort;
    let mut list = vec![
        ("adapter", gpu.map_or("none: the CPU layer alone".into(), Gpu::describe)),
        ("CPU", format!("{cpu}, {threads} threads")),
        ("clock", format!("Instant, on {clock}")),
        ("rounds", format!("{rounds} of everybody in turn, each at least {at_least:?}, fewer where they take long")),
    ];
    if let Some(gpu) = gpu {
        gpu.set_readback_timeout(Duration::from_secs(900));
        let stamps = if device::has_stamps(gpu) {
            format!("timestamp queries, {} ns a tick", gpu.queue().get_timestamp_period())
        } else {
            "the device has no timestamp queries".into()
        };
        list.push(("clock of the GPU", stamps));
    }
    list
}
