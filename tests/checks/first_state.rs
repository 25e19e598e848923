//! First states that are learned: the same for every row; their gradient is the sum of the oracle's over the rows.

use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{FirstState, Sgd, SgdOptions};
use wgpu_gru::verify::{Batch, expectation};
use wgpu_gru::{
    Config, Direction, Error, ExternalTensors, Gpu, GruConfig, Recurrent, RnnConfig, Tolerance, Unroll, Weights,
};

use super::{Outcome, bits, ensure, equal, refused, tensor, zeros};
use crate::support::{close, largest, own_device, shape, to_bits};

checks![against_the_oracle, what_it_refuses, order_of_the_passes, shared_with_inference, it_is_learned];

/// One cell and several, states that are parts of others and states that are not, one row and many.
async fn against_the_oracle(gpu: &Gpu) -> Outcome {
    let gru = GruConfig::new(2, 5);
    let configs: [(Config, usize); 5] = [
        (gru.erased(), 1),
        (GruConfig::new(2, 8).erased(), 7),
        (gru.clone().direction(Direction::Reverse).erased(), 3),
        (gru.num_layers(2).direction(Direction::Bidirectional).erased(), 17),
        (RnnConfig::new(3, 65).num_layers(3).batch_first(true).erased(), 70),
    ];
    for (config, rows) in configs {
        let (cells, hidden) = (config.num_cells(), config.hidden_size);
        let weights = Weights::random(&config, 1);
        let layer = Recurrent::with_weights(gpu, config.clone(), &weights)?;
        let mut net = layer.unroll(Unroll::training(3, rows))?;
        let host = SplitMix64::new(5).vec(cells * hidden, 1.0);
        let state = tensor(gpu, &[cells, 1, hidden], &host)?;
        let first = FirstState::new(&state, &net)?;
        let mut batch = Batch::random(&config, 3, rows, 2);
        batch.h0 = host.chunks(hidden).flat_map(|cell| cell.repeat(rows)).collect();
        net.input().write(&batch.x)?;
        net.d_output()?.write(&batch.d_output)?;
        net.d_h_n()?.write(&batch.d_h_n)?;
        // What is there before does not matter.
        net.h0().write(&vec![f32::NAN; net.h0().len()])?;
        for _ in 0..2 {
            gpu.submit(|encoder| {
                first.encode_forward(encoder);
                net.encode_forward(encoder)?;
                net.encode_backward(encoder)?;
                first.encode_backward(encoder)
            })?;
        }
        let name = |what| format!("{what} of {rows} rows of {config:?}");
        equal(&bits(net.h0()).await?, &to_bits(&batch.h0), name("h0"))?;
        let expected = expectation(&config, &weights, &batch);
        let d_h0 = expected.iter().find(|expected| expected.tensor == "d_h0").ok_or("d_h0")?;
        let sums: Vec<f64> = d_h0
            .values
            .chunks(rows * hidden)
            .flat_map(|cell| (0..hidden).map(|unit| cell.iter().skip(unit).step_by(hidden).sum::<f64>()))
            .collect();
        let largest = largest(&d_h0.values).max(1.0);
        let tolerance = d_h0.tolerance.scaled((rows as f64).sqrt()).plus(Tolerance::matmul(rows).scaled(largest));
        let (value, gradient) = first.pair()?;
        equal(gradient.shape(), &[cells, 1, hidden][..], name("shape"))?;
        equal(&bits(value).await?, &to_bits(&host), name("the parameter"))?;
        close(&name("gradient"), &gradient.read().await?, &sums, tolerance)?;
    }
    Ok(())
}

async fn what_it_refuses(gpu: &Gpu) -> Outcome {
    let gru = Recurrent::new(gpu, GruConfig::new(2, 4).num_layers(2), 1)?;
    let net = gru.unroll(Unroll::training(3, 2))?;
    for wrong in [&[2, 2, 4][..], &[1, 2, 4], &[2, 4], &[8]] {
        refused(FirstState::new(&zeros(gpu, wrong)?, &net), &shape("first state", &[2, 1, 4], wrong))?;
    }
    let foreign = zeros(&own_device(gpu).await?, &[2, 1, 4])?;
    refused(FirstState::new(&foreign, &net), &Error::ForeignDevice { tensor: "first state".into() })?;
    // 256 bytes are an alignment of bindings everywhere.
    let all = zeros(gpu, &[128])?;
    let (state, h0) = (all.outer(0..8)?.reshape(&[2, 1, 4])?, all.outer(64..80)?.reshape(&[2, 2, 4])?);
    let places = ExternalTensors { h0: Some(h0), ..ExternalTensors::default() };
    let net = gru.unroll_with(Unroll::training(3, 2), &places)?;
    refused(FirstState::new(&state, &net), &Error::Aliased { first: "first state", second: "h0" })
}

/// The gradient is refused where the layer has recorded no backward pass since the states were copied.
async fn order_of_the_passes(gpu: &Gpu) -> Outcome {
    let gru = Recurrent::new(gpu, GruConfig::new(2, 4), 1)?;
    let mut net = gru.unroll(Unroll::training(3, 2))?;
    let first = FirstState::new(&zeros(gpu, &[1, 1, 4])?, &net)?;
    let refused_now = || refused(gpu.submit(|encoder| first.encode_backward(encoder)), &Error::BackwardWithoutForward);
    refused_now()?;
    gpu.submit(|encoder| {
        first.encode_forward(encoder);
        net.encode_forward(encoder)
    })?;
    refused_now()?;
    gpu.submit(|encoder| {
        net.encode_backward(encoder)?;
        first.encode_backward(encoder)
    })?;
    gpu.submit(|encoder| {
        first.encode_forward(encoder);
        Ok(())
    })?;
    refused_now()
}

/// A layer for inference has the states too, and no gradient.
async fn shared_with_inference(gpu: &Gpu) -> Outcome {
    let gru = Recurrent::new(gpu, GruConfig::new(2, 4), 1)?;
    let state = tensor(gpu, &[1, 1, 4], &[1.0, 2.0, 3.0, 4.0])?;
    let mut net = gru.unroll(Unroll::inference(1, 3))?;
    let first = FirstState::new(&state, &net)?;
    gpu.submit(|encoder| {
        first.encode_forward(encoder);
        net.encode_forward(encoder)
    })?;
    equal(&net.h0().read().await?, &[1.0, 2.0, 3.0, 4.0].repeat(3), "h0")?;
    refused(first.pair(), &Error::NotTraining)?;
    refused(gpu.submit(|encoder| first.encode_backward(encoder)), &Error::NotTraining)
}

/// All weights are 0, so h = h0 / 2 after a step, and the gradient of the sum of B rows is B / 2.
async fn it_is_learned(gpu: &Gpu) -> Outcome {
    let gru = Recurrent::new(gpu, GruConfig::new(1, 4), 1)?;
    for parameter in gru.parameters().tensors() {
        parameter.write(&vec![0.0; parameter.len()])?;
    }
    let mut net = gru.unroll(Unroll::training(1, 6))?;
    let state = zeros(gpu, &[1, 1, 4])?;
    let first = FirstState::new(&state, &net)?;
    let sgd = Sgd::new([first.pair()?], &SgdOptions { learning_rate: 0.5, ..SgdOptions::default() })?;
    net.d_output()?.write(&[1.0; 24])?;
    for step in 1..4 {
        gpu.submit(|encoder| {
            first.encode_forward(encoder);
            net.encode_forward(encoder)?;
            net.encode_backward(encoder)?;
            first.encode_backward(encoder)?;
            sgd.encode(encoder);
            Ok(())
        })?;
        let expected = -1.5 * f64::from(step);
        close("the state", &state.read().await?, &[expected; 4], Tolerance::pointwise())?;
        let output = [expected + 1.5; 24].map(|h| h / 2.0);
        close("the output", &net.output().read().await?, &output, Tolerance::pointwise())?;
    }
    let count = net.pairs()?.chain([first.pair()?]).count();
    ensure(count == 5, format_args!("{count} parameters"))
}
