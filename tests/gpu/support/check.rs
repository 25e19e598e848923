//! Whole layers: everything that a pass makes, and the check of it against the oracle.

use wgpu_gru::verify::{self, Batch, Report, expectation_of};
use wgpu_gru::{Cell, Config, Error, Gpu, Recurrent, Tensor, Unroll, Unrolled};

use super::common::numbers::{assert_close, note};
use super::device::{read, tensor};

/// Fails unless what is recorded is what the plan says: the same kernels as often.
#[track_caller]
pub(crate) fn assert_as_planned(net: &Unrolled) {
    let plan = net.plan();
    let what = format!("{:?} {:?}", net.config(), net.unroll());
    assert_eq!(net.recorded(), plan.kernels(), "{what}");
    let dispatches = net.recorded().map(|list| list.iter().map(|(_, count)| count).sum::<usize>());
    assert_eq!(dispatches, [plan.forward_dispatches(), plan.backward_dispatches()], "{what}");
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

/// Forward, and where it is training backward, over a batch from host numbers: everything that is made, by the names that
/// [`verify::expectation`] has.
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

/// A layer over a batch against the oracle, every tensor of it; as many dispatches as the plan says.
pub(crate) fn check_batch(layer: &Recurrent, unroll: Unroll, batch: &Batch) -> Unrolled {
    let config = layer.config();
    let mut net = layer.unroll(unroll).expect("an unroll");
    assert_as_planned(&net);
    let report = match pollster::block_on(verify_batch(layer, &mut net, batch)) {
        Ok(report) => report,
        Err(Error::OverBudget(report)) => panic!("{config:?} {unroll:?}\n{report}"),
        Err(error) => panic!("{config:?} {unroll:?}\n{error}"),
    };
    // Output, h_n, d_h0 and the gradients of all parameters, and what was asked for.
    let parameters = config.num_cells() * if config.bias { 4 } else { 2 };
    let wanted = usize::from(unroll.gradient_norms) + usize::from(unroll.input_gradient);
    assert_eq!(report.tensors.len(), 3 + parameters + wanted, "{config:?} {unroll:?}\n{report}");
    net
}

/// [`check_batch`] of random numbers; and the same output and last states without training.
pub(crate) fn check<C: Copy + Into<Cell>>(gpu: &Gpu, config: &Config<C>, unroll: Unroll) -> Unrolled {
    check_both(gpu, &config.erased(), unroll, &Batch::random(config, unroll.seq_len, unroll.batch, 5))
}

/// [`check`] where rows have lengths.
pub(crate) fn check_lengths<C: Copy + Into<Cell>>(
    gpu: &Gpu,
    config: &Config<C>,
    unroll: Unroll,
    lengths: &[usize],
) -> Unrolled {
    let mut batch = Batch::random(config, unroll.seq_len, unroll.batch, 5);
    batch.lengths = Some(lengths.to_vec());
    check_both(gpu, &config.erased(), unroll.lengths(true), &batch)
}

fn check_both(gpu: &Gpu, config: &Config, unroll: Unroll, batch: &Batch) -> Unrolled {
    let layer = Recurrent::new(gpu, config.clone(), 3).expect("a layer");
    let net = check_batch(&layer, unroll, batch);
    if config.dropout == 0.0 {
        check_inference(&layer, unroll, batch);
    }
    net
}

/// Output and last states without training.
fn check_inference(layer: &Recurrent, unroll: Unroll, batch: &Batch) {
    let weights = pollster::block_on(layer.read_weights()).expect("weights");
    let expected = expectation_of(layer.config(), &unroll, &weights, batch);
    let inference = Unroll::inference(unroll.seq_len, unroll.batch);
    let inference = inference.lengths(unroll.lengths).f16_weights(unroll.f16_weights);
    let inference = inference.f16_products(unroll.f16_products);
    let inference = unroll.wavefront.map_or(inference, |wanted| inference.wavefront(wanted));
    let made = results(&mut layer.unroll(inference).expect("an unroll"), batch);
    for ((_, actual), expected) in made.iter().zip(&expected) {
        let name = format!("{:?} {inference:?}: {}", layer.config(), expected.tensor);
        assert_close(&name, actual, &expected.values, expected.tolerance);
    }
}
