//! Gradients beside a clip, however large or small that is: 0 where the clip changed an argument, and the slope of the
//! activation wherever it did not.

use proptest::prelude::*;
use wgpu_gru::verify::verify;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Activation, Cell, Error, Gpu, GruConfig, Recurrent, Reset, RnnConfig, Saved, Unroll};

use crate::support::{ACTIVATIONS, Options, check_drawn, is_told, property_from};
use crate::ulps::{bounds, errors, one_unit};

trials![far_below_the_clip, at_the_clip, any_clip, an_infinite_value];

const CLASSES: [DeviceType; 2] = [DeviceType::Cpu, DeviceType::DiscreteGpu];

/// Every y of less than 4e-7 times the clip had lost its gradient.
fn far_below_the_clip(gpu: &Gpu) {
    for class in CLASSES {
        let config = RnnConfig::new(1, 1).nonlinearity(Activation::Relu).clip(1e6);
        assert_eq!(one_unit(gpu, config, class, &[0.3]), [[0.3, 1.0]], "{class:?}");
    }
    for clip in [1e4, 1e6, 1e30] {
        let config = RnnConfig::new(2, 3).nonlinearity(Activation::Relu).clip(clip);
        let report = pollster::block_on(verify(gpu, &config, 5, 4, 1));
        assert!(report.is_ok(), "{clip:e}: {report:?}");
    }
}

/// An argument that equals the clip is not changed by it, as with PyTorch's clamp.
fn at_the_clip(gpu: &Gpu) {
    for (number, clip) in [1e-3_f32, 0.5, 1e6, 1e30].into_iter().enumerate() {
        let next = f32::from_bits(clip.to_bits() + 1);
        let sizes =
            [clip * 1e-7, clip * 0.5, f32::from_bits(clip.to_bits() - 1), clip, next, 2.0 * clip, f32::INFINITY];
        let x: Vec<f32> = sizes.iter().flat_map(|&size| [size, -size]).collect();
        for (index, activation) in ACTIVATIONS.into_iter().enumerate() {
            let class = CLASSES[(index + number) % 2];
            let made = one_unit(gpu, RnnConfig::new(1, 1).nonlinearity(activation).clip(clip), class, &x);
            for (&x, [y, slope]) in x.iter().zip(made) {
                let within = x.clamp(-clip, clip);
                let [of_value, of_slope] = errors(activation, within, [y, slope]);
                let bounds = bounds(activation);
                let context = format!("{activation:?} clip {clip:e} at {x:e}, {class:?}: {y:e}, slope {slope:e}");
                assert!(of_value <= bounds[0], "{context}");
                assert!(if x == within { of_slope <= bounds[1] } else { slope == 0.0 }, "{context}");
            }
        }
    }
}

/// Clips of all sizes, activations, cells, and everything that forward can keep, against the oracle.
fn any_clip(gpu: &Gpu) {
    let activation = || proptest::sample::select(ACTIVATIONS.to_vec());
    let cell = (prop::option::of(any::<bool>()), activation(), activation());
    let planned = (any::<bool>(), proptest::sample::select(vec![Saved::Everything, Saved::StatesOnly]), any::<bool>());
    // Half of the clips are so small that they often act.
    let clip = prop_oneof![-3.0_f32..0.5, -3.0_f32..30.0];
    let options = (clip, cell, planned, any::<u64>()).prop_map(|(power, (gru, gate, candidate), planned, seed)| {
        let (as_for_a_gpu, saved, has_lengths) = planned;
        let clip = 10_f32.powf(power);
        let config = match gru {
            None => RnnConfig::new(3, 5).nonlinearity(candidate).clip(clip).erased(),
            Some(before) => GruConfig::new(3, 5)
                .reset(if before { Reset::Before } else { Reset::After })
                .gate_activation(gate)
                .candidate_activation(candidate)
                .clip(clip)
                .erased(),
        };
        // A plain RNN keeps the same with halves.
        let is_rnn = matches!(config.cell(), Cell::Rnn { .. });
        let saved = if is_rnn && saved == Saved::StatesOnly && seed % 2 == 0 { Saved::Half } else { saved };
        let unroll = Unroll::training(5, 3).saved(saved).lengths(has_lengths);
        let unroll = if as_for_a_gpu { unroll.adapter_class(DeviceType::DiscreteGpu) } else { unroll };
        Options { config, unroll, lengths: has_lengths.then(|| vec![5, 0, 3]), has_h0: true, seed }
    });
    let told = options.prop_filter("no f32 computation can be held to the budget", is_told);
    property_from(12, 24, &told, |options| check_drawn(gpu, &options));
}

/// With a clip an infinity says that it acted, so no value may be one.
fn an_infinite_value(gpu: &Gpu) {
    let leaky = Activation::LeakyRelu { alpha: 10.0 };
    let refused = Recurrent::new(gpu, RnnConfig::new(2, 3).nonlinearity(leaky).clip(1e38), 1).map(drop);
    assert!(matches!(refused, Err(Error::InvalidOption { option: "nonlinearity", .. })), "{refused:?}");
    assert!(Recurrent::new(gpu, RnnConfig::new(2, 3).nonlinearity(leaky).clip(1e37), 1).is_ok(), "1e38 is finite");
}
