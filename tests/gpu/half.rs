//! Numbers of 16 bits: gates that are kept so, recurrent weights that are read so; and that nothing else changes.

use wgpu_gru::f16::{from_f16, to_f16};
use wgpu_gru::reference::twins::gates_f16::f16_from_gates;
use wgpu_gru::reference::twins::pack::transpose;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::verify::{Batch, expectation, expectation_of};
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{
    Cell, Config, Direction, Error, Gpu, GruConfig, Recurrent, Reset, RnnConfig, Saved, Tolerance, Unroll, Unrolled,
    Weights, harness,
};

use crate::checks::everywhere;
use crate::support::{
    assert_close, assert_halves, bits, flat, largest, mistakes, open, read, results, run, to_bits, verify_batch,
};

trials![
    gates_as_halves,
    weights_as_halves,
    saved_costs_what_it_says,
    weights_that_are_halves,
    weights_differ,
    the_budget_of_weights,
    wrong_weights,
    the_budget_of_gates,
    products_need_matrices,
];

/// Numbers of all sizes, and those where a half is at an end.
fn numbers(len: usize, seed: u64) -> Vec<f32> {
    const ENDS: [f32; 12] =
        [0.0, -0.0, 1.0, -1.0, 65504.0, -65504.0, 65519.0, 1e9, -1e30, 6.1e-5, 5.9e-8, f32::MIN_POSITIVE];
    let mut uniform = SplitMix64::new(seed);
    let number = |place: usize| {
        let size = 2_f32.powi((uniform.next_f32() * 34.0) as i32 - 24);
        ENDS.get(place).copied().unwrap_or(uniform.next_f32() * 2.0 * size - size)
    };
    (0..len).map(number).collect()
}

/// T, B, H.
const SHAPES: [[usize; 3]; 5] = [[1, 1, 1], [2, 3, 5], [3, 5, 8], [2, 9, 33], [1, 17, 64]];

fn gates_as_halves(gpu: &Gpu) {
    for shape in SHAPES {
        let [t, b, hidden] = shape;
        let host = numbers(t * b * 4 * hidden, 3);
        let gates = flat(gpu, &host);
        let halves = flat(gpu, &vec![f32::NAN; host.len() / 2]);
        let steps = harness::Steps::gru(shape, &halves, &halves, &gates);
        run(gpu, &steps.halves(false, &halves).expect("a program"));
        // In the order of the words.
        let in_order: Vec<f32> = (0..host.len() / 2)
            .flat_map(|word| {
                let (row, pair, unit) = (word / (2 * hidden), word / hidden % 2, word % hidden);
                [0, 1].map(|place| host[(row * 4 + 2 * pair + place) * hidden + unit])
            })
            .collect();
        assert_halves(&format!("{shape:?}"), &bits(&halves), &in_order);
        let mut twin = vec![0; host.len() / 2];
        f16_from_gates(hidden, &host, &mut twin);
        assert_halves(&format!("{shape:?}: twin"), &twin, &in_order);
        assert_eq!(bits(&gates), to_bits(&host), "the gates stay");
    }
}

fn weights_as_halves(gpu: &Gpu) {
    for (rows, hidden) in [(1, 4), (3, 8), (21, 12), (385, 128)] {
        let source = numbers(rows * hidden, 5);
        let on_gpu = flat(gpu, &source);
        for transposed in [false, true] {
            let packed = flat(gpu, &vec![f32::NAN; source.len() / 2]);
            run(gpu, &harness::pack(rows, transposed, true, &on_gpu, &packed).expect("a program"));
            let mut expected = source.clone();
            if transposed {
                transpose(rows, &source, &mut expected);
            }
            assert_halves(&format!("{rows} rows of {hidden}, {transposed}"), &bits(&packed), &expected);
        }
    }
}

fn layer<C: Copy + Into<Cell>>(gpu: &Gpu, config: &Config<C>, weights: &Weights) -> Recurrent {
    Recurrent::with_weights(gpu, config.erased(), weights).expect("a layer")
}

fn passes(layer: &Recurrent, unroll: Unroll, batch: &Batch) -> Unrolled {
    let mut net = layer.unroll(unroll).expect("an unroll");
    if let Err(error) = pollster::block_on(verify_batch(layer, &mut net, batch)) {
        panic!("{unroll:?}: {error}");
    }
    net
}

/// States are the same to the last bit, gradients are not, and the memory is what the documentation says.
fn saved_costs_what_it_says(gpu: &Gpu) {
    let config = GruConfig::new(6, 32);
    let batch = Batch::random(&config, 160, 4, 2);
    let layer = layer(gpu, &config, &Weights::random(&config, 1));
    let unroll = Unroll::training(160, 4);
    let [whole, half] = [Saved::Everything, Saved::F16].map(|saved| passes(&layer, unroll.saved(saved), &batch));
    let states = |net: &Unrolled| bits(net.states(0).expect("a layer"));
    assert_eq!(states(&whole), states(&half), "states");
    let d_h0 = |net: &Unrolled| bits(&net.gradients().expect("training").h0);
    assert_ne!(d_h0(&whole), d_h0(&half), "halves leave a trace, or they are not used");

    let state = 160.0 * 4.0 * 32.0 * 4.0;
    let of = |net: &Unrolled, name: &str| {
        let list = net.plan().allocations().iter().filter(|allocation| allocation.name == name);
        list.map(|allocation| (allocation.bytes * allocation.count as u64) as f64).sum::<f64>() / state
    };
    let kept = of(&half, "h") + of(&half, "gates") + of(&half, "f16 gates");
    assert!((3.0..3.3).contains(&kept), "{kept} states a step");
    assert_eq!(whole.plan().bytes_with(Saved::F16), Some(half.plan().bytes()), "what the plan says beforehand");
}

/// Weights that are halves already lose nothing: everything is as it is without the option, within the rounding of
/// sums.
fn weights_that_are_halves(gpu: &Gpu) {
    for cell in [GruConfig::new(5, 16).erased(), RnnConfig::new(5, 16).erased()] {
        let mut weights = Weights::random(&cell, 1);
        for weight in &mut weights.cells[0].weight_hh {
            *weight = from_f16(to_f16(*weight));
        }
        let (layer, batch) = (layer(gpu, &cell, &weights), Batch::random(&cell, 9, 5, 2));
        let expected = expectation(&cell, &weights, &batch);
        for unroll in everywhere(Unroll::training(9, 5)) {
            let [half, whole] = [true, false].map(|half| passes(&layer, unroll.f16_weights(half), &batch));
            let states = [&half, &whole].map(|net| read(net.output()));
            let worst = expected[0].tolerance.compare(&states[0], &expected[0].values);
            assert!(worst.passed(), "{unroll:?}: {worst:?}");
            let d_h0 = read(&half.gradients().expect("training").h0);
            let worst = expected[3].tolerance.compare(&d_h0, &expected[3].values);
            assert!(worst.passed(), "{unroll:?}: {worst:?}");
            if unroll.adapter_class == Some(DeviceType::DiscreteGpu) {
                // The sums are in the same order there.
                assert_eq!(states[0], states[1], "{unroll:?}");
            }
        }
    }
}

/// Weights that are no halves leave a trace in states and gradients, or they are not used; of the size that is said.
fn weights_differ(gpu: &Gpu) {
    let config = GruConfig::new(5, 16);
    let weights = Weights::random(&config, 1);
    let (layer, batch) = (layer(gpu, &config, &weights), Batch::random(&config, 9, 5, 2));
    let expected = expectation(&config, &weights, &batch);
    for unroll in everywhere(Unroll::training(9, 5)) {
        let net = passes(&layer, unroll.f16_weights(true), &batch);
        let tensors =
            [(read(net.output()), &expected[0]), (read(&net.gradients().expect("training").h0), &expected[3])];
        for (actual, expected) in tensors {
            let worst = expected.tolerance.compare(&actual, &expected.values);
            assert!(!worst.passed(), "{unroll:?}: {} is as good as with 32 bits", expected.tensor);
            assert!(worst.max_error < Tolerance::F16_ROUNDOFF * largest(&expected.values), "{unroll:?}: {worst:?}");
        }
    }
}

/// Without cooperative matrices (`cooperative.rs`) there are no products of halves, and nothing is made.
fn products_need_matrices(gpu: &Gpu) {
    let gpu = open(gpu, wgpu::Limits::default());
    let told = gpu.set_cooperative_matrices(&[]);
    let because = "the device was opened without Features::EXPERIMENTAL_COOPERATIVE_MATRIX";
    assert!(matches!(told, Err(Error::OptionUnavailable { because: found, .. }) if found == because), "{told:?}");
    assert_eq!(gpu.cooperative_matrices(), None, "nothing was told");
    let config = GruConfig::new(5, 8);
    let layer = layer(&gpu, &config, &Weights::random(&config, 1));
    let before = gpu.activity();
    let unrolled = layer.unroll(Unroll::inference(3, 2).f16_products(true)).map(drop);
    assert!(matches!(unrolled, Err(Error::OptionUnavailable { option: "f16_products", .. })), "{unrolled:?}");
    assert_eq!(gpu.activity(), before, "nothing is made");
}

/// The largest shares of their budgets, by tensor, that a layer's numbers of 16 bits use. The budgets are not so wide
/// that a mistake of a few of their roundings fits in.
fn shares(gpu: &Gpu, unroll: Unroll) -> Vec<(String, f64)> {
    let mut largest: Vec<(String, f64)> = Vec::new();
    for (seed, hidden) in (1..).zip([4, 16, 36, 64]) {
        let config = GruConfig::new(5, hidden);
        let (weights, batch) = (Weights::random(&config, seed), Batch::random(&config, 9, 5, seed + 100));
        let layer = Recurrent::with_weights(gpu, config.erased(), &weights).expect("a layer");
        let made = results(&mut layer.unroll(unroll).expect("an unroll"), &batch);
        let expected = expectation_of(&config, &unroll, &weights, &batch);
        for (place, ((name, actual), expected)) in made.into_iter().zip(&expected).enumerate() {
            assert_close(&name, &actual, &expected.values, expected.tolerance);
            let share = expected.tolerance.compare(&actual, &expected.values).share;
            match largest.get_mut(place) {
                Some((_, most)) => *most = most.max(share),
                None => largest.push((name, share)),
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

fn the_budget_of_weights(gpu: &Gpu) {
    let shares = shares(gpu, Unroll::training(9, 5).f16_weights(true));
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
        let unroll = Unroll::training(9, 5).f16_weights(true);
        let budget = &expectation_of(&config, &unroll, &weights, &batch)[0];
        for (mistake, instead) in mistakes(&weights) {
            let layer = Recurrent::with_weights(gpu, config.clone(), &instead).expect("a layer");
            let made = results(&mut layer.unroll(unroll).expect("an unroll"), &batch);
            let share = budget.tolerance.compare(&made[0].1, &budget.values).share;
            assert!(share > 1.0, "{mistake}: the output of {config:?} uses {share} of its budget");
        }
    }
}

/// Forward they play no part.
fn the_budget_of_gates(gpu: &Gpu) {
    let shares = shares(gpu, Unroll::training(9, 5).saved(Saved::F16));
    assert_found(&shares, "d_h0", 12.0);
    assert_found(&shares, "d_weight", 12.0);
    assert_found(&shares, "d_", 32.0);
}
