//! How fast is a whole layer, on the GPU and by the CPU layer? Forward (ends with h_n on the host) and training
//! (forward, backward to all weights and the input; ends when the GPU is done) at six sizes. Throughput counts the
//! FLOPs of the matrix products: "Gelem/s" reads GFLOP/s.
//!
//! Every case is validated before it is timed: at the sizes where the f64 oracle takes less than some seconds against
//! the oracle, at the larger ones GPU against CPU.

#[path = "support/case.rs"]
mod case;
mod support;
#[path = "support/timing.rs"]
mod timing;

use std::error::Error;
use std::process::ExitCode;

use criterion::{Criterion, Throughput};
use wgpu_gru::verify::Batch;
use wgpu_gru::{Gpu, Unroll};

use case::{Case, Checked, Size, run_gpu, size};
use support::{gpu, is_quick};
use timing::{QUICK_FLOPS, configure};

const HELP: &str = "\
Times whole GRU layers at six sizes, GPU beside the CPU layer, forward and training, after checking every number.

Usage: cargo bench --bench gpu_vs_cpu -- [FILTER] [OPTIONS OF CRITERION]

WGPU_GRU_BENCH=quick takes few samples and leaves the large sizes out: about a minute on two CPU cores that play a GPU, where all
sizes take an hour or more. WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter; where there is none the CPU
layer is measured alone. Criterion writes to target/criterion. Its options:";

/// (T, B, I, H): three of growing width, a short stream, one large step, a long stream.
const SIZES: [Size; 6] = [
    size(64, 32, 128, 128),
    size(128, 32, 256, 256),
    size(64, 64, 512, 512),
    size(100, 1, 64, 64),
    size(32, 64, 1024, 1024),
    size(480, 1, 64, 96),
];

/// FLOPs of a forward pass up to which the oracle, at some 1 GFLOP/s, is the check; training has three times as many.
const ORACLE_FLOPS: u64 = 3_500_000_000;

#[expect(clippy::print_stderr, reason = "a bench reports")]
fn layers(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let gpu = gpu(true, Gpu::new_blocking)?;
    for size in SIZES {
        let label = size.label();
        let unroll = Unroll::training(size.seq_len, size.batch);
        let mut case = Case::new(gpu.as_ref(), size, unroll)?;
        if is_quick() && case.forward_flops + case.backward_flops > QUICK_FLOPS {
            continue;
        }
        let Checked { by, share } = case.validate(ORACLE_FLOPS)?;
        eprintln!("{label}: checked against {by}, error budget used {:.1} %", 100.0 * share);
        let Case { batch, cpu, gpu, forward_flops, backward_flops, .. } = &mut case;
        let Batch { x, h0, d_output, d_h_n, .. } = &*batch;

        let mut group = criterion.benchmark_group("forward");
        configure(&mut group);
        group.throughput(Throughput::Elements(*forward_flops));
        group.bench_function(format!("cpu/{label}"), |bencher| {
            bencher.iter(|| {
                cpu.forward(x, Some(h0)).expect("the shapes fit");
                cpu.h_n().to_vec()
            });
        });
        if let Some((gru, net)) = gpu {
            group.bench_function(format!("gpu/{label}"), |bencher| {
                bencher.iter(|| {
                    gru.gpu().submit(|encoder| net.encode_forward(encoder)).expect("it was validated");
                    net.h_n().read_blocking().expect("the device is there")
                });
            });
        }
        group.finish();

        let mut group = criterion.benchmark_group("training");
        configure(&mut group);
        group.throughput(Throughput::Elements(*forward_flops + *backward_flops));
        group.bench_function(format!("cpu/{label}"), |bencher| {
            bencher.iter(|| {
                cpu.forward(x, Some(h0)).expect("the shapes fit");
                cpu.backward(Some(d_output), Some(d_h_n)).expect("a forward came before");
            });
        });
        if let Some((gru, net)) = gpu {
            group.bench_function(format!("gpu/{label}"), |bencher| {
                bencher.iter(|| {
                    run_gpu(gru, net).expect("it was validated");
                    gru.gpu().wait_blocking().expect("the device is there");
                });
            });
        }
        group.finish();
    }
    Ok(())
}

fn main() -> ExitCode {
    timing::main(HELP, layers)
}
