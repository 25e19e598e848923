//! A layer on the CPU and on the GPU with the same weights and the same batch, and the check that comes before the
//! clock.

use wgpu_gru::cpu::{CpuGru, CpuUnrolled};
use wgpu_gru::reference::oracle::widen;
use wgpu_gru::verify::{Batch, Expectation, expectation};
use wgpu_gru::{CellWeights, Gpu, Gru, GruConfig, Mode, Plan, Result, Tensor, Tolerance, Unroll, Unrolled, Weights};

/// The sizes of a layer and of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) seq_len: usize,
    pub(crate) batch: usize,
    pub(crate) input: usize,
    pub(crate) hidden: usize,
}

pub(crate) const fn size(seq_len: usize, batch: usize, input: usize, hidden: usize) -> Size {
    Size { seq_len, batch, input, hidden }
}

impl Size {
    /// The name in reports.
    pub(crate) fn label(&self) -> String {
        format!("T{}_B{}_I{}_H{}", self.seq_len, self.batch, self.input, self.hidden)
    }
}

/// Both sides.
pub(crate) struct Case {
    pub(crate) size: Size,
    pub(crate) unroll: Unroll,
    pub(crate) batch: Batch,
    pub(crate) cpu: CpuUnrolled,
    pub(crate) gpu: Option<(Gru, Unrolled)>,
    /// FLOPs of the matrix products.
    pub(crate) forward_flops: u64,
    pub(crate) backward_flops: u64,
    config: GruConfig,
    weights: Weights,
}

/// What [`Case::validate`] found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checked {
    /// Who was asked.
    pub(crate) by: &'static str,
    /// The largest share of its error budget that any element uses.
    pub(crate) share: f64,
}

impl Case {
    pub(crate) fn new(gpu: Option<&Gpu>, size: Size, unroll: Unroll) -> Result<Self> {
        let config = GruConfig::new(size.input, size.hidden);
        let weights = Weights::random(&config, 1);
        // Of a device that can have every schedule: for the FLOPs, which do not depend on it.
        let limits = gpu.map_or_else(wgpu::Limits::default, |gpu| gpu.limits().clone());
        let plan = Plan::new(&config, &unroll, &limits, wgpu::DeviceType::DiscreteGpu)?;
        let cpu = CpuGru::new(config.clone(), &weights)?.unroll(unroll)?;
        let on_gpu = |gpu: &Gpu| -> Result<_> {
            let gru = Gru::with_weights(gpu, config.clone(), &weights)?;
            let net = gru.unroll(unroll)?;
            Ok((gru, net))
        };
        Ok(Self {
            size,
            unroll,
            batch: Batch::random(&config, size.seq_len, size.batch, 2),
            cpu,
            gpu: gpu.map(on_gpu).transpose()?,
            forward_flops: plan.forward_flops(),
            backward_flops: plan.backward_flops(),
            config,
            weights,
        })
    }

    /// Runs both sides once and checks every number that they make: both against the f64 oracle if a forward pass has
    /// at most so many FLOPs or there is no GPU, else the GPU against the CPU layer. After it both sides hold the
    /// batch.
    pub(crate) fn validate(&mut self, oracle_flops: u64) -> Result<Checked> {
        self.run_cpu()?;
        if let Some((gru, net)) = &mut self.gpu {
            net.input().write(&self.batch.x)?;
            net.h0().write(&self.batch.h0)?;
            if self.unroll.mode == Mode::Training {
                net.d_output()?.write(&self.batch.d_output)?;
                net.d_h_n()?.write(&self.batch.d_h_n)?;
            }
            run_gpu(gru, net)?;
            gru.gpu().wait_blocking()?;
        }
        let by_oracle = self.gpu.is_none() || self.forward_flops <= oracle_flops;
        let expectations =
            if by_oracle { expectation(&self.config, &self.weights, &self.batch) } else { self.expectation_of_cpu() };
        let mut share = 0.0_f64;
        let mut check = |side: &str, name: &str, values: &[f32]| {
            let Some(right) = expectations.iter().find(|right| right.tensor == name) else { return };
            let worst = right.tolerance.compare(values, &right.values);
            assert!(worst.passed(), "{} {side} {name}: {worst:?}", self.size.label());
            share = share.max(worst.share);
        };
        if by_oracle {
            self.of_cpu().into_iter().for_each(|(name, values)| check("CPU", &name, values));
        }
        for (name, tensor) in self.of_gpu()? {
            check("GPU", &name, &tensor.read_blocking()?);
        }
        let by = if by_oracle { "f64 oracle" } else { "CPU layer" };
        Ok(Checked { by, share })
    }

    /// A pass on the CPU: forward, and backward for training.
    pub(crate) fn run_cpu(&mut self) -> Result<()> {
        let Batch { x, h0, d_output, d_h_n, .. } = &self.batch;
        self.cpu.forward(x, Some(h0))?;
        if self.unroll.mode == Mode::Training { self.cpu.backward(Some(d_output), Some(d_h_n)) } else { Ok(()) }
    }

    /// What the CPU layer made, with budgets for two sides that both round.
    fn expectation_of_cpu(&self) -> Vec<Expectation> {
        let Size { seq_len, batch, input, hidden } = self.size;
        let time = Tolerance::through_time(input + hidden, seq_len);
        let sums = time.plus(Tolerance::through_time(3 * hidden, seq_len)).plus(Tolerance::matmul(seq_len * batch));
        let expect = |(tensor, values): (String, &[f32])| {
            let most = values.iter().fold(1.0_f64, |most, &value| most.max(f64::from(value).abs()));
            let tolerance = if tensor.starts_with("d_") { sums } else { time };
            Expectation { tensor, values: widen(values), tolerance: tolerance.scaled(2.0 * most) }
        };
        self.of_cpu().into_iter().map(expect).collect()
    }

    /// What the CPU layer made, by name.
    fn of_cpu(&self) -> Vec<(String, &[f32])> {
        let mut list = vec![("output".to_owned(), self.cpu.output()), ("h_n".to_owned(), self.cpu.h_n())];
        if self.unroll.mode == Mode::Training {
            let gradients = self.cpu.gradients();
            // Empty where nobody wants it.
            list.extend(Some(("d_input".to_owned(), &gradients.input[..])).filter(|_| self.unroll.input_gradient));
            list.push(("d_h0".to_owned(), &gradients.h0));
            let names = CellWeights::NAMES.map(|name| format!("d_{name}_l0"));
            list.extend(names.into_iter().zip(gradients.weights.arrays()));
        }
        list
    }

    /// What the GPU made, by name.
    fn of_gpu(&self) -> Result<Vec<(String, &Tensor)>> {
        let Some((_, net)) = &self.gpu else { return Ok(Vec::new()) };
        let mut list = vec![("output".to_owned(), net.output()), ("h_n".to_owned(), net.h_n())];
        if self.unroll.mode == Mode::Training {
            let gradients = net.gradients()?;
            list.extend(gradients.input.iter().map(|input| ("d_input".to_owned(), input)));
            list.push(("d_h0".to_owned(), &gradients.h0));
            let parameters = gradients.parameters.named(&self.config);
            list.extend(parameters.map(|(name, tensor)| (format!("d_{name}"), tensor)));
        }
        Ok(list)
    }
}

/// Submits a pass on the GPU: forward, and backward for training. It does not wait.
pub(crate) fn run_gpu(gru: &Gru, net: &mut Unrolled) -> Result<()> {
    gru.gpu().submit(|encoder| encode(net, encoder))
}

/// Records what [`run_gpu`] submits.
pub(crate) fn encode(net: &mut Unrolled, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
    net.encode_forward(encoder)?;
    if net.plan().backward_flops() > 0 { net.encode_backward(encoder) } else { Ok(()) }
}
