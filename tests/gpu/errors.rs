//! Bad input on a device: a typed error with what was expected and what came, and everything as it was before.

use std::time::Duration;

use wgpu_gru::train::{Adam, AdamOptions, Linear, MeanSquaredError, Sgd, SgdOptions};
use wgpu_gru::verify::{Batch, verify_batch};
use wgpu_gru::{CellWeights, Error, Gpu, Gru, GruConfig, Tensor, Unroll, Unrolled, Weights, verify, wgpu};

use crate::support::{adapter, assert_error, bits, forward, own, read, shape, tensor, zeros};

trials![
    no_adapter_of_this_name,
    request_device,
    tensor_shapes,
    tensor_sizes,
    layer_shapes,
    layer_sizes,
    sizes_near_the_end,
    weights,
    train_objects,
    foreign_device,
    aliased,
    not_training,
    backward_without_forward,
    verification_input,
    a_failed_call_changes_nothing,
    timeout,
];

/// T 4, B 3, I 2, H 5.
fn layer(gpu: &Gpu) -> (Gru, Unrolled) {
    let gru = Gru::new(gpu, GruConfig::new(2, 5), 1).expect("a layer");
    let net = gru.unroll(Unroll::training(4, 3)).expect("an unroll");
    (gru, net)
}

fn no_adapter_of_this_name(gpu: &Gpu) {
    let mut options = wgpu_gru::GpuOptions::from_env();
    options.adapter_name = Some("no such adapter".into());
    match pollster::block_on(Gpu::with_options(options)) {
        Err(Error::NoAdapter { wanted: Some(wanted), found }) => {
            assert_eq!(wanted, "no such adapter", "what was asked for");
            assert!(found.contains(&gpu.info().name), "{found:?}");
        }
        other => panic!("{other:?}"),
    }
    let mut options = wgpu_gru::GpuOptions::from_env();
    options.adapter_name = None;
    // What WGPU_BACKEND=junk asks for, and a backend that the crate does not have.
    for wanted in [wgpu::Backends::empty(), wgpu::Backends::GL] {
        options.backends = Some(wanted);
        match pollster::block_on(Gpu::with_options(options.clone())) {
            Err(Error::NoBackend { wanted: told, available }) => {
                assert_eq!(told, wanted, "what was asked for");
                assert!(available.contains(gpu.info().backend.into()), "{available:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The error of an app's own request becomes this crate's.
fn request_device(gpu: &Gpu) {
    let required_limits = wgpu::Limits { max_bind_groups: u32::MAX, ..wgpu::Limits::default() };
    let descriptor = wgpu::DeviceDescriptor { required_limits, ..wgpu::DeviceDescriptor::default() };
    let refused = pollster::block_on(adapter(gpu).request_device(&descriptor)).map_err(Error::from);
    match refused {
        Err(error @ Error::RequestDevice(_)) => assert!(error.to_string().contains("refused"), "{error}"),
        other => panic!("{other:?}"),
    }
}

fn tensor_shapes(gpu: &Gpu) {
    assert_error(Tensor::from_slice(gpu, &[2, 3], &[0.0; 5]), &shape("tensor", &[2, 3], &[5]));
    assert_error(Tensor::from_slice(gpu, &[], &[0.0; 2]), &shape("tensor", &[], &[2]));
    let t = tensor(gpu, &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_error(t.write(&[0.0; 7]), &shape("data to write", &[2, 3], &[7]));
    assert_error(t.reshape(&[2, 2]), &shape("reshaped tensor", &[2, 2], &[6]));
    assert_error(t.reshape(&[0]), &shape("reshaped tensor", &[0], &[6]));
    // 2^63 * 12 wraps to 0, and (2^63 + 3) * 2 to 6.
    assert_error(t.reshape(&[1 << 63, 12]), &shape("reshaped tensor", &[1 << 63, 12], &[6]));
    assert_error(t.reshape(&[(1 << 63) + 3, 2]), &shape("reshaped tensor", &[(1 << 63) + 3, 2], &[6]));
    for range in [0..0, 1..1, 2..3, 0..3, usize::MAX - 1..usize::MAX] {
        let actual = [range.start, range.end];
        assert_error(t.outer(range), &shape("range of the outermost axis", &[0, 2], &actual));
    }
    let other = zeros(gpu, &[3, 2]);
    assert_error(
        gpu.submit(|encoder| t.encode_copy_from(encoder, &other)),
        &shape("source of the copy", &[2, 3], &[3, 2]),
    );
    assert_eq!(read(&t), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "nothing was written");
    assert_eq!(read(&t.outer(1..2).expect("a row")), [4.0, 5.0, 6.0], "a part");
    assert_eq!(t.reshape(&[6]).expect("a row").shape(), [6], "a good shape");
}

fn tensor_sizes(gpu: &Gpu) {
    for shape in [&[0][..], &[2, 0], &[0, 3], &[0, usize::MAX]] {
        assert_error(Tensor::zeros(gpu, shape), &Error::ZeroSize { what: "tensor" });
        assert_error(Tensor::from_slice(gpu, shape, &[]), &Error::ZeroSize { what: "tensor" });
    }
    let available = gpu.limits().max_buffer_size;
    let limit = |required| Error::LimitExceeded { what: "tensor", limit: "max_buffer_size", required, available };
    let len = (available / 4 + 1) as usize;
    assert_error(Tensor::zeros(gpu, &[len]), &limit(len as u64 * 4));
    for shape in [&[usize::MAX][..], &[usize::MAX, 2], &[1 << 32, 1 << 32], &[1 << 62, 1 << 62, 16]] {
        assert_error(Tensor::zeros(gpu, shape), &limit(u64::MAX));
    }
    assert_error(Tensor::from_slice(gpu, &[1 << 32, 1 << 32], &[]), &shape("tensor", &[1 << 32, 1 << 32], &[0]));
}

fn layer_shapes(gpu: &Gpu) {
    let (gru, mut net) = layer(gpu);
    for wrong in [&[3, 4, 2][..], &[4, 3, 5], &[4, 3], &[24], &[1, 4, 3, 2]] {
        assert_error(net.forward(&zeros(gpu, wrong), None), &shape("x", &[4, 3, 2], wrong));
    }
    let x = zeros(gpu, &[4, 3, 2]);
    assert_error(net.forward(&x, Some(&zeros(gpu, &[5, 3]))), &shape("h0", &[1, 3, 5], &[5, 3]));
    net.forward(&x, None).expect("a forward pass");
    let wrong = zeros(gpu, &[4, 5, 3]);
    assert_error(net.backward(Some(&wrong), None), &shape("d_output", &[4, 3, 5], &[4, 5, 3]));
    let wrong = zeros(gpu, &[3, 5]);
    assert_error(net.backward(None, Some(&wrong)), &shape("d_h_n", &[1, 3, 5], &[3, 5]));
    net.backward(None, None).expect("the forward pass is still there");

    assert_error(gru.forward(&zeros(gpu, &[4, 3, 3]), None), &shape("x", &[4, 3, 2], &[4, 3, 3]));
    assert_error(gru.forward(&zeros(gpu, &[4, 3]), None), &shape("x", &[4, 3, 2], &[4, 3]));
    assert_error(gru.forward(&zeros(gpu, &[7]), None), &shape("x", &[7, 1, 2], &[7]));
    assert_error(gru.forward(&x, Some(&zeros(gpu, &[3, 4]))), &shape("h0", &[1, 3, 5], &[3, 4]));
}

fn layer_sizes(gpu: &Gpu) {
    let zero = |what| Error::ZeroSize { what };
    assert_error(Gru::new(gpu, GruConfig::new(0, 5), 1), &zero("input_size"));
    assert_error(Gru::new(gpu, GruConfig::new(2, 0), 1), &zero("hidden_size"));
    let (gru, _) = layer(gpu);
    assert_error(gru.unroll(Unroll::inference(0, 3)), &zero("seq_len"));
    assert_error(gru.unroll(Unroll::training(4, 0)), &zero("batch"));
    assert_error(pollster::block_on(verify(gpu, &GruConfig::new(0, 1), 1, 1, 1)), &zero("input_size"));
    assert_error(pollster::block_on(verify(gpu, &GruConfig::new(1, 1), 0, 1, 1)), &zero("seq_len"));
    assert_error(Linear::new(gpu, 0, 1, 1), &zero("in_features"));
    assert_error(Linear::new(gpu, 1, 0, 1), &zero("out_features"));
}

/// Sizes whose products do not fit: an error at once, no overflow, and no attempt to make host arrays of them.
fn sizes_near_the_end(gpu: &Gpu) {
    let (gru, _) = layer(gpu);
    for unroll in [
        Unroll::inference(usize::MAX, 3),
        Unroll::training(usize::MAX, usize::MAX),
        Unroll::training(4, usize::MAX),
        Unroll::training(usize::MAX / 2, 1),
    ] {
        match gru.unroll(unroll) {
            Err(Error::LimitExceeded { required, available, .. }) => assert!(required > available, "{unroll:?}"),
            other => panic!("{unroll:?}: {other:?}"),
        }
    }
    for (i, h) in [(usize::MAX, 1), (1, usize::MAX), (usize::MAX, usize::MAX), (1 << 62, 1 << 62), (1 << 32, 1 << 32)] {
        match Gru::new(gpu, GruConfig::new(i, h), 1) {
            Err(Error::LimitExceeded { what, limit, required, available }) => {
                assert!(required > available, "{what} {limit}");
            }
            other => panic!("{i} {h}: {other:?}"),
        }
    }
    for (inputs, outputs) in [(usize::MAX, usize::MAX), (1 << 40, 1 << 40)] {
        match Linear::new(gpu, inputs, outputs, 1) {
            Err(Error::LimitExceeded { what: "weight", required, available, .. }) => {
                assert!(required > available, "{inputs}");
            }
            other => panic!("{inputs} {outputs}: {other:?}"),
        }
    }
}

fn weights(gpu: &Gpu) {
    let (gru, _) = layer(gpu);
    let config = GruConfig::new(2, 5);
    let before = pollster::block_on(gru.read_weights()).expect("the weights");
    let expected = [&[15, 2][..], &[15, 5], &[15], &[15]];
    for (index, (name, expected)) in CellWeights::NAMES.into_iter().zip(expected).enumerate() {
        let mut wrong = Weights::random(&config, 2);
        let CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } = &mut wrong.cells[0];
        let array = [weight_ih, weight_hh, bias_ih, bias_hh].into_iter().nth(index).expect("an array");
        array.pop();
        let actual = [array.len()];
        let (tensor, expected, actual) = (format!("{name}_l0").into(), expected.to_vec(), actual.to_vec());
        let mismatch = Error::ShapeMismatch { tensor, expected, actual };
        assert_error(gru.set_weights(&wrong), &mismatch);
        assert_error(Gru::with_weights(gpu, config.clone(), &wrong), &mismatch);
    }
    assert_eq!(pollster::block_on(gru.read_weights()).expect("the weights"), before, "no weight has changed");
}

fn train_objects(gpu: &Gpu) {
    let linear = Linear::new(gpu, 5, 2, 1).expect("a head");
    let (good, wrong) = (zeros(gpu, &[3, 5]), zeros(gpu, &[3, 4]));
    assert_error(linear.unroll(&wrong, &wrong), &shape("input", &[3, 5], &[3, 4]));
    assert_error(linear.unroll(&good, &wrong), &shape("d_input", &[3, 5], &[3, 4]));
    assert_error(Linear::with_weights(gpu, [2, 5], &[0.0; 9], &[0.0; 2]), &shape("weight", &[2, 5], &[9]));
    assert_error(Linear::with_weights(gpu, [2, 5], &[0.0; 10], &[0.0; 3]), &shape("bias", &[2], &[3]));
    assert_error(MeanSquaredError::new(&good, &wrong), &shape("d_prediction", &[3, 5], &[3, 4]));
    let options = AdamOptions::default();
    assert_error(Adam::new(&[(&good, &wrong)], &options), &shape("gradient", &[3, 5], &[3, 4]));
    assert_error(Adam::new(&[], &options), &Error::ZeroSize { what: "number of parameters" });

    let bad = SgdOptions { learning_rate: -1.0, ..SgdOptions::default() };
    let expected = Error::InvalidOption { option: "learning_rate", value: -1.0, expected: "finite and at least 0" };
    assert_error(Sgd::new(&[(&good, &good)], &bad), &expected);
    assert_error(Sgd::new(&[], &SgdOptions::default()), &Error::ZeroSize { what: "number of parameters" });

    let gradient = zeros(gpu, &[3, 5]);
    let bad = AdamOptions { beta1: 1.0, ..options };
    let expected = Error::InvalidOption { option: "beta1", value: 1.0, expected: "0 <= beta1 < 1" };
    assert_error(Adam::new(&[(&good, &gradient)], &bad), &expected);
    let adam = Adam::new(&[(&good, &gradient)], &options).expect("an optimiser");
    for value in [f32::NAN, f32::INFINITY, -1.0] {
        let expected = "finite and at least 0";
        let expected = Error::InvalidOption { option: "learning_rate", value: f64::from(value), expected };
        assert_error(adam.set_learning_rate(value), &expected);
    }
}

fn foreign_device(gpu: &Gpu) {
    let other = own(gpu);
    assert!(!gpu.is_same_device(&other) && gpu.is_same_device(&gpu.clone()), "two devices, and one");
    let foreign = |tensor: &'static str| Error::ForeignDevice { tensor: tensor.into() };
    let (gru, mut net) = layer(gpu);
    let (x, away) = (zeros(gpu, &[4, 3, 2]), zeros(&other, &[4, 3, 2]));
    assert_error(net.forward(&away, None), &foreign("x"));
    assert_error(net.forward(&x, Some(&zeros(&other, &[1, 3, 5]))), &foreign("h0"));
    assert_error(gru.forward(&away, None), &foreign("x"));
    net.forward(&x, None).expect("a forward pass");
    assert_error(net.backward(Some(&zeros(&other, &[4, 3, 5])), None), &foreign("d_output"));
    assert_error(net.backward(None, Some(&zeros(&other, &[1, 3, 5]))), &foreign("d_h_n"));
    net.backward(None, None).expect("the forward pass is still there");

    let copy = gpu.submit(|encoder| x.encode_copy_from(encoder, &away));
    assert_error(copy, &foreign("source of the copy"));
    let linear = Linear::new(gpu, 2, 2, 1).expect("a head");
    assert_error(linear.unroll(&away, &x), &foreign("input"));
    assert_error(linear.unroll(&x, &away), &foreign("d_input"));
    assert_error(MeanSquaredError::new(&x, &away), &foreign("d_prediction"));
    let (options, d_x) = (AdamOptions::default(), zeros(gpu, &[4, 3, 2]));
    assert_error(Adam::new(&[(&x, &away)], &options), &foreign("gradient"));
    assert_error(Adam::new(&[(&x, &d_x), (&away, &d_x)], &options), &foreign("parameter"));
}

fn aliased(gpu: &Gpu) {
    let error = |first, second| Error::Aliased { first, second };
    let x = zeros(gpu, &[4, 5]);
    let options = AdamOptions::default();
    assert_error(Adam::new(&[(&x, &x.clone())], &options), &error("parameter", "gradient"));
    assert_error(Sgd::new(&[(&x, &x.clone())], &SgdOptions::default()), &error("parameter", "gradient"));
    assert_error(MeanSquaredError::new(&x, &x), &error("prediction", "d_prediction"));
    let linear = Linear::new(gpu, 5, 2, 1).expect("a head");
    assert_error(linear.unroll(&x, &x), &error("input", "d_input"));
    let [first, second] = [0..2, 2..4].map(|range| x.outer(range).expect("two rows"));
    let copy = gpu.submit(|encoder| first.encode_copy_from(encoder, &second));
    assert_error(copy, &error("source of the copy", "destination of the copy"));
}

fn not_training(gpu: &Gpu) {
    let (gru, _) = layer(gpu);
    let mut net = gru.unroll(Unroll::inference(4, 3)).expect("an unroll");
    forward(&mut net, gpu, &[0.5; 24], None);
    let states = bits(net.states(0).expect("one layer"));
    assert_error(net.d_output(), &Error::NotTraining);
    assert_error(net.d_h_n(), &Error::NotTraining);
    assert_error(net.gradients(), &Error::NotTraining);
    assert_error(net.backward(None, None), &Error::NotTraining);
    assert_error(gpu.submit(|encoder| net.encode_backward(encoder)), &Error::NotTraining);
    let batch = Batch::random(&GruConfig::new(2, 5), 4, 3, 1);
    assert_error(pollster::block_on(verify_batch(&gru, &mut net, &batch)), &Error::NotTraining);
    assert_eq!(bits(net.states(0).expect("one layer")), states, "nothing has changed");
}

fn backward_without_forward(gpu: &Gpu) {
    let (_, mut net) = layer(gpu);
    assert_error(net.backward(None, None), &Error::BackwardWithoutForward);
    assert_error(gpu.submit(|encoder| net.encode_backward(encoder)), &Error::BackwardWithoutForward);
    forward(&mut net, gpu, &[0.5; 24], None);
    net.backward(None, None).expect("a backward pass");
    let gradients = bits(&net.gradients().expect("training").h0);
    assert_error(net.backward(None, None), &Error::BackwardWithoutForward);
    assert_error(gpu.submit(|encoder| net.encode_backward(encoder)), &Error::BackwardWithoutForward);
    assert_eq!(bits(&net.gradients().expect("training").h0), gradients, "nothing has changed");
    forward(&mut net, gpu, &[0.5; 24], None);
    net.backward(None, None).expect("a backward pass, after another forward pass");
}

fn verification_input(gpu: &Gpu) {
    let (gru, mut net) = layer(gpu);
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
        assert_error(pollster::block_on(verify_batch(&gru, &mut net, &batch)), &expected);
    }
    pollster::block_on(verify_batch(&gru, &mut net, &whole)).expect("verification");
}

/// After each kind of failed call: the same states, no submission, and a backward of the forward before it.
fn a_failed_call_changes_nothing(gpu: &Gpu) {
    let gpu = own(gpu);
    let (gru, mut net) = layer(&gpu);
    let batch = Batch::random(gru.config(), 4, 3, 1);
    pollster::block_on(verify_batch(&gru, &mut net, &batch)).expect("verification");
    let d_h0 = bits(&net.gradients().expect("training").h0);
    forward(&mut net, &gpu, &batch.x, Some(&batch.h0));
    let (states, input) = (bits(net.states(0).expect("one layer")), bits(net.input()));
    let (x, wrong) = (zeros(&gpu, &[4, 3, 2]), zeros(&gpu, &[1]));
    let before = gpu.activity();
    net.forward(&wrong, None).expect_err("a wrong x");
    net.forward(&x, Some(&wrong)).expect_err("a wrong h0");
    net.backward(Some(&wrong), None).expect_err("a wrong d_output");
    net.backward(None, Some(&wrong)).expect_err("a wrong d_h_n");
    assert_eq!(gpu.activity(), before, "nothing was made or submitted");
    assert_eq!(
        (bits(net.states(0).expect("one layer")), bits(net.input())),
        (states, input),
        "states and input are as before"
    );
    let d_output = tensor(&gpu, &[4, 3, 5], &batch.d_output);
    let d_h_n = tensor(&gpu, &[1, 3, 5], &batch.d_h_n);
    let gradients = net.backward(Some(&d_output), Some(&d_h_n)).expect("a backward pass");
    assert_eq!(bits(&gradients.h0), d_h0, "the gradients of the forward pass before");
}

/// A copy of 64 MiB into fresh memory, or a queue full of work, and no time to wait for either; later readbacks work.
///
/// Nothing is in flight when a readback begins: lavapipe does one submission beside the CPU, and a second blocks until
/// the first is done, before any wait begins. The copy may be done before the wait looks, so there are some attempts.
fn timeout(gpu: &Gpu) {
    const LEN: usize = 16 << 20;
    let waited = Duration::ZERO;
    // Work before it, more from attempt to attempt: a GPU may have done the first before anybody waits.
    let at_last = |attempt: &dyn Fn(&Gpu, &Tensor) -> Option<Error>| {
        let mut errors = (0..7).filter_map(|number| {
            // A device of its own has no staging buffer yet.
            let gpu = own(gpu);
            let gru = Gru::new(&gpu, GruConfig::new(64, 128), 1).expect("a layer");
            let mut net = gru.unroll(Unroll::inference(64, 32)).expect("an unroll");
            let large = zeros(&gpu, &[LEN]);
            large.outer(LEN - 1..LEN).expect("the last").write(&[7.0]).expect("a write");
            gpu.wait_blocking().expect("nothing is in flight");
            let work = 4_usize.pow(number);
            gpu.submit(|encoder| (0..work).try_for_each(|_| net.encode_forward(encoder))).expect("a submission");
            gpu.set_readback_timeout(waited);
            let error = attempt(&gpu, &large);
            gpu.set_readback_timeout(Duration::from_secs(60));
            gpu.wait_blocking().expect("a later wait works");
            assert_eq!(read(&large).last(), Some(&7.0), "a later readback works");
            assert_eq!(pollster::block_on(large.read()).expect("a readback").last(), Some(&7.0), "and an async one");
            error
        });
        let error = errors.next().expect("one of the attempts times out");
        assert_error::<()>(Err(error), &Error::ReadbackTimeout { waited });
    };
    at_last(&|_, large| large.read_blocking().err());
    at_last(&|_, large| pollster::block_on(large.read()).err());
    at_last(&|gpu, _| gpu.wait_blocking().err());
}
