//! A shader of the example's own, between two steps of the decoder: which phoneme has the largest logit.

use wgpu_gru::{Result, Tensor, wgpu};

/// A pipeline and what it binds.
#[derive(Debug)]
pub(crate) struct Argmax {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    rows: u32,
}

impl Argmax {
    /// Of each row of `logits` `[.., columns]` the place of the largest number goes into `picked`, as `u32`.
    pub(crate) fn new(logits: &Tensor, picked: &Tensor) -> Result<Self> {
        let device = logits.gpu().device();
        let module = device.create_shader_module(wgpu::include_wgsl!("argmax.wgsl"));
        let columns = logits.len() / picked.len();
        let constants = [("COLUMNS", columns as f64)];
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("argmax"),
            layout: None,
            module: &module,
            entry_point: Some("argmax"),
            compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
            cache: None,
        });
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("argmax"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: logits.binding()? },
                wgpu::BindGroupEntry { binding: 1, resource: picked.binding()? },
            ],
        });
        Ok(Self { pipeline, group, rows: picked.len() as u32 })
    }

    pub(crate) fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(self.rows, 1, 1);
    }
}
