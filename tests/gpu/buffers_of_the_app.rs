//! A buffer of the app that was destroyed or is mapped, a cache of another device, scratch of a workspace: errors,
//! never a panic, and never said to be a device that was lost.

use std::sync::{Arc, Mutex};

use wgpu_gru::train::{Adam, AdamOptions, Linear};
use wgpu_gru::verify::{Batch, verify_batch};
use wgpu_gru::wgpu::{self, BufferUsages};
use wgpu_gru::{
    CellParameters, Error, ExternalTensors, Gpu, Gru, GruConfig, Parameters, Rnn, RnnConfig, StreamOptions, Tensor,
    Unroll, Workspace, verify,
};

use crate::support::{ALL, adapter, app_buffer, assert_error, own, read, tensor};

trials![
    destroyed,
    mapped,
    a_cache_of_another_device,
    scratch_as_a_place,
    a_workspace_that_grows,
    unrolls_of_other_layers,
    lengths_of_an_earlier_batch,
];

/// A device that fails the test where an error reaches the app's handler.
fn watched(gpu: &Gpu) -> (Gpu, Arc<Mutex<Vec<String>>>) {
    let gpu = own(gpu);
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let list = heard.clone();
    gpu.device().on_uncaptured_error(Arc::new(move |error| list.lock().expect("a list").push(error.to_string())));
    (gpu, heard)
}

#[track_caller]
fn assert_refused<T>(result: Result<T, Error>) {
    match result {
        Err(Error::Refused { what, reason }) => assert!(!what.is_empty() && !reason.is_empty(), "what and why"),
        Err(error) => panic!("{error:?}, expected Refused"),
        Ok(_) => panic!("no error, expected Refused"),
    }
}

fn destroyed(gpu: &Gpu) {
    let (gpu, heard) = watched(gpu);
    let gone = |shape: &[usize]| {
        let buffer = app_buffer(&gpu, shape.iter().product(), ALL);
        let tensor = Tensor::from_buffer(&gpu, buffer.slice(..), shape).expect("it is there");
        buffer.destroy();
        tensor
    };
    let buffer = app_buffer(&gpu, 4, ALL);
    buffer.destroy();
    assert_refused(Tensor::from_buffer(&gpu, buffer.slice(..), &[4]));
    assert_refused(gone(&[4]).write(&[0.0; 4]));
    assert_refused(gone(&[4]).read_blocking());
    assert_refused(pollster::block_on(gone(&[4]).read()));
    assert_refused(gpu.submit(|encoder| gone(&[4]).encode_clear(encoder)));

    let config = GruConfig::new(2, 5);
    let layer = Gru::new(&gpu, config.clone(), 1).expect("a layer");
    let mut net = layer.unroll(Unroll::training(4, 3)).expect("an unroll");
    assert_refused(net.forward(&gone(&[4, 3, 2]), None));
    assert_error(net.backward(None, None), &Error::BackwardWithoutForward);
    let x = Tensor::zeros(&gpu, &[4, 3, 2]).expect("a tensor");
    assert_refused(net.forward(&x, Some(&gone(&[1, 3, 5]))));
    net.forward(&x, None).expect("a pass");
    assert_refused(net.backward(Some(&gone(&[4, 3, 5])), None));
    assert_refused(layer.forward(&gone(&[4, 3, 2]), None));
    for places in [
        ExternalTensors { input: Some(gone(&[4, 3, 2])), ..ExternalTensors::default() },
        ExternalTensors { output: Some(gone(&[4, 3, 5])), ..ExternalTensors::default() },
        ExternalTensors { d_h0: Some(gone(&[1, 3, 5])), ..ExternalTensors::default() },
    ] {
        assert_refused(layer.unroll_with(Unroll::training(4, 3), &places));
    }
    let places = ExternalTensors { h0: Some(gone(&[1, 3, 5])), ..ExternalTensors::default() };
    assert_refused(layer.stream_with(StreamOptions::new(3), &places));
    let own = layer.parameters().cells[0].clone();
    let cells = vec![CellParameters { weight_hh: gone(&[15, 5]), ..own }];
    let of_the_app = Gru::with_parameters(&gpu, config, Parameters { cells }).expect("right shapes");
    assert_refused(of_the_app.unroll(Unroll::inference(4, 3)));
    assert_refused(pollster::block_on(of_the_app.read_weights()));

    let good = Tensor::zeros(&gpu, &[4]).expect("a tensor");
    assert_refused(Adam::new([(&gone(&[4]), &good)], &AdamOptions::default()));
    assert_refused(Adam::new([(&good, &gone(&[4]))], &AdamOptions::default()));
    let linear = Linear::new(&gpu, 2, 2, 1).expect("a head");
    assert_refused(linear.unroll(&gone(&[3, 2]), &Tensor::zeros(&gpu, &[3, 2]).expect("a tensor")));

    // The device lives, readbacks work, and the app's handler has heard of nothing.
    pollster::block_on(verify(&gpu, &GruConfig::new(2, 5), 4, 3, 1)).expect("the device lives");
    assert_eq!(*heard.lock().expect("a list"), Vec::<String>::new(), "what reached the app's handler");
}

fn mapped(gpu: &Gpu) {
    let (gpu, heard) = watched(gpu);
    let mapped = |shape: &[usize], usage: BufferUsages| {
        let size = shape.iter().product::<usize>() as u64 * 4;
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: true };
        let buffer = gpu.device().create_buffer(&descriptor);
        Tensor::from_buffer(&gpu, buffer.slice(..), shape).expect("a buffer of this device")
    };
    let still = mapped(&[4], ALL);
    assert_refused(still.write(&[0.0; 4]));
    assert_refused(still.read_blocking());
    still.buffer().unmap();
    still.write(&[1.0; 4]).expect("it is not mapped any more");
    assert_eq!(read(&still), [1.0; 4], "what was written");

    let layer = Gru::new(&gpu, GruConfig::new(2, 5), 1).expect("a layer");
    let mut net = layer.unroll(Unroll::training(4, 3)).expect("an unroll");
    let x = mapped(&[4, 3, 2], ALL);
    assert_refused(net.forward(&x, None));
    assert_error(net.backward(None, None), &Error::BackwardWithoutForward);
    x.buffer().unmap();
    net.forward(&x, None).expect("it is not mapped any more");
    net.backward(None, None).expect("a backward pass");

    let input = mapped(&[4, 3, 2], ALL);
    let places = ExternalTensors { input: Some(input.clone()), ..ExternalTensors::default() };
    let mut net = layer.unroll_with(Unroll::inference(4, 3), &places).expect("to be used later");
    assert_refused(gpu.submit(|encoder| net.encode_forward(encoder)));
    input.buffer().unmap();
    gpu.submit(|encoder| net.encode_forward(encoder)).expect("it is not mapped any more");
    pollster::block_on(verify(&gpu, &GruConfig::new(2, 5), 4, 3, 1)).expect("the device lives");
    assert_eq!(*heard.lock().expect("a list"), Vec::<String>::new(), "what reached the app's handler");
}

fn a_cache_of_another_device(gpu: &Gpu) {
    let adapter = adapter(gpu);
    let required_features = adapter.features() & wgpu::Features::PIPELINE_CACHE;
    if required_features.is_empty() {
        return;
    }
    let descriptor = wgpu::DeviceDescriptor { required_features, ..wgpu::DeviceDescriptor::default() };
    let [one, other] = [0, 1].map(|_| {
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
        Gpu::from_device(device, queue)
    });
    let cache = |gpu: &Gpu| {
        let descriptor = wgpu::PipelineCacheDescriptor { label: None, data: None, fallback: false };
        #[expect(unsafe_code, reason = "there is no data to answer for")]
        // SAFETY: there is no data.
        unsafe {
            gpu.device().create_pipeline_cache(&descriptor)
        }
    };
    assert_refused(one.set_pipeline_cache(Some(cache(&other))));
    Gru::new(&one, GruConfig::new(2, 5), 1).and_then(|gru| gru.unroll(Unroll::inference(2, 2))).expect("without it");
    one.set_pipeline_cache(Some(cache(&one))).expect("its own");
}

/// Scratch that layers share is no place for anything: whoever runs next writes over it.
fn scratch_as_a_place(gpu: &Gpu) {
    let workspace = Workspace::new(gpu);
    let places = ExternalTensors { workspace: Some(workspace), ..ExternalTensors::default() };
    let below = Gru::new(gpu, GruConfig::new(5, 5).batch_first(true).num_layers(2), 1).expect("a layer");
    let below = below.unroll_with(Unroll::inference(4, 3), &places).expect("an unroll");
    let states = below.states(0).expect("a layer");
    let part = states.outer(1..5).expect("the states after each step");
    let above = Gru::new(gpu, GruConfig::new(5, 5), 1).expect("a layer");
    for (first, input, places) in
        [("input", Some(part.clone()), places.clone()), ("input", Some(part.clone()), ExternalTensors::default())]
    {
        let places = ExternalTensors { input, ..places };
        let refused = above.unroll_with(Unroll::inference(4, 3), &places);
        assert_error(refused, &Error::Aliased { first, second: "the scratch of a workspace" });
    }
    let given = ExternalTensors { h0: states.outer(0..1).ok(), ..places };
    let refused = above.unroll_with(Unroll::inference(4, 3), &given);
    assert_error(refused, &Error::Aliased { first: "h0", second: "the scratch of a workspace" });
}

/// It grows for a layer that needs more, and then no more; the layers that were made before keep what they have.
fn a_workspace_that_grows(gpu: &Gpu) {
    let workspace = Workspace::new(gpu);
    let places = ExternalTensors { workspace: Some(workspace.clone()), ..ExternalTensors::default() };
    let mut nets = Vec::new();
    let mut sizes = vec![0];
    for hidden in [4, 16, 40, 16, 40] {
        let config = GruConfig::new(2, hidden);
        let layer = Gru::new(gpu, config.clone(), 1).expect("a layer");
        let unroll = Unroll::inference(4, 3).adapter_class(wgpu::DeviceType::DiscreteGpu);
        let net = layer.unroll_with(unroll, &places).expect("an unroll");
        assert!(workspace.bytes() >= net.plan().scratch_bytes(), "{hidden}: what the plan says is there");
        let mut alone = layer.unroll(unroll).expect("an unroll");
        let batch = Batch::random(&config, 4, 3, 5);
        let x = tensor(gpu, &[4, 3, 2], &batch.x);
        let expected = read(&alone.forward(&x, None).expect("a pass").output);
        nets.push((net, x, expected));
        sizes.push(workspace.bytes());
        for (net, x, expected) in &mut nets {
            let out = net.forward(x, None).expect("a pass");
            assert_eq!(&read(&out.output), &*expected, "{hidden}");
        }
    }
    assert!(sizes[..4].windows(2).all(|pair| pair[0] < pair[1]), "it grows: {sizes:?}");
    assert!(sizes[3..].windows(2).all(|pair| pair[0] == pair[1]), "it has grown: {sizes:?}");
}

/// An unroll is verified against a layer of its own config; one with other weights is over its budget.
fn unrolls_of_other_layers(gpu: &Gpu) {
    let layer = Gru::new(gpu, GruConfig::new(2, 5), 1).expect("a layer");
    let mut net = layer.unroll(Unroll::training(4, 3)).expect("an unroll");
    let batch = Batch::random(layer.config(), 4, 3, 5);
    let refused = |result: Result<_, Error>| match result {
        Err(Error::OptionUnavailable { because, .. }) => assert!(because.contains("another config"), "{because}"),
        Err(error) => panic!("{error}"),
        Ok(report) => panic!("no error: {report}"),
    };
    let rnn = Rnn::new(gpu, RnnConfig::new(2, 5), 1).expect("a layer");
    refused(pollster::block_on(verify_batch(&rnn, &mut net, &batch)));
    let mut of_rnn = rnn.unroll(Unroll::training(4, 3)).expect("an unroll");
    refused(pollster::block_on(verify_batch(&layer, &mut of_rnn, &batch)));
    for config in [GruConfig::new(2, 5).num_layers(2), GruConfig::new(2, 6), GruConfig::new(2, 5).bias(false)] {
        let other = Gru::new(gpu, config, 2).expect("a layer");
        refused(pollster::block_on(verify_batch(&other, &mut net, &batch)));
    }
    let other = Gru::new(gpu, GruConfig::new(2, 5), 2).expect("a layer");
    let report = pollster::block_on(verify_batch(&other, &mut net, &batch));
    assert!(matches!(report, Err(Error::OverBudget(_))), "{report:?}");
    pollster::block_on(verify_batch(&layer.clone(), &mut net, &batch)).expect("a clone is the same layer");
}

/// A batch without lengths after one with lengths is one of whole rows.
fn lengths_of_an_earlier_batch(gpu: &Gpu) {
    let layer = Gru::new(gpu, GruConfig::new(2, 5), 1).expect("a layer");
    let mut net = layer.unroll(Unroll::training(4, 3).lengths(true)).expect("an unroll");
    let whole = Batch::random(layer.config(), 4, 3, 5);
    let shorter = Batch { lengths: Some(vec![1, 0, 4]), ..whole.clone() };
    for batch in [&whole, &shorter, &whole] {
        pollster::block_on(verify_batch(&layer, &mut net, batch)).expect("verification");
    }
}
