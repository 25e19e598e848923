//! Every option of a layer, forward and backward, against the oracle; and that the plan counts what is recorded.

use wgpu_gru::Schedule;
use wgpu_gru::verify::Batch;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Activation, Direction, Error, Gpu, Gru, GruConfig, Recurrent, Reset, RnnConfig, Saved, Unroll};

use crate::support::{ACTIVATIONS, bits, check, check_lengths, read, tensor};

trials![
    layers_and_directions,
    wavefront,
    few_rows,
    biases_and_layout,
    lengths,
    reset_before,
    states_only,
    dropout,
    norms,
    plain_rnn,
    activations,
    clip,
    state_carried_over,
    option_errors,
];

/// I, H; T, B.
const GRU: fn() -> GruConfig = || GruConfig::new(5, 7);
const RNN: fn() -> RnnConfig = || RnnConfig::new(5, 7);
const UNROLL: fn() -> Unroll = || Unroll::training(6, 3);
/// One row that is whole, one without a step, one in between.
const LENGTHS: [usize; 3] = [6, 0, 3];

fn layers_and_directions(gpu: &Gpu) {
    for direction in [Direction::Forward, Direction::Reverse, Direction::Bidirectional] {
        for layers in 1..=3 {
            check(gpu, &GRU().num_layers(layers).direction(direction), UNROLL());
        }
    }
}

/// Layers of so few rows that their products have a kernel of their own on a GPU.
fn few_rows(gpu: &Gpu) {
    for (config, t, b) in [(GRU(), 1, 1), (GRU().num_layers(2), 2, 4), (GruConfig::new(36, 40), 1, 8)] {
        let unroll = Unroll::training(t, b).adapter_class(DeviceType::DiscreteGpu);
        let net = check(gpu, &config, unroll);
        assert!(net.explain().contains("matmul_few_rows"), "{}", net.explain());
        check(gpu, &config, unroll.saved(Saved::Recompute));
    }
    let net = check(gpu, &GRU(), Unroll::training(3, 3).adapter_class(DeviceType::DiscreteGpu));
    assert!(!net.explain().contains("matmul_few_rows"), "{}", net.explain());
}

/// Over chunks of one step, and of several with a shorter last one.
fn wavefront(gpu: &Gpu) {
    for direction in [Direction::Forward, Direction::Reverse] {
        for (layers, seq_len) in [(2, 6), (3, 19), (2, 2)] {
            let unroll = Unroll::training(seq_len, 3).wavefront(true);
            let config = GRU().num_layers(layers).direction(direction);
            for schedule in [Schedule::PerStep, Schedule::PerSequence] {
                check(gpu, &config, unroll.schedule(schedule));
                check(gpu, &config, unroll.schedule(schedule).adapter_class(DeviceType::DiscreteGpu));
            }
            check(gpu, &config, unroll.saved(Saved::Recompute).gradient_norms(true));
            check(gpu, &config.clone().reset(Reset::Before).batch_first(true), unroll);
            check(gpu, &RNN().num_layers(layers).direction(direction).bias(false), unroll);
            check_lengths(gpu, &config, unroll, &[seq_len, 0, seq_len / 2]);
        }
    }
}

fn biases_and_layout(gpu: &Gpu) {
    check(gpu, &GRU().bias(false), UNROLL());
    check(gpu, &RNN().bias(false).num_layers(2), UNROLL());
    check(gpu, &GRU().batch_first(true), UNROLL());
    check(gpu, &GRU().batch_first(true).num_layers(2).direction(Direction::Bidirectional).bias(false), UNROLL());
}

/// Also: zeros past a row's end, in the output and in the gradient of the input, whatever lies there; a row without a step
/// keeps its state.
fn lengths(gpu: &Gpu) {
    for direction in [Direction::Forward, Direction::Reverse, Direction::Bidirectional] {
        check_lengths(gpu, &GRU().direction(direction), UNROLL(), &LENGTHS);
        check_lengths(gpu, &GRU().direction(direction).num_layers(2).batch_first(true), UNROLL(), &LENGTHS);
        // Every length there is, more rows than one invocation owns.
        check_lengths(gpu, &GRU().direction(direction), Unroll::training(6, 7), &[0, 1, 2, 3, 4, 5, 6]);
    }
    let padded = |batch: &mut Batch| {
        batch.lengths = Some(LENGTHS.to_vec());
        for t in 3..6 {
            batch.x[(t * 3 + 2) * 5..][..5].fill(f32::NAN);
            batch.d_output[(t * 3 + 2) * 7..][..7].fill(1e9);
        }
    };
    let layer = Recurrent::new(gpu, GRU(), 3).expect("a layer");
    let mut net = layer.unroll(UNROLL().lengths(true)).expect("an unroll");
    let mut batch = Batch::random(&GRU(), 6, 3, 5);
    padded(&mut batch);
    let tensor = |shape: &[usize], host: &[f32]| tensor(gpu, shape, host);
    net.set_lengths(&LENGTHS).expect("good lengths");
    let out = net.forward(&tensor(&[6, 3, 5], &batch.x), Some(&tensor(&[1, 3, 7], &batch.h0))).expect("a forward pass");
    let d_output = tensor(&[6, 3, 7], &batch.d_output);
    let gradients = net.backward(Some(&d_output), Some(&tensor(&[1, 3, 7], &batch.d_h_n))).expect("a backward pass");
    let (output, h_n, d_h0) = (read(&out.output), read(&out.h_n), read(&gradients.h0));
    let d_input = read(&gradients.input.expect("it is wanted"));
    for t in 0..6 {
        for (row, &length) in LENGTHS.iter().enumerate() {
            let at = t * 3 + row;
            let values = [&output[at * 7..][..7], &d_input[at * 5..][..5]].concat();
            assert!(values.iter().all(|value| value.is_finite()), "t {t}, row {row}: {values:?}");
            assert_eq!(values.iter().all(|&value| value == 0.0), t >= length, "t {t}, row {row}: {values:?}");
        }
    }
    assert_eq!(h_n[7..14], batch.h0[7..14], "the state of a row without a step");
    assert_eq!(d_h0[7..14], batch.d_h_n[7..14], "and its gradient");
    for tensor in gradients.parameters.tensors() {
        assert!(read(tensor).iter().all(|value| value.is_finite()), "what lies past the end does not matter");
    }
}

fn reset_before(gpu: &Gpu) {
    let config = GRU().reset(Reset::Before);
    check(gpu, &config, UNROLL());
    check(gpu, &config.clone().bias(false).num_layers(2).direction(Direction::Bidirectional), UNROLL());
    check_lengths(gpu, &config.clone().direction(Direction::Bidirectional), UNROLL(), &LENGTHS);
    check(gpu, &GruConfig::new(3, 33).reset(Reset::Before), Unroll::training(4, 9));
}

/// Gates made again give the same gradients within the budget, over many chunks.
fn states_only(gpu: &Gpu) {
    let unroll = Unroll::training(70, 3).saved(Saved::Recompute);
    let both = Direction::Bidirectional;
    check(gpu, &GRU(), UNROLL().saved(Saved::Recompute));
    for config in [GRU(), GRU().reset(Reset::Before).bias(false)] {
        check(gpu, &config.clone().direction(both), unroll);
        check_lengths(gpu, &config.direction(both).num_layers(2), unroll, &[70, 33, 0]);
    }
    check(gpu, &RNN(), unroll);
    let memory = |saved| {
        let layer = Recurrent::new(gpu, GruConfig::new(1, 64), 1).expect("a layer");
        let net = layer.unroll(Unroll::training(320, 8).saved(saved)).expect("an unroll");
        let states = 4 * 320 * 8 * 64;
        let of = |name: &str| {
            let list = net.plan().allocations().iter().filter(|allocation| allocation.name == name);
            list.map(|allocation| allocation.bytes as f64).sum::<f64>() / f64::from(states)
        };
        of("h") + of("gates") + of("h_proj")
    };
    let (everything, states_only) = (memory(Saved::Everything), memory(Saved::Recompute));
    assert!((4.9..5.1).contains(&everything), "{everything} states a step");
    assert!((1.0..1.3).contains(&states_only), "{states_only} states a step");
}

/// The masks of GPU and oracle are the same; another pass draws others; inference drops nothing.
fn dropout(gpu: &Gpu) {
    let config = GRU().num_layers(3).dropout(0.4);
    check(gpu, &config, UNROLL());
    let both = config.clone().direction(Direction::Bidirectional).batch_first(true);
    check_lengths(gpu, &both, UNROLL(), &LENGTHS);

    let layer = Recurrent::new(gpu, config, 3).expect("a layer");
    let mut net = layer.unroll(UNROLL()).expect("an unroll");
    let x = tensor(gpu, &[6, 3, 5], &[0.5; 6 * 3 * 5]);
    net.set_dropout_seed(1).expect("a seed");
    let mut pass = || bits(&net.forward(&x, None).expect("a forward pass").output);
    let (first, second) = (pass(), pass());
    assert_ne!(first, second, "another pass, another mask");
    net.set_dropout_seed(1).expect("a seed");
    assert_eq!(bits(&net.forward(&x, None).expect("a forward pass").output), first, "the seed repeats the masks");
    let whole =
        Recurrent::new(gpu, GRU().num_layers(3), 3).expect("a layer").forward(&x, None).expect("a forward pass");
    assert_eq!(bits(&layer.forward(&x, None).expect("a forward pass").output), bits(&whole.output), "inference");
}

fn norms(gpu: &Gpu) {
    let unroll = UNROLL().gradient_norms(true);
    check(gpu, &GRU().num_layers(2).direction(Direction::Bidirectional), unroll);
    check(gpu, &GRU().reset(Reset::Before), unroll);
    check(gpu, &RnnConfig::new(3, 70), Unroll::training(9, 9).gradient_norms(true));
    check_lengths(gpu, &GRU(), unroll, &LENGTHS);
}

fn plain_rnn(gpu: &Gpu) {
    for nonlinearity in [Activation::Tanh, Activation::Relu] {
        let config = RNN().nonlinearity(nonlinearity);
        check(gpu, &config, UNROLL());
        check(gpu, &config.clone().num_layers(2).direction(Direction::Bidirectional), UNROLL());
        check_lengths(gpu, &config.direction(Direction::Bidirectional), UNROLL(), &LENGTHS);
    }
}

fn activations(gpu: &Gpu) {
    for activation in ACTIVATIONS {
        check(gpu, &GRU().candidate_activation(activation), UNROLL());
        check(gpu, &GRU().gate_activation(activation).reset(Reset::Before), UNROLL());
        check(gpu, &RNN().nonlinearity(activation), UNROLL());
    }
}

fn clip(gpu: &Gpu) {
    check(gpu, &GRU().clip(0.3), UNROLL());
    for activation in ACTIVATIONS {
        check(gpu, &GRU().candidate_activation(activation).gate_activation(activation).clip(0.5), UNROLL());
    }
    check(gpu, &RNN().clip(0.3), UNROLL());
}

/// Two segments, the state carried from one to the next, are one sequence.
fn state_carried_over(gpu: &Gpu) {
    for config in [GRU(), GRU().num_layers(2)] {
        let layer = Recurrent::new(gpu, config.clone(), 3).expect("a layer");
        let batch = Batch::random(&config, 8, 3, 9);
        let tensor = |shape: &[usize], host: &[f32]| tensor(gpu, shape, host);
        let whole = layer.forward(&tensor(&[8, 3, 5], &batch.x), None).expect("a forward pass");
        let mut net = layer.unroll(Unroll::inference(4, 3)).expect("an unroll");
        let mut states = Vec::new();
        for x in batch.x.chunks_exact(4 * 3 * 5) {
            net.input().write(x).expect("a write");
            gpu.submit(|encoder| {
                net.encode_forward(encoder)?;
                net.encode_carry_state(encoder)
            })
            .expect("a submission");
            states.extend(bits(net.output()));
        }
        assert_eq!(states, bits(&whole.output), "{config:?}");
        carried_gradients(gpu, &layer, &batch);
    }
}

/// Training on the second segment of a stream: the gradients are those of the segment by itself, whose first states are the
/// last ones of the first segment.
fn carried_gradients(gpu: &Gpu, layer: &Gru, batch: &Batch) {
    let segment = |number: usize| &batch.x[number * 60..][..60];
    let d_output = tensor(gpu, &[4, 3, 7], &batch.d_output[..84]);
    let unroll = || layer.unroll(Unroll::training(4, 3)).expect("an unroll");
    let (mut carried, mut apart) = (unroll(), unroll());
    carried.input().write(segment(0)).expect("a write");
    gpu.submit(|encoder| {
        carried.encode_forward(encoder)?;
        carried.encode_carry_state(encoder)
    })
    .expect("a submission");
    let states = tensor(gpu, carried.h_n().shape(), &read(carried.h_n()));
    carried.input().write(segment(1)).expect("a write");
    gpu.submit(|encoder| carried.encode_forward(encoder)).expect("a submission");
    let carried = carried.backward(Some(&d_output), None).expect("a backward pass");
    let x = tensor(gpu, &[4, 3, 5], segment(1));
    apart.forward(&x, Some(&states)).expect("a forward pass");
    let apart = apart.backward(Some(&d_output), None).expect("a backward pass");
    let names = apart.parameters.named(layer.config()).zip(carried.parameters.named(layer.config()));
    for ((name, apart), (_, carried)) in names {
        assert_eq!(bits(carried), bits(apart), "d_{name}");
    }
    assert_eq!(bits(&carried.h0), bits(&apart.h0), "d_h0");
}

fn option_errors(gpu: &Gpu) {
    let refused = |config: &GruConfig| match Recurrent::new(gpu, config.clone(), 1) {
        Err(Error::InvalidOption { option, .. }) => option,
        other => panic!("{config:?}: {other:?}"),
    };
    for share in [-0.1, 1.0, f32::NAN] {
        assert_eq!(refused(&GRU().num_layers(2).dropout(share)), "dropout", "{share}");
    }
    assert_eq!(refused(&GRU().dropout(0.5)), "dropout", "dropout acts between layers");
    for limit in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(refused(&GRU().clip(limit)), "clip", "{limit}");
    }
    assert_eq!(refused(&GRU().gate_activation(Activation::LeakyRelu { alpha: f32::NAN })), "gate_activation", "NaN");
    assert!(
        matches!(Recurrent::new(gpu, GRU().num_layers(0), 1), Err(Error::ZeroSize { what: "num_layers" })),
        "no layer"
    );

    // No derivative from the output: inference works, training is refused.
    for activation in [Activation::LeakyRelu { alpha: -0.1 }, Activation::ThresholdedRelu { theta: -0.1 }] {
        let layer = Recurrent::new(gpu, GRU().candidate_activation(activation), 1).expect("a layer");
        layer.unroll(Unroll::inference(2, 1)).expect("inference");
        let error = layer.unroll(UNROLL()).expect_err("training");
        assert!(matches!(error, Error::NoDerivative { option: "candidate_activation", .. }), "{error:?}");
    }

    let layer = Recurrent::new(gpu, GRU(), 1).expect("a layer");
    let net = layer.unroll(UNROLL()).expect("an unroll");
    assert!(matches!(net.set_lengths(&LENGTHS), Err(Error::NoLengths)), "made without lengths");
    let net = layer.unroll(UNROLL().lengths(true)).expect("an unroll");
    let error = net.set_lengths(&[1, 7, 2]).expect_err("a length over T");
    assert!(matches!(error, Error::LengthExceeded { row: 1, length: 7, seq_len: 6 }), "{error:?}");
    let error = net.set_lengths(&[1, 2]).expect_err("too few lengths");
    assert!(matches!(&error, Error::ShapeMismatch { tensor, .. } if tensor == "lengths"), "{error:?}");
}
