//! What the app draws: streaks of light that fade, toned down to a picture.

use wgpu_gru::{Gpu, Result, wgpu};

use crate::app::{App, bind};
use crate::world::{HIDDEN, OPEN, PERIOD};

/// What stays of the streaks from one frame to the next.
const STAYS: f64 = 0.93;

const SUM: wgpu::TextureFormat = wgpu::TextureFormat::Rgba16Float;

/// The pipelines that draw.
#[derive(Debug)]
pub(crate) struct Canvas {
    gpu: Gpu,
    agents: u32,
    fade: wgpu::RenderPipeline,
    streak: wgpu::RenderPipeline,
    tone: wgpu::RenderPipeline,
}

/// What they draw on: the light of a frame and of those before it.
#[derive(Debug)]
pub(crate) struct Sheet {
    sum: wgpu::TextureView,
    streaks: wgpu::BindGroup,
    toned: wgpu::BindGroup,
}

impl Canvas {
    /// Pictures of so many agents, in a format.
    pub(crate) fn new(gpu: &Gpu, agents: usize, format: wgpu::TextureFormat) -> Self {
        let device = gpu.device();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("draw"),
            source: wgpu::ShaderSource::Wgsl(concat!(include_str!("world.wgsl"), include_str!("draw.wgsl")).into()),
        });
        // As much light in all, however many agents there are.
        let brightness = 0.055 * 4096.0 / agents as f64;
        let constants = [
            ("HIDDEN", HIDDEN as f64),
            ("PERIOD", PERIOD as f64),
            ("OPEN", OPEN as f64),
            ("BRIGHTNESS", brightness.clamp(0.02, 0.5)),
        ];
        let pipeline = |entries: [&str; 2], format, strip: bool, blend: Option<[wgpu::BlendFactor; 2]>| {
            let compilation_options = wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() };
            let component = |[src_factor, dst_factor]: [wgpu::BlendFactor; 2]| wgpu::BlendComponent {
                src_factor,
                dst_factor,
                operation: wgpu::BlendOperation::Add,
            };
            let blend = blend.map(|factors| wgpu::BlendState { color: component(factors), alpha: component(factors) });
            let target = wgpu::ColorTargetState { format, blend, write_mask: wgpu::ColorWrites::ALL };
            let topology =
                if strip { wgpu::PrimitiveTopology::TriangleStrip } else { wgpu::PrimitiveTopology::TriangleList };
            device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                label: Some(entries[1]),
                layout: None,
                vertex: wgpu::VertexState {
                    module: &module,
                    entry_point: Some(entries[0]),
                    compilation_options: compilation_options.clone(),
                    buffers: &[],
                },
                primitive: wgpu::PrimitiveState { topology, ..Default::default() },
                depth_stencil: None,
                multisample: wgpu::MultisampleState::default(),
                fragment: Some(wgpu::FragmentState {
                    module: &module,
                    entry_point: Some(entries[1]),
                    compilation_options,
                    targets: &[Some(target)],
                }),
                multiview_mask: None,
                cache: None,
            })
        };
        use wgpu::BlendFactor::{Constant, One, Zero};
        let fade = pipeline(["cover", "fade"], SUM, false, Some([Zero, Constant]));
        let streak = pipeline(["streak", "glow"], SUM, true, Some([One, One]));
        let tone = pipeline(["cover", "tone"], format, false, None);
        Self { gpu: gpu.clone(), agents: agents as u32, fade, streak, tone }
    }

    /// An empty sheet for pictures of a world, so many pixels wide and high.
    pub(crate) fn sheet(&self, app: &App, size: [u32; 2]) -> Result<Sheet> {
        let usage = wgpu::TextureUsages::TEXTURE_BINDING;
        let sum = texture(&self.gpu, size, SUM, usage).create_view(&wgpu::TextureViewDescriptor::default());
        let aspect = self.gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("aspect"),
            size: 4,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let [width, height] = size.map(|side| side as f32);
        self.gpu.queue().write_buffer(&aspect, 0, &(width / height).to_ne_bytes());
        let [sky, creatures, aspect] = [&app.sky, &app.creatures, &aspect].map(wgpu::Buffer::as_entire_binding);
        let drawn = wgpu::BindingResource::TextureView(&sum);
        let streaks = self.group(&self.streak, &[(0, &sky), (1, &creatures), (2, &app.hidden()?), (4, &aspect)]);
        let toned = self.group(&self.tone, &[(0, &sky), (3, &drawn), (4, &aspect)]);
        Ok(Sheet { sum, streaks, toned })
    }

    fn group(&self, of: &wgpu::RenderPipeline, bound: &[(u32, &wgpu::BindingResource<'_>)]) -> wgpu::BindGroup {
        bind(self.gpu.device(), &of.get_bind_group_layout(0), bound)
    }

    /// Records the streaks of one frame.
    pub(crate) fn draw(&self, encoder: &mut wgpu::CommandEncoder, sheet: &Sheet) {
        let mut pass = render_pass(encoder, &sheet.sum, wgpu::LoadOp::Load);
        pass.set_pipeline(&self.fade);
        pass.set_blend_constant(wgpu::Color { r: STAYS, g: STAYS, b: STAYS, a: STAYS });
        pass.draw(0..3, 0..1);
        pass.set_pipeline(&self.streak);
        pass.set_bind_group(0, &sheet.streaks, &[]);
        pass.draw(0..4, 0..self.agents);
    }

    /// Records a picture of them, on a texture of the sheet's size and the canvas's format.
    pub(crate) fn develop(&self, encoder: &mut wgpu::CommandEncoder, sheet: &Sheet, picture: &wgpu::TextureView) {
        let mut pass = render_pass(encoder, picture, wgpu::LoadOp::Clear(wgpu::Color::BLACK));
        pass.set_pipeline(&self.tone);
        pass.set_bind_group(0, &sheet.toned, &[]);
        pass.draw(0..3, 0..1);
    }
}

/// A texture that can be drawn on, and used as said.
pub(crate) fn texture(
    gpu: &Gpu,
    [width, height]: [u32; 2],
    format: wgpu::TextureFormat,
    usage: wgpu::TextureUsages,
) -> wgpu::Texture {
    gpu.device().create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: usage | wgpu::TextureUsages::RENDER_ATTACHMENT,
        view_formats: &[],
    })
}

fn render_pass<'a>(
    encoder: &'a mut wgpu::CommandEncoder,
    view: &'a wgpu::TextureView,
    load: wgpu::LoadOp<wgpu::Color>,
) -> wgpu::RenderPass<'a> {
    encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
        label: None,
        color_attachments: &[Some(wgpu::RenderPassColorAttachment {
            view,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations { load, store: wgpu::StoreOp::Store },
        })],
        depth_stencil_attachment: None,
        timestamp_writes: None,
        occlusion_query_set: None,
        multiview_mask: None,
    })
}
