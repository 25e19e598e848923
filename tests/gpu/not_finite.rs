//! NaN and infinity: what a broken number makes of a layer is as broken as the equations say, and nothing else is.

use wgpu_gru::reference::half::{from_half, to_half};
use wgpu_gru::reference::halve::halve;
use wgpu_gru::verify::{Batch, expectation};
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{
    Activation, CellWeights, Config, Gpu, Gru, GruConfig, Recurrent, Reset, RnnConfig, Saved, Unroll, Weights, harness,
};

use crate::support::{ACTIVATIONS, bits, read, results, run, tensor};

trials![rnn_of_nan, gru_of_nan_with_a_clip, half_weights_of_nan, halves, plain_rnns, grus, kept_as_halves];

const CLASSES: [DeviceType; 2] = [DeviceType::Cpu, DeviceType::DiscreteGpu];

fn cell(weights: [f32; 2], gates: usize, hidden: usize) -> Weights {
    let [weight_ih, weight_hh] = weights;
    CellWeights {
        weight_ih: vec![weight_ih; gates * hidden],
        weight_hh: vec![weight_hh; gates * hidden * hidden],
        bias_ih: Vec::new(),
        bias_hh: Vec::new(),
    }
    .into()
}

/// relu of NaN was 0.
fn rnn_of_nan(gpu: &Gpu) {
    for class in CLASSES {
        for activation in ACTIVATIONS {
            let config = RnnConfig::new(1, 1).nonlinearity(activation).bias(false);
            let layer = Recurrent::with_weights(gpu, config, &cell([f32::NAN, 0.0], 1, 1)).expect("a layer");
            let mut net = layer.unroll(Unroll::inference(2, 1).adapter_class(class)).expect("an unroll");
            let output = net.forward(&tensor(gpu, &[2, 1, 1], &[1.0, 2.0]), None).expect("a forward pass").output;
            assert!(read(&output).iter().all(|y| y.is_nan()), "{activation:?} {class:?}: {:?}", read(&output));
        }
    }
}

/// The clip made -0.993 of it.
fn gru_of_nan_with_a_clip(gpu: &Gpu) {
    for class in CLASSES {
        let config = GruConfig::new(1, 1).bias(false).clip(5.0);
        let layer = Gru::with_weights(gpu, config, &cell([1.0, 0.0], 3, 1)).expect("a layer");
        let mut net = layer.unroll(Unroll::inference(1, 1).adapter_class(class)).expect("an unroll");
        let output = net.forward(&tensor(gpu, &[1, 1, 1], &[f32::NAN]), None).expect("a forward pass").output;
        assert!(read(&output)[0].is_nan(), "{class:?}: {:?}", read(&output));
    }
}

/// With weights of 16 bits the states were 0.
fn half_weights_of_nan(gpu: &Gpu) {
    for (class, half) in CLASSES.into_iter().flat_map(|class| [false, true].map(|half| (class, half))) {
        let layer = Gru::with_weights(gpu, GruConfig::new(1, 4).bias(false), &cell([0.0, f32::NAN], 3, 4));
        let unroll = Unroll::inference(1, 1).adapter_class(class).half_weights(half);
        let mut net = layer.expect("a layer").unroll(unroll).expect("an unroll");
        let h0 = tensor(gpu, &[1, 1, 4], &[1.0; 4]);
        let output = net.forward(&tensor(gpu, &[1, 1, 1], &[0.0]), Some(&h0)).expect("a forward pass").output;
        assert!(read(&output).iter().all(|y| y.is_nan()), "{class:?} {half}: {:?}", read(&output));
    }
}

/// Beyond the largest finite half it is that; infinity and NaN stay, whatever their neighbour in the word is.
fn halves(gpu: &Gpu) {
    let numbers = [1.0, f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 65504.0, 65520.0, -1e30, f32::MAX, -0.0];
    let pairs = numbers.into_iter().flat_map(|a| numbers.map(|b| [a, b]));
    let source: Vec<f32> = pairs.flatten().collect();
    let on_gpu = tensor(gpu, &[source.len()], &source);
    let packed = tensor(gpu, &[source.len() / 2], &vec![0.0; source.len() / 2]);
    run(gpu, &harness::pack(2, false, true, &on_gpu, &packed).expect("a program"));
    let words = bits(&packed);
    for (pair, word) in source.chunks_exact(2).zip(words) {
        let expected = [to_half(pair[0]), to_half(pair[1])];
        assert_eq!([word as u16, (word >> 16) as u16], expected, "{pair:?}");
    }

    // The gates r, z, n, hn of 50 units.
    let gates = tensor(gpu, &[source.len()], &source);
    let hidden = source.len() / 4;
    let halves = tensor(gpu, &[2 * hidden], &vec![0.0; 2 * hidden]);
    let steps = harness::Steps::gru([1, 1, hidden], &halves, &halves, &gates);
    run(gpu, &steps.halves(false, &halves).expect("a program"));
    let mut expected = vec![0; 2 * hidden];
    halve(hidden, &source, &mut expected);
    assert_eq!(bits(&halves), expected, "gates as halves");
    run(gpu, &steps.halves(true, &halves).expect("a program"));
    let within = source.iter().map(|&number| from_half(to_half(number)));
    for (&actual, right) in read(&gates).iter().zip(within) {
        assert!(actual == right || (actual.is_nan() && right.is_nan()), "{actual} for {right}");
    }
}

/// What is broken: which number of what.
#[derive(Debug, Clone, Copy)]
enum Place {
    X,
    H0,
    WeightIh,
    WeightHh,
    DOutput,
    DLast,
}

const PLACES: [Place; 6] = [Place::X, Place::H0, Place::WeightIh, Place::WeightHh, Place::DOutput, Place::DLast];

/// T, B, I: the first row is broken, the second is not.
const SIZES: [usize; 3] = [3, 2, 3];

/// What kind of number each is.
fn kinds(values: impl Iterator<Item = f64>) -> Vec<&'static str> {
    let kind = |value: f64| match (value.is_nan(), value.is_infinite()) {
        (true, _) => "NaN",
        (_, true) => "inf",
        _ => "",
    };
    values.map(kind).collect()
}

/// Breaks one number after the other.
fn check(gpu: &Gpu, config: &Config, unroll: Unroll) {
    let plain = Batch::random(config, SIZES[0], SIZES[1], 2);
    let weights = Weights::random(config, 1);
    let layer = Recurrent::with_weights(gpu, config.clone(), &weights).expect("a layer");
    let mut net = layer.unroll(unroll).expect("an unroll");
    let healthy = results(&mut net, &plain);
    for (place, value) in
        PLACES.into_iter().flat_map(|place| [f32::NAN, f32::INFINITY, -f32::INFINITY].map(|v| (place, v)))
    {
        let (mut batch, mut weights) = (plain.clone(), weights.clone());
        let hidden = config.hidden_size();
        match place {
            Place::X => batch.x[SIZES[1] * SIZES[2] + 1] = value,
            Place::H0 => batch.h0[1] = value,
            Place::WeightIh => weights.cells[0].weight_ih[1] = value,
            Place::WeightHh => weights.cells[0].weight_hh[hidden * hidden * (config.cell().gates() - 1) + 1] = value,
            Place::DOutput => batch.d_output[SIZES[1] * hidden + 1] = value,
            Place::DLast => batch.d_h_n[1] = value,
        }
        layer.set_weights(&weights).expect("weights");
        let made = results(&mut net, &batch);
        let expected = expectation(config, &weights, &batch);
        let context = |name: &str| format!("{config:?} {unroll:?}, {value} in {place:?}: {name}");
        for (name, values) in &made {
            let expected = expected.iter().find(|expected| expected.tensor == *name).expect("the oracle has it");
            let [actual, right] =
                [kinds(values.iter().map(|&value| f64::from(value))), kinds(expected.values.iter().copied())];
            assert_eq!(actual, right, "{}", context(name));
        }
        if matches!(place, Place::X | Place::H0 | Place::DOutput | Place::DLast) {
            // The other row knows nothing of it.
            for ((name, values), (_, before)) in made.iter().zip(&healthy).take(4) {
                let width = if name == "d_input" { SIZES[2] } else { hidden };
                let other = |values: &[f32]| -> Vec<u32> {
                    let rows = values.chunks(width).skip(1).step_by(SIZES[1]);
                    rows.flatten().map(|value| value.to_bits()).collect()
                };
                assert_eq!(other(values), other(before), "{}: the other row", context(name));
            }
        }
    }
}

fn plain_rnns(gpu: &Gpu) {
    for (index, activation) in ACTIVATIONS.into_iter().enumerate() {
        let config = RnnConfig::new(SIZES[2], 4).nonlinearity(activation);
        let unroll = |place: usize| Unroll::training(SIZES[0], SIZES[1]).adapter_class(CLASSES[place % 2]);
        check(gpu, &config.erased(), unroll(index).half_weights(index / 2 % 2 == 0));
        check(gpu, &config.clip(0.5).erased(), unroll(index + 1).saved(Saved::StatesOnly));
    }
}

fn grus(gpu: &Gpu) {
    let count = ACTIVATIONS.len();
    for (index, gate) in ACTIVATIONS.into_iter().enumerate() {
        let reset = if index % 2 == 0 { Reset::After } else { Reset::Before };
        let config = GruConfig::new(SIZES[2], 4).reset(reset);
        let config = config.gate_activation(gate).candidate_activation(ACTIVATIONS[(index + 3) % count]);
        let unroll = |place: usize| Unroll::training(SIZES[0], SIZES[1]).adapter_class(CLASSES[place % 2]);
        let [saved, other] = [Saved::StatesOnly, Saved::Everything];
        let [saved, other] = if index % 3 == 0 { [saved, other] } else { [other, saved] };
        check(gpu, &config.erased(), unroll(index / 2).saved(saved));
        check(gpu, &config.clip(0.5).erased(), unroll(index / 2 + 1).saved(other).half_weights(true));
    }
}

fn kept_as_halves(gpu: &Gpu) {
    for class in CLASSES {
        for reset in [Reset::After, Reset::Before] {
            let config = GruConfig::new(SIZES[2], 4).reset(reset).candidate_activation(Activation::Softsign);
            let unroll = Unroll::training(SIZES[0], SIZES[1]).adapter_class(class).saved(Saved::Half);
            check(gpu, &config.erased(), unroll);
        }
    }
}
