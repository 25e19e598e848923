//! The clock: a size is checked, then everybody is timed in turn, round by round.

use std::time::{Duration, Instant};

use serde::Serialize;
use wgpu_gru::{Gpu, Mode, Result, Unroll};

use crate::case::{Case, Checked, Size, encode, run_gpu};
use crate::device::Stamps;

/// How much is measured.
#[derive(Debug)]
pub(crate) struct Effort {
    /// How often everybody is timed.
    pub(crate) rounds: usize,
    /// How often at least, however long it takes.
    least_rounds: usize,
    /// In a round a pass is repeated until this time is spent.
    pub(crate) at_least: Duration,
    /// No new round begins after this time at one size.
    limit: Duration,
    /// FLOPs of a forward pass up to which the oracle is asked.
    oracle_flops: u64,
}

impl Effort {
    pub(crate) const FULL: Self = Self {
        rounds: 15,
        least_rounds: 5,
        at_least: Duration::from_millis(10),
        limit: Duration::from_secs(20),
        oracle_flops: 1_000_000_000,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 5,
        least_rounds: 3,
        at_least: Duration::from_millis(2),
        limit: Duration::from_millis(500),
        oracle_flops: 20_000_000,
    };
}

/// Median and quartiles, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) first_quartile: f64,
    pub(crate) third_quartile: f64,
    pub(crate) rounds: usize,
}

impl Spread {
    /// None of no figures.
    fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let last = figures.len().checked_sub(1)?;
        let at = |share: f64| {
            let place = share * last as f64;
            let below = place.floor() as usize;
            figures[below] + (figures[(below + 1).min(last)] - figures[below]) * place.fract()
        };
        Some(Self { median: at(0.5), first_quartile: at(0.25), third_quartile: at(0.75), rounds: figures.len() })
    }
}

/// Forward or training at one size.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) size: Size,
    pub(crate) mode: Mode,
    pub(crate) flops: u64,
    pub(crate) checked: Checked,
    /// The CPU layer.
    pub(crate) cpu: Option<Spread>,
    /// From the call until the GPU is done.
    pub(crate) gpu: Option<Spread>,
    /// From the call until h_n is on the host.
    pub(crate) gpu_read: Option<Spread>,
    /// Between two timestamps of the GPU around the passes.
    pub(crate) gpu_stamps: Option<Spread>,
    /// Schedule and number of dispatches.
    pub(crate) plan: Option<(String, usize)>,
}

/// Who is timed.
#[derive(Debug, Clone, Copy)]
enum Who {
    Cpu,
    Gpu,
    GpuRead,
    GpuStamps,
}

const ALL: [Who; 4] = [Who::Cpu, Who::Gpu, Who::GpuRead, Who::GpuStamps];

/// Checks a size, then times everybody.
pub(crate) fn measure(gpu: Option<&Gpu>, size: Size, unroll: Unroll, effort: &Effort) -> Result<Figure> {
    let mut case = Case::new(gpu, size, unroll)?;
    let checked = case.validate(effort.oracle_flops)?;
    let stamps = gpu.and_then(Stamps::new);
    let mut times: [Vec<f64>; 4] = Default::default();
    // Not timed: whatever is made at the first call.
    for who in ALL {
        sample(&mut case, stamps.as_ref(), who, Duration::ZERO)?;
    }
    let begin = Instant::now();
    for round in 0..effort.rounds {
        if round >= effort.least_rounds && begin.elapsed() > effort.limit {
            break;
        }
        for turn in 0..ALL.len() {
            let index = (round + turn) % ALL.len();
            times[index].extend(sample(&mut case, stamps.as_ref(), ALL[index], effort.at_least)?);
        }
    }
    let plan = case.gpu.as_ref().map(|(_, net)| {
        let plan = net.plan();
        let backward = if unroll.mode == Mode::Training { plan.backward_dispatches() } else { 0 };
        (format!("{:?}", plan.schedule()), plan.forward_dispatches() + backward)
    });
    let [cpu, gpu, gpu_read, gpu_stamps] = times.map(Spread::of);
    let flops = case.forward_flops + case.backward_flops;
    Ok(Figure { size, mode: unroll.mode, flops, checked, cpu, gpu, gpu_read, gpu_stamps, plan })
}

/// The mean milliseconds of as many passes as fill some time; None where there is nobody.
fn sample(case: &mut Case, stamps: Option<&Stamps>, who: Who, at_least: Duration) -> Result<Option<f64>> {
    let (begin, mut passes, mut ticks) = (Instant::now(), 0.0, 0.0);
    while passes == 0.0 || begin.elapsed() < at_least {
        match (who, &mut case.gpu, stamps) {
            (Who::Cpu, ..) => {
                case.run_cpu()?;
                std::hint::black_box(case.cpu.h_n());
            }
            (Who::Gpu, Some((gru, net)), _) => {
                run_gpu(gru, net)?;
                gru.gpu().wait_blocking()?;
            }
            (Who::GpuRead, Some((gru, net)), _) => {
                run_gpu(gru, net)?;
                std::hint::black_box(net.h_n().read_blocking()?);
            }
            (Who::GpuStamps, Some((gru, net)), Some(stamps)) => {
                match stamps.time(gru.gpu(), |encoder| encode(net, encoder))? {
                    Some(nanoseconds) => ticks += nanoseconds,
                    None => return Ok(None),
                }
            }
            _ => return Ok(None),
        }
        passes += 1.0;
    }
    let time = if matches!(who, Who::GpuStamps) { ticks / 1e6 } else { 1e3 * begin.elapsed().as_secs_f64() };
    Ok(Some(time / passes))
}

impl Figure {
    /// `forward` or `training`.
    pub(crate) fn pass(&self) -> &'static str {
        match self.mode {
            Mode::Inference => "forward",
            Mode::Training => "training",
        }
    }

    /// The GPU's median that is set against the CPU's: with h_n on the host for forward, as the CPU has it; gradients
    /// stay on the GPU.
    pub(crate) fn gpu_compared(&self) -> Option<Spread> {
        match self.mode {
            Mode::Inference => self.gpu_read,
            Mode::Training => self.gpu,
        }
    }

    /// How many times longer the CPU takes than the GPU.
    pub(crate) fn speedup(&self) -> Option<f64> {
        Some(self.cpu?.median / self.gpu_compared()?.median)
    }

    /// For whoever watches.
    pub(crate) fn line(&self) -> String {
        let of = |spread: Option<Spread>| spread.map_or("-".into(), |spread| format!("{:.3}", spread.median));
        let (size, pass) = (self.size.label(), self.pass());
        format!("{size} {pass}: cpu {} ms, gpu {} ms", of(self.cpu), of(self.gpu_compared()))
    }
}
