//! Plans executed by the twins, without any GPU: the list of operations of every option, cut and class of adapter makes
//! what the oracle says. The twins themselves are held here too: in f64 to its last digits, in f32 to the budget of a
//! GPU.

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use wgpu_gru::harness::{plan_with_sources, run_by_twins, run_with_sources};
use wgpu_gru::verify::{Batch, expectation_of};
use wgpu_gru::wgpu::{DeviceType, Limits};
use wgpu_gru::{Cell, Config, Direction, GruConfig, Plan, Reset, RnnConfig, Saved, Tolerance, Unroll, Weights};

mod support;

use support::any_options::{Options, any_options};
use support::numbers::{ACTIVATIONS, assert_close};

/// A bound for f32 as one for f64.
fn in_f64(tolerance: Tolerance) -> Tolerance {
    let ratio = f64::EPSILON / f64::from(f32::EPSILON);
    Tolerance { abs: tolerance.abs * ratio, rel: tolerance.rel * ratio }
}

fn uses_f16(unroll: &Unroll) -> bool {
    unroll.f16_weights || unroll.saved == Saved::F16
}

/// Bindings of the smallest size with which a plan still fits, or the default.
fn limits(binding: Option<u64>) -> Limits {
    // One buffer more than by default, as steps by exchange have.
    let all = Limits { max_storage_buffers_per_shader_stage: 9, ..Limits::default() };
    match binding {
        Some(max_storage_buffer_binding_size) => Limits { max_storage_buffer_binding_size, ..all },
        None => all,
    }
}

#[track_caller]
fn check(config: &Config, unroll: &Unroll, weights: &Weights, batch: &Batch, binding: Option<u64>) -> Plan {
    let plan = Plan::new(config, unroll, &limits(binding), DeviceType::Cpu).expect("it fits");
    let expected = expectation_of(config, unroll, weights, batch);
    let of = |name: &str| expected.iter().find(|expected| expected.tensor == name).expect("the oracle has it");
    let named = |name: &str, bits: u32| format!("{config:?} {unroll:?} {binding:?}: {name} in f{bits}");
    for (name, values) in run_by_twins::<f32>(&plan, weights, batch) {
        assert_close(&named(&name, 32), &values, &of(&name).values, of(&name).tolerance);
    }
    if !uses_f16(unroll) {
        for (name, values) in run_by_twins::<f64>(&plan, weights, batch) {
            assert_close(&named(&name, 64), &values, &of(&name).values, in_f64(of(&name).tolerance));
        }
    }
    plan
}

fn check_random<C: Copy + Into<Cell>>(config: &Config<C>, unroll: Unroll, lengths: Option<&[usize]>) {
    let config = config.erased();
    let weights = Weights::random(&config, 1);
    let mut batch = Batch::random(&config, unroll.seq_len, unroll.batch, 2);
    batch.lengths = lengths.map(<[usize]>::to_vec);
    for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
        check(&config, &unroll.adapter_class(class).lengths(lengths.is_some()), &weights, &batch, None);
    }
}

#[test]
fn every_option_of_a_step() {
    let unroll = Unroll::training(5, 3);
    for lengths in [None, Some(&[5, 0, 2][..])] {
        for saved in [Saved::Everything, Saved::Recompute] {
            let unroll = unroll.saved(saved);
            for reset in [Reset::After, Reset::Before] {
                let gru = || GruConfig::new(4, 6).reset(reset);
                check_random(&gru(), unroll, lengths);
                check_random(&gru().bias(false), unroll, lengths);
                check_random(&gru().clip(0.4), unroll, lengths);
                for activation in ACTIVATIONS {
                    check_random(&gru().gate_activation(activation), unroll, lengths);
                    check_random(&gru().candidate_activation(activation), unroll, lengths);
                }
            }
            for activation in ACTIVATIONS {
                check_random(&RnnConfig::new(4, 6).nonlinearity(activation), unroll, lengths);
                check_random(&RnnConfig::new(4, 6).nonlinearity(activation).clip(0.3).bias(false), unroll, lengths);
            }
        }
    }
}

#[test]
fn ones_and_odd_ones() {
    for [t, b, i, h] in [[1, 1, 1, 1], [1, 5, 3, 7], [9, 1, 2, 1], [3, 2, 1, 33], [2, 3, 31, 4]] {
        check_random(&GruConfig::new(i, h), Unroll::training(t, b), None);
        check_random(&GruConfig::new(i, h), Unroll::inference(t, b), None);
    }
}

/// Frames of any options: one step of all layers, and rows that go on from others.
#[test]
fn frames() {
    let limits = Limits { max_storage_buffers_per_shader_stage: 9, ..Limits::default() };
    let gru = GruConfig::new(4, 8).num_layers(3);
    let configs = [
        gru.clone().erased(),
        gru.clone().reset(Reset::Before).clip(0.4).erased(),
        gru.bias(false).batch_first(true).erased(),
        RnnConfig::new(3, 5).num_layers(2).erased(),
    ];
    let options = [(false, false), (true, false), (true, true)];
    for (config, (lengths, empty)) in configs.iter().flat_map(|config| options.map(|option| (config, option))) {
        let weights = Weights::random(config, 1);
        let mut batch = Batch::random(config, 1, 3, 2);
        batch.lengths = lengths.then(|| vec![1, 0, 1]);
        let unroll = Unroll::inference(1, 3).lengths(lengths).zero_empty_rows(empty);
        let plan = check(config, &unroll.adapter_class(DeviceType::DiscreteGpu), &weights, &batch, None);
        assert_eq!(plan.forward_dispatches(), 1, "{plan}");
        if config.hidden_size.is_multiple_of(4) {
            let f16 = unroll.f16_weights(true).adapter_class(DeviceType::DiscreteGpu);
            assert_eq!(check(config, &f16, &weights, &batch, None).forward_dispatches(), 1);
        }

        let plan = plan_with_sources(config, &unroll, &limits).expect("a plan");
        assert_eq!(plan.forward_dispatches(), 2, "{plan}");
        let sources = [2, 7, 2];
        let made = run_with_sources::<f32>(&plan, &weights, &batch, Some(&sources));
        let hidden = config.hidden_size;
        let of_layer = |states: &[f32]| -> Vec<f32> {
            [&states[2 * hidden..], &vec![0.0; hidden], &states[2 * hidden..]].into_iter().flatten().copied().collect()
        };
        let h0 = batch.h0.chunks(3 * hidden).flat_map(of_layer).collect();
        let expected = expectation_of(config, &unroll, &weights, &Batch { h0, ..batch });
        for (name, values) in made {
            let right = expected.iter().find(|right| right.tensor == name).expect("the oracle has it");
            assert_close(&format!("{config:?}: {name}"), &values, &right.values, right.tolerance);
        }
    }
}

/// Inputs up to 1e3, far into saturation on both sides.
#[test]
fn saturating_inputs() {
    let config = GruConfig::new(3, 5).erased();
    let weights = Weights::random(&config, 3);
    let mut batch = Batch::random(&config, 4, 3, 4);
    batch.x.iter_mut().for_each(|x| *x *= 1e3);
    check(&config, &Unroll::training(4, 3), &weights, &batch, None);
}

#[test]
fn f16() {
    for config in [GruConfig::new(4, 8), GruConfig::new(4, 8).num_layers(2).direction(Direction::Bidirectional)] {
        for unroll in [Unroll::training(5, 3).f16_weights(true), Unroll::training(5, 3).saved(Saved::F16)] {
            check_random(&config, unroll, None);
        }
    }
}

/// Sums over more rows than one dispatch takes: 8192.
#[test]
fn many_rows() {
    check_random(&RnnConfig::new(1, 1), Unroll::training(3, 3000), None);
}

/// Whether rounding can be told from a mistake: the numbers are not so large that f32 loses them, nor near a kink.
fn is_told(expected: &[wgpu_gru::verify::Expectation], config: &Config, weights: &Weights, batch: &Batch) -> bool {
    use wgpu_gru::reference::oracle;
    let largest = |values: &[f64]| values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    let small = expected.iter().all(|expected| expected.tolerance.abs < 1e-3 * largest(&expected.values).max(1.0));
    let [x, h0] = [&batch.x, &batch.h0].map(|values| oracle::widen(values));
    let forward = oracle::forward(config, &oracle::cells(weights), &batch.run(config), &x, &h0);
    small && forward.distance_to_kink(config) > expected[0].tolerance.abs
}

/// Any layer with any options, in bindings so small that the time axis is cut.
#[test]
fn any_options_in_any_cuts() {
    let cases = std::env::var("WGPU_GRU_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(200);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(5),
        max_global_rejects: 1 << 20,
        ..ProptestConfig::default()
    };
    let (cut, checked) = (std::cell::Cell::new(0_usize), std::cell::Cell::new(0_usize));
    TestRunner::new(config)
        .run(&any_options(), |Options { config, unroll, lengths, episode_starts, has_h0, seed }| {
            let weights = Weights::random(&config, seed);
            let mut batch = Batch::random(&config, unroll.seq_len, unroll.batch, seed.wrapping_add(1));
            batch.lengths = lengths;
            batch.episode_starts = episode_starts;
            if !has_h0 {
                batch.h0.fill(0.0);
            }
            let expected = expectation_of(&config, &unroll, &weights, &batch);
            prop_assume!(is_told(&expected, &config, &weights, &batch));
            checked.set(checked.get() + 1);
            for binding in [None, Some(900), Some(1600), Some(4000)] {
                let fits = Plan::new(&config, &unroll, &limits(binding), DeviceType::Cpu).is_ok();
                if fits {
                    let plan = check(&config, &unroll, &weights, &batch, binding);
                    cut.set(cut.get() + usize::from(plan.chunks().len() > 1));
                }
            }
            Ok(())
        })
        .expect("every plan makes what the oracle says");
    assert!(cut.get() * 4 > checked.get(), "{} cuts of {} layers", cut.get(), checked.get());
}
