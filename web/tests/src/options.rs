//! Every option of a layer, forward and backward.

use wgpu_gru::Schedule;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Activation, Direction, GruConfig, Recurrent, Reset, RnnConfig, Saved, Tensor, Unroll};

use crate::run::{Outcome, Run, bits, checks, ensure};
use crate::shapes::everywhere;

checks![
    "options":
    layers_and_directions,
    wavefront,
    few_rows,
    biases_and_layout,
    lengths,
    reset_before,
    states_only,
    half_gates,
    half_weights,
    dropout,
    norms,
    activations,
    clip,
    without_input_gradient,
    state_carried_over,
    without_runtime_checks,
];

/// I, H; T, B.
const GRU: fn() -> GruConfig = || GruConfig::new(5, 7);
const RNN: fn() -> RnnConfig = || RnnConfig::new(5, 7);
const UNROLL: fn() -> Unroll = || Unroll::training(6, 3);
/// One row that is whole, one without a step, one in between.
const LENGTHS: [usize; 3] = [6, 0, 3];

async fn layers_and_directions(run: &Run) -> Outcome {
    for direction in [Direction::Forward, Direction::Reverse, Direction::Bidirectional] {
        for layers in 1..=3 {
            run.layer(&GRU().num_layers(layers).direction(direction), UNROLL()).await?;
        }
        for unroll in everywhere(UNROLL()) {
            run.layer(&GruConfig::new(4, 8).num_layers(2).direction(direction), unroll).await?;
        }
        run.layer(&RNN().num_layers(2).direction(direction), UNROLL()).await?;
    }
    Ok(())
}

async fn wavefront(run: &Run) -> Outcome {
    for direction in [Direction::Forward, Direction::Reverse] {
        for (layers, seq_len) in [(2, 6), (3, 19)] {
            let config = GRU().num_layers(layers).direction(direction);
            let wave = Unroll::training(seq_len, 3).wavefront(true);
            for unroll in everywhere(wave) {
                run.layer(&config, unroll).await?;
            }
            run.layer(&config, wave.saved(Saved::Recompute)).await?;
            run.layer(&config.clone().reset(Reset::Before), wave).await?;
            run.layer_of_lengths(&config, wave, &[seq_len, 0, seq_len / 2]).await?;
        }
    }
    Ok(())
}

/// Products of at most eight rows, which have a kernel of their own on a GPU.
async fn few_rows(run: &Run) -> Outcome {
    for (config, t, b) in [(GRU(), 1, 1), (GRU().num_layers(2), 2, 4), (GruConfig::new(36, 40), 1, 8)] {
        let unroll = Unroll::training(t, b).adapter_class(DeviceType::DiscreteGpu);
        let net = run.layer(&config, unroll).await?;
        ensure(net.explain().contains("matmul_few_rows"), || net.explain())?;
    }
    Ok(())
}

async fn biases_and_layout(run: &Run) -> Outcome {
    run.layer(&GRU().bias(false), UNROLL()).await?;
    run.layer(&RNN().bias(false).num_layers(2), UNROLL()).await?;
    run.layer(&GRU().batch_first(true), UNROLL()).await?;
    let all = GRU().batch_first(true).num_layers(2).direction(Direction::Bidirectional).bias(false);
    run.layer(&all, UNROLL()).await?;
    Ok(())
}

async fn lengths(run: &Run) -> Outcome {
    for direction in [Direction::Forward, Direction::Reverse, Direction::Bidirectional] {
        for unroll in everywhere(UNROLL()) {
            run.layer_of_lengths(&GRU().direction(direction), unroll, &LENGTHS).await?;
        }
        let both = GRU().direction(direction).num_layers(2).batch_first(true);
        run.layer_of_lengths(&both, UNROLL(), &LENGTHS).await?;
        run.layer_of_lengths(&RNN().direction(direction), UNROLL(), &LENGTHS).await?;
        // Every length there is, more rows than one invocation owns.
        run.layer_of_lengths(&GRU().direction(direction), Unroll::training(6, 7), &[0, 1, 2, 3, 4, 5, 6]).await?;
    }
    Ok(())
}

/// By fours, by single numbers, and as planned for a GPU.
async fn reset_before(run: &Run) -> Outcome {
    for hidden in [7, 8, 132] {
        let config = GruConfig::new(5, hidden).reset(Reset::Before);
        for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
            run.layer(&config, UNROLL().adapter_class(class)).await?;
        }
    }
    let both = GRU().reset(Reset::Before).direction(Direction::Bidirectional).num_layers(2);
    run.layer(&both, UNROLL()).await?;
    run.layer_of_lengths(&both, UNROLL(), &LENGTHS).await?;
    run.inference(&GruConfig::new(5, 8).reset(Reset::Before), Unroll::inference(6, 3)).await
}

/// Over many chunks.
async fn states_only(run: &Run) -> Outcome {
    let unroll = Unroll::training(70, 3).saved(Saved::Recompute);
    let both = Direction::Bidirectional;
    for config in [GRU(), GRU().reset(Reset::Before), GRU().bias(false)] {
        run.layer(&config.clone().direction(both), unroll).await?;
        run.layer_of_lengths(&config.direction(both).num_layers(2), unroll, &[70, 33, 0]).await?;
    }
    run.layer(&GruConfig::new(5, 8), unroll.adapter_class(DeviceType::DiscreteGpu)).await?;
    run.layer(&RNN(), unroll).await?;
    Ok(())
}

/// Over many chunks and one.
async fn half_gates(run: &Run) -> Outcome {
    let both = GRU().direction(Direction::Bidirectional);
    for seq_len in [1, 70] {
        let unroll = Unroll::training(seq_len, 3).saved(Saved::F16);
        for unroll in everywhere(unroll) {
            run.layer(&GruConfig::new(5, 8), unroll).await?;
        }
        run.layer(&both.clone().reset(Reset::Before).bias(false), unroll).await?;
        run.layer(&RNN(), unroll).await?;
        run.layer_of_lengths(&both.clone().num_layers(2), unroll, &[seq_len, seq_len / 2, 0]).await?;
    }
    Ok(())
}

async fn f16_weights(run: &Run) -> Outcome {
    let unroll = Unroll::training(5, 3).f16_weights(true);
    for unroll in everywhere(unroll) {
        run.layer(&GruConfig::new(5, 4), unroll).await?;
        run.layer(&RnnConfig::new(5, 12), unroll).await?;
    }
    for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
        run.layer(&GruConfig::new(5, 132), unroll.adapter_class(class)).await?;
        run.layer(&GruConfig::new(5, 12).reset(Reset::Before), unroll.adapter_class(class)).await?;
    }
    let both = GruConfig::new(5, 8).num_layers(2).direction(Direction::Bidirectional);
    run.layer_of_lengths(&both, UNROLL().f16_weights(true).saved(Saved::F16), &LENGTHS).await?;
    run.inference(&GruConfig::new(5, 8), Unroll::inference(6, 3).f16_weights(true)).await
}

/// The masks of GPU and oracle are the same; another pass draws others.
async fn dropout(run: &Run) -> Outcome {
    let config = GRU().num_layers(3).dropout(0.4);
    run.layer(&config, UNROLL()).await?;
    let both = config.clone().direction(Direction::Bidirectional).batch_first(true);
    run.layer_of_lengths(&both, UNROLL(), &LENGTHS).await?;

    let layer = Recurrent::new(run.gpu(), config, 3)?;
    let mut net = layer.unroll(UNROLL())?;
    let x = Tensor::from_slice(run.gpu(), &[6, 3, 5], &[0.5; 6 * 3 * 5])?;
    let mut passes = Vec::new();
    for seed in [Some(1), None, Some(1)] {
        if let Some(seed) = seed {
            net.set_dropout_seed(seed)?;
        }
        passes.push(bits(&net.forward(&x, None)?.output.read().await?));
    }
    ensure(passes[0] != passes[1], || "another pass has the same mask".into())?;
    ensure(passes[0] == passes[2], || "the seed does not repeat the masks".into())
}

async fn norms(run: &Run) -> Outcome {
    for unroll in everywhere(UNROLL().gradient_norms(true)) {
        run.layer(&GRU().num_layers(2).direction(Direction::Bidirectional), unroll).await?;
        run.layer(&RnnConfig::new(3, 70), unroll).await?;
    }
    run.layer(&GRU().reset(Reset::Before), UNROLL().gradient_norms(true)).await?;
    run.layer_of_lengths(&GRU(), UNROLL().gradient_norms(true), &LENGTHS).await?;
    Ok(())
}

const ACTIVATIONS: [Activation; 10] = [
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Relu,
    Activation::HARD_SIGMOID_ONNX,
    Activation::HARD_SIGMOID_KERAS,
    Activation::LeakyRelu { alpha: 0.1 },
    Activation::ThresholdedRelu { theta: 0.1 },
    Activation::Softsign,
    Activation::Softplus,
    Activation::Linear,
];

/// Each in one of three places in turn: they are one text everywhere, and each kernel with them takes long to compile. The native
/// tests have all.
async fn activations(run: &Run) -> Outcome {
    for (index, activation) in ACTIVATIONS.into_iter().enumerate() {
        match index % 3 {
            0 => run.layer(&GRU().candidate_activation(activation), UNROLL()).await?,
            1 => run.layer(&GRU().gate_activation(activation).reset(Reset::Before), UNROLL()).await?,
            _ => run.layer(&RNN().nonlinearity(activation), UNROLL()).await?,
        };
    }
    Ok(())
}

async fn clip(run: &Run) -> Outcome {
    run.layer(&GRU().clip(0.3), UNROLL()).await?;
    run.layer(&GRU().clip(0.3), UNROLL().saved(Saved::Recompute)).await?;
    run.layer(&RNN().clip(0.3), UNROLL()).await?;
    Ok(())
}

async fn without_input_gradient(run: &Run) -> Outcome {
    run.layer(&GRU(), UNROLL().input_gradient(false)).await?;
    Ok(())
}

/// Two segments, the state carried from one to the next, are one sequence.
async fn state_carried_over(run: &Run) -> Outcome {
    for config in [GRU(), GRU().num_layers(2)] {
        let layer = Recurrent::new(run.gpu(), config, 3)?;
        let x: Vec<f32> = wgpu_gru::SplitMix64::new(9).vec(8 * 3 * 5, 1.0);
        let whole = layer.forward(&Tensor::from_slice(run.gpu(), &[8, 3, 5], &x)?, None)?.output.read().await?;
        let mut net = layer.unroll(Unroll::inference(4, 3))?;
        let mut states = Vec::new();
        for segment in x.chunks_exact(4 * 3 * 5) {
            net.input().write(segment)?;
            run.gpu().submit(|encoder| {
                net.encode_forward(encoder)?;
                net.encode_carry_state(encoder)
            })?;
            states.extend(net.output().read().await?);
        }
        ensure(bits(&states) == bits(&whole), || "the segments are not the whole".into())?;
    }
    Ok(())
}

/// A browser checks in any case; asking for less does no harm.
async fn without_runtime_checks(run: &Run) -> Outcome {
    run.gpu().set_runtime_checks(false);
    let outcome = async {
        run.layer(&GRU(), UNROLL().schedule(Schedule::PerStep)).await?;
        run.layer(&GruConfig::new(4, 8), UNROLL().adapter_class(DeviceType::DiscreteGpu)).await
    };
    let outcome = outcome.await;
    run.gpu().set_runtime_checks(true);
    outcome.map(drop)
}
