//! The app: its buffers, its shaders, and one frame of them with the mind in between.

use wgpu_gru::wgpu::{self, BufferUsages};
use wgpu_gru::{ExternalTensors, Gpu, Result, Stream, StreamOptions, Tensor};

use crate::mind::Mind;
use crate::school::UNIT_OF_FORCE;
use crate::world::{DT, HIDDEN, OPEN, PERIOD, SENSES};

/// Numbers of the sky and of an agent in their buffers.
pub(crate) const SKY: usize = 8;
pub(crate) const AGENT: usize = 8;

/// What whoever looks on wants of the world.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Wish {
    /// Where the light is to go while it is held, in halves of the height of the picture from its middle.
    pub(crate) hand: [f32; 2],
    pub(crate) held: u32,
    /// Minds begin anew in every frame.
    pub(crate) forgets: u32,
}

/// A world of agents on the app's device.
#[derive(Debug)]
pub(crate) struct App {
    gpu: Gpu,
    wish: wgpu::Buffer,
    /// Where the light is, how fast it goes, how far from its path it is, and the number of the frame; filled to a
    /// multiple of 8 bytes.
    pub(crate) sky: wgpu::Buffer,
    pub(crate) creatures: wgpu::Buffer,
    stream: Stream,
    /// Who puts the agents into the world, moves the light, feels, acts.
    stages: [Stage; 4],
}

/// A pipeline of the app, and what it binds.
#[derive(Debug)]
struct Stage {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    workgroups: u32,
}

impl App {
    pub(crate) fn new(gpu: &Gpu, agents: usize, mind: &Mind) -> Result<Self> {
        let device = gpu.device();
        let buffer = |label, words: usize| {
            let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC;
            let size = 4 * words as u64;
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        };
        let (sky, creatures) = (buffer("sky", SKY), buffer("agents", agents * AGENT));
        let senses = buffer("senses", agents * SENSES);
        // Of nobody, until somebody has one.
        let wish = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wish"),
            size: size_of::<Wish>() as u64,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });

        // A row of the stream for each agent. It reads what the app's shader feels, and its rows begin anew as that
        // says.
        let input = Tensor::from_buffer(gpu, senses.slice(..), &[1, agents, SENSES])?;
        let places = ExternalTensors { input: Some(input), ..ExternalTensors::default() };
        let stream = mind.gru.stream_with(StreamOptions::new(agents).gather(true), &places)?;

        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("agents"),
            source: wgpu::ShaderSource::Wgsl(concat!(include_str!("world.wgsl"), include_str!("agents.wgsl")).into()),
        });
        let constants = [
            ("DT", f64::from(DT)),
            ("PERIOD", PERIOD as f64),
            ("OPEN", OPEN as f64),
            ("SENSES", SENSES as f64),
            ("HIDDEN", HIDDEN as f64),
            ("UNIT_OF_FORCE", f64::from(UNIT_OF_FORCE)),
        ];
        let (hidden, sources) = (stream.state().binding()?, stream.gather_indices()?.binding()?);
        let head = mind.head.parameters();
        let (weight, bias) = (head[0].binding()?, head[1].binding()?);
        let [wish_all, sky_all, agents_all, senses_all] =
            [&wish, &sky, &creatures, &senses].map(wgpu::Buffer::as_entire_binding);
        let stage = |entry, bound: &[(u32, &wgpu::BindingResource<'_>)], invocations: usize| {
            let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: None,
                module: &module,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
                cache: None,
            });
            let group = bind(device, &pipeline.get_bind_group_layout(0), bound);
            Stage { pipeline, group, workgroups: invocations.div_ceil(64) as u32 }
        };
        let stages = [
            stage("begin", &[(1, &agents_all)], agents),
            stage("shine", &[(0, &sky_all), (7, &wish_all)], 1),
            stage("feel", &[(0, &sky_all), (1, &agents_all), (2, &senses_all), (4, &sources), (7, &wish_all)], agents),
            stage("act", &[(1, &agents_all), (3, &hidden), (4, &sources), (5, &weight), (6, &bias)], agents),
        ];
        let app = Self { gpu: gpu.clone(), wish, sky, creatures, stream, stages };
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            app.stages[0].record(&mut pass);
        }
        gpu.queue().submit([encoder.finish()]);
        Ok(app)
    }

    /// The state of the stream, for the shaders that draw.
    pub(crate) fn hidden(&self) -> Result<wgpu::BindingResource<'_>> {
        self.stream.state().binding()
    }

    /// What one step of the mind is.
    pub(crate) fn explain(&self) -> String {
        self.stream.explain()
    }

    /// What is wanted from the next submission on.
    pub(crate) fn wish(&self, wish: Wish) {
        self.gpu.queue().write_buffer(&self.wish, 0, bytemuck::bytes_of(&wish));
    }

    /// Records one frame: the light moves, the agents feel, think and act.
    pub(crate) fn record_frame(&self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        let [_, shine, feel, act] = &self.stages;
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        shine.record(&mut pass);
        feel.record(&mut pass);
        self.stream.record_step(&mut pass)?;
        act.record(&mut pass);
        Ok(())
    }
}

impl Stage {
    fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(self.workgroups, 1, 1);
    }
}

/// A bind group.
pub(crate) fn bind(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    bound: &[(u32, &wgpu::BindingResource<'_>)],
) -> wgpu::BindGroup {
    let entries: Vec<_> =
        bound.iter().map(|&(binding, resource)| wgpu::BindGroupEntry { binding, resource: resource.clone() }).collect();
    device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
}
