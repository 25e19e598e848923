//! RNNoise's network on the GPU: a row for each channel, a block of frames at a time.

use wgpu_gru::train::LinearInference;
use wgpu_gru::wgpu::util::DeviceExt as _;
use wgpu_gru::{Activation, Gpu, Result, Stream, StreamOptions, Tensor, wgpu};

use super::weights::{BANDS, FEATURES, Model};

/// What the network says of a frame: the gain of each band, and how likely it is that somebody speaks.
pub(crate) const ANSWERS: usize = BANDS + 1;

/// Everything is made once. Of a block there is one submission and one read.
#[derive(Debug)]
pub(crate) struct Network {
    gpu: Gpu,
    /// `[T, N, 42]`.
    features: Tensor,
    input: LinearInference,
    voice: Stream,
    noise: Stream,
    denoise: Stream,
    gains: LinearInference,
    is_speech: LinearInference,
    /// `[T, N, 23]`.
    answers: Tensor,
    /// What comes before each of the streams, and at the end.
    joins: [Vec<Join>; 4],
}

impl Network {
    /// The network for N channels, which takes up to T frames of each at once.
    pub(crate) fn new(gpu: &Gpu, model: &Model, channels: usize, frames: usize) -> Result<Self> {
        // A channel may have fewer frames than the block: then its row rests.
        let options = StreamOptions::new(channels).frames(frames).lengths(true);
        let voice = model.voice.gru(gpu)?.stream(options)?;
        let noise = model.noise.gru(gpu)?.stream(options)?;
        let denoise = model.denoise.gru(gpu)?.stream(options)?;

        let features = Tensor::zeros(gpu, &[frames, channels, FEATURES])?;
        let input = model.input.linear(gpu)?.unroll_inference(&features)?;
        let gains = model.gains.linear(gpu)?.unroll_inference(denoise.output())?;
        let is_speech = model.is_speech.linear(gpu)?.unroll_inference(voice.output())?;
        let answers = Tensor::zeros(gpu, &[frames, channels, ANSWERS])?;

        let [after_input, after_gains, after_speech] =
            [&model.input, &model.gains, &model.is_speech].map(|layer| Some(layer.activation));
        let pipeline = pipeline(gpu);
        let join = |sources: &[_], target| side_by_side(gpu, &pipeline, sources, target);
        let joins = [
            join(&[(input.output(), after_input)], voice.input())?,
            join(&[(voice.input(), None), (voice.output(), None), (&features, None)], noise.input())?,
            join(&[(voice.output(), None), (noise.output(), None), (&features, None)], denoise.input())?,
            join(&[(gains.output(), after_gains), (is_speech.output(), after_speech)], &answers)?,
        ];
        Ok(Self { gpu: gpu.clone(), features, input, voice, noise, denoise, gains, is_speech, answers, joins })
    }

    /// What the network says of the features `[T, N, 42]`: `[T, N, 23]`. Of channel n only the first `lengths[n]`
    /// frames count. Each channel goes on from where it was.
    pub(crate) fn run(&self, features: &[f32], lengths: &[usize]) -> Result<Vec<f32>> {
        self.features.write(features)?;
        for stream in [&self.voice, &self.noise, &self.denoise] {
            stream.set_lengths(lengths)?;
        }
        self.gpu.submit(|encoder| self.encode(encoder))?;
        self.answers.read_blocking()
    }

    fn encode(&self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        let [before_voice, before_noise, before_denoise, at_the_end] = &self.joins;
        self.input.encode_forward(encoder);
        record(before_voice, encoder);
        self.voice.encode_step(encoder)?;
        record(before_noise, encoder);
        self.noise.encode_step(encoder)?;
        record(before_denoise, encoder);
        self.denoise.encode_step(encoder)?;
        self.gains.encode_forward(encoder);
        self.is_speech.encode_forward(encoder);
        record(at_the_end, encoder);
        Ok(())
    }
}

/// One use of `join.wgsl`.
#[derive(Debug)]
struct Join {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    workgroups: [u32; 2],
}

fn pipeline(gpu: &Gpu) -> wgpu::ComputePipeline {
    let module = gpu.device().create_shader_module(wgpu::include_wgsl!("join.wgsl"));
    gpu.device().create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("join"),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    })
}

/// Writes sources `[T, N, ..]` side by side into the columns of a target `[T, N, ..]`, each by way of an activation.
fn side_by_side(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    sources: &[(&Tensor, Option<Activation>)],
    target: &Tensor,
) -> Result<Vec<Join>> {
    let mut at = 0;
    let joins = sources.iter().map(|&(source, activation)| {
        let begin = at;
        at += source.shape()[2];
        Join::new(gpu, pipeline, source, activation, target, begin)
    });
    joins.collect()
}

impl Join {
    /// Writes `source` `[T, N, columns]` into `target` `[T, N, width]` from a column on.
    fn new(
        gpu: &Gpu,
        pipeline: &wgpu::ComputePipeline,
        source: &Tensor,
        activation: Option<Activation>,
        target: &Tensor,
        at: usize,
    ) -> Result<Self> {
        let [columns, width] = [source, target].map(|tensor| tensor.shape()[2]);
        let code = match activation {
            None => 0,
            Some(Activation::Tanh) => 1,
            Some(Activation::Sigmoid) => 2,
            Some(Activation::Relu) => 3,
            Some(_) => {
                let because = "join.wgsl has tanh, sigmoid and relu";
                return Err(wgpu_gru::Error::OptionUnavailable { option: "an activation", because });
            }
        };
        let numbers = [source.len() / columns, columns, width, at, code].map(|number| number as u32);
        let device = gpu.device();
        let uniform = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: Some("join"),
            contents: bytemuck::cast_slice(&numbers),
            usage: wgpu::BufferUsages::UNIFORM,
        });
        let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("join"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[entry(0, uniform.as_entire_binding()), entry(1, source.binding()?), entry(2, target.binding()?)],
        });
        // A grid has at most 65,535 workgroups along each side.
        let groups = source.len().div_ceil(64);
        let wide = groups.min(1024);
        let workgroups = [wide as u32, groups.div_ceil(wide) as u32];
        Ok(Self { pipeline: pipeline.clone(), group, workgroups })
    }
}

fn record(joins: &[Join], encoder: &mut wgpu::CommandEncoder) {
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    for join in joins {
        pass.set_pipeline(&join.pipeline);
        pass.set_bind_group(0, &join.group, &[]);
        pass.dispatch_workgroups(join.workgroups[0], join.workgroups[1], 1);
    }
}
