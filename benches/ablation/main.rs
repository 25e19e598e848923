//! What is each choice worth? The same pass with one thing changed, both in turn, round by round. Everything is
//! verified against the oracle before it is timed.
//!
//! `cargo bench --bench ablation`; `WGPU_GRU_BENCH=quick` takes fewer rounds. Writes `target/ablation.md` too.

#[expect(dead_code, reason = "no word of its own has a value")]
#[path = "../../examples/support/args.rs"]
mod args;
mod command_line;
mod ratio;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::process::ExitCode;

use wgpu::Features;
use wgpu_gru::Schedule;
use wgpu_gru::{Direction, Gpu, GruConfig, Result, Saved, Unroll, wgpu};

use args::Args;
use command_line::PROGRAM;
use ratio::{Pass, compare};

/// T, B, I, H.
const SMALL: [usize; 4] = [100, 1, 64, 64];
const MIDDLE: [usize; 4] = [64, 32, 128, 128];
const WIDE: [usize; 4] = [16, 8, 256, 512];

/// What cooperative matrices need.
const COOPERATIVE: Features =
    Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(Features::SHADER_F16).union(Features::SUBGROUP);

/// The device: as the crate opens it, and with what cooperative matrices need where the adapter has it.
fn open() -> Result<Gpu> {
    let plain = Gpu::new_blocking()?;
    let backends = wgpu::Backends::from(plain.info().backend);
    let descriptor = wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() };
    let adapters = pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(backends));
    let found = adapters.into_iter().find(|adapter| adapter.get_info().name == plain.info().name);
    let Some(adapter) = found else { return Ok(plain) };
    let limits = plain.limits().clone();
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("ablation"),
        required_features: plain.device().features()
            | adapter.features() & COOPERATIVE,
        #[expect(unsafe_code, reason = "the bench asks for what is experimental")]
        // SAFETY: wgpu asks that the caller knows of possible bugs of such features that are undefined behaviour, and
        // reports what it finds. Whoever runs this bench measures just these features.
        experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
        required_limits: limits,
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
    let gpu = Gpu::from_device(device, queue);
    // An adapter without them is measured without them.
    drop(gpu.set_cooperative_matrices(&adapter.cooperative_matrix_properties()));
    Ok(gpu)
}

fn forward([t, b, ..]: [usize; 4]) -> Unroll {
    Unroll::inference(t, b)
}

fn training([t, b, ..]: [usize; 4]) -> Unroll {
    Unroll::training(t, b).input_gradient(false)
}

fn gru([_, _, i, h]: [usize; 4]) -> GruConfig {
    GruConfig::new(i, h)
}

/// A row of a table, shown to whoever watches, since all of it takes minutes.
#[expect(clippy::print_stderr, reason = "a bench reports")]
fn watched(row: String) -> String {
    eprint!("{row}");
    row
}

fn choices(gpu: &Gpu) -> Result<String> {
    let mut table = ratio::HEAD.to_owned();
    let mut row = |what: &str, with: (GruConfig, Unroll), without: (GruConfig, Unroll)| -> Result<()> {
        table += &watched(compare(what, Pass::new(gpu, with)?, Pass::new(gpu, without)?)?);
        Ok(())
    };
    for pass in [forward, training] {
        let small = |schedule| (gru(SMALL), pass(SMALL).schedule(schedule));
        row("Rows over Step", small(Schedule::Rows), small(Schedule::Step))?;
        let middle = |schedule| (gru(MIDDLE), pass(MIDDLE).schedule(schedule));
        row("Rows over Step", middle(Schedule::Rows), middle(Schedule::Step))?;
        let layers = |wanted| (gru(SMALL).num_layers(3), pass(SMALL).wavefront(wanted));
        row("wavefront of 3 layers", layers(true), layers(false))?;
        let both = gru(SMALL).direction(Direction::Bidirectional);
        row(
            "2 directions over 2 layers of one",
            (both, pass(SMALL)),
            (gru(SMALL).num_layers(2), pass(SMALL).wavefront(false)),
        )?;
        for size in [MIDDLE, WIDE] {
            row("weights of 16 bits", (gru(size), pass(size).f16_weights(true)), (gru(size), pass(size)))?;
        }
        if gpu.cooperative_matrices().is_some() {
            row("large products of 16 bits", (gru(WIDE), pass(WIDE).f16_products(true)), (gru(WIDE), pass(WIDE)))?;
        }
        let class = |class| (gru(MIDDLE), pass(MIDDLE).adapter_class(class));
        row("planned as for a CPU, over a GPU", class(wgpu::DeviceType::Cpu), class(wgpu::DeviceType::DiscreteGpu))?;
    }
    let saved = |saved| (gru(MIDDLE), training(MIDDLE).saved(saved));
    row("gates of 16 bits", saved(Saved::F16), saved(Saved::Everything))?;
    row("gates made again", saved(Saved::Recompute), saved(Saved::Everything))?;
    row(
        "no gradient of the input",
        (gru(MIDDLE), training(MIDDLE)),
        (gru(MIDDLE), training(MIDDLE).input_gradient(true)),
    )?;
    for size in [SMALL, MIDDLE] {
        gpu.set_runtime_checks(true);
        let with = Pass::new(gpu, (gru(size), training(size)))?;
        gpu.set_runtime_checks(false);
        let without = Pass::new(gpu, (gru(size), training(size)))?;
        table += &watched(compare("checks at run time", with, without)?);
    }
    for size in [SMALL, MIDDLE] {
        let of = || Pass::new(gpu, (gru(size), training(size)));
        table += &watched(compare("finite check", of()?.checked()?, of()?)?);
    }
    Ok(table)
}

#[expect(clippy::print_stdout, reason = "a bench reports")]
fn run(_: &Args) -> std::result::Result<(), Box<dyn Error>> {
    let Some(gpu) = support::gpu(false, open)? else { return Ok(()) };
    std::fs::create_dir_all("target")?;
    let report = format!("- adapter: {}\n{}", gpu.describe(), choices(&gpu)?);
    println!("{report}");
    std::fs::write("target/ablation.md", report)?;
    Ok(())
}

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}
