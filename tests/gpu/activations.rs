//! Every activation and its slope over all of f32, in units in the last place, as the table in the documentation of
//! `Activation` says: the kernels, by way of a plain RNN whose products are exact, and the f32 twins.
//!
//! A row of the batch has one number x: W_ih is 1, so its state is f(x), and with `d_output` 1 its `d_input` is f'(x).
//!
//! And beside a clip, however large or small that is: a gradient of 0 where the clip changed an argument, and the slope
//! of the activation wherever it did not.

use proptest::prelude::*;
use wgpu_gru::reference::oracle;
use wgpu_gru::reference::twins::activation::{activate, activation_slope};
use wgpu_gru::verify;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Activation, Cell, Error, Gpu, GruConfig, Recurrent, Reset, RnnConfig, Saved, Unroll, Weights};

use crate::support::{ACTIVATIONS, Options, check_drawn, is_told, property_from, read, tensor};

trials![kernels, twins, small_arguments, far_below_the_clip, at_the_clip, any_clip, an_infinite_value];

const CLASSES: [DeviceType; 2] = [DeviceType::Cpu, DeviceType::DiscreteGpu];

/// Bounds of an activation and of its slope: the table of `Activation`.
fn bounds(activation: Activation) -> [f64; 2] {
    match activation {
        Activation::Relu | Activation::ThresholdedRelu { .. } | Activation::Linear => [0.0, 0.0],
        Activation::LeakyRelu { .. } => [1.0, 0.0],
        Activation::HardSigmoid { .. } => [2.0, 0.0],
        Activation::Softsign => [4.0, 3.0],
        Activation::Elu { .. } => [4.0, 1.0],
        // Sigmoid, tanh, softplus.
        _ => [5.0, 2.0],
    }
}

/// Numbers of every exponent and both signs, the neighbours of powers of two, the ends, infinities and denormals.
fn arguments() -> Vec<f32> {
    const SAMPLES: u32 = 48;
    let mut bits = vec![0, 1, 2, 0x7f_ffff, f32::MAX.to_bits(), f32::INFINITY.to_bits()];
    for exponent in 0..255_u32 {
        let first = exponent << 23;
        bits.extend([first.saturating_sub(1), first, first + 1]);
        // In the middle each exponent has much to tell.
        let samples = if (113..135).contains(&exponent) { 16 * SAMPLES } else { SAMPLES };
        bits.extend((0..samples).map(|sample| first + (sample * (0x7f_ffff / samples)) + (sample * 40_503) % 97));
    }
    bits.iter().flat_map(|&bits| [f32::from_bits(bits), -f32::from_bits(bits)]).collect()
}

/// The distance in units in the last place of `size`; those of the least normal number below that.
fn ulps(actual: f32, exact: f64, size: f64) -> f64 {
    if f64::from(actual) == exact || (actual.is_nan() && exact.is_nan()) {
        return 0.0;
    }
    let exponent = size.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor() as i32;
    let error = (f64::from(actual) - exact).abs() / 2_f64.powi(exponent - 23);
    if error.is_nan() { f64::INFINITY } else { error }
}

/// A number that a device may take for zero.
fn is_tiny(x: f64) -> bool {
    x.abs() < f64::from(f32::MIN_POSITIVE)
}

/// An activation in f64 as an f32 would hold its ends.
fn exact_value(activation: Activation, x: f64) -> f64 {
    let y = oracle::activate(activation, x);
    // No f32 is that large.
    if y.is_finite() && y.abs() > f64::from(f32::MAX) { y.signum() * f64::INFINITY } else { y }
}

/// The slope as a function of the value, in f64.
fn exact_slope(activation: Activation, y: f64) -> f64 {
    match activation {
        Activation::Sigmoid => y * (1.0 - y),
        // The square of an f32 number is exact.
        Activation::Tanh => 1.0 - y * y,
        Activation::Softsign => (1.0 - y.abs()).powi(2),
        Activation::Softplus => -(-y).exp_m1(),
        _ => activation_slope(activation, y),
    }
}

/// The errors of a value and of a slope that belong to an argument.
fn errors(activation: Activation, x: f32, [y, slope]: [f32; 2]) -> [f64; 2] {
    let near_zero = |actual: f32, exact: f64| actual == 0.0 && is_tiny(exact);
    // A device may take an argument that is no normal number for zero.
    let arguments = [f64::from(x), 0.0];
    let value_error = |&x: &f64| {
        let exact = exact_value(activation, x);
        let size = match activation {
            Activation::HardSigmoid { alpha, beta } => {
                exact.abs().max((f64::from(alpha) * x).abs().min(1.0)).max(f64::from(beta).abs())
            }
            _ => exact,
        };
        if near_zero(y, exact) { 0.0 } else { ulps(y, exact, size) }
    };
    let taken = if is_tiny(f64::from(x)) { &arguments[..] } else { &arguments[..1] };
    let value = taken.iter().map(value_error).fold(f64::INFINITY, f64::min);
    let of_value = |y: f64| {
        let exact = exact_slope(activation, y);
        if near_zero(slope, exact) { 0.0 } else { ulps(slope, exact, exact) }
    };
    let mut of_slope = of_value(f64::from(y));
    if is_tiny(f64::from(y)) {
        of_slope = of_slope.min(of_value(0.0));
    }
    [value, of_slope]
}

fn hold(name: &str, activation: Activation, made: impl Iterator<Item = (f32, [f32; 2])>) {
    let bounds = bounds(activation);
    let mut worst = [(0.0, 0.0_f32, 0.0_f32); 2];
    for (x, both) in made {
        for (place, error) in errors(activation, x, both).into_iter().enumerate() {
            if error > worst[place].0 {
                worst[place] = (error, x, both[place]);
            }
        }
    }
    for (what, bound, (error, x, actual)) in [("value", bounds[0], worst[0]), ("slope", bounds[1], worst[1])] {
        assert!(
            error <= bound,
            "{name}: {what} of {activation:?} at {x:e} is {actual:e}, {error} ulps off, over {bound}"
        );
    }
}

fn on_gpu(gpu: &Gpu, activation: Activation, class: DeviceType, x: &[f32]) -> Vec<[f32; 2]> {
    one_unit(gpu, RnnConfig::new(1, 1).nonlinearity(activation), class, x)
}

/// f(x) and f'(x) of every number, by a plain RNN of one unit.
fn one_unit(gpu: &Gpu, config: RnnConfig, class: DeviceType, x: &[f32]) -> Vec<[f32; 2]> {
    let config = config.bias(false);
    let mut weights = Weights::random(&config, 1);
    (weights.cells[0].weight_ih, weights.cells[0].weight_hh) = (vec![1.0], vec![0.0]);
    let layer = Recurrent::with_weights(gpu, config, &weights).expect("a layer");
    let mut net = layer.unroll(Unroll::training(1, x.len()).adapter_class(class)).expect("an unroll");
    let y = net.forward(&tensor(gpu, &[1, x.len(), 1], x), None).expect("a forward pass").output;
    let y = read(&y);
    let ones = tensor(gpu, &[1, x.len(), 1], &vec![1.0; x.len()]);
    net.backward(Some(&ones), None).expect("a backward pass");
    let slopes = read(net.gradients().expect("training").input.as_ref().expect("it was wanted"));
    y.into_iter().zip(slopes).map(|(y, slope)| [y, slope]).collect()
}

fn kernels(gpu: &Gpu) {
    let x = arguments();
    for activation in ACTIVATIONS {
        // The text of an activation is the same everywhere.
        let is_plain = bounds(activation)[1] == 0.0;
        for class in CLASSES.into_iter().skip(usize::from(is_plain)) {
            let made = on_gpu(gpu, activation, class, &x);
            hold(&format!("{class:?}"), activation, x.iter().copied().zip(made));
        }
    }
}

fn twins(_: &Gpu) {
    for activation in ACTIVATIONS {
        let both = |x: f32| {
            let y = activate(activation, None, x);
            (x, [y, activation_slope(activation, y)])
        };
        hold("twin", activation, arguments().into_iter().map(both));
    }
}

/// tanh of small numbers is those numbers: it was 0.14 % off at 1e-5, and 2.98e-8 at 1e-8.
fn small_arguments(gpu: &Gpu) {
    let x = [1e-5, 1e-8, -1e-8, 3e-30];
    for class in CLASSES {
        let made = on_gpu(gpu, Activation::Tanh, class, &x);
        let expected = x.map(|x| [f64::from(x).tanh() as f32, 1.0]);
        for ([y, slope], [expected_y, expected_slope]) in made.into_iter().zip(expected) {
            assert!((y / expected_y - 1.0).abs() < 3e-7, "{y:e} for {expected_y:e}");
            assert!((slope - expected_slope).abs() < 3e-7, "{slope:e}");
        }
    }
}

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
    let planned = (any::<bool>(), proptest::sample::select(vec![Saved::Everything, Saved::Recompute]), any::<bool>());
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
        let saved = if is_rnn && saved == Saved::Recompute && seed % 2 == 0 { Saved::F16 } else { saved };
        let unroll = Unroll::training(5, 3).saved(saved).lengths(has_lengths);
        let unroll = if as_for_a_gpu { unroll.adapter_class(DeviceType::DiscreteGpu) } else { unroll };
        Options {
            config,
            unroll,
            lengths: has_lengths.then(|| vec![5, 0, 3]),
            episode_starts: None,
            has_h0: true,
            seed,
        }
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
