//! How fast is each kernel by itself, in each of its variants? Each is validated against its twin before it is timed.
//! Throughput counts the FLOPs of the products, or the numbers that are summed: "Gelem/s" reads GFLOP/s, or 10^9
//! numbers a second.

mod support;
#[path = "support/timing.rs"]
mod timing;

use std::error::Error;
use std::process::ExitCode;

use criterion::{Criterion, Throughput};
use wgpu_gru::Program;
use wgpu_gru::reference::twins::gru_step::{GruStepParams, gru_step};
use wgpu_gru::reference::twins::gru_step_backward::{GruStepBackwardParams, gru_step_backward};
use wgpu_gru::reference::twins::matmul::{MatmulParams, matmul};
use wgpu_gru::reference::twins::sum_rows::sum_rows;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Gpu, Tensor, Tolerance, harness};
use wgpu_gru::{Gru, GruConfig, MatmulKernel, Schedule, Unroll};

use support::{gpu, is_quick};
use timing::{QUICK_FLOPS, configure};

const HELP: &str = "\
Times single kernels on the GPU, after checking each against its twin on the CPU.

Usage: cargo bench --bench kernels -- [FILTER] [OPTIONS OF CRITERION]

WGPU_GRU_BENCH=quick takes few samples and leaves the large products out: about two minutes on two CPU cores that play a GPU.
WGPU_ADAPTER_NAME, WGPU_POWER_PREF and WGPU_BACKEND choose the adapter. Criterion writes to target/criterion. Its options:";

fn check(name: &str, tensor: &Tensor, expected: &[f32], tolerance: Tolerance) -> wgpu_gru::Result<()> {
    let most = expected.iter().fold(1.0_f64, |most, &value| most.max(f64::from(value).abs()));
    // Kernel and twin both round.
    let worst = tolerance.scaled(2.0 * most).compare(&tensor.read_blocking()?, expected);
    assert!(worst.passed(), "{name}: {worst:?}");
    Ok(())
}

fn run(gpu: &Gpu, program: &Program) -> wgpu_gru::Result<()> {
    gpu.submit(|encoder| {
        program.encode(encoder);
        Ok(())
    })?;
    gpu.wait_blocking()
}

/// The products of a layer of 256 over 64 steps of 32 rows: forward, input gradient, weight gradient; and one whose
/// sizes are no multiples of four.
fn products(criterion: &mut Criterion, gpu: &Gpu) -> wgpu_gru::Result<()> {
    let mut group = criterion.benchmark_group("matmul");
    configure(&mut group);
    let form =
        |m, n, k, transpose_a, transpose_b| MatmulParams { m, n, k, transpose_a, transpose_b, accumulate: false };
    for (name, params) in [
        ("x_proj_nt", form(2048, 768, 256, false, true)),
        ("d_x_nn", form(2048, 256, 768, false, false)),
        ("d_weight_tn", form(768, 256, 2048, true, false)),
        ("odd_nt", form(2048, 193, 65, false, true)),
    ] {
        let MatmulParams { m, n, k, .. } = params;
        let flops = (2 * m * n * k) as u64;
        if is_quick() && flops > QUICK_FLOPS {
            continue;
        }
        let mut uniform = SplitMix64::new(1);
        let (a, b) = (uniform.vec(m * k, 1.0), uniform.vec(k * n, 1.0));
        let mut expected = vec![0.0; m * n];
        matmul(&params, &a, &b, None, &mut expected);
        let (a, b) = (Tensor::from_slice(gpu, &[m * k], &a)?, Tensor::from_slice(gpu, &[k * n], &b)?);
        let c = Tensor::zeros(gpu, &[m, n])?;
        group.throughput(Throughput::Elements(flops));
        let kernels = MatmulKernel::ALL;
        for kernel in kernels.into_iter().filter(|&kernel| harness::supports(gpu, kernel)) {
            let program = harness::matmul(kernel, &params, &a, &b, None, &c)?;
            run(gpu, &program)?;
            check(name, &c, &expected, Tolerance::matmul(k))?;
            group.bench_function(format!("{name}/{kernel:?}"), |bencher| {
                bencher.iter(|| run(gpu, &program).expect("it was validated"));
            });
        }
    }
    group.finish();
    Ok(())
}

/// The time loop alone, without the products before and after it.
fn steps(criterion: &mut Criterion, gpu: &Gpu) -> wgpu_gru::Result<()> {
    for [seq_len, batch, hidden] in [[64, 32, 128], [32, 32, 256], [100, 1, 64], [480, 1, 96], [16, 1, 512]] {
        let label = format!("T{seq_len}_B{batch}_H{hidden}");
        let (states, rows) = (batch * hidden, seq_len * batch);
        let mut uniform = SplitMix64::new(2);
        let bound = 1.0 / (hidden as f32).sqrt();
        let (weight, bias) = (uniform.vec(3 * hidden * hidden, bound), uniform.vec(3 * hidden, bound));
        let mut h = uniform.vec((seq_len + 1) * states, 1.0);
        let mut gates = uniform.vec(rows * 4 * hidden, 1.0);
        let [d_output, d_h_n] = [uniform.vec(rows * hidden, 1.0), uniform.vec(states, 1.0)];
        let mut d_h0 = vec![0.0; states];

        let upload = |host: &[f32]| Tensor::from_slice(gpu, &[host.len()], host);
        let (first_h, first_gates, first_d_h0) = (h.clone(), gates.clone(), d_h0.clone());
        for t in 0..seq_len {
            gru_step(&GruStepParams { t, batch, hidden, save: true }, &weight, &bias, &mut h, &mut gates);
        }
        for t in (0..seq_len).rev().map(Some).chain([None]) {
            let params = GruStepBackwardParams { seq_len, batch, hidden, t };
            gru_step_backward(&params, &weight, &h, &d_output, &d_h_n, &mut gates, &mut d_h0);
        }

        let mut group = criterion.benchmark_group("steps");
        configure(&mut group);
        group.throughput(Throughput::Elements((6 * rows * hidden * hidden) as u64));
        for schedule in [Schedule::Step, Schedule::Rows] {
            // That of a layer of this size.
            let layer = Gru::new(gpu, GruConfig::new(hidden, hidden), 1)?;
            let time_loop = *layer.unroll(Unroll::training(seq_len, batch).schedule(schedule))?.plan().time_loop();
            let sizes = [seq_len, batch, hidden];
            let tensors =
                [&weight, &bias, &first_h, &first_gates, &d_output, &d_h_n, &first_d_h0].map(|host| upload(host));
            let [weight_t, bias_t, h_t, gates_t, d_output_t, d_h_n_t, d_h0_t] = tensors.map(|t| t.expect("it fits"));
            let plain = harness::Steps::gru(sizes, &weight_t, &h_t, &gates_t);
            let steps = harness::Steps { bias_hh: Some(&bias_t), ..plain };
            let forward = steps.forward(&time_loop, true)?;
            let backward = steps.backward(&time_loop, [&d_output_t, &d_h_n_t, &d_h0_t])?;
            run(gpu, &forward)?;
            run(gpu, &backward)?;
            check("h", &h_t, &h, Tolerance::through_time(hidden, seq_len))?;
            check("gates", &gates_t, &gates, Tolerance::through_time(4 * hidden, seq_len))?;

            // From here on the gates hold gradients, or whatever a step makes of them: the time does not depend on it.
            for (name, program) in [("forward", &forward), ("backward", &backward)] {
                group.bench_function(format!("{name}/{label}/{schedule:?}"), |bencher| {
                    bencher.iter(|| run(gpu, program).expect("it was validated"));
                });
            }
        }
        group.finish();
    }
    Ok(())
}

/// The bias gradient.
fn sums(criterion: &mut Criterion, gpu: &Gpu) -> wgpu_gru::Result<()> {
    let mut group = criterion.benchmark_group("sum_rows");
    configure(&mut group);
    let [rows, columns] = [2048, 768];
    let input = SplitMix64::new(3).vec(rows * columns, 1.0);
    let mut expected = vec![0.0; columns];
    sum_rows(rows, columns, false, &input, &mut expected);
    let (input, total) = (Tensor::from_slice(gpu, &[rows, columns], &input)?, Tensor::zeros(gpu, &[columns])?);
    group.throughput(Throughput::Elements((rows * columns) as u64));
    let program = harness::sum_rows(false, &input, &total)?;
    run(gpu, &program)?;
    check("total", &total, &expected, Tolerance::matmul(rows))?;
    group.bench_function(format!("{rows}x{columns}"), |bencher| {
        bencher.iter(|| run(gpu, &program).expect("it was validated"));
    });
    group.finish();
    Ok(())
}

fn kernels(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let Some(gpu) = gpu(false, Gpu::new_blocking)? else { return Ok(()) };
    products(criterion, &gpu)?;
    steps(criterion, &gpu)?;
    sums(criterion, &gpu)?;
    Ok(())
}

fn main() -> ExitCode {
    timing::main(HELP, kernels)
}
