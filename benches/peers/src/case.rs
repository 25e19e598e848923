//! What is computed: the sizes, and the same weights, inputs and output gradients for everybody.

use anyhow::{Context, Result};
use wgpu_gru::verify::Batch;
use wgpu_gru::{CellWeights, GruConfig, Plan, Unroll, Weights, wgpu};

/// The sizes of a layer and of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) name: &'static str,
    /// T.
    pub(crate) steps: usize,
    /// B.
    pub(crate) rows: usize,
    /// I.
    pub(crate) inputs: usize,
    /// H.
    pub(crate) units: usize,
}

/// Three of growing width, a short stream, one of large steps, a long stream. `python.py` has the same list.
pub(crate) const SIZES: [Size; 6] = [
    size("s1", 64, 32, 128, 128),
    size("s2", 128, 32, 256, 256),
    size("s3", 64, 64, 512, 512),
    size("s4", 100, 1, 64, 64),
    size("s5", 32, 64, 1024, 1024),
    size("s6", 480, 1, 64, 96),
];

const fn size(name: &'static str, steps: usize, rows: usize, inputs: usize, units: usize) -> Size {
    Size { name, steps, rows, inputs, units }
}

impl Size {
    /// The size of this name.
    pub(crate) fn named(name: &str) -> Result<Self> {
        SIZES.into_iter().find(|size| size.name == name).with_context(|| format!("there is no size {name}"))
    }

    /// (T, B, I, H).
    pub(crate) fn label(&self) -> String {
        format!("{} ({}, {}, {}, {})", self.name, self.steps, self.rows, self.inputs, self.units)
    }
}

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pass {
    /// All steps, until the last state is on the host.
    Forward,
    /// All steps forth and back, until the gradients of all weights are made and a small one is on the host.
    Training,
}

impl Pass {
    /// Its name on the command line and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Training => "training",
        }
    }
}

/// One size with all its numbers.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) size: Size,
    pub(crate) config: GruConfig,
    pub(crate) weights: Weights,
    /// x, h0 and the gradient of the output. That of the last state is zero: the loss is a weighted sum of the output.
    pub(crate) batch: Batch,
}

impl Case {
    /// The seeds are those of `python.py`.
    pub(crate) fn new(size: Size) -> Self {
        let config = GruConfig::new(size.inputs, size.units);
        let weights = Weights::random(&config, 1);
        let mut batch = Batch::random(&config, size.steps, size.rows, 2);
        batch.d_h_n.fill(0.0);
        Self { size, config, weights, batch }
    }

    /// The weights of the one cell, in PyTorch's layout.
    pub(crate) fn cell(&self) -> &CellWeights {
        &self.weights.cells[0]
    }

    /// How wgpu-gru lays the layer out.
    pub(crate) fn unroll(&self, pass: Pass) -> Unroll {
        match pass {
            Pass::Forward => Unroll::inference(self.size.steps, self.size.rows),
            // Nobody else makes the gradient of the input either.
            Pass::Training => Unroll::training(self.size.steps, self.size.rows).input_gradient(false),
        }
    }

    /// The floating-point operations of the matrix products.
    pub(crate) fn flops(&self, pass: Pass) -> Result<u64> {
        let plan =
            Plan::new(&self.config, &self.unroll(pass), &wgpu::Limits::default(), wgpu::DeviceType::DiscreteGpu)?;
        Ok(match pass {
            Pass::Forward => plan.forward_flops(),
            Pass::Training => plan.forward_flops() + plan.backward_flops(),
        })
    }
}

/// `[outer, inner, width]` to `[inner, outer, width]`: from time-major to batch-first, or back.
#[cfg(any(feature = "burn", feature = "candle"))]
pub(crate) fn swap_outer(values: &[f32], outer: usize, inner: usize, width: usize) -> Vec<f32> {
    let mut swapped = Vec::with_capacity(values.len());
    for i in 0..inner {
        for o in 0..outer {
            swapped.extend_from_slice(&values[(o * inner + i) * width..][..width]);
        }
    }
    swapped
}

/// `[rows, columns]` to `[columns, rows]`.
pub(crate) fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    (0..values.len()).map(|at| values[at % rows * columns + at / rows]).collect()
}
