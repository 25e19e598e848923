//! Whole layers: everything that a pass makes, and the checks of it, for tests that panic.

use wgpu_gru::verify::{self, Batch, Report};
use wgpu_gru::{Cell, Config, Error, Gpu, Recurrent, Tensor, Unroll, Unrolled};

use super::common::numbers::note;
use super::device::{read, tensor};
use crate::checks::{self, Outcome};

/// What a check gives.
#[track_caller]
pub(crate) fn passed<T>(outcome: Outcome<T>) -> T {
    outcome.unwrap_or_else(|failure| panic!("{}", failure.describe()))
}

/// Fails unless as many dispatches are recorded as the plan says.
#[track_caller]
pub(crate) fn assert_as_planned(net: &Unrolled) {
    passed(checks::as_planned(net));
}

/// [`verify::verify_batch`], with the largest share noted; `None` where it is over the budget or refused.
pub(crate) async fn verify_batch<C: Copy + Into<Cell>>(
    layer: &Recurrent<C>,
    net: &mut Unrolled,
    batch: &Batch,
) -> Result<Report, Error> {
    let report = verify::verify_batch(layer, net, batch).await;
    if let Ok(report) = &report {
        note(report.worst_share());
    }
    report
}

/// Forward, and where it is training backward, over a batch from host numbers: everything that is made, by the names
/// that [`verify::expectation`] has.
pub(crate) fn results(net: &mut Unrolled, batch: &Batch) -> Vec<(String, Vec<f32>)> {
    let like = |of: &Tensor, host: &[f32]| tensor(of.gpu(), of.shape(), host);
    if let Some(lengths) = &batch.lengths {
        net.set_lengths(lengths).expect("lengths");
    }
    if net.gradients().is_ok() && net.config().dropout > 0.0 {
        net.set_dropout_seed(batch.dropout_seed).expect("a seed");
    }
    let (x, h0) = (like(net.input(), &batch.x), like(net.h0(), &batch.h0));
    let out = net.forward(&x, Some(&h0)).expect("a forward pass");
    let mut made = vec![("output".to_owned(), read(&out.output)), ("h_n".to_owned(), read(&out.h_n))];
    if net.gradients().is_ok() {
        let (d_output, d_h_n) = (like(net.output(), &batch.d_output), like(net.h_n(), &batch.d_h_n));
        let gradients = net.backward(Some(&d_output), Some(&d_h_n)).expect("a backward pass");
        made.extend(gradients.input.iter().map(|input| ("d_input".to_owned(), read(input))));
        made.push(("d_h0".to_owned(), read(&gradients.h0)));
        let named = gradients.parameters.named(net.config());
        made.extend(named.map(|(name, tensor)| (format!("d_{name}"), read(tensor))));
        made.extend(gradients.norms.iter().map(|norms| ("norms of d_h".to_owned(), read(norms))));
    }
    made
}

/// [`checks::check`].
#[track_caller]
pub(crate) fn check<C: Copy + Into<Cell>>(gpu: &Gpu, config: &Config<C>, unroll: Unroll) -> Unrolled {
    passed(pollster::block_on(checks::check(gpu, config, unroll)))
}

/// [`checks::check_lengths`].
#[track_caller]
pub(crate) fn check_lengths<C: Copy + Into<Cell>>(
    gpu: &Gpu,
    config: &Config<C>,
    unroll: Unroll,
    lengths: &[usize],
) -> Unrolled {
    passed(pollster::block_on(checks::check_lengths(gpu, config, unroll, lengths)))
}
