//! Whole layers, GPU beside CPU: forward (ends with h_n on the host) and training (forward, backward to all weights and the
//! input; ends when the GPU is done). Throughput counts the FLOPs of the matrix products: "Gelem/s" reads GFLOP/s.
//!
//! Every case is validated before it is timed: at the sizes where the f64 oracle takes less than some seconds against the
//! oracle, at the larger ones GPU against CPU.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wgpu_gru::cpu::{CpuGru, CpuUnrolled};
use wgpu_gru::verify::{Batch, verify_batch};
use wgpu_gru::{Gpu, Gru, GruConfig, Plan, Tolerance, Unroll, Unrolled, Weights};

use support::{QUICK_FLOPS, configure, gpu, is_quick};

/// The sizes of a layer and of a batch.
#[derive(Debug, Clone, Copy)]
struct Size {
    seq_len: usize,
    batch: usize,
    input: usize,
    hidden: usize,
}

/// (T, B, I, H): three of growing width, a short stream, one large step, a long stream.
const SIZES: [Size; 6] = [
    size(64, 32, 128, 128),
    size(128, 32, 256, 256),
    size(64, 64, 512, 512),
    size(100, 1, 64, 64),
    size(32, 64, 1024, 1024),
    size(480, 1, 64, 96),
];

const fn size(seq_len: usize, batch: usize, input: usize, hidden: usize) -> Size {
    Size { seq_len, batch, input, hidden }
}

impl Size {
    /// The name in reports.
    fn label(&self) -> String {
        format!("T{}_B{}_I{}_H{}", self.seq_len, self.batch, self.input, self.hidden)
    }
}

/// FLOPs of a training step up to which the oracle, at some 1 GFLOP/s, is the check.
const ORACLE_FLOPS: u64 = 10_000_000_000;

struct Case {
    size: Size,
    batch: Batch,
    cpu: CpuUnrolled,
    gpu: Option<(Gru, Unrolled)>,
    forward_flops: u64,
    training_flops: u64,
}

impl Case {
    fn new(gpu: Option<&Gpu>, size: Size) -> wgpu_gru::Result<Self> {
        let Size { seq_len, batch, input, hidden } = size;
        let config = GruConfig::new(input, hidden);
        let weights = Weights::random(&config, 1);
        let unroll = Unroll::training(seq_len, batch);
        let plan = Plan::new(&config, &unroll, &wgpu::Limits::default(), wgpu::DeviceType::Cpu)?;
        let cpu = CpuGru::new(config.clone(), &weights)?.unroll(unroll)?;
        let on_gpu = |gpu: &Gpu| -> wgpu_gru::Result<_> {
            let gru = Gru::with_weights(gpu, config.clone(), &weights)?;
            let net = gru.unroll(unroll)?;
            Ok((gru, net))
        };
        Ok(Self {
            size,
            batch: Batch::random(&config, seq_len, batch, 2),
            cpu,
            gpu: gpu.map(on_gpu).transpose()?,
            forward_flops: plan.forward_flops(),
            training_flops: plan.forward_flops() + plan.backward_flops(),
        })
    }

    /// The GPU against the oracle or against the CPU layer. After it both sides hold the batch.
    fn validate(&mut self) -> wgpu_gru::Result<()> {
        let Batch { x, h0, d_output, d_h_n, .. } = &self.batch;
        self.cpu.forward(x, Some(h0))?;
        self.cpu.backward(Some(d_output), Some(d_h_n))?;
        let Some((gru, net)) = &mut self.gpu else { return Ok(()) };
        if self.training_flops <= ORACLE_FLOPS {
            pollster::block_on(verify_batch(gru, net, &self.batch))?;
            return Ok(());
        }
        net.input().write(x)?;
        net.h0().write(h0)?;
        net.d_output()?.write(d_output)?;
        net.d_h_n()?.write(d_h_n)?;
        train(gru, net)?;
        let Size { seq_len, batch, input, hidden } = self.size;
        let time = Tolerance::through_time(input + hidden, seq_len);
        let sums = time.plus(Tolerance::through_time(3 * hidden, seq_len)).plus(Tolerance::matmul(seq_len * batch));
        let gradients = self.cpu.gradients();
        let on_gpu = &net.gradients()?.parameters;
        for (name, tensor, expected, tolerance) in [
            ("output", net.output(), self.cpu.output(), time),
            ("d_weight_ih", &on_gpu.cells[0].weight_ih, &gradients.weights.weight_ih, sums),
            ("d_weight_hh", &on_gpu.cells[0].weight_hh, &gradients.weights.weight_hh, sums),
        ] {
            let most = expected.iter().fold(1.0_f64, |most, &value| most.max(f64::from(value).abs()));
            // Both sides round.
            let worst = tolerance.scaled(2.0 * most).compare(&tensor.read_blocking()?, expected);
            assert!(worst.passed(), "{} {name}: {worst:?}", self.size.label());
        }
        Ok(())
    }
}

fn train(gru: &Gru, net: &mut Unrolled) -> wgpu_gru::Result<()> {
    gru.gpu().submit(|encoder| {
        net.encode_forward(encoder)?;
        net.encode_backward(encoder)
    })?;
    gru.gpu().wait_blocking()
}

fn layers(criterion: &mut Criterion) {
    let gpu = gpu();
    for size in SIZES {
        let label = size.label();
        let mut case = Case::new(gpu.as_ref(), size).expect("the case fits");
        if is_quick() && case.training_flops > QUICK_FLOPS {
            continue;
        }
        case.validate().expect("the GPU computes what the CPU computes");
        let Case { batch, cpu, gpu, forward_flops, training_flops, .. } = &mut case;
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
        group.throughput(Throughput::Elements(*training_flops));
        group.bench_function(format!("cpu/{label}"), |bencher| {
            bencher.iter(|| {
                cpu.forward(x, Some(h0)).expect("the shapes fit");
                cpu.backward(Some(d_output), Some(d_h_n)).expect("a forward came before");
            });
        });
        if let Some((gru, net)) = gpu {
            group.bench_function(format!("gpu/{label}"), |bencher| {
                bencher.iter(|| train(gru, net).expect("it was validated"));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, layers);
criterion_main!(benches);
