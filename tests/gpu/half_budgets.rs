//! The budgets of numbers of 16 bits, from below: they are not so wide that a mistake of a few of their roundings fits in.
//! `tests/half_budgets.rs` holds those of the weights over many more layers, by the oracle alone.

use wgpu_gru::verify::{Batch, Expectation, expectation_of};
use wgpu_gru::{Config, Direction, Gpu, GruConfig, Recurrent, Reset, RnnConfig, Saved, Tensor, Unroll, Weights};

use crate::device::read;
use crate::rounded::mistakes;
use crate::support::verify_batch;

trials![weights, wrong_weights, gates];

/// The largest shares of their budgets, by tensor, that a layer's numbers of 16 bits use.
fn shares(gpu: &Gpu, unroll: Unroll) -> Vec<(String, f64)> {
    let mut largest: Vec<(String, f64)> = Vec::new();
    for (seed, hidden) in (1..).zip([4, 16, 36, 64]) {
        let config = GruConfig::new(5, hidden);
        let (weights, batch) = (Weights::random(&config, seed), Batch::random(&config, 9, 5, seed + 100));
        let layer = Recurrent::with_weights(gpu, config.erased(), &weights).expect("a layer");
        let mut net = layer.unroll(unroll).expect("an unroll");
        pollster::block_on(verify_batch(&layer, &mut net, &batch)).expect("a layer within its budget");
        let gradients = net.gradients().expect("training");
        let d_input = gradients.input.as_ref().expect("it is wanted");
        let tensors: Vec<&Tensor> = [net.output(), net.h_n(), d_input, &gradients.h0]
            .into_iter()
            .chain(gradients.parameters.tensors())
            .collect();
        let expected = expectation_of(&config, &unroll, &weights, &batch);
        for (place, (tensor, Expectation { tensor: name, values, tolerance })) in
            tensors.into_iter().zip(&expected).enumerate()
        {
            let share = tolerance.compare(&read(tensor), values).share;
            match largest.get_mut(place) {
                Some((_, most)) => *most = most.max(share),
                None => largest.push((name.clone(), share)),
            }
        }
    }
    largest
}

/// An error so many times as large as that of the roundings is over the budget of each of these tensors.
#[track_caller]
fn assert_found(shares: &[(String, f64)], tensors: &str, times: f64) {
    let of_these = shares.iter().filter(|(name, _)| name.starts_with(tensors));
    let hidden: Vec<_> = of_these.clone().filter(|(_, share)| share * times < 1.0).collect();
    assert!(of_these.count() > 0 && hidden.is_empty(), "{times} times the error is within the budget: {hidden:?}");
}

fn weights(gpu: &Gpu) {
    let shares = shares(gpu, Unroll::training(9, 5).half_weights(true));
    // Of a device that rounds to the nearest. One that cuts off uses up to half.
    assert_found(&shares, "output", 8.0);
    assert_found(&shares, "d_", 8.0);
}

/// A layer that runs with other weights than it is held to fails.
fn wrong_weights(gpu: &Gpu) {
    let gru = GruConfig::new(5, 16);
    let configs: [Config; 4] = [
        gru.clone().erased(),
        gru.clone().reset(Reset::Before).erased(),
        gru.num_layers(2).direction(Direction::Bidirectional).erased(),
        RnnConfig::new(5, 16).erased(),
    ];
    for config in configs {
        let (weights, batch) = (Weights::random(&config, 1), Batch::random(&config, 9, 5, 2));
        let unroll = Unroll::training(9, 5).half_weights(true);
        let budget = &expectation_of(&config, &unroll, &weights, &batch)[0];
        for (mistake, instead) in mistakes(&weights) {
            let layer = Recurrent::with_weights(gpu, config.clone(), &instead).expect("a layer");
            let mut net = layer.unroll(unroll).expect("an unroll");
            pollster::block_on(verify_batch(&layer, &mut net, &batch)).expect("it does what it was told");
            let share = budget.tolerance.compare(&read(net.output()), &budget.values).share;
            assert!(share > 1.0, "{mistake}: the output of {config:?} uses {share} of its budget");
        }
    }
}

/// Forward they play no part.
fn gates(gpu: &Gpu) {
    let shares = shares(gpu, Unroll::training(9, 5).saved(Saved::Half));
    assert_found(&shares, "d_h0", 12.0);
    assert_found(&shares, "d_weight", 12.0);
    assert_found(&shares, "d_", 32.0);
}
