//! The oracle for the plain GRU of one layer: forward in time, all rows equally long.

use wgpu_gru::reference::oracle::{self, Run};
use wgpu_gru::verify::Batch;
use wgpu_gru::{GruConfig, Tolerance, Weights};

/// What a forward pass gives.
pub(crate) struct Forward {
    run: Run,
    inner: oracle::Forward,
}

impl Forward {
    pub(crate) fn output(&self) -> &[f64] {
        &self.inner.output
    }

    pub(crate) fn h_n(&self) -> &[f64] {
        &self.inner.h_n
    }
}

/// What a backward pass gives.
pub(crate) struct Gradients {
    pub(crate) d_x: Vec<f64>,
    pub(crate) d_h0: Vec<f64>,
    pub(crate) d_weight_ih: Vec<f64>,
    pub(crate) d_weight_hh: Vec<f64>,
    pub(crate) d_bias_ih: Vec<f64>,
    pub(crate) d_bias_hh: Vec<f64>,
}

pub(crate) fn forward(
    config: &GruConfig,
    weights: &Weights,
    seq_len: usize,
    batch: usize,
    x: &[f64],
    h0: &[f64],
) -> Forward {
    let run = Run { seq_len, batch, lengths: None, dropout: Vec::new() };
    let inner = oracle::forward(&config.erased(), &oracle::cells(weights), &run, x, h0);
    Forward { run, inner }
}

pub(crate) fn backward(
    config: &GruConfig,
    weights: &Weights,
    forward: &Forward,
    d_output: &[f64],
    d_h_n: &[f64],
) -> Gradients {
    let cells = oracle::cells(weights);
    let oracle::Gradients { d_x, d_h0, cells, .. } =
        oracle::backward(&config.erased(), &cells, &forward.run, &forward.inner, d_output, d_h_n);
    let [cell] = <[oracle::CellWeights; 1]>::try_from(cells).expect("one cell");
    let oracle::CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } = cell;
    let (d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh) = (weight_ih, weight_hh, bias_ih, bias_hh);
    Gradients { d_x, d_h0, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh }
}

/// The expectations of a plain layer, `output`, `h_n`, `d_input`, `d_h0` and the four gradients of the parameters, as arrays.
pub(crate) fn expectation(config: &GruConfig, weights: &Weights, batch: &Batch) -> ([Vec<f64>; 8], [Tolerance; 8]) {
    let mut list = wgpu_gru::verify::expectation(config, weights, batch);
    list.truncate(8);
    let tolerances = list.iter().map(|expected| expected.tolerance).collect::<Vec<_>>();
    let values = list.into_iter().map(|expected| expected.values).collect::<Vec<_>>();
    (values.try_into().expect("eight tensors"), tolerances.try_into().expect("eight tensors"))
}
