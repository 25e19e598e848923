//! What the app draws: streaks of light that fade, and the pictures of them.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use wgpu_gru::wgpu;
use wgpu_gru::{Gpu, Result};

use crate::app::App;
use crate::{HIDDEN, OPEN, PERIOD};

/// What stays of the streaks from one frame to the next.
const STAYS: f64 = 0.93;

const SUM: wgpu::TextureFormat = wgpu::TextureFormat::Rgba16Float;
const PICTURE: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// Textures and pipelines.
#[derive(Debug)]
pub(crate) struct Canvas {
    gpu: Gpu,
    size: [u32; 2],
    agents: u32,
    sum: wgpu::TextureView,
    picture: wgpu::Texture,
    fade: wgpu::RenderPipeline,
    streak: (wgpu::RenderPipeline, wgpu::BindGroup),
    tone: (wgpu::RenderPipeline, wgpu::BindGroup),
    /// Where a picture is read from: rows of a multiple of 256 bytes.
    staging: wgpu::Buffer,
}

/// Why a picture was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PictureError {
    /// The GPU did not give it.
    #[error("the picture cannot be read: {0}")]
    Read(String),
    /// The file could not be made.
    #[error("{path}: {error}")]
    File { path: String, error: std::io::Error },
    /// The file could not be written.
    #[error(transparent)]
    Png(#[from] png::EncodingError),
}

impl Canvas {
    pub(crate) fn new(gpu: &Gpu, app: &App, size: [u32; 2]) -> Result<Self> {
        let device = gpu.device();
        let texture = |format, usage| {
            device.create_texture(&wgpu::TextureDescriptor {
                label: None,
                size: extent(size),
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format,
                usage: usage | wgpu::TextureUsages::RENDER_ATTACHMENT,
                view_formats: &[],
            })
        };
        let sum =
            texture(SUM, wgpu::TextureUsages::TEXTURE_BINDING).create_view(&wgpu::TextureViewDescriptor::default());
        let picture = texture(PICTURE, wgpu::TextureUsages::COPY_SRC);
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("draw"),
            source: wgpu::ShaderSource::Wgsl(concat!(include_str!("world.wgsl"), include_str!("draw.wgsl")).into()),
        });
        let [width, height] = size.map(f64::from);
        // As much light in all, however many agents there are and however large the picture is.
        let brightness = 0.055 * 4096.0 / app.agents() as f64;
        let constants = [
            ("HIDDEN", HIDDEN as f64),
            ("ASPECT", width / height),
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
        let tone = pipeline(["cover", "tone"], PICTURE, false, None);
        let group = |pipeline: &wgpu::RenderPipeline, entries: &[(u32, wgpu::BindingResource<'_>)]| {
            let layout = pipeline.get_bind_group_layout(0);
            let entries: Vec<_> = entries
                .iter()
                .map(|(binding, resource)| wgpu::BindGroupEntry { binding: *binding, resource: resource.clone() })
                .collect();
            device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries })
        };
        let sky = || (0, app.sky.as_entire_binding());
        let of_streak = [sky(), (1, app.creatures.as_entire_binding()), (2, app.hidden()?)];
        let streak_group = group(&streak, &of_streak);
        let tone_group = group(&tone, &[sky(), (3, wgpu::BindingResource::TextureView(&sum))]);
        let staging = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("picture"),
            size: u64::from(row_bytes(size) * size[1]),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let (streak, tone) = ((streak, streak_group), (tone, tone_group));
        Ok(Self { gpu: gpu.clone(), size, agents: app.agents() as u32, sum, picture, fade, streak, tone, staging })
    }

    /// Records the streaks of one frame.
    pub(crate) fn draw(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = render_pass(encoder, &self.sum, wgpu::LoadOp::Load);
        pass.set_pipeline(&self.fade);
        pass.set_blend_constant(wgpu::Color { r: STAYS, g: STAYS, b: STAYS, a: STAYS });
        pass.draw(0..3, 0..1);
        pass.set_pipeline(&self.streak.0);
        pass.set_bind_group(0, &self.streak.1, &[]);
        pass.draw(0..4, 0..self.agents);
    }

    /// Records a picture, and its way to where the CPU can read it.
    pub(crate) fn develop(&self, encoder: &mut wgpu::CommandEncoder) {
        let view = self.picture.create_view(&wgpu::TextureViewDescriptor::default());
        {
            let mut pass = render_pass(encoder, &view, wgpu::LoadOp::Clear(wgpu::Color::BLACK));
            pass.set_pipeline(&self.tone.0);
            pass.set_bind_group(0, &self.tone.1, &[]);
            pass.draw(0..3, 0..1);
        }
        let layout =
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row_bytes(self.size)), rows_per_image: None };
        let target = wgpu::TexelCopyBufferInfo { buffer: &self.staging, layout };
        encoder.copy_texture_to_buffer(self.picture.as_image_copy(), target, extent(self.size));
    }

    /// Waits for the last picture, and writes it.
    pub(crate) fn save(&self, path: &Path) -> Result<(), PictureError> {
        let read = |error: &dyn std::fmt::Display| PictureError::Read(error.to_string());
        self.staging.slice(..).map_async(wgpu::MapMode::Read, |_| {});
        self.gpu.wait_blocking().map_err(|error| read(&error))?;
        let mapped = self.staging.slice(..).get_mapped_range().map_err(|error| read(&error))?;
        let [width, height] = self.size;
        let rows = mapped.chunks_exact(row_bytes(self.size) as usize);
        // The alpha of a picture is always 1.
        let pixels: Vec<u8> = rows
            .flat_map(|row| row[..4 * width as usize].chunks_exact(4))
            .flat_map(|pixel| pixel[..3].to_vec())
            .collect();
        drop(mapped);
        self.staging.unmap();
        let file =
            File::create(path).map_err(|error| PictureError::File { path: path.display().to_string(), error })?;
        let mut encoder = png::Encoder::new(BufWriter::new(file), width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        encoder.write_header()?.write_image_data(&pixels)?;
        Ok(())
    }
}

fn extent([width, height]: [u32; 2]) -> wgpu::Extent3d {
    wgpu::Extent3d { width, height, depth_or_array_layers: 1 }
}

fn row_bytes([width, _]: [u32; 2]) -> u32 {
    (4 * width).next_multiple_of(256)
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
