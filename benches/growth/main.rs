//! How the time grows with the units H, the rows B and the steps T: a GRU on the GPU beside the crate's CPU layer, forward and
//! training, around one middle point. `cargo bench --bench growth`; `-- --quick` is over in less than a minute on two CPU
//! cores; `-- --middle 64,32,128` names another middle (T, B, H). I is H, as of a layer within a stack.
//!
//! Every size is checked before it is timed. Everybody is timed in turn, round by round; the figures are medians with
//! quartiles. Writes `target/growth.json`, `target/growth.md` and `target/growth.svg`. Without a GPU it measures the CPU layer
//! alone.

#[path = "../support/case.rs"]
mod case;
mod device;
mod measure;
mod memory;
mod plot;
mod report;
#[path = "../support/mod.rs"]
mod support;
mod sweep;

use std::error::Error;
use std::time::Duration;

use wgpu_gru::{Gpu, Unroll};

use case::Size;
use measure::{Effort, Figure, measure};
use report::Report;
use sweep::sweeps;

/// The folder of everything that is written.
const FOLDER: &str = "target";

/// What was asked for.
#[derive(Debug)]
struct Args {
    quick: bool,
    middle: Size,
}

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut args = Self { quick: support::is_quick(), middle: sweep::MIDDLE };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => args.quick = true,
                "--middle" => {
                    let text = words.next().ok_or("--middle wants T,B,H")?;
                    let numbers = text.split(',').map(|number| number.trim().parse()).collect::<Result<Vec<_>, _>>()?;
                    let &[t, b, h] = &numbers[..] else { return Err("--middle wants T,B,H".into()) };
                    args.middle = case::size(t, b, h, h);
                }
                // What cargo hands to benches.
                "--bench" => {}
                _ => return Err(format!("there is no option {word}, only --quick and --middle T,B,H").into()),
            }
        }
        Ok(args)
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench reports")]
fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse(std::env::args().skip(1))?;
    let gpu = support::gpu(device::open);
    let effort = if args.quick { Effort::QUICK } else { Effort::FULL };
    let sweeps = sweeps(args.middle, args.quick);
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
    std::fs::create_dir_all(FOLDER)?;
    let text = report.markdown();
    println!("{text}");
    std::fs::write(format!("{FOLDER}/growth.md"), text)?;
    std::fs::write(format!("{FOLDER}/growth.json"), serde_json::to_string_pretty(&report.json())? + "\n")?;
    plot::draw(&format!("{FOLDER}/growth.svg"), &report)?;
    println!("{FOLDER}/growth.json, {FOLDER}/growth.md, {FOLDER}/growth.svg");
    Ok(())
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
