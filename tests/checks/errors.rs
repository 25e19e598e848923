//! Bad input on a device: a typed error with what was expected and what came, and everything as it was before.

use wgpu_gru::train::{Adam, AdamOptions, Embedding, Linear, Loss, LossOptions, Parameter, Sgd, SgdOptions};
use wgpu_gru::verify::{Batch, verify_batch};
use wgpu_gru::{CellWeights, Error, Gpu, Gru, GruConfig, Output, Tensor, Unroll, Unrolled, Weights, verify};

use super::{Outcome, bits, ensure, equal, refused, tensor, zeros};
use crate::support::{own_device, shape};

checks![
    tensor_shapes,
    layer_shapes,
    layer_sizes,
    weights,
    train_objects,
    options_of_losses,
    foreign_device,
    aliased,
    not_training,
    backward_without_forward,
    verification_input,
    a_failed_call_changes_nothing,
];

/// T 4, B 3, I 2, H 5.
fn layer(gpu: &Gpu) -> wgpu_gru::Result<(Gru, Unrolled)> {
    let gru = Gru::new(gpu, GruConfig::new(2, 5), 1)?;
    let net = gru.unroll(Unroll::training(4, 3))?;
    Ok((gru, net))
}

/// The states of the one layer.
fn states(net: &Unrolled) -> Outcome<&Tensor> {
    Ok(net.states(0).ok_or("one layer")?)
}

/// Forward from host numbers.
fn forward(net: &mut Unrolled, x: &[f32], h0: Option<&[f32]>) -> wgpu_gru::Result<Output> {
    let x = tensor(net.input().gpu(), net.input().shape(), x)?;
    let h0 = h0.map(|h0| tensor(net.h0().gpu(), net.h0().shape(), h0)).transpose()?;
    net.forward(&x, h0.as_ref())
}

async fn tensor_shapes(gpu: &Gpu) -> Outcome {
    refused(Tensor::from_slice(gpu, &[2, 3], &[0.0; 5]), &shape("tensor", &[2, 3], &[5]))?;
    refused(Tensor::from_slice(gpu, &[], &[0.0; 2]), &shape("tensor", &[], &[2]))?;
    let t = tensor(gpu, &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    refused(t.write(&[0.0; 7]), &shape("data to write", &[2, 3], &[7]))?;
    refused(t.reshape(&[2, 2]), &shape("reshaped tensor", &[2, 2], &[6]))?;
    refused(t.reshape(&[0]), &shape("reshaped tensor", &[0], &[6]))?;
    for range in [0..0, 1..1, 2..3, 0..3, usize::MAX - 1..usize::MAX] {
        let actual = [range.start, range.end];
        refused(t.outer(range), &shape("range of the outermost axis", &[0, 2], &actual))?;
    }
    let other = zeros(gpu, &[3, 2])?;
    refused(gpu.submit(|encoder| t.encode_copy_from(encoder, &other)), &shape("source of the copy", &[2, 3], &[3, 2]))?;
    equal(&t.read().await?, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "nothing was written")?;
    equal(&t.outer(1..2)?.read().await?, &[4.0, 5.0, 6.0], "a part")?;
    equal(t.reshape(&[6])?.shape(), &[6][..], "a good shape")
}

async fn layer_shapes(gpu: &Gpu) -> Outcome {
    let (gru, mut net) = layer(gpu)?;
    for wrong in [&[3, 4, 2][..], &[4, 3, 5], &[4, 3], &[24], &[1, 4, 3, 2]] {
        refused(net.forward(&zeros(gpu, wrong)?, None), &shape("x", &[4, 3, 2], wrong))?;
    }
    let x = zeros(gpu, &[4, 3, 2])?;
    refused(net.forward(&x, Some(&zeros(gpu, &[5, 3])?)), &shape("h0", &[1, 3, 5], &[5, 3]))?;
    net.forward(&x, None)?;
    let wrong = zeros(gpu, &[4, 5, 3])?;
    refused(net.backward(Some(&wrong), None), &shape("d_output", &[4, 3, 5], &[4, 5, 3]))?;
    let wrong = zeros(gpu, &[3, 5])?;
    refused(net.backward(None, Some(&wrong)), &shape("d_h_n", &[1, 3, 5], &[3, 5]))?;
    net.backward(None, None)?;

    refused(gru.forward(&zeros(gpu, &[4, 3, 3])?, None), &shape("x", &[4, 3, 2], &[4, 3, 3]))?;
    refused(gru.forward(&zeros(gpu, &[4, 3])?, None), &shape("x", &[4, 3, 2], &[4, 3]))?;
    refused(gru.forward(&zeros(gpu, &[7])?, None), &shape("x", &[7, 1, 2], &[7]))?;
    refused(gru.forward(&x, Some(&zeros(gpu, &[3, 4])?)), &shape("h0", &[1, 3, 5], &[3, 4]))
}

async fn layer_sizes(gpu: &Gpu) -> Outcome {
    let zero = |what| Error::ZeroSize { what };
    refused(Gru::new(gpu, GruConfig::new(0, 5), 1), &zero("input_size"))?;
    refused(Gru::new(gpu, GruConfig::new(2, 0), 1), &zero("hidden_size"))?;
    let (gru, _) = layer(gpu)?;
    refused(gru.unroll(Unroll::inference(0, 3)), &zero("seq_len"))?;
    refused(gru.unroll(Unroll::training(4, 0)), &zero("batch"))?;
    refused(verify(gpu, &GruConfig::new(0, 1), 1, 1, 1).await, &zero("input_size"))?;
    refused(verify(gpu, &GruConfig::new(1, 1), 0, 1, 1).await, &zero("seq_len"))?;
    refused(Linear::new(gpu, 0, 1, 1), &zero("in_features"))?;
    refused(Linear::new(gpu, 1, 0, 1), &zero("out_features"))?;
    refused(Embedding::new(gpu, 0, 1, 1), &zero("num_embeddings"))?;
    refused(Embedding::new(gpu, 1, 0, 1), &zero("embedding_dim"))
}

async fn weights(gpu: &Gpu) -> Outcome {
    let (gru, _) = layer(gpu)?;
    let config = GruConfig::new(2, 5);
    let before = gru.read_weights().await?;
    let expected = [&[15, 2][..], &[15, 5], &[15], &[15]];
    for (index, (name, expected)) in CellWeights::NAMES.into_iter().zip(expected).enumerate() {
        let mut wrong = Weights::random(&config, 2);
        let CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } = &mut wrong.cells[0];
        let array = [weight_ih, weight_hh, bias_ih, bias_hh].into_iter().nth(index).ok_or("four arrays")?;
        array.pop();
        let actual = [array.len()];
        let (tensor, expected, actual) = (format!("{name}_l0").into(), expected.to_vec(), actual.to_vec());
        let mismatch = Error::ShapeMismatch { tensor, expected, actual };
        refused(gru.set_weights(&wrong), &mismatch)?;
        refused(Gru::with_weights(gpu, config.clone(), &wrong), &mismatch)?;
    }
    equal(&gru.read_weights().await?, &before, "no weight has changed")
}

async fn train_objects(gpu: &Gpu) -> Outcome {
    let linear = Linear::new(gpu, 5, 2, 1)?;
    let (good, wrong) = (zeros(gpu, &[3, 5])?, zeros(gpu, &[3, 4])?);
    refused(linear.unroll(&wrong, &wrong), &shape("input", &[3, 5], &[3, 4]))?;
    refused(linear.unroll(&good, &wrong), &shape("d_input", &[3, 5], &[3, 4]))?;
    refused(Linear::with_weights(gpu, [2, 5], &[0.0; 9], &[0.0; 2]), &shape("weight", &[2, 5], &[9]))?;
    refused(Linear::with_weights(gpu, [2, 5], &[0.0; 10], &[0.0; 3]), &shape("bias", &[2], &[3]))?;
    refused(Loss::mean_squared_error(&good, &wrong), &shape("d_prediction", &[3, 5], &[3, 4]))?;
    refused(Loss::binary_cross_entropy(&good, &wrong), &shape("d_logits", &[3, 5], &[3, 4]))?;
    refused(Loss::cross_entropy(&good, &wrong), &shape("d_logits", &[3, 5], &[3, 4]))?;
    refused(Embedding::with_weights(gpu, [2, 5], &[0.0; 9]), &shape("weight", &[2, 5], &[9]))?;
    let options = AdamOptions::default();
    let nothing: [Parameter<'_>; 0] = [];
    refused(Adam::new([(&good, &wrong)], &options), &shape("gradient", &[3, 5], &[3, 4]))?;
    refused(Adam::new(nothing, &options), &Error::ZeroSize { what: "number of parameters" })?;

    let bad = SgdOptions { learning_rate: -1.0, ..SgdOptions::default() };
    let expected = Error::InvalidOption { option: "learning_rate", value: -1.0, expected: "finite and at least 0" };
    refused(Sgd::new([(&good, &good)], &bad), &expected)?;
    refused(Sgd::new(nothing, &SgdOptions::default()), &Error::ZeroSize { what: "number of parameters" })?;

    let gradient = zeros(gpu, &[3, 5])?;
    let bad = AdamOptions { beta1: 1.0, ..options };
    let expected = Error::InvalidOption { option: "beta1", value: 1.0, expected: "0 <= beta1 < 1" };
    refused(Adam::new([(&good, &gradient)], &bad), &expected)?;
    let adam = Adam::new([(&good, &gradient)], &options)?;
    for value in [f32::NAN, f32::INFINITY, -1.0] {
        let expected = "finite and at least 0";
        let expected = Error::InvalidOption { option: "learning_rate", value: f64::from(value), expected };
        refused(adam.set_learning_rate(value), &expected)?;
    }
    Ok(())
}

async fn options_of_losses(gpu: &Gpu) -> Outcome {
    let unavailable = |option, because| Error::OptionUnavailable { option, because };
    let (x, d) = (zeros(gpu, &[4, 3, 2])?, zeros(gpu, &[4, 3, 2])?);
    let ignoring = LossOptions { ignore_index: Some(0), ..LossOptions::default() };
    let classes = "only cross_entropy has classes";
    refused(ignoring.mean_squared_error(&x, &d), &unavailable("ignore_index", classes))?;
    refused(ignoring.binary_cross_entropy(&x, &d), &unavailable("ignore_index", classes))?;
    let plain = Loss::mean_squared_error(&x, &d)?;
    refused(plain.write_classes(&[0; 12]), &unavailable("write_classes", classes))?;
    let mask = "the loss was made without: see LossOptions::mask";
    refused(plain.mask().map(drop), &unavailable("mask", mask))?;
    refused(plain.set_lengths(&[1; 3]), &unavailable("mask", mask))?;
    let masked = LossOptions { mask: true, ..LossOptions::default() };
    let loss = masked.mean_squared_error(&x, &d)?;
    refused(loss.set_lengths(&[1; 4]), &shape("lengths", &[3], &[4]))?;
    refused(loss.set_lengths(&[1, 5, 6]), &Error::LengthExceeded { row: 1, length: 5, seq_len: 4 })?;
    equal(&loss.mask()?.read().await?, &[1.0; 12], "nothing was written")?;
    let (x, d) = (zeros(gpu, &[4, 3])?, zeros(gpu, &[4, 3])?);
    let because = "a prediction that has lengths is [T, B, .., F], or [B, T, .., F]";
    refused(masked.cross_entropy(&x, &d)?.set_lengths(&[1; 4]), &unavailable("set_lengths", because))
}

async fn foreign_device(gpu: &Gpu) -> Outcome {
    let other = own_device(gpu).await?;
    ensure(!gpu.is_same_device(&other) && gpu.is_same_device(&gpu.clone()), "two devices, and one")?;
    let foreign = |tensor: &'static str| Error::ForeignDevice { tensor: tensor.into() };
    let (gru, mut net) = layer(gpu)?;
    let (x, away) = (zeros(gpu, &[4, 3, 2])?, zeros(&other, &[4, 3, 2])?);
    refused(net.forward(&away, None), &foreign("x"))?;
    refused(net.forward(&x, Some(&zeros(&other, &[1, 3, 5])?)), &foreign("h0"))?;
    refused(gru.forward(&away, None), &foreign("x"))?;
    net.forward(&x, None)?;
    refused(net.backward(Some(&zeros(&other, &[4, 3, 5])?), None), &foreign("d_output"))?;
    refused(net.backward(None, Some(&zeros(&other, &[1, 3, 5])?)), &foreign("d_h_n"))?;
    net.backward(None, None)?;

    let copy = gpu.submit(|encoder| x.encode_copy_from(encoder, &away));
    refused(copy, &foreign("source of the copy"))?;
    let linear = Linear::new(gpu, 2, 2, 1)?;
    refused(linear.unroll(&away, &x), &foreign("input"))?;
    refused(linear.unroll(&x, &away), &foreign("d_input"))?;
    refused(Loss::mean_squared_error(&x, &away), &foreign("d_prediction"))?;
    refused(Loss::binary_cross_entropy(&x, &away), &foreign("d_logits"))?;
    refused(Loss::cross_entropy(&x, &away), &foreign("d_logits"))?;
    let embedding = Embedding::new(gpu, 2, 2, 1)?;
    refused(embedding.unroll(&away), &foreign("input"))?;
    refused(embedding.unroll_inference(&away), &foreign("input"))?;
    let (options, d_x) = (AdamOptions::default(), zeros(gpu, &[4, 3, 2])?);
    refused(Adam::new([(&x, &away)], &options), &foreign("gradient"))?;
    refused(Adam::new([(&x, &d_x), (&away, &d_x)], &options), &foreign("parameter"))
}

async fn aliased(gpu: &Gpu) -> Outcome {
    let error = |first, second| Error::Aliased { first, second };
    let x = zeros(gpu, &[4, 5])?;
    let options = AdamOptions::default();
    refused(Adam::new([(&x, &x.clone())], &options), &error("parameter", "gradient"))?;
    refused(Sgd::new([(&x, &x.clone())], &SgdOptions::default()), &error("parameter", "gradient"))?;
    refused(Loss::mean_squared_error(&x, &x), &error("prediction", "d_prediction"))?;
    refused(Loss::binary_cross_entropy(&x, &x), &error("logits", "d_logits"))?;
    refused(Loss::cross_entropy(&x, &x), &error("logits", "d_logits"))?;
    let linear = Linear::new(gpu, 5, 2, 1)?;
    refused(linear.unroll(&x, &x), &error("input", "d_input"))?;
    let (first, second) = (x.outer(0..2)?, x.outer(2..4)?);
    let copy = gpu.submit(|encoder| first.encode_copy_from(encoder, &second));
    refused(copy, &error("source of the copy", "destination of the copy"))
}

async fn not_training(gpu: &Gpu) -> Outcome {
    let (gru, _) = layer(gpu)?;
    let mut net = gru.unroll(Unroll::inference(4, 3))?;
    forward(&mut net, &[0.5; 24], None)?;
    let before = bits(states(&net)?).await?;
    refused(net.set_lengths(&[1, 2, 3]), &Error::NoLengths)?;
    refused(net.set_dropout_seed(1), &Error::NoDropout)?;
    refused(net.set_dropout_state([1, 1]), &Error::NoDropout)?;
    refused(net.dropout_state().await, &Error::NoDropout)?;
    refused(net.d_output(), &Error::NotTraining)?;
    refused(net.d_h_n(), &Error::NotTraining)?;
    refused(net.gradients(), &Error::NotTraining)?;
    refused(net.backward(None, None), &Error::NotTraining)?;
    refused(gpu.submit(|encoder| net.encode_backward(encoder)), &Error::NotTraining)?;
    let batch = Batch::random(&GruConfig::new(2, 5), 4, 3, 1);
    refused(verify_batch(&gru, &mut net, &batch).await, &Error::NotTraining)?;
    equal(&bits(states(&net)?).await?, &before, "nothing has changed")
}

async fn backward_without_forward(gpu: &Gpu) -> Outcome {
    let (_, mut net) = layer(gpu)?;
    refused(net.backward(None, None), &Error::BackwardWithoutForward)?;
    refused(gpu.submit(|encoder| net.encode_backward(encoder)), &Error::BackwardWithoutForward)?;
    forward(&mut net, &[0.5; 24], None)?;
    net.backward(None, None)?;
    let gradients = bits(&net.gradients()?.h0).await?;
    refused(net.backward(None, None), &Error::BackwardWithoutForward)?;
    refused(gpu.submit(|encoder| net.encode_backward(encoder)), &Error::BackwardWithoutForward)?;
    equal(&bits(&net.gradients()?.h0).await?, &gradients, "nothing has changed")?;
    forward(&mut net, &[0.5; 24], None)?;
    net.backward(None, None)?;
    Ok(())
}

async fn verification_input(gpu: &Gpu) -> Outcome {
    let (gru, mut net) = layer(gpu)?;
    let whole = Batch::random(gru.config(), 4, 3, 1);
    let cut = |change: fn(&mut Batch)| {
        let mut batch = whole.clone();
        change(&mut batch);
        batch
    };
    for (batch, expected) in [
        (cut(|batch| batch.x.truncate(batch.x.len() - 1)), shape("x", &[4, 3, 2], &[23])),
        (cut(|batch| batch.h0.truncate(batch.h0.len() - 1)), shape("h0", &[1, 3, 5], &[14])),
        (cut(|batch| batch.d_output.truncate(batch.d_output.len() - 1)), shape("d_output", &[4, 3, 5], &[59])),
        (cut(|batch| batch.d_h_n.truncate(batch.d_h_n.len() - 1)), shape("d_h_n", &[1, 3, 5], &[14])),
        (Batch::random(gru.config(), 3, 4, 1), shape("x", &[4, 3, 2], &[3, 4, 2])),
    ] {
        refused(verify_batch(&gru, &mut net, &batch).await, &expected)?;
    }
    verify_batch(&gru, &mut net, &whole).await?;
    Ok(())
}

/// After each kind of failed call: the same states, no submission, and a backward of the forward before it.
async fn a_failed_call_changes_nothing(gpu: &Gpu) -> Outcome {
    let gpu = own_device(gpu).await?;
    let (gru, mut net) = layer(&gpu)?;
    let batch = Batch::random(gru.config(), 4, 3, 1);
    verify_batch(&gru, &mut net, &batch).await?;
    let d_h0 = bits(&net.gradients()?.h0).await?;
    forward(&mut net, &batch.x, Some(&batch.h0))?;
    let held = [bits(states(&net)?).await?, bits(net.input()).await?];
    let (x, wrong) = (zeros(&gpu, &[4, 3, 2])?, zeros(&gpu, &[1])?);
    let before = gpu.activity();
    ensure(net.forward(&wrong, None).is_err(), "a wrong x")?;
    ensure(net.forward(&x, Some(&wrong)).is_err(), "a wrong h0")?;
    ensure(net.backward(Some(&wrong), None).is_err(), "a wrong d_output")?;
    ensure(net.backward(None, Some(&wrong)).is_err(), "a wrong d_h_n")?;
    equal(&gpu.activity(), &before, "nothing was made or submitted")?;
    equal(&[bits(states(&net)?).await?, bits(net.input()).await?], &held, "states and input are as before")?;
    let d_output = tensor(&gpu, &[4, 3, 5], &batch.d_output)?;
    let d_h_n = tensor(&gpu, &[1, 3, 5], &batch.d_h_n)?;
    let gradients = net.backward(Some(&d_output), Some(&d_h_n))?;
    equal(&bits(&gradients.h0).await?, &d_h0, "the gradients of the forward pass before")
}
