//! A GRU at the sizes that `benches/RECORD.md` compares with other implementations: whole passes under every schedule, the
//! time loop by itself, the products. GPU time by timestamps, beside the time until a result is on the host.
//!
//! `cargo bench --bench sizes`; writes `target/sizes.md` too. `benches/on_gpu.sh` runs it with everything else.

#[path = "../../examples/support/args.rs"]
mod args;
#[path = "../support/case.rs"]
#[expect(dead_code, reason = "the CPU layer is not timed here")]
mod case;
mod clock;
mod command_line;
#[path = "../support/device.rs"]
mod device;
mod loops;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use wgpu_gru::reference::twins::matmul::MatmulParams;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Gpu, Gru, GruConfig, MatmulKernel, Result, Schedule, Tensor, Unroll, harness};

use args::Args;
use case::{Case, Size, encode, run_gpu, size};
use clock::{Warmth, alone, on_gpu};
use command_line::{NAMES, PROGRAM};

/// Those of the record, by the names of the command line.
const SIZES: [Size; 8] = [
    size(64, 32, 128, 128),
    size(128, 32, 256, 256),
    size(64, 64, 512, 512),
    size(100, 1, 64, 64),
    size(32, 64, 1024, 1024),
    size(480, 1, 64, 96),
    size(128, 512, 128, 128),
    size(32, 1, 1024, 1024),
];

const SCHEDULES: [Schedule; 3] = [Schedule::Rows, Schedule::Exchange, Schedule::Step];

/// FLOPs of a forward pass up to which the oracle is asked, and not the CPU layer.
const ORACLE_FLOPS: u64 = 100_000_000;

const PASSES: &str = "
### whole passes

Microseconds, medians: by the GPU's clock, and from the call until h_n is on the host (forward), or the GPU is done (training, no
gradient of the input). `budget`: the largest share of its error budget that any number uses.

| | T, B, I, H | schedule | dispatches | forward | alone | training | alone | budget |
|---|---|---|---|---|---|---|---|---|
";

const LOOPS: &str = "
### the time loop by itself

Microseconds of a step by the GPU's clock, as the slope over the number of steps: without what a dispatch has besides them.

| | T, B, H | schedule | forward | forward, saved | backward |
|---|---|---|---|---|---|
";

const PRODUCTS: &str = "
### products

TFLOP/s by the GPU's clock.

| | m, n, k | kernel | TFLOP/s |
|---|---|---|---|
";

/// What is written, shown to whoever watches at once.
#[derive(Default)]
struct Report(String);

impl Report {
    #[expect(clippy::print_stderr, reason = "a bench reports")]
    fn say(&mut self, text: &str) {
        eprint!("{text}");
        self.0 += text;
    }
}

/// How the time loop is chosen.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Planned,
    Named(Schedule),
    Tuned,
}

/// A row for each schedule that can be had, and one for what is measured to be best, of which the texts are given.
fn passes(gpu: &Gpu, warmth: &Warmth, name: &str, size: Size, report: &mut Report) -> Result<Vec<String>> {
    let (mut planned, mut tunings) = (None, Vec::new());
    let layer = Gru::new(gpu, GruConfig::new(size.input, size.hidden), 1)?;
    for way in [Way::Planned].into_iter().chain(SCHEDULES.map(Way::Named)).chain([Way::Tuned]) {
        let of = |unroll: Unroll| -> Result<Unroll> {
            Ok(match way {
                Way::Planned => unroll,
                Way::Named(schedule) => unroll.schedule(schedule),
                Way::Tuned => {
                    warmth.raise()?;
                    unroll.tuning(layer.tune_blocking(unroll)?)
                }
            })
        };
        let inference = of(Unroll::inference(size.seq_len, size.batch))?;
        let training = of(Unroll::training(size.seq_len, size.batch).input_gradient(false))?;
        let Ok(mut forward) = Case::new(Some(gpu), size, inference) else { continue };
        let mut both = Case::new(Some(gpu), size, training)?;
        // What is planned is shown once.
        let loops = [&forward, &both].map(|case| case.gpu.as_ref().map(|(_, net)| *net.plan().time_loop()));
        if planned == Some(loops) {
            continue;
        }
        planned = planned.or(Some(loops));
        let budget = forward.validate(ORACLE_FLOPS)?.share.max(both.validate(ORACLE_FLOPS)?.share);
        let (mut times, mut chosen) = (Vec::new(), String::new());
        let mut dispatches = [0; 2];
        for (index, case) in [&mut forward, &mut both].into_iter().enumerate() {
            let Some((gru, net)) = &mut case.gpu else { continue };
            chosen = format!("{:?}", net.plan().schedule());
            dispatches[index] = net.plan().forward_dispatches() + net.plan().backward_dispatches();
            times.push(on_gpu(warmth, |encoder| encode(net, encoder))?);
            times.push(alone(|| {
                run_gpu(gru, net)?;
                if index == 0 { net.h_n().read_blocking().map(drop) } else { gpu.wait_blocking() }
            })?);
        }
        let Size { seq_len, batch, input, hidden } = size;
        let way = match way {
            Way::Planned => "plan: ",
            Way::Named(_) => "",
            Way::Tuned => "tuned: ",
        };
        report.say(&format!(
            "| {name} | {seq_len}, {batch}, {input}, {hidden} | {way}{chosen} | {}, {} | {:.1} | {:.0} | {:.1} | {:.0} | {:.1} % |\n",
            dispatches[0],
            dispatches[1],
            times[0],
            times[1],
            times[2],
            times[3],
            100.0 * budget
        ));
        for tuning in [inference, training].iter().filter_map(|unroll| unroll.tuning) {
            tunings.push(format!("{name}: `{tuning}`\n\n"));
        }
    }
    Ok(tunings)
}

fn loops(gpu: &Gpu, warmth: &Warmth, name: &str, size: Size, report: &mut Report) {
    for schedule in SCHEDULES {
        let Ok([forward, saved, backward]) = loops::steps(gpu, warmth, size, schedule) else { continue };
        let Size { seq_len, batch, hidden, .. } = size;
        report.say(&format!(
            "| {name} | {seq_len}, {batch}, {hidden} | {schedule:?} | {forward:.3} | {saved:.3} | {backward:.3} |\n"
        ));
    }
}

/// The products of a pass: of the input, of the gradient of weight_ih.
fn products(gpu: &Gpu, warmth: &Warmth, name: &str, size: Size, report: &mut Report) -> Result<()> {
    let (rows, units) = (size.seq_len * size.batch, 3 * size.hidden);
    for (what, [m, n, k], transpose_a, transpose_b) in
        [("x_proj", [rows, units, size.input], false, true), ("d_weight_ih", [units, size.input, rows], true, false)]
    {
        let mut random = SplitMix64::new(1);
        let a = Tensor::from_slice(gpu, &[m * k], &random.vec(m * k, 1.0))?;
        let b = Tensor::from_slice(gpu, &[k * n], &random.vec(k * n, 1.0))?;
        let c = Tensor::zeros(gpu, &[m, n])?;
        let params = MatmulParams { m, n, k, transpose_a, transpose_b, accumulate: false };
        let (planned, how) = harness::matmul_as_planned(&params, &a, &b, &c)?;
        let mut programs = vec![(format!("plan: {how}"), planned)];
        for kernel in MatmulKernel::ALL.into_iter().filter(|&kernel| harness::supports(gpu, kernel)) {
            programs.push((format!("{kernel:?}"), harness::matmul(kernel, &params, &a, &b, None, &c)?));
        }
        for (how, program) in programs {
            let time = on_gpu(warmth, |encoder| {
                program.encode(encoder);
                Ok(())
            })?;
            let rate = (2 * m * n * k) as f64 / time / 1e6;
            report.say(&format!("| {name} {what} | {m}, {n}, {k} | {how} | {rate:.2} |\n"));
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a bench reports")]
fn run(args: &Args) -> std::result::Result<(), Box<dyn Error>> {
    let only = command_line::only(args)?;
    let sizes: Vec<(&str, Size)> =
        NAMES.into_iter().zip(SIZES).filter(|(name, _)| only.iter().any(|wanted| wanted == name)).collect();
    let Some(gpu) = support::gpu(false, device::open)? else { return Ok(()) };
    gpu.set_readback_timeout(Duration::from_secs(900));
    let mut report = Report::default();
    report.say(&format!("- adapter: {}\n", gpu.describe()));
    let warmth = Warmth::new(&gpu)?;
    if args.get::<bool>("--cuts")? {
        loops::cuts(&gpu, &warmth, &sizes, |text| report.say(&text))?;
    } else {
        report.say(PASSES);
        let mut tunings = Vec::new();
        for &(name, size) in &sizes {
            tunings.extend(passes(&gpu, &warmth, name, size, &mut report)?);
        }
        report.say(&format!("\n{}", tunings.concat()));
        report.say(LOOPS);
        sizes.iter().for_each(|&(name, size)| loops(&gpu, &warmth, name, size, &mut report));
        report.say(PRODUCTS);
        sizes.iter().try_for_each(|&(name, size)| products(&gpu, &warmth, name, size, &mut report))?;
    }
    println!("{}", report.0);
    std::fs::create_dir_all("target")?;
    std::fs::write("target/sizes.md", report.0)?;
    Ok(())
}

fn main() -> ExitCode {
    args::main(&PROGRAM, run)
}
