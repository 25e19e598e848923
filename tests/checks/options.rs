//! Every option of a layer, forward and backward, against the oracle; and that the plan counts what is recorded.

use wgpu_gru::verify::Batch;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Activation, Direction, Error, Gpu, Gru, GruConfig, Recurrent, Reset, RnnConfig, Saved, Tensor, Unroll};

use super::{
    BRIEF, Outcome, bits, check, check_episodes, check_inference, check_lengths, check_outputs, ensure, equal,
    everywhere, refused, tensor,
};
use crate::support::{ACTIVATIONS, shape};

checks![
    layers_and_directions,
    wavefront,
    few_rows,
    reversed_output,
    biases_and_layout,
    lengths,
    rows_of_length_0,
    episode_starts,
    reset_before,
    states_only,
    f16_gates,
    f16_weights,
    dropout,
    norms,
    plain_rnn,
    activations,
    activations_by_direction,
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

async fn layers_and_directions(gpu: &Gpu) -> Outcome {
    for direction in [Direction::Forward, Direction::Reverse, Direction::Bidirectional] {
        for layers in 1..=3 {
            check(gpu, &GRU().num_layers(layers).direction(direction), UNROLL()).await?;
        }
        for unroll in everywhere(UNROLL()) {
            check(gpu, &GruConfig::new(4, 8).num_layers(2).direction(direction), unroll).await?;
        }
        check(gpu, &RNN().num_layers(2).direction(direction), UNROLL()).await?;
    }
    Ok(())
}

/// Layers of so few rows that their products have a kernel of their own on a GPU.
async fn few_rows(gpu: &Gpu) -> Outcome {
    for (config, t, b) in [(GRU(), 1, 1), (GRU().num_layers(2), 2, 4), (GruConfig::new(36, 40), 1, 8)] {
        let unroll = Unroll::training(t, b).adapter_class(DeviceType::DiscreteGpu);
        let net = check(gpu, &config, unroll).await?;
        ensure(net.explain().contains("matmul_few_rows"), format_args!("{}", net.explain()))?;
        check(gpu, &config, unroll.saved(Saved::Recompute)).await?;
    }
    let net = check(gpu, &GRU(), Unroll::training(3, 3).adapter_class(DeviceType::DiscreteGpu)).await?;
    ensure(!net.explain().contains("matmul_few_rows"), format_args!("{}", net.explain()))?;
    Ok(())
}

/// Over chunks of one step, and of several with a shorter last one.
async fn wavefront(gpu: &Gpu) -> Outcome {
    for direction in [Direction::Forward, Direction::Reverse] {
        for (layers, seq_len) in [(2, 6), (3, 19), (2, 2)] {
            let unroll = Unroll::training(seq_len, 3).wavefront(true);
            let config = GRU().num_layers(layers).direction(direction);
            for unroll in everywhere(unroll) {
                check(gpu, &config, unroll).await?;
            }
            check(gpu, &config, unroll.saved(Saved::Recompute).gradient_norms(true)).await?;
            check(gpu, &config.clone().reset(Reset::Before).batch_first(true), unroll).await?;
            check(gpu, &RNN().num_layers(layers).direction(direction).bias(false), unroll).await?;
            check_lengths(gpu, &config, unroll, &[seq_len, 0, seq_len / 2]).await?;
        }
    }
    Ok(())
}

/// The steps in the order in which they were taken.
async fn reversed_output(gpu: &Gpu) -> Outcome {
    let config = GRU().direction(Direction::Reverse).reversed_output(true);
    check(gpu, &config, UNROLL()).await?;
    check_lengths(gpu, &config.clone().batch_first(true).num_layers(2), UNROLL(), &LENGTHS).await?;
    let rnn = RNN().direction(Direction::Reverse);
    let batch = Batch::random(&rnn, 6, 3, 5);
    let [plain, reversed] = [rnn.clone(), rnn.clone().reversed_output(true)].map(|config| async {
        let layer = Recurrent::new(gpu, config, 3)?;
        let x = Tensor::from_slice(gpu, &[6, 3, rnn.input_size], &batch.x)?;
        layer.forward(&x, None)?.output.read().await
    });
    let expected: Vec<f32> = plain.await?.rchunks(3 * rnn.hidden_size).flatten().copied().collect();
    equal(&reversed.await?, &expected, "the steps of the same layer")?;
    let forward = Recurrent::new(gpu, GRU().reversed_output(true), 1).map(drop);
    ensure(matches!(forward, Err(Error::OptionUnavailable { .. })), format_args!("{forward:?}"))
}

async fn biases_and_layout(gpu: &Gpu) -> Outcome {
    check(gpu, &GRU().bias(false), UNROLL()).await?;
    check(gpu, &RNN().bias(false).num_layers(2), UNROLL()).await?;
    check(gpu, &GRU().batch_first(true), UNROLL()).await?;
    let all = GRU().batch_first(true).num_layers(2).direction(Direction::Bidirectional).bias(false);
    check(gpu, &all, UNROLL()).await?;
    check(gpu, &GRU(), UNROLL().input_gradient(false)).await?;
    Ok(())
}

/// Also: zeros past a row's end, in the output and in the gradient of the input, whatever lies there; a row without a
/// step keeps its state.
async fn lengths(gpu: &Gpu) -> Outcome {
    for direction in [Direction::Forward, Direction::Reverse, Direction::Bidirectional] {
        for unroll in everywhere(UNROLL()) {
            check_lengths(gpu, &GRU().direction(direction), unroll, &LENGTHS).await?;
        }
        check_lengths(gpu, &GRU().direction(direction).num_layers(2).batch_first(true), UNROLL(), &LENGTHS).await?;
        check_lengths(gpu, &RNN().direction(direction), UNROLL(), &LENGTHS).await?;
        // Every length there is, more rows than one invocation owns.
        check_lengths(gpu, &GRU().direction(direction), Unroll::training(6, 7), &[0, 1, 2, 3, 4, 5, 6]).await?;
    }
    what_lies_past_the_end(gpu).await
}

async fn what_lies_past_the_end(gpu: &Gpu) -> Outcome {
    let mut batch = Batch::random(&GRU(), 6, 3, 5);
    for t in 3..6 {
        batch.x[(t * 3 + 2) * 5..][..5].fill(f32::NAN);
        batch.d_output[(t * 3 + 2) * 7..][..7].fill(1e9);
    }
    let layer = Recurrent::new(gpu, GRU(), 3)?;
    let mut net = layer.unroll(UNROLL().lengths(true))?;
    net.set_lengths(&LENGTHS)?;
    let (x, h0) = (tensor(gpu, &[6, 3, 5], &batch.x)?, tensor(gpu, &[1, 3, 7], &batch.h0)?);
    let (d_output, d_h_n) = (tensor(gpu, &[6, 3, 7], &batch.d_output)?, tensor(gpu, &[1, 3, 7], &batch.d_h_n)?);
    let out = net.forward(&x, Some(&h0))?;
    let gradients = net.backward(Some(&d_output), Some(&d_h_n))?;
    let (output, h_n, d_h0) = (out.output.read().await?, out.h_n.read().await?, gradients.h0.read().await?);
    let d_input = gradients.input.ok_or("it is wanted")?.read().await?;
    for t in 0..6 {
        for (row, &length) in LENGTHS.iter().enumerate() {
            let at = t * 3 + row;
            let values = [&output[at * 7..][..7], &d_input[at * 5..][..5]].concat();
            let (finite, zero) =
                (values.iter().all(|value| value.is_finite()), values.iter().all(|&value| value == 0.0));
            ensure(finite && zero == (t >= length), format_args!("t {t}, row {row}: {values:?}"))?;
        }
    }
    equal(&h_n[7..14], &batch.h0[7..14], "the state of a row without a step")?;
    equal(&d_h0[7..14], &batch.d_h_n[7..14], "and its gradient")?;
    for tensor in gradients.parameters.tensors() {
        ensure(tensor.read().await?.iter().all(|value| value.is_finite()), "what lies past the end does not matter")?;
    }
    Ok(())
}

/// As ONNX Runtime has them: the last state is zero.
async fn rows_of_length_0(gpu: &Gpu) -> Outcome {
    let unroll = Unroll::inference(6, 3).lengths(true).zero_empty_rows(true);
    for config in [GRU().erased(), RNN().num_layers(2).direction(Direction::Bidirectional).erased()] {
        let layer = Recurrent::new(gpu, config.clone(), 3)?;
        let mut batch = Batch::random(&config, 6, 3, 5);
        batch.lengths = Some(vec![4, 0, 6]);
        check_outputs(&layer, unroll, &batch).await?;
        let mut net = layer.unroll(unroll)?;
        net.set_lengths(&[4, 0, 6])?;
        let shape = [config.num_cells(), 3, config.hidden_size];
        let h0 = Tensor::from_slice(gpu, &shape, &batch.h0)?;
        let h_n = net.forward(&Tensor::zeros(gpu, net.input().shape())?, Some(&h0))?.h_n.read().await?;
        for (row, state) in h_n.chunks(config.hidden_size).enumerate() {
            let is_zero = state.iter().all(|&value| value == 0.0);
            equal(&is_zero, &(row % 3 == 1), format_args!("the last state of row {row}"))?;
        }
    }
    let layer = Recurrent::new(gpu, GRU(), 1)?;
    for unroll in [Unroll::inference(6, 3), UNROLL().lengths(true)] {
        let refused = layer.unroll(unroll.zero_empty_rows(true)).map(drop);
        let is_told = matches!(refused, Err(Error::OptionUnavailable { option: "zero_empty_rows", .. }));
        ensure(is_told, format_args!("{refused:?}"))?;
    }
    Ok(())
}

async fn episode_starts(gpu: &Gpu) -> Outcome {
    for unroll in everywhere(UNROLL()).into_iter().take(if BRIEF { 2 } else { 4 }) {
        for reset in [Reset::After, Reset::Before] {
            check_episodes(gpu, &GRU().reset(reset), unroll, None).await?;
            let config = GRU().reset(reset).direction(Direction::Bidirectional).num_layers(2);
            check_episodes(gpu, &config, unroll.gradient_norms(true), Some(&LENGTHS)).await?;
        }
        check_episodes(gpu, &RNN().direction(Direction::Bidirectional), unroll, Some(&[2, 4, 0])).await?;
    }
    check_episodes(gpu, &GruConfig::new(3, 8), UNROLL().saved(Saved::F16).f16_weights(true), None).await?;
    check_episodes(gpu, &GRU().num_layers(2), UNROLL().wavefront(true), None).await?;
    check_episodes(gpu, &RNN(), UNROLL().saved(Saved::Recompute), None).await?;
    let layer = Recurrent::new(gpu, GRU(), 1)?;
    let recompute = layer.unroll(UNROLL().episode_starts(true).saved(Saved::Recompute)).map(drop);
    let is_told = matches!(recompute, Err(Error::OptionUnavailable { option: "Saved::Recompute", .. }));
    ensure(is_told, format_args!("{recompute:?}"))?;
    let net = layer.unroll(UNROLL())?;
    refused(net.set_episode_starts(&[false; 18]), &Error::NoEpisodeStarts)?;
    refused(net.episode_starts().map(drop), &Error::NoEpisodeStarts)?;
    let net = layer.unroll(UNROLL().episode_starts(true))?;
    refused(net.set_episode_starts(&[false; 17]), &shape("episode_starts", &[6, 3], &[17]))
}

async fn reset_before(gpu: &Gpu) -> Outcome {
    // By fours, by single numbers, and more units than a workgroup has lanes.
    for hidden in [7, 8, 132] {
        for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
            check(gpu, &GruConfig::new(5, hidden).reset(Reset::Before), UNROLL().adapter_class(class)).await?;
        }
    }
    let both = GRU().reset(Reset::Before).direction(Direction::Bidirectional);
    check(gpu, &both.clone().bias(false).num_layers(2), UNROLL()).await?;
    check_lengths(gpu, &both.num_layers(2), UNROLL(), &LENGTHS).await?;
    check(gpu, &GruConfig::new(3, 33).reset(Reset::Before), Unroll::training(4, 9)).await?;
    check_inference(gpu, &GruConfig::new(5, 8).reset(Reset::Before), Unroll::inference(6, 3)).await
}

/// Gates made again give the same gradients within the budget, over many chunks.
async fn states_only(gpu: &Gpu) -> Outcome {
    let unroll = Unroll::training(70, 3).saved(Saved::Recompute);
    let both = Direction::Bidirectional;
    check(gpu, &GRU(), UNROLL().saved(Saved::Recompute)).await?;
    for config in [GRU(), GRU().reset(Reset::Before).bias(false), GRU().bias(false)] {
        check(gpu, &config.clone().direction(both), unroll).await?;
        check_lengths(gpu, &config.direction(both).num_layers(2), unroll, &[70, 33, 0]).await?;
    }
    check(gpu, &RNN(), unroll).await?;
    check(gpu, &GruConfig::new(5, 8), unroll.adapter_class(DeviceType::DiscreteGpu)).await?;
    let memory = |saved| -> Outcome<f64> {
        let layer = Recurrent::new(gpu, GruConfig::new(1, 64), 1)?;
        let net = layer.unroll(Unroll::training(320, 8).saved(saved))?;
        let states = 4 * 320 * 8 * 64;
        let of = |name: &str| {
            let list = net.plan().allocations().iter().filter(|allocation| allocation.name == name);
            list.map(|allocation| allocation.bytes as f64).sum::<f64>() / f64::from(states)
        };
        Ok(of("h") + of("gates") + of("h_proj"))
    };
    let (everything, states_only) = (memory(Saved::Everything)?, memory(Saved::Recompute)?);
    ensure((4.9..5.1).contains(&everything), format_args!("{everything} states a step"))?;
    ensure((1.0..1.3).contains(&states_only), format_args!("{states_only} states a step"))?;
    Ok(())
}

/// Gates kept as halves, over many chunks and one.
async fn f16_gates(gpu: &Gpu) -> Outcome {
    let both = GRU().direction(Direction::Bidirectional);
    for seq_len in [1, 6, 70] {
        let unroll = Unroll::training(seq_len, 3).saved(Saved::F16);
        for unroll in everywhere(unroll) {
            check(gpu, &GruConfig::new(5, 8), unroll).await?;
        }
        check(gpu, &both.clone().reset(Reset::Before).bias(false), unroll).await?;
        check(gpu, &RNN(), unroll).await?;
        let lengths = [seq_len, seq_len / 2, 0];
        check_lengths(gpu, &both.clone().num_layers(2), unroll.gradient_norms(true), &lengths).await?;
    }
    let wavefront = Unroll::training(19, 3).wavefront(true).saved(Saved::F16);
    check(gpu, &GRU().num_layers(3).batch_first(true), wavefront).await?;
    check(gpu, &GRU().num_layers(2).dropout(0.5), Unroll::training(9, 3).saved(Saved::F16)).await?;
    Ok(())
}

/// Recurrent weights that are read as halves.
async fn f16_weights(gpu: &Gpu) -> Outcome {
    let unroll = Unroll::training(9, 5).f16_weights(true);
    for hidden in [4, 36] {
        for unroll in everywhere(unroll) {
            check(gpu, &GruConfig::new(5, hidden), unroll).await?;
            check(gpu, &RnnConfig::new(5, hidden), unroll).await?;
        }
    }
    for hidden in if BRIEF { &[132][..] } else { &[4, 36, 132] } {
        let config = GruConfig::new(5, *hidden);
        for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
            let unroll = unroll.adapter_class(class);
            check(gpu, &config.clone().reset(Reset::Before).direction(Direction::Reverse), unroll).await?;
            check(gpu, &config.clone().direction(Direction::Bidirectional).num_layers(2), unroll).await?;
            check(gpu, &config.clone().num_layers(3).bias(false), unroll.wavefront(true)).await?;
            check_lengths(gpu, &config, unroll.saved(Saved::F16), &[9, 0, 3, 8, 1]).await?;
            check_lengths(gpu, &config, unroll.saved(Saved::Recompute), &[9, 0, 3, 8, 1]).await?;
        }
    }
    check_inference(gpu, &GruConfig::new(5, 8), Unroll::inference(6, 3).f16_weights(true)).await
}

/// The masks of GPU and oracle are the same; another pass draws others; inference drops nothing.
async fn dropout(gpu: &Gpu) -> Outcome {
    let config = GRU().num_layers(3).dropout(0.4);
    check(gpu, &config, UNROLL()).await?;
    let both = config.clone().direction(Direction::Bidirectional).batch_first(true);
    check_lengths(gpu, &both, UNROLL(), &LENGTHS).await?;

    let layer = Recurrent::new(gpu, config, 3)?;
    let mut net = layer.unroll(UNROLL())?;
    let x = tensor(gpu, &[6, 3, 5], &[0.5; 6 * 3 * 5])?;
    net.set_dropout_seed(1)?;
    let first = bits(&net.forward(&x, None)?.output).await?;
    let second = bits(&net.forward(&x, None)?.output).await?;
    ensure(first != second, "another pass has the same mask")?;
    equal(&net.dropout_state().await?, &[1, 2], "the seed, and two passes")?;
    net.set_dropout_state([1, 1])?;
    equal(&bits(&net.forward(&x, None)?.output).await?, &second, "it goes on where it was")?;
    equal(&net.dropout_state().await?, &[1, 2], "the seed, and two passes again")?;
    net.set_dropout_seed(1)?;
    equal(&bits(&net.forward(&x, None)?.output).await?, &first, "the seed repeats the masks")?;
    let whole = Recurrent::new(gpu, GRU().num_layers(3), 3)?.forward(&x, None)?;
    equal(&bits(&layer.forward(&x, None)?.output).await?, &bits(&whole.output).await?, "inference")?;
    Ok(())
}

async fn norms(gpu: &Gpu) -> Outcome {
    let unroll = UNROLL().gradient_norms(true);
    for unroll in everywhere(unroll) {
        check(gpu, &GRU().num_layers(2).direction(Direction::Bidirectional), unroll).await?;
    }
    for unroll in everywhere(Unroll::training(9, 9).gradient_norms(true)) {
        check(gpu, &RnnConfig::new(3, 70), unroll).await?;
    }
    check(gpu, &GRU().reset(Reset::Before), unroll).await?;
    check_lengths(gpu, &GRU(), unroll, &LENGTHS).await?;
    Ok(())
}

async fn plain_rnn(gpu: &Gpu) -> Outcome {
    for nonlinearity in [Activation::Tanh, Activation::Relu] {
        let config = RNN().nonlinearity(nonlinearity);
        check(gpu, &config, UNROLL()).await?;
        check(gpu, &config.clone().num_layers(2).direction(Direction::Bidirectional), UNROLL()).await?;
        check_lengths(gpu, &config.direction(Direction::Bidirectional), UNROLL(), &LENGTHS).await?;
    }
    Ok(())
}

/// Each in three places, in browsers in one of them in turn: they are one text everywhere, and a kernel with them takes
/// long to compile.
async fn activations(gpu: &Gpu) -> Outcome {
    for (index, activation) in ACTIVATIONS.into_iter().enumerate() {
        let is_wanted = |place: usize| !BRIEF || index % 3 == place;
        if is_wanted(0) {
            check(gpu, &GRU().candidate_activation(activation), UNROLL()).await?;
        }
        if is_wanted(1) {
            check(gpu, &GRU().gate_activation(activation).reset(Reset::Before), UNROLL()).await?;
        }
        if is_wanted(2) {
            check(gpu, &RNN().nonlinearity(activation), UNROLL()).await?;
        }
    }
    Ok(())
}

/// Each direction of a layer has its own: their steps are apart then.
async fn activations_by_direction(gpu: &Gpu) -> Outcome {
    let leaky = Activation::LeakyRelu { alpha: 0.1 };
    let gru = GRU().direction(Direction::Bidirectional).num_layers(2);
    check(gpu, &gru.clone().reverse_candidate_activation(leaky), UNROLL()).await?;
    let gates = gru.reverse_gate_activation(Activation::HARD_SIGMOID_ONNX).gate_activation(Activation::Softsign);
    check_lengths(gpu, &gates.clone().reset(Reset::Before), UNROLL(), &LENGTHS).await?;
    check(gpu, &gates, UNROLL().saved(Saved::Recompute)).await?;
    let rnn = RNN().direction(Direction::Bidirectional).reverse_nonlinearity(Activation::Softsign);
    check(gpu, &rnn, UNROLL()).await?;
    Ok(())
}

async fn clip(gpu: &Gpu) -> Outcome {
    check(gpu, &GRU().clip(0.3), UNROLL()).await?;
    check(gpu, &GRU().clip(0.3), UNROLL().saved(Saved::Recompute)).await?;
    for activation in ACTIVATIONS.into_iter().take(if BRIEF { 0 } else { ACTIVATIONS.len() }) {
        check(gpu, &GRU().candidate_activation(activation).gate_activation(activation).clip(0.5), UNROLL()).await?;
    }
    check(gpu, &RNN().clip(0.3), UNROLL()).await?;
    Ok(())
}

/// Two segments, the state carried from one to the next, are one sequence.
async fn state_carried_over(gpu: &Gpu) -> Outcome {
    for config in [GRU(), GRU().num_layers(2)] {
        let layer = Recurrent::new(gpu, config.clone(), 3)?;
        let batch = Batch::random(&config, 8, 3, 9);
        let whole = layer.forward(&tensor(gpu, &[8, 3, 5], &batch.x)?, None)?;
        let mut net = layer.unroll(Unroll::inference(4, 3))?;
        let mut states = Vec::new();
        for x in batch.x.chunks_exact(4 * 3 * 5) {
            net.input().write(x)?;
            gpu.submit(|encoder| {
                net.encode_forward(encoder)?;
                net.encode_carry_state(encoder)
            })?;
            states.extend(bits(net.output()).await?);
        }
        equal(&states, &bits(&whole.output).await?, format_args!("{config:?}"))?;
        carried_gradients(gpu, &layer, &batch).await?;
    }
    Ok(())
}

/// Training on the second segment of a stream: the gradients are those of the segment by itself, whose first states are
/// the last ones of the first segment.
async fn carried_gradients(gpu: &Gpu, layer: &Gru, batch: &Batch) -> Outcome {
    let segment = |number: usize| &batch.x[number * 60..][..60];
    let d_output = tensor(gpu, &[4, 3, 7], &batch.d_output[..84])?;
    let unroll = Unroll::training(4, 3);
    let (mut carried, mut apart) = (layer.unroll(unroll)?, layer.unroll(unroll)?);
    carried.input().write(segment(0))?;
    gpu.submit(|encoder| {
        carried.encode_forward(encoder)?;
        carried.encode_carry_state(encoder)
    })?;
    let states = tensor(gpu, carried.h_n().shape(), &carried.h_n().read().await?)?;
    carried.input().write(segment(1))?;
    gpu.submit(|encoder| carried.encode_forward(encoder))?;
    let carried = carried.backward(Some(&d_output), None)?;
    let x = tensor(gpu, &[4, 3, 5], segment(1))?;
    apart.forward(&x, Some(&states))?;
    let apart = apart.backward(Some(&d_output), None)?;
    let names = apart.parameters.named(layer.config()).zip(carried.parameters.named(layer.config()));
    for ((name, apart), (_, carried)) in names {
        equal(&bits(carried).await?, &bits(apart).await?, format_args!("d_{name}"))?;
    }
    equal(&bits(&carried.h0).await?, &bits(&apart.h0).await?, "d_h0")
}

async fn option_errors(gpu: &Gpu) -> Outcome {
    let invalid = |config: &GruConfig, expected: &str| match Recurrent::new(gpu, config.clone(), 1) {
        Err(Error::InvalidOption { option, .. }) => equal(option, expected, format_args!("{config:?}")),
        other => Err(format!("{config:?}: {other:?}").into()),
    };
    for share in [-0.1, 1.0, f32::NAN] {
        invalid(&GRU().num_layers(2).dropout(share), "dropout")?;
    }
    // Dropout acts between layers.
    invalid(&GRU().dropout(0.5), "dropout")?;
    for limit in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        invalid(&GRU().clip(limit), "clip")?;
    }
    invalid(&GRU().gate_activation(Activation::LeakyRelu { alpha: f32::NAN }), "gate_activation")?;
    refused(Recurrent::new(gpu, GRU().num_layers(0), 1), &Error::ZeroSize { what: "num_layers" })?;
    let both = GRU().direction(Direction::Bidirectional);
    let not_a_number = Activation::Elu { alpha: f32::NAN };
    invalid(&both.clone().reverse_gate_activation(not_a_number), "reverse_gate_activation")?;
    let one_direction = Recurrent::new(gpu, GRU().reverse_gate_activation(Activation::Relu), 1).map(drop);
    ensure(matches!(one_direction, Err(Error::OptionUnavailable { .. })), format_args!("{one_direction:?}"))?;

    // No derivative from the output: inference works, training is refused.
    let untold = [
        Activation::LeakyRelu { alpha: -0.1 },
        Activation::ThresholdedRelu { theta: -0.1 },
        Activation::Elu { alpha: -0.1 },
    ];
    for activation in untold {
        let layer = Recurrent::new(gpu, GRU().candidate_activation(activation), 1)?;
        layer.unroll(Unroll::inference(2, 1))?;
        let training = layer.unroll(UNROLL()).map(drop);
        let is_told = matches!(training, Err(Error::NoDerivative { option: "candidate_activation", .. }));
        ensure(is_told, format_args!("{training:?}"))?;
        let layer = Recurrent::new(gpu, both.clone().reverse_candidate_activation(activation), 1)?;
        let training = layer.unroll(UNROLL()).map(drop);
        let is_told = matches!(training, Err(Error::NoDerivative { option: "reverse_candidate_activation", .. }));
        ensure(is_told, format_args!("{training:?}"))?;
    }

    let layer = Recurrent::new(gpu, GRU(), 1)?;
    refused(layer.unroll(UNROLL())?.set_lengths(&LENGTHS), &Error::NoLengths)?;
    let net = layer.unroll(UNROLL().lengths(true))?;
    refused(net.set_lengths(&[1, 7, 2]), &Error::LengthExceeded { row: 1, length: 7, seq_len: 6 })?;
    refused(net.set_lengths(&[1, 2]), &shape("lengths", &[3], &[2]))
}
