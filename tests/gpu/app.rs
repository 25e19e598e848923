//! A layer in an app: in its open compute pass, on its threads, on a device with its limits.

use wgpu_gru::{
    Error, ExternalTensors, Gpu, Gru, GruConfig, Recurrent, Rnn, Stream, Tensor, Tolerance, Unroll, Unrolled,
    Workspace, wgpu,
};

use crate::support::{
    adapter, assert_close, assert_error, batch_of, bits, cases, counts, encoder, given, open, read, tensor,
    verify_batch,
};

trials![in_an_open_pass, on_another_thread, default_and_best_limits];

/// A shader of the app writes the input and another one reads the state, in one compute pass with the layer between
/// them. Both compute what no device rounds: a product with a power of two.
fn in_an_open_pass(gpu: &Gpu) {
    let config = GruConfig::new(4, 8);
    let layer = Gru::new(gpu, config, 3).expect("a layer");
    let mut net = layer.unroll(Unroll::training(3, 5)).expect("an unroll");
    let x: Vec<f32> = (0..60).map(|index| index as f32 / 64.0).collect();
    let out = net.forward(&tensor(gpu, &[3, 5, 4], &x), None).expect("a pass");
    let expected: Vec<f32> = read(&out.output).into_iter().map(|value| value * 2.0).collect();
    net.d_output().expect("training").write(&vec![0.5; 3 * 5 * 8]).expect("d_output");
    net.input().write(&[f32::NAN; 60]).expect("x");

    let source = "
        @group(0) @binding(0) var<storage, read_write> input: array<f32>;
        @group(0) @binding(1) var<storage, read> output: array<f32>;
        @group(0) @binding(2) var<storage, read_write> twice: array<f32>;
        @compute @workgroup_size(64) fn fill(@builtin(global_invocation_id) id: vec3<u32>) {
            if id.x < 60u { input[id.x] = f32(id.x) * 0.015625; }
        }
        @compute @workgroup_size(64) fn look(@builtin(global_invocation_id) id: vec3<u32>) {
            if id.x < 120u { twice[id.x] = 2.0 * output[OFFSET + id.x]; }
        }
        override OFFSET: u32;
    ";
    let device = gpu.device();
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let twice = given(gpu, &[120]);
    // Twice 8 floats of 5 rows before the output: where it lies in its buffer is told the shader.
    let offset = (net.output().byte_offset() / 4) as f64;
    let stage = |entry: &str, bound: &[(u32, &Tensor, bool)]| {
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[("OFFSET", offset)],
                ..Default::default()
            },
            cache: None,
        });
        let entries: Vec<_> = bound
            .iter()
            .map(|&(binding, tensor, whole)| {
                let offset = if whole { 0 } else { tensor.byte_offset() };
                let part = wgpu::BufferBinding { buffer: tensor.buffer(), offset, size: None };
                wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::Buffer(part) }
            })
            .collect();
        let layout = pipeline.get_bind_group_layout(0);
        let group =
            device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries });
        (pipeline, group)
    };
    let write = stage("fill", &[(0, net.input(), false)]);
    let look = stage("look", &[(1, net.output(), true), (2, &twice, false)]);
    let mut encoder = encoder(gpu);
    let before = counts(gpu).0;
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&write.0);
        pass.set_bind_group(0, &write.1, &[]);
        pass.dispatch_workgroups(1, 1, 1);
        net.record_forward(&mut pass).expect("a forward pass");
        net.record_backward(&mut pass).expect("a backward pass");
        assert_error(net.record_backward(&mut pass), &Error::BackwardWithoutForward);
        pass.set_pipeline(&look.0);
        pass.set_bind_group(0, &look.1, &[]);
        pass.dispatch_workgroups(2, 1, 1);
    }
    assert_eq!(gpu.activity(), before, "recording makes nothing");
    gpu.queue().submit([encoder.finish()]);
    assert_eq!(read(&twice), expected, "the output, twice");
    let by_pass: Vec<_> = net.gradients().expect("training").parameters.tensors().map(bits).collect();
    net.forward(&tensor(gpu, &[3, 5, 4], &x), None).expect("a pass");
    gpu.submit(|encoder| net.encode_backward(encoder)).expect("a submission");
    let by_encoder: Vec<_> = net.gradients().expect("training").parameters.tensors().map(bits).collect();
    assert_eq!(by_pass, by_encoder, "the same gradients");
}

fn is_send_and_sync<T: Send + Sync>() {}

/// What wgpu lets cross threads, this crate does.
fn on_another_thread(gpu: &Gpu) {
    is_send_and_sync::<(Gpu, Tensor, Gru, Rnn)>();
    is_send_and_sync::<(Unrolled, Stream, Workspace, ExternalTensors, Error)>();
    let layer = Gru::new(gpu, GruConfig::new(4, 8), 3).expect("a layer");
    let mut net = layer.unroll(Unroll::inference(3, 5)).expect("an unroll");
    let x = vec![0.5; 60];
    let expected = bits(&net.forward(&tensor(gpu, &[3, 5, 4], &x), None).expect("a pass").output);
    let stream = layer.stream(wgpu_gru::StreamOptions::new(5)).expect("a stream");
    stream.input().write(&x[..20]).expect("a frame");
    let commands = std::thread::scope(|scope| {
        let of_net = scope.spawn(|| {
            let mut encoder = encoder(gpu);
            net.encode_forward(&mut encoder).expect("a forward pass");
            encoder.finish()
        });
        let of_stream = scope.spawn(|| {
            let mut encoder = encoder(gpu);
            (0..3).for_each(|_| stream.encode_step(&mut encoder).expect("a step"));
            encoder.finish()
        });
        [of_net, of_stream].map(|thread| thread.join().expect("a thread"))
    });
    gpu.queue().submit(commands);
    assert_eq!(bits(net.output()), expected, "recorded elsewhere");
    assert_close("states", &read(stream.state()), &read(net.h_n()), Tolerance::through_time(8, 3));
}

/// On a device with WebGPU's default limits and on one with all that the adapter has: every case of training, and a
/// stream.
fn default_and_best_limits(gpu: &Gpu) {
    let best = adapter(gpu).limits();
    for limits in [wgpu::Limits::default(), best] {
        let gpu = open(gpu, limits);
        for (config, unroll) in cases() {
            let layer = Recurrent::new(&gpu, config.clone(), 3).expect("a layer");
            let mut net = layer.unroll(unroll).expect("an unroll");
            let mut batch = batch_of(&config, &unroll);
            if !unroll.input_gradient {
                batch.x.iter_mut().for_each(|x| *x *= 0.5);
            }
            let report = pollster::block_on(verify_batch(&layer, &mut net, &batch));
            report.unwrap_or_else(|error| panic!("{config:?} {unroll:?}: {error}"));
        }
        let layer = Gru::new(&gpu, GruConfig::new(2, 8), 1).expect("a layer");
        let stream = layer.stream(wgpu_gru::StreamOptions::new(100)).expect("a stream");
        stream.input().write(&[0.5; 200]).expect("a frame");
        gpu.submit(|encoder| stream.encode_step(encoder)).expect("a submission");
        let out = layer.forward(&tensor(&gpu, &[1, 100, 2], &[0.5; 200]), None).expect("a pass");
        assert_eq!(bits(stream.state()), bits(&out.h_n), "one step");
    }
}
