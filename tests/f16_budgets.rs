//! The budgets of recurrent weights of 16 bits from both sides, by the oracle alone and so over many layers: weights
//! that a device may round them to are within them, larger mistakes are over them. `tests/gpu/half.rs` does so
//! on a device.

use wgpu_gru::f16::{from_f16, neighbours, to_f16};
use wgpu_gru::verify::{Batch, Expectation, expectation, expectation_of};
use wgpu_gru::{Activation, Config, Direction, GruConfig, Reset, RnnConfig, Tolerance, Unroll, Weights};

mod support;

use support::rounded;

/// I, H; T, B: one step and many, one row and many, products of few terms and of many.
const SHAPES: [[usize; 4]; 8] = [
    [1, 4, 1, 1],
    [5, 4, 9, 5],
    [5, 4, 100, 2],
    [3, 8, 300, 1],
    [5, 16, 2, 40],
    [7, 36, 9, 5],
    [5, 64, 1, 1],
    [20, 64, 40, 3],
];

fn configs(inputs: usize, hidden: usize) -> Vec<Config> {
    let (gru, rnn) = (GruConfig::new(inputs, hidden), RnnConfig::new(inputs, hidden));
    let both = gru.clone().num_layers(2).direction(Direction::Bidirectional);
    let softsign = gru.clone().gate_activation(Activation::Softsign).candidate_activation(Activation::Softsign);
    vec![
        gru.clone().erased(),
        gru.clone().reset(Reset::Before).direction(Direction::Reverse).erased(),
        both.batch_first(true).erased(),
        gru.num_layers(3).bias(false).erased(),
        softsign.erased(),
        rnn.clone().erased(),
        rnn.num_layers(2).erased(),
    ]
}

/// Layers, their weights as they are drawn and twice as large, with which a plain RNN no longer forgets.
fn layers() -> impl Iterator<Item = (Config, Weights, Batch)> {
    let shapes = (1..).zip(SHAPES).flat_map(|(seed, [inputs, hidden, seq_len, batch])| {
        configs(inputs, hidden).into_iter().map(move |config| (config, seq_len, batch, seed))
    });
    shapes.flat_map(|(config, seq_len, batch, seed)| {
        let batch = Batch::random(&config, seq_len, batch, seed + 100);
        let weights = Weights::random(&config, seed);
        [1.0, 2.0].map(|times| (config.clone(), rounded::recurrent(&weights, |weight| times * weight), batch.clone()))
    })
}

/// The largest share of a budget that any tensor uses where a layer of 16-bit weights has these weights instead of its
/// own.
fn worst_share(config: &Config, weights: &Weights, batch: &Batch, instead: &Weights) -> f64 {
    let unroll = Unroll::training(batch.seq_len, batch.batch).f16_weights(true);
    let budgets = expectation_of(config, &unroll, weights, batch);
    let pairs = budgets.into_iter().zip(expectation(config, instead, batch));
    let share = |(own, other): (Expectation, Expectation)| own.tolerance.compare(&other.values, &own.values).share;
    pairs.map(share).fold(0.0, f64::max)
}

#[test]
fn every_rounding_is_within() {
    for (config, weights, batch) in layers() {
        for rounding in ["to the nearest", "towards zero", "up"] {
            let instead = rounded::recurrent(&weights, |weight| match rounding {
                "to the nearest" => from_f16(to_f16(weight)),
                "towards zero" => neighbours(weight)[0],
                _ => neighbours(weight)[usize::from(weight > 0.0)],
            });
            let share = worst_share(&config, &weights, &batch, &instead);
            assert!(
                share <= 1.0 / Tolerance::LAMBDA,
                "{rounding}: {share} of {config:?}, T {}, B {}",
                batch.seq_len,
                batch.batch
            );
        }
    }
}

#[test]
fn larger_mistakes_are_over() {
    for (config, weights, batch) in layers() {
        for (mistake, instead) in rounded::mistakes(&weights) {
            let share = worst_share(&config, &weights, &batch, &instead);
            assert!(share > 1.0, "{mistake}: {share} of {config:?}, T {}, B {}", batch.seq_len, batch.batch);
        }
    }
}
