//! Any number in any option of a plan gives a plan or a typed error, in bounded time and memory; no GPU is needed.

use wgpu_gru::Schedule;
use wgpu_gru::verify::Batch;
use wgpu_gru::wgpu::{DeviceType, Limits};
use wgpu_gru::{Cell, Config, Direction, Error, GruConfig, Plan, Reset, RnnConfig, Saved, Unroll, Weights};

const HUGE: [usize; 9] =
    [1000, 1 << 16, (1 << 20) + 1, 1 << 26, 1 << 31, 1 << 32, 1 << 40, usize::MAX / 2 + 1, usize::MAX];

fn limits() -> Vec<Limits> {
    let unlimited = Limits {
        max_buffer_size: u64::MAX,
        max_storage_buffer_binding_size: u64::MAX,
        max_compute_workgroups_per_dimension: u32::MAX,
        ..Limits::default()
    };
    // Bindings so small that every step is a chunk, in buffers without end.
    let pieces = Limits { max_storage_buffer_binding_size: 1 << 12, ..unlimited.clone() };
    let none =
        Limits { min_storage_buffer_offset_alignment: 0, min_uniform_buffer_offset_alignment: 0, ..pieces.clone() };
    vec![Limits::default(), unlimited, pieces, none]
}

/// Plans; what comes of it is said, and all that a plan tells is asked for.
#[track_caller]
fn plan<C: Copy + Into<Cell> + std::fmt::Debug>(config: &Config<C>, unroll: &Unroll, limits: &Limits) {
    for class in [DeviceType::DiscreteGpu, DeviceType::Cpu] {
        match Plan::new(config, unroll, limits, class) {
            Ok(plan) => {
                let told = format!("{plan}");
                assert!(!told.is_empty() && plan.forward_dispatches() > 0 && plan.forward_flops() > 0, "{told}");
                assert!(plan.bytes() >= plan.scratch_bytes(), "{told}");
            }
            Err(Error::LimitExceeded { required, available, what, .. }) => {
                assert!(required > available, "{what} {config:?} {unroll:?}");
            }
            Err(Error::InvalidOption { option: "num_layers", .. } | Error::OptionUnavailable { .. }) => {}
            Err(error) => panic!("{config:?} {unroll:?}: {error}"),
        }
    }
}

#[test]
fn plans_of_any_size() {
    for limits in limits() {
        for size in HUGE {
            for [i, h, layers, t, b] in [
                [size, 1, 1, 1, 1],
                [1, size, 1, 1, 1],
                [1, 1, size, 1, 1],
                [1, 1, 1, size, 1],
                [1, 1, 1, 1, size],
                [3, 5, 2, size, 2],
                [3, 8, 4096, size, 1],
                [3, 8, 4096, 1, size],
                [2, 64, size, size, size],
                [size; 5],
            ] {
                let gru = GruConfig::new(i, h).num_layers(layers);
                plan(&gru, &Unroll::inference(t, b), &limits);
                plan(&gru, &Unroll::training(t, b), &limits);
                plan(&gru.clone().reset(Reset::Before), &Unroll::training(t, b).saved(Saved::Recompute), &limits);
                plan(&gru.clone().direction(Direction::Bidirectional), &Unroll::training(t, b).lengths(true), &limits);
                plan(&gru, &Unroll::training(t, b).schedule(Schedule::Rows), &limits);
                plan(&gru, &Unroll::training(t, b).f16_weights(true).saved(Saved::F16), &limits);
                let rnn = RnnConfig::new(i, h).num_layers(layers).batch_first(true);
                plan(&rnn, &Unroll::training(t, b).gradient_norms(true), &limits);
                plan(&rnn.direction(Direction::Reverse), &Unroll::inference(t, b).wavefront(true), &limits);
            }
        }
    }
}

/// What cannot fit has no weights, and is refused by name.
#[test]
fn weights_and_batches_of_any_size() {
    for size in HUGE.into_iter().skip(3) {
        for config in [
            GruConfig::new(1, 1).num_layers(size),
            GruConfig::new(1 << 20, size),
            GruConfig::new(size, 1 << 20),
            GruConfig::new(size, size).num_layers(size),
        ] {
            let error = config.validate().expect_err("it cannot be");
            assert!(
                matches!(error, Error::LimitExceeded { .. } | Error::InvalidOption { option: "num_layers", .. }),
                "{config:?}: {error}"
            );
            let weights = Weights::random(&config, 1);
            assert!(weights.cells.is_empty(), "{config:?}");
            let refused = weights.validate(&config).expect_err("it cannot be");
            assert_eq!(refused.to_string(), error.to_string(), "the reason");
            assert!(config.required_limits(&Limits::default()).is_err());
        }
    }
    let config = GruConfig::new(2, 3);
    for [t, b] in [[usize::MAX, 1], [1, usize::MAX], [1 << 40, 1 << 40], [1 << 31, 2]] {
        assert!(Batch::random(&config, t, b, 1).x.is_empty(), "{t} {b}");
    }
}

#[test]
fn messages_of_limits() {
    let limits = Limits { max_storage_buffers_per_shader_stage: 4, ..Limits::default() };
    let error = Plan::new(&GruConfig::new(1, 1), &Unroll::inference(1, 1), &limits, DeviceType::Other);
    let text = error.expect_err("too few").to_string();
    assert!(text.contains("the device's max_storage_buffers_per_shader_stage is 4"), "{text}");
    assert!(text.contains("Config::required_limits"), "{text}");
    let text = GruConfig::new(1, 1 << 40).validate().expect_err("too many").to_string();
    assert!(!text.contains("the device's"), "no device has anything to do with it: {text}");
    let text = GruConfig::new(1, 1).num_layers(1 << 26).validate().expect_err("too many").to_string();
    assert_eq!(text, "num_layers is 67108864, expected at most 4096");
}
