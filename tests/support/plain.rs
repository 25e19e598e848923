//! The plain GRU: one layer, forward in time, all rows equally long.

use wgpu_gru::verify::{self, Batch};
use wgpu_gru::{GruConfig, Tolerance, Weights};

/// The expectations of a plain layer, `output`, `h_n`, `d_input`, `d_h0` and the four gradients of the parameters, as
/// arrays.
pub(crate) fn expectation(config: &GruConfig, weights: &Weights, batch: &Batch) -> ([Vec<f64>; 8], [Tolerance; 8]) {
    let mut list = verify::expectation(config, weights, batch);
    list.truncate(8);
    let tolerances = list.iter().map(|expected| expected.tolerance).collect::<Vec<_>>();
    let values = list.into_iter().map(|expected| expected.values).collect::<Vec<_>>();
    (values.try_into().expect("eight tensors"), tolerances.try_into().expect("eight tensors"))
}
