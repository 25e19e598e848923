//! Whole layers against the oracle.

use wgpu_gru::Schedule;
use wgpu_gru::verify::{Batch, expectation_of, verify_batch};
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Cell, Config, Gpu, Recurrent, Tensor, Unroll, Unrolled};

use super::{BRIEF, Failure, Outcome, ensure, equal};
use crate::support::{close, note};

/// What is recorded is what the plan says: the same kernels as often.
pub(crate) fn as_planned(net: &Unrolled) -> Outcome {
    let (plan, what) = (net.plan(), format!("{:?} {:?}", net.config(), net.unroll()));
    equal(&net.recorded(), &plan.kernels(), format_args!("{what}"))?;
    let dispatches = net.recorded().map(|list| list.iter().map(|(_, count)| count).sum::<usize>());
    equal(&dispatches, &[plan.forward_dispatches(), plan.backward_dispatches()], format_args!("{what}"))
}

/// A layer forward and backward over a batch against the oracle, every tensor of it.
pub(crate) async fn check_batch(layer: &Recurrent, unroll: Unroll, batch: &Batch) -> Outcome<Unrolled> {
    let config = layer.config();
    let what = |error: wgpu_gru::Error| Failure::from(format!("{config:?} {unroll:?}\n{error}"));
    let mut net = layer.unroll(unroll).map_err(what)?;
    as_planned(&net)?;
    let report = verify_batch(layer, &mut net, batch).await.map_err(what)?;
    note(report.worst_share());
    // Output, h_n, d_h0 and the gradients of all parameters, and what was asked for.
    let parameters = config.num_cells() * if config.bias { 4 } else { 2 };
    let wanted = usize::from(unroll.gradient_norms) + usize::from(unroll.input_gradient);
    let is_whole = report.tensors.len() == 3 + parameters + wanted;
    ensure(is_whole, format_args!("{config:?} {unroll:?}\n{report}"))?;
    Ok(net)
}

/// A layer forward and backward over a random batch against the oracle, every tensor of it; natively without training
/// as well.
pub(crate) async fn check<C: Copy + Into<Cell>>(gpu: &Gpu, config: &Config<C>, unroll: Unroll) -> Outcome<Unrolled> {
    let batch = Batch::random(config, unroll.seq_len, unroll.batch, 5);
    check_both(gpu, config.erased(), unroll, &batch).await
}

/// [`check`] where rows have lengths.
pub(crate) async fn check_lengths<C: Copy + Into<Cell>>(
    gpu: &Gpu,
    config: &Config<C>,
    unroll: Unroll,
    lengths: &[usize],
) -> Outcome<Unrolled> {
    let mut batch = Batch::random(config, unroll.seq_len, unroll.batch, 5);
    batch.lengths = Some(lengths.to_vec());
    check_both(gpu, config.erased(), unroll.lengths(true), &batch).await
}

/// [`check`] where episodes begin inside of the sequence, and rows may have lengths.
pub(crate) async fn check_episodes<C: Copy + Into<Cell>>(
    gpu: &Gpu,
    config: &Config<C>,
    unroll: Unroll,
    lengths: Option<&[usize]>,
) -> Outcome<Unrolled> {
    let mut batch = Batch::random(config, unroll.seq_len, unroll.batch, 5);
    batch.lengths = lengths.map(<[usize]>::to_vec);
    // In one row at the first step, in one twice, one behind the other, in the others not at all. Past its end in each,
    // where it says nothing.
    let starts = (0..unroll.seq_len * unroll.batch).map(|at| {
        let (step, row) = (at / unroll.batch, at % unroll.batch);
        let is_past = lengths.is_some_and(|lengths| step >= lengths[row]);
        is_past
            || match row {
                0 => step == 0,
                1 => [2, 3, unroll.seq_len - 1].contains(&step),
                _ => false,
            }
    });
    batch.episode_starts = Some(starts.collect());
    check_both(gpu, config.erased(), unroll.lengths(lengths.is_some()).episode_starts(true), &batch).await
}

async fn check_both(gpu: &Gpu, config: Config, unroll: Unroll, batch: &Batch) -> Outcome<Unrolled> {
    let without_dropout = config.dropout == 0.0;
    let layer = Recurrent::new(gpu, config, 3)?;
    let net = check_batch(&layer, unroll, batch).await?;
    if without_dropout && !BRIEF {
        let inference = Unroll::inference(unroll.seq_len, unroll.batch);
        let inference = inference.lengths(unroll.lengths).f16_weights(unroll.f16_weights);
        let inference = inference.f16_products(unroll.f16_products).episode_starts(unroll.episode_starts);
        let inference = unroll.wavefront.map_or(inference, |wanted| inference.wavefront(wanted));
        check_outputs(&layer, inference, batch).await?;
    }
    Ok(net)
}

/// A layer without training over a random batch: output and last states.
pub(crate) async fn check_inference<C: Copy + Into<Cell>>(gpu: &Gpu, config: &Config<C>, unroll: Unroll) -> Outcome {
    let layer = Recurrent::new(gpu, config.erased(), 3)?;
    check_outputs(&layer, unroll, &Batch::random(config, unroll.seq_len, unroll.batch, 5)).await
}

/// A layer without training over a batch: output and last states.
pub(crate) async fn check_outputs(layer: &Recurrent, unroll: Unroll, batch: &Batch) -> Outcome {
    let expected = expectation_of(layer.config(), &unroll, &layer.read_weights().await?, batch);
    let mut net = layer.unroll(unroll)?;
    as_planned(&net)?;
    if let Some(lengths) = &batch.lengths {
        net.set_lengths(lengths)?;
    }
    if let Some(starts) = &batch.episode_starts {
        net.set_episode_starts(starts)?;
    }
    let [x, h0] = [(net.input(), &batch.x), (net.h0(), &batch.h0)]
        .map(|(place, host)| Tensor::from_slice(layer.gpu(), place.shape(), host));
    let out = net.forward(&x?, Some(&h0?))?;
    for (tensor, expected) in [(out.output, &expected[0]), (out.h_n, &expected[1])] {
        let name = format!("{:?} {unroll:?}: {}", layer.config(), expected.tensor);
        close(&name, &tensor.read().await?, &expected.values, expected.tolerance)?;
    }
    Ok(())
}

/// As it is planned for both classes of adapters, with both schedules.
pub(crate) fn everywhere(unroll: Unroll) -> [Unroll; 4] {
    let planned = |class, schedule| unroll.adapter_class(class).schedule(schedule);
    [
        planned(DeviceType::Cpu, Schedule::Step),
        planned(DeviceType::Cpu, Schedule::Rows),
        planned(DeviceType::DiscreteGpu, Schedule::Step),
        planned(DeviceType::DiscreteGpu, Schedule::Rows),
    ]
}
