//! Pictures as files.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use wgpu_gru::{Gpu, wgpu};

use crate::picture::texture;

/// A texture to draw a picture on, and its way to where the CPU can read it.
#[derive(Debug)]
pub(crate) struct Print {
    gpu: Gpu,
    picture: wgpu::Texture,
    view: wgpu::TextureView,
    /// Rows of a multiple of 256 bytes.
    staging: wgpu::Buffer,
}

/// Why a picture was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrintError {
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

impl Print {
    /// Of a format of four bytes: red, green, blue and alpha, or blue, green, red and alpha.
    pub(crate) fn new(gpu: &Gpu, size: [u32; 2], format: wgpu::TextureFormat) -> Self {
        let picture = texture(gpu, size, format, wgpu::TextureUsages::COPY_SRC);
        let view = picture.create_view(&wgpu::TextureViewDescriptor::default());
        let staging = gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("picture"),
            size: u64::from(row_bytes(size[0]) * size[1]),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        Self { gpu: gpu.clone(), picture, view, staging }
    }

    pub(crate) fn view(&self) -> &wgpu::TextureView {
        &self.view
    }

    /// Records the picture's way to where the CPU can read it.
    pub(crate) fn fetch(&self, encoder: &mut wgpu::CommandEncoder) {
        let bytes_per_row = Some(row_bytes(self.picture.width()));
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row, rows_per_image: None };
        let target = wgpu::TexelCopyBufferInfo { buffer: &self.staging, layout };
        encoder.copy_texture_to_buffer(self.picture.as_image_copy(), target, self.picture.size());
    }

    /// Waits for the picture that was fetched last, and writes it.
    pub(crate) fn save(&self, path: &Path) -> Result<(), PrintError> {
        let read = |error: &dyn std::fmt::Display| PrintError::Read(error.to_string());
        self.staging.slice(..).map_async(wgpu::MapMode::Read, |_| {});
        self.gpu.wait_blocking().map_err(|error| read(&error))?;
        let mapped = self.staging.slice(..).get_mapped_range().map_err(|error| read(&error))?;
        let (width, height) = (self.picture.width(), self.picture.height());
        let blue_first = self.picture.format() == wgpu::TextureFormat::Bgra8Unorm;
        // The alpha of a picture is always 1.
        let pixels: Vec<u8> = mapped
            .chunks_exact(row_bytes(width) as usize)
            .flat_map(|row| row[..4 * width as usize].chunks_exact(4))
            .flat_map(|pixel| if blue_first { [pixel[2], pixel[1], pixel[0]] } else { [pixel[0], pixel[1], pixel[2]] })
            .collect();
        drop(mapped);
        self.staging.unmap();
        let file = File::create(path).map_err(|error| PrintError::File { path: path.display().to_string(), error })?;
        let mut encoder = png::Encoder::new(BufWriter::new(file), width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        encoder.write_header()?.write_image_data(&pixels)?;
        Ok(())
    }
}

fn row_bytes(width: u32) -> u32 {
    (4 * width).next_multiple_of(256)
}
