//! The app: its buffers, its shaders, and one frame of them with the mind in between.

use wgpu_gru::wgpu::{self, BufferUsages};
use wgpu_gru::{Error, ExternalTensors, Gpu, Result, Stream, StreamOptions, Tensor};

use crate::mind::Mind;
use crate::school::UNIT_OF_FORCE;
use crate::{DT, HIDDEN, OPEN, PERIOD, SENSES};

/// Numbers of an agent in its buffer.
const AGENT: usize = 8;

/// A world of agents on the app's device.
#[derive(Debug)]
pub(crate) struct App {
    gpu: Gpu,
    agents: usize,
    /// Where the light is, how fast it goes, and the number of the frame; filled to a multiple of 8 bytes.
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
        let (sky, creatures) = (buffer("sky", 6), buffer("agents", agents * AGENT));
        let senses = buffer("senses", agents * SENSES);

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
            ("FORGETS", f64::from(mind.forgets)),
        ];
        let (hidden, sources) = (stream.state().binding()?, stream.gather_indices()?.binding()?);
        let head = mind.head.parameters();
        let (weight, bias) = (head[0].binding()?, head[1].binding()?);
        let [sky_all, agents_all, senses_all] = [&sky, &creatures, &senses].map(wgpu::Buffer::as_entire_binding);
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
            stage("shine", &[(0, &sky_all)], 1),
            stage("feel", &[(0, &sky_all), (1, &agents_all), (2, &senses_all), (4, &sources)], agents),
            stage("act", &[(1, &agents_all), (3, &hidden), (4, &sources), (5, &weight), (6, &bias)], agents),
        ];
        let app = Self { gpu: gpu.clone(), agents, sky, creatures, stream, stages };
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

    pub(crate) fn agents(&self) -> usize {
        self.agents
    }

    /// What one step of the mind is.
    pub(crate) fn explain(&self) -> String {
        self.stream.explain()
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

    /// How far the agents are from their circles around the light, for half of them at most, over some of these frames.
    /// Here the CPU looks, every tenth frame.
    pub(crate) fn score(&self, frames: usize) -> Result<f32> {
        let creatures = Tensor::from_buffer(&self.gpu, self.creatures.slice(..), &[self.agents, AGENT])?;
        let sky = Tensor::from_buffer(&self.gpu, self.sky.slice(..), &[6])?;
        let mut off = Vec::new();
        for frame in 0..frames {
            self.gpu.submit(|encoder| self.record_frame(encoder))?;
            if frame % 10 == 9 && 3 * frame >= frames {
                let sky = sky.read_blocking()?;
                off.extend(creatures.read_blocking()?.chunks_exact(AGENT).map(|agent| {
                    let distance = (agent[0] - sky[0]).hypot(agent[1] - sky[1]);
                    (distance - agent[4].abs()).abs()
                }));
            }
        }
        if off.is_empty() {
            return Err(Error::ZeroSize { what: "frames that are looked at" });
        }
        let middle = off.len() / 2;
        Ok(*off.select_nth_unstable_by(middle, f32::total_cmp).1)
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
fn bind(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    bound: &[(u32, &wgpu::BindingResource<'_>)],
) -> wgpu::BindGroup {
    let entries: Vec<_> =
        bound.iter().map(|&(binding, resource)| wgpu::BindGroupEntry { binding, resource: resource.clone() }).collect();
    device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
}
