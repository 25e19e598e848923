//! What the window shows: the world, its pictures, and what whoever looks on wants.

use std::path::Path;

use wgpu_gru::{Gpu, Result, wgpu};

use crate::app::Wish;
use crate::live::Live;
use crate::picture::{Canvas, Sheet};
use crate::print::{Print, PrintError};

pub(crate) struct Scene {
    gpu: Gpu,
    agents: usize,
    format: wgpu::TextureFormat,
    size: [u32; 2],
    pub(crate) live: Live,
    canvas: Canvas,
    sheet: Sheet,
    wish: Wish,
    pub(crate) learns: bool,
}

impl Scene {
    pub(crate) fn new(gpu: &Gpu, agents: usize, size: [u32; 2], format: wgpu::TextureFormat) -> Result<Self> {
        let live = Live::new(gpu, agents)?;
        let canvas = Canvas::new(gpu, agents, format);
        let sheet = canvas.sheet(&live.app, size)?;
        Ok(Self { gpu: gpu.clone(), agents, format, size, live, canvas, sheet, wish: Wish::default(), learns: true })
    }

    /// Everybody anew, with minds that know nothing.
    pub(crate) fn start_over(&mut self) -> Result<()> {
        self.live = Live::new(&self.gpu, self.agents)?;
        self.learns = true;
        self.resize(self.size)
    }

    pub(crate) fn resize(&mut self, size: [u32; 2]) -> Result<()> {
        self.size = size;
        self.sheet = self.canvas.sheet(&self.live.app, size)?;
        Ok(())
    }

    /// The hand is over this pixel.
    pub(crate) fn point(&mut self, [x, y]: [f64; 2]) {
        let [width, height] = self.size.map(f64::from);
        self.wish.hand = [(2.0 * x - width) / height, 1.0 - 2.0 * y / height].map(|at| at as f32);
    }

    pub(crate) fn hold(&mut self, held: bool) {
        self.wish.held = held.into();
    }

    pub(crate) fn switch_memory(&mut self) {
        self.wish.forgets ^= 1;
    }

    pub(crate) fn remembers(&self) -> bool {
        self.wish.forgets == 0
    }

    /// Records a frame and its picture. With `is_lesson` it ends with a lesson, unless nothing is to be learned.
    pub(crate) fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        picture: &wgpu::TextureView,
        is_lesson: bool,
    ) -> Result<()> {
        self.live.app.wish(self.wish);
        self.live.record(encoder, is_lesson && self.learns)?;
        self.canvas.draw(encoder, &self.sheet);
        self.canvas.develop(encoder, &self.sheet, picture);
        Ok(())
    }

    /// Writes the last picture once more, into a file.
    pub(crate) fn save(&self, path: &Path) -> std::result::Result<(), PrintError> {
        let print = Print::new(&self.gpu, self.size, self.format);
        let mut encoder = self.gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.canvas.develop(&mut encoder, &self.sheet, print.view());
        print.fetch(&mut encoder);
        self.gpu.queue().submit([encoder.finish()]);
        print.save(path)
    }
}
