//! Layers with any options, drawn at random and always the same ones, on the GPU against the oracle: output, last
//! states and every gradient. `WGPU_GRU_CASES` says how many cases, `WGPU_GRU_SEED` from which seed on.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use wgpu_gru::Schedule;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Activation, Config, Direction, Gpu, GruConfig, Reset, RnnConfig, Saved, Unroll};

use crate::support::{Options, any_options, check_drawn, is_told, property_from, settings};

trials![any_options_together, corners, most_draws_are_told];

fn any_options_together(gpu: &Gpu) {
    let told = any_options().prop_filter("no f32 computation can be held to the budget", is_told);
    property_from(settings::seed().unwrap_or(7), settings::cases().unwrap_or(32), &told, |options| {
        check_drawn(gpu, &options);
    });
}

/// What a draw may miss; and what failed once, as it was shrunk.
fn corners(gpu: &Gpu) {
    let gru = || GruConfig::new(3, 5).reset(Reset::Before).direction(Direction::Bidirectional).clip(0.5);
    let unroll = || Unroll::training(3, 2).lengths(true).gradient_norms(true);
    let all = gru().num_layers(2).dropout(0.5).batch_first(true).bias(false);
    let corner = |config: Config, unroll: Unroll, lengths: &[usize]| {
        check_drawn(
            gpu,
            &Options { config, unroll, lengths: Some(lengths.to_vec()), episode_starts: None, has_h0: true, seed: 1 },
        );
    };
    // No row has a step.
    corner(gru().erased(), unroll(), &[0, 0]);
    corner(all.erased(), unroll().saved(Saved::Recompute), &[0, 0]);
    // Planned as for a GPU: large tiles, slices, transposed weights.
    let on_gpu = unroll().adapter_class(DeviceType::DiscreteGpu);
    let whole = GruConfig::new(3, 8).direction(Direction::Bidirectional).num_layers(2);
    for schedule in [Schedule::Step, Schedule::Rows, Schedule::Exchange] {
        corner(whole.erased(), on_gpu.schedule(schedule), &[3, 2]);
        corner(RnnConfig::new(2, 12).erased(), on_gpu.schedule(schedule).saved(Saved::Recompute), &[1, 3]);
    }
    // The biases of gates that are made again in two passes.
    corner(gru().erased(), unroll().saved(Saved::Recompute), &[3, 1]);
    // Everything at once.
    corner(all.erased(), unroll().saved(Saved::Recompute), &[3, 1]);
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
    let overflow =
        Options { config, unroll, lengths: None, episode_starts: None, has_h0: true, seed: 11_868_633_846_029_822_656 };
    assert!(!is_told(&overflow), "what f32 cannot hold");
}
