//! A GPU app in miniature, with its own device, its own buffers and its own frame, and a GRU between two of its
//! shaders: what the guide (`wgpu_gru::guide`) is about. The CPU records, and looks once at the end.
//!
//! `cargo run --release --example in_your_app`

use std::error::Error;
use std::process::ExitCode;

use wgpu_gru::wgpu::{self, BufferUsages};
use wgpu_gru::{ExternalTensors, Gpu, Gru, GruConfig, StreamOptions, Tensor};

const AGENTS: usize = 1000;
const SENSES: usize = 2;
const HIDDEN: usize = 16;

/// An agent walks on a circle. It feels where it is, and its first hidden unit says how fast it goes on.
const SHADER: &str = "
    @group(0) @binding(0) var<storage, read_write> angle: array<f32>;
    @group(0) @binding(1) var<storage, read_write> senses: array<vec2<f32>>;
    @group(0) @binding(2) var<storage, read> hidden: array<f32>;

    @compute @workgroup_size(64) fn feel(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < arrayLength(&angle) {
            senses[id.x] = vec2<f32>(cos(angle[id.x]), sin(angle[id.x]));
        }
    }

    @compute @workgroup_size(64) fn walk(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < arrayLength(&angle) {
            angle[id.x] += 0.1 * hidden[id.x * 16u];
        }
    }
";

const HELP: &str = "\
A GPU app in miniature, with its own device, buffers and shaders, and a GRU between two of its shaders.

Usage: cargo run --release --example in_your_app

It takes no options and writes no file; it prints one line, after a second or two.
WGPU_BACKEND chooses the backend.";

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]
fn main() -> ExitCode {
    if let Some(word) = std::env::args_os().nth(1) {
        if word == "--help" || word == "-h" {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        eprintln!("error: unexpected argument {word:?}; --help says what this does");
        return ExitCode::from(2);
    }
    if let Err(error) = show() {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "a command-line program")]
fn show() -> Result<(), Box<dyn Error>> {
    // The app opens its own device. The crate says what it would like; with WebGPU's defaults it works too.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))
        .map_err(|error| format!("{error}; WGPU_BACKEND chooses what is requested"))?;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: Gpu::recommended_features(adapter.features()),
        required_limits: GruConfig::new(SENSES, HIDDEN).required_limits(&adapter.limits())?,
        ..Default::default()
    }))?;
    let angles = run(&device, &queue, 100)?;
    let mean = angles.iter().sum::<f32>() / angles.len() as f32;
    println!("{}: {AGENTS} agents after 100 frames, on average at {mean:.3} rad", adapter.get_info().name);
    Ok(())
}

/// The app: so many frames on its device. Gives where the agents are.
pub(crate) fn run(device: &wgpu::Device, queue: &wgpu::Queue, frames: usize) -> wgpu_gru::Result<Vec<f32>> {
    // The app's buffers: anything with the usage STORAGE.
    let buffer = |label, len: usize, usage| {
        let size = 4 * len as u64;
        device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
    };
    let angle = buffer("angle", AGENTS, BufferUsages::STORAGE | BufferUsages::COPY_SRC);
    let senses = buffer("senses", AGENTS * SENSES, BufferUsages::STORAGE);

    // The crate works on them: a row of the stream for each agent.
    let gpu = Gpu::from_device(device.clone(), queue.clone());
    let gru = Gru::new(&gpu, GruConfig::new(SENSES, HIDDEN), 1)?; // or Gru::with_weights
    let input = Tensor::from_buffer(&gpu, senses.slice(..), &[1, AGENTS, SENSES])?;
    let stream = gru.stream_with(
        StreamOptions::new(AGENTS),
        &ExternalTensors { input: Some(input), ..ExternalTensors::default() },
    )?;

    // The app's shaders see the state [1, AGENTS, HIDDEN], which stays where it is.
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(SHADER.into()),
    });
    let feel = Stage::new(device, &module, "feel", &[(0, angle.as_entire_binding()), (1, senses.as_entire_binding())]);
    let walk = Stage::new(device, &module, "walk", &[(0, angle.as_entire_binding()), (2, stream.state().binding()?)]);

    for _ in 0..frames {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            feel.record(&mut pass);
            stream.record_step(&mut pass)?; // no submit, no allocation, no wait
            walk.record(&mut pass);
        }
        queue.submit([encoder.finish()]);
    }
    Tensor::from_buffer(&gpu, angle.slice(..), &[AGENTS])?.read_blocking()
}

/// A pipeline of the app and what it binds.
struct Stage {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
}

impl Stage {
    fn new(
        device: &wgpu::Device,
        module: &wgpu::ShaderModule,
        entry: &str,
        bound: &[(u32, wgpu::BindingResource<'_>)],
    ) -> Self {
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(entry),
            layout: None,
            module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let entries: Vec<_> = bound
            .iter()
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding: *binding, resource: resource.clone() })
            .collect();
        let layout = pipeline.get_bind_group_layout(0);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(entry),
            layout: &layout,
            entries: &entries,
        });
        Self { pipeline, group }
    }

    fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(AGENTS.div_ceil(64) as u32, 1, 1);
    }
}
