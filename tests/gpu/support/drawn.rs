//! Layers as `any_options` draws them: their numbers, whether they say anything, and the check of one against the
//! oracle.

use wgpu_gru::reference::oracle;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::verify::{Batch, Expectation, expectation};
use wgpu_gru::{CellWeights, Gpu, Recurrent, Unrolled, Weights};

use super::check::passed;
use super::common::any_options::Options;
use super::common::numbers::largest;
use super::device::{bits, tensor};
use crate::checks::layer::check_batch;

pub(crate) fn weights_of_drawn(options: &Options) -> Weights {
    Weights::random(&options.config, options.seed)
}

pub(crate) fn batch_of_drawn(options: &Options) -> Batch {
    let Options { config, unroll, lengths, episode_starts, has_h0, seed } = options;
    let mut batch = Batch::random(config, unroll.seq_len, unroll.batch, seed.wrapping_add(1));
    batch.lengths.clone_from(lengths);
    batch.episode_starts.clone_from(episode_starts);
    if !has_h0 {
        batch.h0.fill(0.0);
    }
    batch
}

/// Whether rounding can be told from a mistake. Not where it may put an argument on the other side of a kink, since the
/// slope is another one there. Layers of unbounded activations may grow beyond all bounds and make anything of their
/// rounding errors: not where the budget is no small part of the numbers, not where a square is beyond f32, and not
/// where so much as moving every number by two units in its last place uses a quarter of the budget. Only the oracle is
/// asked.
pub(crate) fn is_told(options: &Options) -> bool {
    let (config, batch, weights) = (&options.config, batch_of_drawn(options), weights_of_drawn(options));
    let expected = expectation(config, &weights, &batch);
    let [x, h0] = [&batch.x, &batch.h0].map(|values| oracle::widen(values));
    let forward = oracle::forward(config, &oracle::cells(&weights), &batch.run(config), &x, &h0);
    let tells = |Expectation { values, tolerance, .. }: &Expectation| {
        let size = largest(values);
        tolerance.abs < 0.01 * size.max(1.0) && size * size < f64::from(f32::MAX) / 1e3
    };
    if !expected.iter().all(tells) {
        return false;
    }
    if forward.distance_to_kink(config) < expected[0].tolerance.abs {
        return false;
    }
    let moved = expectation(config, &moved_weights(weights), &moved_batch(batch));
    let share = |(here, there): (&Expectation, Expectation)| here.tolerance.compare(&there.values, &here.values).share;
    expected.iter().zip(moved).map(share).all(|share| share <= 0.25)
}

/// Moves every number by at most two units in its last place.
fn moved(uniform: &mut SplitMix64, values: &mut [f32]) {
    values.iter_mut().for_each(|value| *value *= 1.0 + (uniform.next_f32() * 2.5).round() * f32::EPSILON);
}

fn moved_weights(mut weights: Weights) -> Weights {
    let mut uniform = SplitMix64::new(1);
    for CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } in &mut weights.cells {
        [weight_ih, weight_hh, bias_ih, bias_hh].into_iter().for_each(|values| moved(&mut uniform, values));
    }
    weights
}

fn moved_batch(mut batch: Batch) -> Batch {
    let mut uniform = SplitMix64::new(2);
    let Batch { x, h0, d_output, d_h_n, .. } = &mut batch;
    [x, h0, d_output, d_h_n].into_iter().for_each(|values| moved(&mut uniform, values));
    batch
}

/// A layer against the oracle; and without first states, where nobody gave any.
pub(crate) fn check_drawn(gpu: &Gpu, options: &Options) {
    let Options { config, unroll, has_h0, .. } = options;
    let batch = batch_of_drawn(options);
    let layer = Recurrent::with_weights(gpu, config.clone(), &weights_of_drawn(options)).expect("a layer");
    let mut net = passed(pollster::block_on(check_batch(&layer, *unroll, &batch)));
    if *has_h0 {
        return;
    }
    // Nobody's first states are zeros, whatever was there before.
    let out = |net: &Unrolled| [bits(net.output()), bits(net.h_n())];
    let expected = out(&net);
    let x = tensor(gpu, net.input().shape(), &batch.x);
    let other = tensor(gpu, net.h0().shape(), &vec![0.5; batch.h0.len()]);
    for h0 in [Some(&other), None] {
        if config.dropout > 0.0 {
            net.set_dropout_seed(batch.dropout_seed).expect("a seed");
        }
        net.forward(&x, h0).expect("a forward pass");
    }
    assert_eq!(out(&net), expected, "{options:?} without first states");
}
