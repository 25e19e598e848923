//! Layers with any options, drawn at random and always the same ones, on the GPU against the oracle: output, last states
//! and every gradient. `WGPU_GRU_CASES` says how many cases, `WGPU_GRU_SEED` from which seed on.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use wgpu_gru::plan::Schedule;
use wgpu_gru::reference::oracle;
use wgpu_gru::verify::{Batch, Expectation, expectation};
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{
    Activation, CellWeights, Config, Direction, Error, Gpu, GruConfig, Recurrent, Reset, RnnConfig, Saved, Uniform,
    Unroll, Unrolled, Weights,
};

use crate::any_options::{Options, any_options};
use crate::device::{bits, largest, property_from, tensor};
use crate::options::assert_as_planned;
use crate::settings;
use crate::support::verify_batch;

trials![any_options_together, corners, most_draws_are_told];

fn any_options_together(gpu: &Gpu) {
    let told = any_options().prop_filter("no f32 computation can be held to the budget", is_told);
    property_from(settings::seed().unwrap_or(7), settings::cases().unwrap_or(32), &told, |options| {
        check(gpu, &options);
    });
}

/// What a draw may miss; and what failed once, as it was shrunk.
fn corners(gpu: &Gpu) {
    let gru = || GruConfig::new(3, 5).reset(Reset::Before).direction(Direction::Bidirectional).clip(0.5);
    let unroll = || Unroll::training(3, 2).lengths(true).gradient_norms(true);
    let all = gru().num_layers(2).dropout(0.5).batch_first(true).bias(false);
    let corner = |config: Config, unroll: Unroll, lengths: &[usize]| {
        check(gpu, &Options { config, unroll, lengths: Some(lengths.to_vec()), has_h0: true, seed: 1 });
    };
    // No row has a step.
    corner(gru().erased(), unroll(), &[0, 0]);
    corner(all.erased(), unroll().saved(Saved::StatesOnly), &[0, 0]);
    // Planned as for a GPU: large tiles, slices, packed weights.
    let on_gpu = unroll().adapter_class(DeviceType::DiscreteGpu);
    let whole = GruConfig::new(3, 8).direction(Direction::Bidirectional).num_layers(2);
    for schedule in [Schedule::PerStep, Schedule::PerSequence] {
        corner(whole.erased(), on_gpu.schedule(schedule), &[3, 2]);
        corner(RnnConfig::new(2, 12).erased(), on_gpu.schedule(schedule).saved(Saved::StatesOnly), &[1, 3]);
    }
    // The biases of gates that are made again in two passes.
    corner(gru().erased(), unroll().saved(Saved::StatesOnly), &[3, 1]);
    // Everything at once.
    corner(all.erased(), unroll().saved(Saved::StatesOnly), &[3, 1]);
    corner(RnnConfig::new(1, 1).direction(Direction::Reverse).erased(), Unroll::training(1, 1).lengths(true), &[1]);
}

/// The filter lets through most of what is drawn, or the test would be of another thing than it says.
fn most_draws_are_told(_: &Gpu) {
    let (mut runner, strategy, draws) = (TestRunner::deterministic(), any_options(), 400);
    let mut draw = || strategy.new_tree(&mut runner).expect("nothing is filtered yet").current();
    let told = (0..draws).filter(|_| is_told(&draw())).count();
    assert!(told * 100 > draws * 95, "{told} of {draws}");

    // Of a few thousand draws the one that failed, as it was shrunk: its states grow to 1e64.
    let gru = GruConfig::new(2, 1).gate_activation(Activation::Softplus).candidate_activation(Activation::Softplus);
    let config = gru.num_layers(3).direction(Direction::Bidirectional).bias(false).erased();
    let unroll = Unroll::training(5, 1);
    let overflow = Options { config, unroll, lengths: None, has_h0: true, seed: 11_868_633_846_029_822_656 };
    assert!(!is_told(&overflow), "what f32 cannot hold");
}

pub(crate) fn weights(options: &Options) -> Weights {
    Weights::random(&options.config, options.seed)
}

pub(crate) fn batch(options: &Options) -> Batch {
    let Options { config, unroll, lengths, has_h0, seed } = options;
    let mut batch = Batch::random(config, unroll.seq_len(), unroll.batch(), seed.wrapping_add(1));
    batch.lengths.clone_from(lengths);
    if !has_h0 {
        batch.h0.fill(0.0);
    }
    batch
}

/// Whether rounding can be told from a mistake. Not where it may put an argument on the other side of a kink, since the slope
/// is another one there. Layers of unbounded activations may grow beyond all bounds and make anything of their rounding
/// errors: not where the budget is no small part of the numbers, not where a square is beyond f32, and not where so much as
/// moving every number by two units in its last place uses a quarter of the budget. Only the oracle is asked.
pub(crate) fn is_told(options: &Options) -> bool {
    let (config, batch, weights) = (&options.config, batch(options), weights(options));
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
fn moved(uniform: &mut Uniform, values: &mut [f32]) {
    values.iter_mut().for_each(|value| *value *= 1.0 + (uniform.next_f32() * 2.5).round() * f32::EPSILON);
}

fn moved_weights(mut weights: Weights) -> Weights {
    let mut uniform = Uniform::new(1);
    for CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } in &mut weights.cells {
        [weight_ih, weight_hh, bias_ih, bias_hh].into_iter().for_each(|values| moved(&mut uniform, values));
    }
    weights
}

fn moved_batch(mut batch: Batch) -> Batch {
    let mut uniform = Uniform::new(2);
    let Batch { x, h0, d_output, d_h_n, .. } = &mut batch;
    [x, h0, d_output, d_h_n].into_iter().for_each(|values| moved(&mut uniform, values));
    batch
}

pub(crate) fn check(gpu: &Gpu, options: &Options) {
    let Options { config, unroll, has_h0, .. } = options;
    let batch = batch(options);
    let layer = Recurrent::with_weights(gpu, config.clone(), &weights(options)).expect("a layer");
    let mut net = layer.unroll(*unroll).expect("an unroll");
    assert_as_planned(&net);
    let report = match pollster::block_on(verify_batch(&layer, &mut net, &batch)) {
        Ok(report) => report,
        Err(Error::OverBudget(report)) => panic!("{options:?}\n{report}"),
        Err(error) => panic!("{options:?}\n{error}"),
    };
    let parameters = config.num_cells() * if config.has_bias() { 4 } else { 2 };
    let wanted = usize::from(unroll.has_gradient_norms()) + usize::from(unroll.has_input_gradient());
    assert_eq!(report.tensors.len(), 3 + parameters + wanted, "{options:?}\n{report}");
    if *has_h0 {
        return;
    }
    // Nobody's first states are zeros, whatever was there before.
    let out = |net: &Unrolled| [bits(net.output()), bits(net.h_n())];
    let expected = out(&net);
    let x = tensor(gpu, net.input().shape(), &batch.x);
    let other = tensor(gpu, net.h0().shape(), &vec![0.5; batch.h0.len()]);
    for h0 in [Some(&other), None] {
        if config.dropout_share() > 0.0 {
            net.set_dropout_seed(batch.dropout_seed).expect("a seed");
        }
        net.forward(&x, h0).expect("a forward pass");
    }
    assert_eq!(out(&net), expected, "{options:?} without first states");
}
