//! The budgets of numbers of 16 bits, from below: they are not so wide that a mistake of a few of their roundings fits in.

use wgpu_gru::verify::{Batch, Expectation, expectation_of};
use wgpu_gru::{Gpu, GruConfig, Recurrent, Saved, Tensor, Unroll, Weights};

use crate::support::{read, verify_batch};

trials![weights, gates];

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
    assert_found(&shares, "output", 64.0);
    assert_found(&shares, "d_", 192.0);
}

/// Forward they play no part.
fn gates(gpu: &Gpu) {
    let shares = shares(gpu, Unroll::training(9, 5).saved(Saved::Half));
    assert_found(&shares, "d_h0", 16.0);
    assert_found(&shares, "d_weight", 16.0);
    assert_found(&shares, "d_", 48.0);
}
