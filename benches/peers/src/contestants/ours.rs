//! wgpu-gru itself, on the GPU and on the CPU.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use wgpu_gru::cpu::{CpuGru, CpuUnrolled};
use wgpu_gru::{CellWeights, Gpu, Gru, Tensor, Unrolled};

use crate::case::{Case, Pass};
use crate::contestants::Contestant;

/// A software adapter may well take minutes for a training pass.
const PATIENCE: Duration = Duration::from_secs(900);

/// The adapter that wgpu-gru takes, opened at the first call.
pub(crate) fn open_gpu() -> Result<&'static Gpu> {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    if let Some(gpu) = GPU.get() {
        return Ok(gpu);
    }
    let gpu = Gpu::new_blocking()?;
    gpu.set_readback_timeout(PATIENCE);
    Ok(GPU.get_or_init(|| gpu))
}

/// wgpu-gru on the GPU.
#[derive(Debug)]
pub(super) struct OnGpu {
    gru: Gru,
    net: Unrolled,
    pass: Pass,
}

impl OnGpu {
    pub(super) fn new(case: &Case, pass: Pass) -> Result<Self> {
        let gru = Gru::with_weights(open_gpu()?, case.config.clone(), &case.weights)?;
        let net = gru.unroll(case.unroll(pass))?;
        net.input().write(&case.batch.x)?;
        net.h0().write(&case.batch.h0)?;
        if pass == Pass::Training {
            net.d_output()?.write(&case.batch.d_output)?;
        }
        Ok(Self { gru, net, pass })
    }
}

impl Contestant for OnGpu {
    fn run(&mut self) -> Result<Vec<f32>> {
        let Self { gru, net, pass } = self;
        gru.gpu().submit(|encoder| {
            net.encode_forward(encoder)?;
            if *pass == Pass::Training { net.encode_backward(encoder) } else { Ok(()) }
        })?;
        Ok(match pass {
            Pass::Forward => net.h_n().read_blocking()?,
            Pass::Training => read(&net.gradients()?.parameters.cells[0].bias_hh)?,
        })
    }

    fn gradients(&mut self) -> Result<CellWeights> {
        let cell = &self.net.gradients()?.parameters.cells[0];
        Ok(CellWeights {
            weight_ih: cell.weight_ih.read_blocking()?,
            weight_hh: cell.weight_hh.read_blocking()?,
            bias_ih: read(&cell.bias_ih)?,
            bias_hh: read(&cell.bias_hh)?,
        })
    }
}

/// A bias to the host.
fn read(bias: &Option<Tensor>) -> Result<Vec<f32>> {
    Ok(bias.as_ref().context("there is no bias")?.read_blocking()?)
}

/// wgpu-gru's CPU layer.
#[derive(Debug)]
pub(super) struct OnCpu {
    net: CpuUnrolled,
    x: Vec<f32>,
    h0: Vec<f32>,
    d_output: Vec<f32>,
    pass: Pass,
}

impl OnCpu {
    pub(super) fn new(case: &Case, pass: Pass) -> Result<Self> {
        let net = CpuGru::new(case.config.clone(), &case.weights)?.unroll(case.unroll(pass))?;
        let batch = &case.batch;
        Ok(Self { net, x: batch.x.clone(), h0: batch.h0.clone(), d_output: batch.d_output.clone(), pass })
    }
}

impl Contestant for OnCpu {
    fn run(&mut self) -> Result<Vec<f32>> {
        self.net.forward(&self.x, Some(&self.h0))?;
        Ok(match self.pass {
            Pass::Forward => self.net.h_n().to_vec(),
            Pass::Training => {
                self.net.backward(Some(&self.d_output), None)?;
                self.net.gradients().weights.bias_hh.clone()
            }
        })
    }

    fn gradients(&mut self) -> Result<CellWeights> {
        Ok(self.net.gradients().weights.clone())
    }
}
