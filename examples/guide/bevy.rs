//! Minds inside Bevy: a GRU in its render world, on its device, recorded into its encoders. Agents walk on circles;
//! each feels where it is, and its row of the stream says how fast it goes on.

use bevy::prelude::*;
use bevy::render::renderer::{RenderContext, RenderDevice, RenderGraph, RenderGraphSystems, RenderQueue};
use bevy::render::{RenderApp, RenderStartup};
use wgpu_gru::wgpu::{self, BindGroupEntry, BufferUsages};
use wgpu_gru::{Gpu, Gru, GruConfig, Stream, StreamOptions};

pub const AGENTS: usize = 4096;
const HIDDEN: usize = 16;

const AGENTS_SHADER: &str = "
    @group(0) @binding(0) var<storage, read_write> angles: array<f32>;
    @group(0) @binding(1) var<storage, read_write> senses: array<vec2<f32>>; // the stream's input, [1, agents, 2]
    @group(0) @binding(2) var<storage, read> hidden: array<f32>; // its state, [1, agents, 16]

    @compute @workgroup_size(64) fn walk(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < arrayLength(&angles) {
            let angle = angles[id.x] + 0.1 + 0.1 * hidden[id.x * 16u];
            angles[id.x] = angle;
            senses[id.x] = vec2<f32>(cos(angle), sin(angle));
        }
    }
";

pub struct MindsPlugin;

impl Plugin for MindsPlugin {
    fn build(&self, app: &mut App) {
        // There is none where Bevy runs without a GPU.
        let Some(render_app) = app.get_sub_app_mut(RenderApp) else { return };
        render_app
            // Bevy runs this again with a new device when one was lost.
            .add_systems(RenderStartup, set_up)
            // Early, so that all passes of the frame find the agents where they are now.
            .add_systems(RenderGraph, think_and_walk.in_set(RenderGraphSystems::Begin));
    }
}

/// Lives in the render world. The stream has a row for each agent.
#[derive(Resource)]
pub struct Minds {
    pub gru: Gru,
    pub stream: Stream,
    pub walk: Walk,
}

/// The app's own: a buffer, and a shader that binds the stream's input and state.
pub struct Walk {
    pub angles: wgpu::Buffer,
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
}

/// Everything is made here, and pipelines are compiled. Whoever has trained weights takes `Gru::with_weights`.
fn set_up(device: Res<RenderDevice>, queue: Res<RenderQueue>, mut commands: Commands) -> Result {
    let gpu = Gpu::from_device(device.wgpu_device().clone(), (**queue).clone());
    let gru = Gru::new(&gpu, GruConfig::new(2, HIDDEN), 1)?;
    let stream = gru.stream(StreamOptions::new(AGENTS))?;
    let walk = Walk::new(&gpu, &stream)?;
    commands.insert_resource(Minds { gru, stream, walk });
    Ok(())
}

/// Recorded into Bevy's encoder, submitted by Bevy with the rest of the frame.
fn think_and_walk(minds: Res<Minds>, mut context: RenderContext) -> Result {
    let encoder = context.command_encoder();
    minds.stream.encode_step(encoder)?;
    minds.walk.record(encoder);
    Ok(())
}

impl Walk {
    pub fn new(gpu: &Gpu, stream: &Stream) -> wgpu_gru::Result<Self> {
        let device = gpu.device();
        let angles = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("angles"),
            size: 4 * AGENTS as u64,
            usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("walk"),
            layout: None,
            module: &device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some("walk"),
                source: wgpu::ShaderSource::Wgsl(AGENTS_SHADER.into()),
            }),
            entry_point: Some("walk"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let bound = [angles.as_entire_binding(), stream.input().binding()?, stream.state().binding()?];
        let entries: Vec<_> =
            (0..).zip(bound).map(|(binding, resource)| BindGroupEntry { binding, resource }).collect();
        let layout = pipeline.get_bind_group_layout(0);
        let group =
            device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries });
        Ok(Self { angles, pipeline, group })
    }

    pub fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(AGENTS.div_ceil(64) as u32, 1, 1);
    }
}
