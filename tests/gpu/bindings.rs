//! Whatever the crate hands out can be bound in a shader of the app as it stands, and the shader reads that tensor and
//! nothing else.

use wgpu_gru::train::{Accumulation, Adam, AdamOptions, FirstState, Linear, Loss};
use wgpu_gru::verify::Batch;
use wgpu_gru::{
    Config, Direction, Error, Gpu, GruConfig, Recurrent, RnnConfig, StreamOptions, Tensor, Unroll, Unrolled, wgpu,
};

use crate::support::{assert_as_planned, assert_error, bits, encoder, open, record, results, tensor, zeros};

trials![tensors_of_layers, tensors_of_streams, tensors_of_heads, parts_of_tensors];

/// The alignment of WebGPU's default limits; a software adapter could do with less.
fn aligned(gpu: &Gpu) -> Gpu {
    let limits = wgpu::Limits { min_storage_buffer_offset_alignment: 256, ..wgpu::Limits::default() };
    let gpu = open(gpu, limits);
    assert_eq!(gpu.limits().min_storage_buffer_offset_alignment, 256, "what was asked for");
    gpu
}

/// A shader of an app that copies what is bound to it.
struct Copier {
    gpu: Gpu,
    pipeline: wgpu::ComputePipeline,
}

impl Copier {
    fn new(gpu: &Gpu) -> Self {
        let source = "
            @group(0) @binding(0) var<storage, read> source: array<u32>;
            @group(0) @binding(1) var<storage, read_write> copy: array<u32>;
            @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
                if id.x == 0u { copy[0] = arrayLength(&source); }
                if id.x < arrayLength(&source) { copy[1u + id.x] = source[id.x]; }
            }
        ";
        let module = gpu.device().create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = gpu.device().create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        Self { gpu: gpu.clone(), pipeline }
    }

    /// What the shader reads is what the tensor holds.
    #[track_caller]
    fn check(&self, name: &str, source: &Tensor) {
        let copy = Tensor::zeros(&self.gpu, &[1 + source.len()]).expect("a tensor");
        let resource = source.binding().unwrap_or_else(|error| panic!("{name}: {error}"));
        let entries = [
            wgpu::BindGroupEntry { binding: 0, resource },
            wgpu::BindGroupEntry { binding: 1, resource: copy.binding().expect("a whole buffer") },
        ];
        let layout = self.pipeline.get_bind_group_layout(0);
        let descriptor = wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries };
        let group = self.gpu.device().create_bind_group(&descriptor);
        let mut encoder = encoder(&self.gpu);
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(source.len().div_ceil(64) as u32, 1, 1);
        }
        self.gpu.queue().submit([encoder.finish()]);
        let (copied, held) = (bits(&copy), bits(source));
        assert_eq!(copied[0] as usize, source.len(), "{name}: as long as it is");
        assert!(copied[1..] == held[..], "{name}: the shader reads {:?}, it holds {held:?}", &copied[1..]);
    }
}

/// All that an unrolled layer hands out.
fn handed_out(net: &Unrolled) -> Vec<(&'static str, &Tensor)> {
    let mut all = vec![("input", net.input()), ("h0", net.h0()), ("output", net.output()), ("h_n", net.h_n())];
    if let Ok(gradients) = net.gradients() {
        all.extend([("d_output", net.d_output().expect("training")), ("d_h_n", net.d_h_n().expect("training"))]);
        all.extend(gradients.parameters.tensors().map(|tensor| ("a gradient", tensor)));
        all.extend(gradients.input.iter().map(|tensor| ("d_input", tensor)));
        all.extend(gradients.norms.iter().map(|tensor| ("norms", tensor)));
        all.push(("d_h0", &gradients.h0));
    }
    all
}

fn check_layer(gpu: &Gpu, copier: &Copier, config: &Config, unroll: Unroll) {
    let layer = Recurrent::new(gpu, config.clone(), 3).expect("a layer");
    let mut net = layer.unroll(unroll).unwrap_or_else(|error| panic!("{config:?} {unroll:?}: {error}"));
    let batch = Batch::random(config, unroll.seq_len, unroll.batch, 5);
    results(&mut net, &batch);
    let of_layer = layer.parameters().tensors().map(|tensor| ("a parameter", tensor));
    for (name, tensor) in handed_out(&net).into_iter().chain(of_layer) {
        copier.check(&format!("{name} of {config:?} {unroll:?}"), tensor);
    }
    assert_as_planned(&net);
}

/// Shapes of whole alignments and of none, one step and several, one cell and several.
fn tensors_of_layers(gpu: &Gpu) {
    let gpu = aligned(gpu);
    let copier = Copier::new(&gpu);
    for (b, h) in [(1, 1), (3, 5), (2, 8), (8, 8), (5, 64)] {
        for t in [1, 3] {
            for config in [
                GruConfig::new(3, h).erased(),
                GruConfig::new(3, h).num_layers(2).erased(),
                GruConfig::new(3, h).direction(Direction::Reverse).erased(),
                RnnConfig::new(3, h).num_layers(2).direction(Direction::Bidirectional).erased(),
            ] {
                check_layer(&gpu, &copier, &config, Unroll::inference(t, b));
                check_layer(&gpu, &copier, &config, Unroll::training(t, b).gradient_norms(true));
                if t > 1 && config.num_layers == 2 && config.directions() == 1 {
                    check_layer(&gpu, &copier, &config, Unroll::training(t, b).wavefront(true));
                }
            }
            let config = GruConfig::new(3, h).batch_first(true).erased();
            check_layer(&gpu, &copier, &config, Unroll::training(t, b).lengths(true));
            check_layer(&gpu, &copier, &config, Unroll::inference(t, b));
        }
    }
}

fn tensors_of_streams(gpu: &Gpu) {
    let gpu = aligned(gpu);
    let copier = Copier::new(&gpu);
    for (rows, h) in [(1, 1), (3, 5), (7, 4), (8, 8)] {
        for (layers, frames) in [(1, 1), (2, 1), (2, 3)] {
            let layer = Recurrent::new(&gpu, GruConfig::new(2, h).num_layers(layers), 3).expect("a layer");
            let options = StreamOptions::new(rows).frames(frames).gather(true).lengths(true);
            for options in [options, StreamOptions::new(rows).frames(frames)] {
                let stream = layer.stream(options).expect("a stream");
                let snapshot = stream.snapshot().expect("a snapshot");
                stream.input().write(&vec![0.25; stream.input().len()]).expect("frames");
                gpu.submit(|encoder| {
                    stream.encode_step(encoder)?;
                    stream.encode_save(encoder, &snapshot)
                })
                .expect("a step");
                let mut all = vec![
                    ("input", stream.input()),
                    ("output", stream.output()),
                    ("state", stream.state()),
                    ("snapshot", &snapshot),
                ];
                all.extend(stream.gather_indices().ok().map(|tensor| ("sources", tensor)));
                all.extend(stream.lengths().ok().map(|tensor| ("lengths", tensor)));
                for (name, tensor) in all {
                    copier.check(&format!("{name} of {rows} rows of {h}, {layers} layers, {frames} frames"), tensor);
                }
            }
        }
    }
}

fn tensors_of_heads(gpu: &Gpu) {
    let gpu = aligned(gpu);
    let copier = Copier::new(&gpu);
    let layer = Recurrent::new(&gpu, GruConfig::new(2, 5), 3).expect("a layer");
    let mut net = layer.unroll(Unroll::training(3, 3)).expect("an unroll");
    let linear = Linear::new(&gpu, 5, 3, 1).expect("a head");
    let head = linear.unroll(net.output(), net.d_output().expect("training")).expect("an unrolled head");
    let loss = Loss::mean_squared_error(head.output(), head.d_output()).expect("a loss");
    net.input().write(&[0.5; 18]).expect("x");
    gpu.submit(|encoder| {
        net.encode_forward(encoder)?;
        head.encode_forward(encoder);
        loss.encode(encoder);
        head.encode_backward(encoder)
    })
    .expect("a submission");
    let options = AdamOptions { accumulate: Some(Accumulation::Mean), ..AdamOptions::default() };
    let adam = Adam::new(net.pairs().expect("training").chain(head.pairs()), &options).expect("an optimiser");
    let state = zeros(&gpu, &[1, 1, 5]);
    let first = FirstState::new(&state, &net).expect("first states");
    record(&gpu, |encoder| {
        adam.encode_accumulate(encoder).expect("passes are accumulated");
        adam.encode(encoder);
    });
    let of_training = adam.named("").map(|(_, tensor)| tensor).chain([adam.norm(), first.pair().expect("training").1]);
    of_training.for_each(|tensor| copier.check("a tensor of the training", tensor));
    let of_head = linear.parameters().into_iter().chain(head.gradients());
    for tensor in of_head.chain([head.output(), head.d_output(), loss.expected(), loss.loss()]) {
        copier.check("a tensor of the head", tensor);
    }
}

/// What somebody cuts out of a tensor can begin anywhere: that is an error, not a panic, and not another tensor's
/// numbers.
fn parts_of_tensors(gpu: &Gpu) {
    let gpu = aligned(gpu);
    let copier = Copier::new(&gpu);
    let whole = tensor(&gpu, &[130], &(0..130).map(|value| value as f32).collect::<Vec<_>>());
    copier.check("from an alignment on", &whole.outer(64..70).expect("a part"));
    let part = whole.outer(65..70).expect("a part");
    let misaligned = Error::Misaligned { tensor: "tensor to bind".into(), offset: 260, alignment: 256 };
    assert_error(part.binding(), &misaligned);
}
